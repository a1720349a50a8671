"""What many runs cost: cold, nothing to do, and one more run, for N runs in one field.

Some runs are simulated; all others are copies of their files with another OBS_ID. For each N the first N runs are made from the start, then one is added.
The result is a Markdown table on the standard output.
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
from astropy.io import fits
from astropy.table import Table, vstack
from measure import measure

from compare import NOT_COPIED

HERE = Path(__file__).resolve().parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
FIRST_RUN = 1001
SIMULATED = 64
CENTER = [83.63, 22.01]
SIMULATION = {"center": CENTER, "sources": [{"center": CENTER, "flux": 1e-11}]}
FIELD = {
    "center": CENTER,
    "width": "3 deg",
    "binsz": "0.05 deg",
    "energy_bands": [["1 TeV", "10 TeV"]],
    "radius": "0.1 deg",
}
COLUMNS = [
    *("N", "cold, s", "ms per run", "nothing to do, s", "one more, s"),
    *("runs read", "groups read", "2 sqrt(N)", "main process, MB"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--scratch", help="folder for temporary files, 0.3 MB per run")
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}", sep="\n")
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        project = Path(scratch) / "project"
        shutil.copytree(HERE.parent, project, ignore=NOT_COPIED)
        make_store(project, max(arguments.runs) + 1)
        for n_runs in sorted(arguments.runs):
            print(f"| {' | '.join(map(str, row(project, n_runs)))} |", flush=True)


def make_store(project, n_runs):
    """Make a store with many runs of few simulated ones."""
    n_simulated = min(SIMULATED, n_runs)
    simulation = {**SIMULATION, "n_runs": n_simulated}
    config = {"simulation": simulation, "fields": {"sky": FIELD}}
    snakemake(project, config, "results/simulated-dl3/obs-index.fits.gz")
    store = Path(shutil.move(project / "results" / "simulated-dl3", project / "store"))
    for first in range(FIRST_RUN, FIRST_RUN + n_simulated):
        with fits.open(store / f"run_{first}.fits", memmap=False) as hdus:
            for obs_id in range(first + n_simulated, FIRST_RUN + n_runs, n_simulated):
                hdus["EVENTS"].header["OBS_ID"] = obs_id
                hdus.writeto(store / f"run_{obs_id}.fits", checksum=True)
    for name in ("obs-index.fits.gz", "hdu-index.fits.gz"):
        table = Table.read(store / name, 1)
        copies = [
            shifted(table, first)
            for first in range(0, n_runs - n_simulated + 1, n_simulated)
        ]
        rows = vstack([*copies, shifted(table, len(copies) * n_simulated)])
        rows = rows[rows["OBS_ID"] < FIRST_RUN + n_runs]
        fits.table_to_hdu(rows).writeto(store / name, overwrite=True)


def shifted(table, number):
    """The rows of an index for other runs."""
    rows = table.copy()
    rows["OBS_ID"] += number
    if "FILE_NAME" in rows.colnames:
        names = [f"run_{obs_id}.fits" for obs_id in rows["OBS_ID"]]
        rows.replace_column("FILE_NAME", names)
    return rows


def row(project, n_runs):
    """Measure N runs from the start, nothing to do, and one more run."""
    for name in ("results", ".snakemake"):
        shutil.rmtree(project / name, ignore_errors=True)
    cold = make(project, n_runs)
    idle = make(project, n_runs)
    start = time.time()
    update = make(project, n_runs + 1)
    runs, groups = files_read(project, start)
    return (
        n_runs,
        f"{cold.seconds:.1f}",
        f"{1000 * cold.seconds / n_runs:.0f}",
        f"{idle.seconds:.1f}",
        f"{update.seconds:.1f}",
        runs,
        groups,
        f"{2 * sqrt(n_runs):.0f}",
        f"{max(one.root_mb for one in (cold, idle, update)):.0f}",
    )


def make(project, n_runs):
    """Make the field with the first runs."""
    observations = {"query": f"OBS_ID < {FIRST_RUN + n_runs}"}
    field = {**FIELD, "datastore": "store", "observations": observations}
    return snakemake(project, {"fields": {"sky": field}})


def snakemake(project, config, *target):
    """Run Snakemake and measure it."""
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    log = project / "invocation.log"
    return measure([SNAKEMAKE, "--cores", "2", *target], log, cwd=project)


def files_read(project, start):
    """Numbers of runs and of groups whose files were read since a time, by the records."""
    read = {"runs": set(), "groups": set()}
    for path in (project / "results/sky/provenance").glob("stack*.json"):
        if path.stat().st_mtime > start:
            for file in json.loads(path.read_text())["input"]:
                kind, _, rest = file["url"].partition("/")
                if kind in read:
                    read[kind].add(rest)
    return len(read["runs"]), len(read["groups"])


if __name__ == "__main__":
    main()
