"""Many runs, some of them broken: are exactly these left out, and what does it cost?

Some runs are simulated; all others are their copies with another OBS_ID and a tenth of
the events. One in twenty is broken, in one of several ways. The result is a Markdown table
on the standard output; the exit code is 1 if runs.csv calls any other run failed, or
misses one.
"""

import argparse
import csv
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import yaml
from astropy.io import fits
from measure import measure
from updates import FIELD, FIRST_RUN, HERE, SNAKEMAKE, make_store

from compare import NOT_COPIED

ONE_IN = 20
COARSE = {"binsz": "0.1 deg", "max_bad_runs": "6 %"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--scratch", help="folder for temporary files, 0.3 MB per run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        project = Path(scratch) / "project"
        shutil.copytree(HERE.parent, project, ignore=NOT_COPIED)
        make_store(project, arguments.runs)
        broken = break_some(project / "store", arguments.runs)
        measured = make(project)
        failed = failed_runs(project / "results" / "sky" / "runs.csv")
    print(f"{arguments.runs} runs in {measured.seconds:.0f} s")
    print(f"largest memory of a process: {measured.process_mb:.0f} MB")
    print("", "| fault | runs | failed |", "|---|---|---|", sep="\n")
    for fault, number in sorted(Counter(broken.values()).items()):
        found = sum(broken.get(obs_id) == fault for obs_id in failed)
        print(f"| {fault} | {number} | {found} |")
    print(f"| none | {arguments.runs - len(broken)} | {len(failed - broken.keys())} |")
    return failed != broken.keys()


def break_some(store, n_runs):
    """Break some of the runs, and thin out all others; return the fault by OBS_ID."""
    broken, ways = {}, list(FAULTS)
    for number in range(n_runs):
        obs_id = FIRST_RUN + number
        path = store / f"run_{obs_id}.fits"
        fault = None
        if number % ONE_IN == ONE_IN - 1:
            fault = broken[obs_id] = ways[number // ONE_IN % len(ways)]
        write_run(path, obs_id, FAULTS.get(fault))
    return broken


def write_run(path, obs_id, fault):
    """Write a run with a tenth of its events; a fault changes its HDUs, or the file."""
    with fits.open(path, memmap=False) as hdus:
        events = hdus["EVENTS"]
        events.data = events.data[obs_id % 10 :: 10].copy()
        if fault in OF_HDUS:
            fault(hdus)
        hdus.writeto(path, checksum=True, overwrite=True)
    if fault not in OF_HDUS and fault is not None:
        fault(path)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def page(path):
    path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>")


def without_aeff(hdus):
    del hdus["AEFF"]


def nan(hdus):
    hdus["EVENTS"].data["ENERGY"][3] = np.nan


def seconds(hdus):
    hdus["EVENTS"].columns["ENERGY"].unit = "s"


def dead_time(hdus):
    hdus["EVENTS"].header["DEADC"] = 1.5


def twice(hdus):
    events = hdus["EVENTS"]
    events.data = np.concatenate([events.data, events.data])


OF_HDUS = (without_aeff, nan, seconds, dead_time, twice)
FAULTS = {
    "cut": cut,
    "missing": Path.unlink,
    "HTML": page,
    "no AEFF": without_aeff,
    "NaN among the energies": nan,
    "energies in s": seconds,
    "DEADC = 1.5": dead_time,
    "events twice": twice,
}


def make(project):
    """Make the field, and measure it."""
    config = {"fields": {"sky": {**FIELD, "datastore": "store", **COARSE}}}
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    log = project / "invocation.log"
    return measure([SNAKEMAKE, "--cores", "2"], log, cwd=project)


def failed_runs(path):
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        return {int(row["OBS_ID"]) for row in rows if row["status"] == "failed"}


if __name__ == "__main__":
    sys.exit(main())
