"""The workflow on all fields of the H.E.S.S. release, and what it made."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[2]
CONFIG = "config/hess_dl3_dr1.yaml"
# Settings beside those of `CONFIG`, by background method
MORE = {"irf": [], "ring": ["docs/validation/ring.yaml"]}
RESULTS = "results/validation"
BAND = "1TeV-10TeV"


def run_workflow(method):
    """Make all fields; images of runs that another method has made are taken over."""
    cache_folder = ROOT / RESULTS / "cache"
    cache_folder.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "snakemake", "--cores", "2", "--cache"),
        *("--configfile", CONFIG, *MORE[method]),
        *("--config", f"results={RESULTS}/{method}"),
    ]
    environment = {**os.environ, "SNAKEMAKE_OUTPUT_CACHE": str(cache_folder)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")


def settings(method="irf"):
    """The configuration as a dictionary."""
    merged = {}
    for path in (CONFIG, *MORE[method]):
        merged |= yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return merged


def fields():
    """Names of the fields."""
    return list(settings()["fields"])


@cache
def table(method, field, name):
    """A table of a field and its band."""
    return pd.read_csv(ROOT / RESULTS / method / field / BAND / f"{name}.csv")


def runs(method, field):
    """Number of runs that are used in a field."""
    return int((table(method, field, "runs")["status"] == "used").sum())
