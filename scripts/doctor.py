#!/usr/bin/env python3
"""Examine all runs of a store without making images: what is wrong, what is odd?

Only new and changed files are examined again. Exit codes: 0 no run has errors or warnings;
1 some have errors; 2 the store cannot be opened; 3 no errors, but warnings.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import yaml

from gammastack.doctor import format_doctor, read_table, worst
from gammastack.draft import draft_responses, given_store
from gammastack.errors import InputError

SNAKEFILE = Path(__file__).resolve().parents[1] / "Snakefile"
FIELD = "store"
CODES = {"error": 1, "warning": 3}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", help="folder of DL3 files, or https://… or s3://…")
    parser.add_argument(
        "--results", default="doctor", help="folder for the table (default: doctor)"
    )
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    try:
        config = config_of(given_store(arguments.store), arguments.results)
        results = Path(arguments.results)
        results.mkdir(parents=True, exist_ok=True)
        path = results / "config.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
    except (InputError, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 2
    table = results / FIELD / "doctor.csv"
    command = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE]
    command += ["--cores", str(arguments.cores), table, "--configfile", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
        return 2
    print(format_doctor([table]))
    return CODES.get(worst(read_table(table)), 0)


def config_of(store, results):
    """Return a configuration with one field that has all runs, wherever they point."""
    # A store in which no run can be read is examined, too.
    band, offset_max = ("1 TeV", "10 TeV"), 1.0
    try:
        responses = draft_responses(store, store.obs_ids)
        band = [f"{edge} TeV" for edge in responses.band]
        offset_max = responses.offset_max
    except InputError:
        pass
    return {
        "datastore": store.place,
        "results": results,
        "energy_bands": [list(band)],
        "offset_band": ["0 deg", f"{offset_max} deg"],
        "center": [0, 0],
        "projection": "CAR",
        "width": ["360 deg", "180 deg"],
        "binsz": "1 deg",
        "max_bad_runs": "100 %",
        "fields": {FIELD: {}},
    }


if __name__ == "__main__":
    sys.exit(main())
