"""Updates that fail: no later invocation takes maps of old data for up to date."""

import os
import shutil
import subprocess
import sys

import pytest
from astropy.io import fits

from dl3_files import edit
from gammastack.archive.bundle import open_bundle
from gammastack.archive.verify import report, verify
from project import BAND, MORE_PARTS, ROOT, shell_environment

MAP = f"results/sky/{BAND}/significance.fits"
STEPS = ["run_images", "stack_group", "stack", "maps"]
SAID = {"killed": "a worker process was killed", "full": "OSError", "terminated": ""}
# Each fault in each step, when a single map is asked for, and some by default
FAULTS = [
    ((), ["killed", "full", "terminated", "killed"]),
    pytest.param(
        (MAP,), ["killed", "full", "terminated", "killed"], marks=pytest.mark.slow
    ),
    pytest.param(
        (MAP,), ["full", "terminated", "killed", "full"], marks=pytest.mark.slow
    ),
    pytest.param(
        (MAP,), ["terminated", "killed", "full", "terminated"], marks=pytest.mark.slow
    ),
]


def change_events(project):
    """Change a run, in the same way each time."""
    with fits.open(project.folder / "store" / "run_1002.fits") as hdus:
        edit(hdus["EVENTS"]).data["ENERGY"][::10] *= 1.5
        hdus.writeto(project.folder / "store" / "run_1002.fits", overwrite=True)


@pytest.fixture(scope="module")
def changed(built, tmp_path_factory):
    """The built project after an undisturbed update."""
    project = built.copy(tmp_path_factory.mktemp("changed") / "project")
    change_events(project)
    assert project.snakemake().code == 0
    return project


def verdict(project):
    """Exit code of `verify`: 0, 1 for damage, 3 for what would be made differently."""
    bundle = open_bundle(project.folder / "results" / "sky")
    findings = verify(bundle, project.folder / "scripts", project.folder / "store")
    return report(findings)[1]


@pytest.mark.parametrize("target, faults", FAULTS)
def test_update_that_fails_in_one_step_after_the_other(
    project, changed, target, faults
):
    change_events(project)
    for step, fault in zip(STEPS, faults, strict=True):
        done = project.snakemake(
            *target,
            FAULT=f"{step}:{fault}",
            PYTHONPATH=str(ROOT / "tests" / "faults"),
        )
        assert done.code != 0, done.text
        assert "Nothing to be done" not in done.text
        assert SAID[fault] in done.text
        assert verdict(project) in (1, 3)
    expected = changed.products()
    if target:
        assert project.snakemake(*target).code == 0
        name = MAP.removeprefix("results/")
        assert project.products()[name] == expected[name]
    assert project.snakemake().code == 0
    assert project.products() == expected
    assert verdict(project) == 0


# Sends SIGTERM whenever the scheduler looks after jobs that have ended, with its lock
TERMINATED = """
import os, signal
from snakemake import cli
from snakemake.scheduling.job_scheduler import JobScheduler

finish_jobs = JobScheduler._finish_jobs

def terminated(scheduler):
    os.kill(os.getpid(), signal.SIGTERM)
    finish_jobs(scheduler)

JobScheduler._finish_jobs = terminated
cli.main()
"""


@pytest.mark.slow
def test_termination_at_any_moment_ends_the_invocation(project, changed):
    change_events(project)
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED, "--cores", "2"],
        cwd=project.folder,
        env=shell_environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert project.snakemake().code == 0
    assert project.products() == changed.products()


def test_update_with_a_bad_event_file(project, built):
    """It fails in the same way until the file is replaced, whatever the target."""
    project.change_config(on_bad_run="stop")
    path = project.folder / "store" / "run_1002.fits"
    whole = path.read_bytes()
    path.write_bytes(whole[:100_000])
    for target in ((), (MAP,), ()):
        done = project.snakemake(*target)
        assert done.code != 0
        assert "1 of 4 runs cannot be used: 1002: run_1002.fits: truncated" in done.text
        assert "observations: {exclude: [1002]}" in done.text
        assert verdict(project) in (1, 3)
    path.write_bytes(whole)
    project.change_config()
    assert project.snakemake().code == 0
    assert project.products() == built.products()


# An intermediate result, one that others read, a last one, a record, and one of all fields
DAMAGED = [
    *("runs/1002.fits", f"{BAND}/counts.fits", f"{BAND}/significance.fits"),
    *("provenance/prov.json", "../summary.csv"),
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            *("exclusion_mask.fits", "groups/all.fits", "runs.csv"),
            *(f"{BAND}/table_bkg_norm.csv", f"{BAND}/off_statistics.csv"),
        )
    ),
]
ON_DEMAND = ["doctor.csv", "archive.zip", f"{BAND}/significance.png"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_result_is_made_again(project, built, name):
    """By the invocation that reads it, which says so."""
    flip(project.folder / "results" / "sky" / name)
    done = project.snakemake()
    assert done.code == 0, done.text
    text = " ".join(done.text.split())
    shown = os.path.normpath(f"results/sky/{name}")
    assert f"WARNING: {shown}: damaged result" in text
    assert project.products() == built.products()
    assert verdict(project) == 0
    assert project.snakemake().jobs == []


@pytest.mark.parametrize(
    "options",
    [
        ["-n", "--rerun-triggers", "mtime"],
        ["--dag"],
        ["--summary"],
        ["--unlock"],
        ["--lint"],
        ["--touch"],
    ],
    ids=lambda options: options[0],
)
def test_nothing_is_deleted_by_an_invocation_that_makes_nothing(project, options):
    path = project.folder / f"results/sky/{BAND}/significance.fits"
    flip(path)
    damaged = path.read_bytes()
    done = project.snakemake(*options)
    assert path.read_bytes() == damaged
    if options[0] == "-n":
        assert "WARNING: --rerun-triggers without params" in done.text
    if options[0] in ("-n", "--touch"):
        assert "significance.fits: damaged result" in " ".join(done.text.split())


def test_nothing_is_deleted_while_another_invocation_is_at_work(project):
    path = project.folder / f"results/sky/{BAND}/significance.fits"
    flip(path)
    lock = project.folder / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("results/summary.csv\n")
    path.touch()
    project.change_config(radius="0.3 deg")
    assert "--unlock" in project.snakemake().text
    assert path.exists()


@pytest.mark.slow
def test_damaged_result_on_demand_is_made_again(project):
    for name in MORE_PARTS:
        shutil.copy(ROOT / name, project.folder)
    targets = [f"results/sky/{name}" for name in ON_DEMAND]
    done = project.snakemake(*targets)
    assert done.code == 0, done.text
    for path in targets:
        flip(project.folder / path)
    done = project.snakemake(*targets)
    assert done.code == 0, done.text
    assert done.rules == ["archive_of_field", "doctor_of_field", "figure"]
    assert project.snakemake(*targets).jobs == []


def test_damaged_results_in_an_update(project, changed):
    """Several at once, one of which is needed to make another one again."""
    change_events(project)
    folder = project.folder / "results" / "sky"
    for name in ("runs/1001.fits", "exclusion_mask.fits", "provenance/stack.json"):
        flip(folder / name)
    (folder / "runs" / "1003.json").write_text("{")
    done = project.snakemake()
    assert done.code == 0, done.text
    assert project.products() == changed.products()
    assert verdict(project) == 0


def test_what_a_killed_process_has_left_is_no_record(project):
    left = project.folder / "results" / "sky" / "provenance" / ".part-stack.json"
    left.write_text("{")
    assert verdict(project) == 0
    project.change_config(radius="0.3 deg")
    assert project.snakemake().code == 0
    assert verdict(project) == 0


@pytest.mark.slow
def test_damaged_result_without_the_profile(project, built):
    """A process of one job knows no other jobs: the same command again heals."""
    flip(project.folder / "results" / "sky" / "groups" / "all.fits")
    plain = "--workflow-profile", "none"
    done = project.snakemake(*plain)
    assert done.code != 0
    assert "groups/all.fits: damaged result" in done.text
    assert "It was deleted: give the same command again" in done.text
    done = project.snakemake(*plain)
    assert done.code == 0, done.text
    assert project.products() == built.products()
