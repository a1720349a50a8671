"""What one more run costs: cutouts and sums that are read, and seconds, for N runs.

The runs are simulated. For each N the first N runs are made, then one is added. The
result is a Markdown table on the standard output.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from math import sqrt
from pathlib import Path

import yaml
from measure import measure

from compare import NOT_COPIED

HERE = Path(__file__).resolve().parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
FIRST_RUN = 1001
CENTER = [83.63, 22.01]
SIMULATION = {"center": CENTER, "sources": [{"center": CENTER, "flux": 1e-11}]}
FIELD = {
    "center": CENTER,
    "width": "3 deg",
    "binsz": "0.05 deg",
    "energy_bands": [["1 TeV", "10 TeV"]],
    "radius": "0.1 deg",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--scratch", help="folder for temporary files, 2 MB per run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        project = Path(scratch) / "project"
        shutil.copytree(HERE.parent, project, ignore=NOT_COPIED)
        simulate(project, max(arguments.runs) + 1)
        print(
            "| N | cutouts of runs read | sums of groups read | 2 sqrt(N) | s | no-op, s |"
        )
        print("|---|---|---|---|---|---|")
        for n_runs in sorted(arguments.runs):
            print(row(project, n_runs), flush=True)


def simulate(project, n_runs):
    """Make a store of simulated runs."""
    simulation = {**SIMULATION, "n_runs": n_runs}
    config = {"simulation": simulation, "fields": {"sky": FIELD}}
    snakemake(project, config, "results/simulated-dl3/obs-index.fits.gz")
    shutil.move(project / "results" / "simulated-dl3", project / "store")


def row(project, n_runs):
    """Measure one more run after N, and invoke once more with nothing to do."""
    make(project, n_runs)
    start = time.time()
    seconds = make(project, n_runs + 1)
    cutouts, sums = files_read(project, start)
    idle = make(project, n_runs + 1)
    least = 2 * sqrt(n_runs)
    return (
        f"| {n_runs} | {cutouts} | {sums} | {least:.0f} | {seconds:.1f} | {idle:.1f} |"
    )


def make(project, n_runs):
    """Make the field with the first runs; return the seconds that it took."""
    observations = {"query": f"OBS_ID < {FIRST_RUN + n_runs}"}
    field = {**FIELD, "datastore": "store", "observations": observations}
    return snakemake(project, {"fields": {"sky": field}})


def snakemake(project, config, *target):
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    log = project / "invocation.log"
    return measure([SNAKEMAKE, "--cores", "2", *target], log, cwd=project).seconds


def files_read(project, start):
    """Runs whose cutouts, and groups whose sums, were read since a time, by the records."""
    read = {"runs": set(), "groups": set()}
    for path in (project / "results/sky/provenance").glob("stack*.json"):
        if path.stat().st_mtime > start:
            for file in json.loads(path.read_text())["input"]:
                kind, _, rest = file["url"].partition("/")
                if kind in read:
                    read[kind].add(rest.split("/")[0])
    return len(read["runs"]), len(read["groups"])


if __name__ == "__main__":
    main()
