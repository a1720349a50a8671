"""The benchmarks run: a small trial of each, without gammapy."""

import re
import subprocess
import sys

import pytest

from project import ROOT, shell_environment

pytestmark = pytest.mark.slow


def run(script, *options):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, *options],
        capture_output=True,
        text=True,
        env=shell_environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_comparison(hess_store):
    report = run("compare.py", "--fields=3c120,cena", "--repeats=1")
    for name in ("cold", "nothing to do", "one run changed"):
        assert re.search(rf"^\| gammastack, {name} \| \d", report, re.MULTILINE)
    assert "1 of them run_images; none needless" in report
    assert "byte by byte" in report


def test_faults():
    table = run("faults.py", "--faults=kills", "--kills=1")
    name, tries, *ends = table.splitlines()[-1].strip("| ").split(" | ")
    assert name.startswith("SIG") and tries == "1"
    *well, silent, endless = map(int, ends)
    assert (sum(well), silent, endless) == (1, 0, 0)


def test_load():
    """Of 20 runs one is broken; a difference from runs.csv would be its exit code."""
    report = run("load.py", "--runs=20")
    assert "| cut | 1 | 1 |" in report and "| none | 19 | 0 |" in report


def test_updates():
    (row,) = re.findall(r"^\| 3 \|.*", run("updates.py", "--runs=3"), re.MULTILINE)
    _, *values, _ = [value.strip() for value in row.split("|")]
    # One more run reads the runs of its group, and its sums: all four, and one
    assert values[5:7] == ["4", "1"]


def test_remote(hess_store):
    pytest.importorskip("moto.server")
    rows = re.findall(r"^\| (?:HTTP|S3) .*", run("remote.py", "--fields=cena"), re.M)
    assert len(rows) == 16
    assert all(re.search(r"\| 0 of \d+ \|$", row) for row in rows)


def test_survey():
    report = run("survey.py", "--runs=3", "--binsz=0.2 deg")
    for name in ("cold", "nothing to do", "one more night", "a new radius"):
        assert re.search(rf"^\| 3 \| {name} \| \d", report, re.MULTILINE)
