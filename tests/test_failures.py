"""Updates that fail: no later invocation takes maps of old data for up to date."""

import subprocess
import sys

import pytest
from astropy.io import fits

from project import BAND, ROOT

MAP = f"results/sky/{BAND}/significance.fits"
STEPS = ["run_images", "stack_group", "stack", "maps"]
SAID = {"killed": "a worker process was killed", "full": "OSError", "terminated": ""}


def change_events(project):
    """Change a run; the checksums of the file, which hold the time, stay as they are."""
    with fits.open(project.folder / "store" / "run_1002.fits") as hdus:
        hdus["EVENTS"].data["ENERGY"][::10] *= 1.5
        hdus.writeto(project.folder / "store" / "run_1002.fits", overwrite=True)


@pytest.fixture(scope="module")
def changed(built, tmp_path_factory):
    """The built project after an undisturbed update."""
    project = built.copy(tmp_path_factory.mktemp("changed") / "project")
    change_events(project)
    assert project.snakemake().code == 0
    return project


def verify(project):
    command = [sys.executable, "scripts/verify.py", "results/sky", "--datastore=store"]
    done = subprocess.run(
        command, cwd=project.folder, capture_output=True, text=True, check=False
    )
    return done.returncode


def fail(project, *target, fault):
    """An invocation with a fault; it must say so, and leave no result that passes for new."""
    done = project.snakemake(
        *target, FAULT=fault, PYTHONPATH=str(ROOT / "tests" / "faults")
    )
    assert done.code != 0, done.text
    assert "Nothing to be done" not in done.text
    assert SAID[fault.partition(":")[2]] in done.text
    assert verify(project) in (1, 3)


@pytest.mark.parametrize(
    "target, fault", [((), "killed"), *(((MAP,), fault) for fault in SAID)]
)
def test_update_that_fails_in_one_step_after_the_other(project, changed, fault, target):
    change_events(project)
    for step in STEPS:
        fail(project, *target, fault=f"{step}:{fault}")
    fail(project, *target, fault=f"{STEPS[-1]}:{fault}")
    done = project.snakemake(*target)
    assert done.code == 0, done.text
    expected = changed.products()
    assert (
        project.products()[MAP.removeprefix("results/")]
        == expected[MAP.removeprefix("results/")]
    )
    assert project.snakemake().code == 0
    assert project.products() == expected
    assert verify(project) == 0


@pytest.mark.parametrize("target", [(), (MAP,)], ids=["all", "a map"])
def test_update_with_a_bad_event_file(project, built, target):
    path = project.folder / "store" / "run_1002.fits"
    whole = path.read_bytes()
    path.write_bytes(whole[:100_000])
    for _ in range(2):
        done = project.snakemake(*target)
        assert done.code != 0
        assert "ERROR: store/run_1002.fits: truncated" in done.text
        assert verify(project) in (1, 3)
    path.write_bytes(whole)
    assert project.snakemake().code == 0
    assert project.products() == built.products()
