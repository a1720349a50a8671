"""A small sample of damaged DL3 files, see benchmarks/fuzz.py."""

import os
import subprocess
import sys

import pandas as pd
import pytest

from project import ROOT, shell_environment

# Of all classes of damage, each seventh mutant
SAMPLE = 700, 7
IMPOSSIBLE = ["NaN", "inf", "DEC impossible", "ENERGY impossible"]


def fuzz(*options, folder):
    environment = {**os.environ, **shell_environment()}
    # The sample is simulated: it must be the same for everybody.
    environment.pop("GAMMAPY_DATA", None)
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "fuzz.py", *map(str, options)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """The table of the outcomes of the sample, and the report."""
    folder = tmp_path_factory.mktemp("fuzz")
    mutants, every = SAMPLE
    text = fuzz("--mutants", mutants, "--every", every, folder=folder)
    return pd.read_csv(folder / "fuzz.csv"), text


def outcomes_of(table, *classes):
    chosen = table[table["class"].isin(classes)]
    assert len(chosen), classes
    return {*chosen["outcome"]}


@pytest.mark.slow
def test_every_mutant_has_an_outcome(sample):
    table, text = sample
    assert len(table) == 100
    last = next(line for line in text.splitlines() if line.startswith("| all |"))
    assert sum(map(int, last.split("|")[2:-1])) == 100


def test_no_damage_that_a_checksum_shows_is_silent(sample):
    table, _ = sample
    with_checksums = table["source"].str.startswith("simulated")
    damaged = table[with_checksums & (table["checksums"] == "kept")]
    assert len(damaged)
    assert not {"silent", "facts"} & {*damaged["outcome"]}


def test_impossible_events_fail_by_name(sample):
    table, _ = sample
    names = [f"events: {name}" for name in IMPOSSIBLE]
    assert outcomes_of(table, *names) == {"failed"}
    failed = table[table["class"].isin(names)]
    assert failed["message"].str.contains(r"\d{4}\.fits\[EVENTS\]: \d+ of \d+").all()


def test_judge_tells_changed_images_from_the_same_ones(sample):
    table, _ = sample
    assert outcomes_of(table, "events: shuffled", "hdus: other order") == {"identical"}
    halves = table[table["class"].str.contains("half gone")]
    assert not {"identical", "facts"} & {*halves["outcome"]}
    assert halves["counts"].dropna().between(0.3, 0.7).all()


def test_mutant_is_made_again(sample, tmp_path):
    table, _ = sample
    mutant = table[table["class"].str.contains("half gone")].iloc[0]
    text = fuzz("--replay", mutant["number"], "--keep", "kept", folder=tmp_path)
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    assert fields["outcome"] == mutant["outcome"]
    assert float(fields["counts"]) == pytest.approx(mutant["counts"], abs=1e-6)
    assert [*(tmp_path / "kept").rglob("obs-index.fits.gz")]
