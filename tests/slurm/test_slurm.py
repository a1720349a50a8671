"""Jobs on a real cluster of one node; `make test-slurm` runs these tests."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import cluster
import numpy as np
import pytest

from project import BAND, MORE_PARTS, PARTS, ROOT, RUNS, SETTINGS, Project

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        not cluster.is_available(),
        reason="needs root, and Debian's packages slurmctld, slurmd, slurm-client and munge",
    ),
]
# A small job takes a few seconds: when it is first asked for, it has ended. If it has not, the
# plugin waits 10 s longer each time.
OPTIONS = [
    *("--profile", "profiles/slurm", "--resources", "parallel=2"),
    *("--slurm-init-seconds-before-status-checks", "6"),
]
SLOW_RUN = 1003
# As long as a file of this name is there, a run takes longer than its test.
SLOW = f"""\
    import time
    from pathlib import Path
    while obs_id == {SLOW_RUN} and Path("slow").exists():
        time.sleep(0.2)
"""


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    with cluster.cluster(tmp_path_factory.mktemp("slurm")):
        yield


@pytest.fixture
def slow_project(tmp_path, simulated_store):
    project = Project(tmp_path / "project", SETTINGS)
    shutil.copytree(simulated_store[0].folder, project.folder / "store")
    line = "    data = RunData(inputs, origin, obs_id, hdus, failure, index, acceptance_class)\n"
    project.replace("scripts/steps/run_images.py", line, SLOW + line)
    (project.folder / "slow").touch()
    return project


def on_slurm(project, *arguments):
    """Run Snakemake with the profile for Slurm; return exit code and text on the screen."""
    command = [ROOT / ".venv/bin/snakemake", *OPTIONS, *arguments]
    if not command[0].exists():
        command[0] = shutil.which("snakemake")
    done = subprocess.run(
        command,
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "400"},
    )
    return done.returncode, done.stdout


def jobs(screen):
    """Return how many jobs of Slurm were submitted."""
    return screen.count("has been submitted with SLURM jobid")


def same_products(one, other):
    one, other = one.products(), other.products()
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.parametrize("config", ["config/hess_dl3_dr1.yaml"])
def test_public_data_bit_for_bit_as_without_a_cluster(config, tmp_path, hess_store):
    parts = [*PARTS, *MORE_PARTS]
    local = Project(tmp_path / "local", parts=parts)
    start = time.monotonic()
    assert local.snakemake("--configfile", config).code == 0
    local_seconds = time.monotonic() - start

    there = Project(tmp_path / "cluster", parts=parts)
    start = time.monotonic()
    code, screen = on_slurm(there, "--configfile", config)
    seconds = time.monotonic() - start
    assert code == 0, screen
    # 105 runs in two jobs, 31 sums in two, and stacks, maps and pages of 31 fields in two
    assert jobs(screen) == 6
    same_products(local, there)
    print(f"\n{screen}\nlocal: {local_seconds:.0f} s; on the cluster: {seconds:.0f} s")
    code, screen = on_slurm(there, "--configfile", config)
    assert code == 0 and "Nothing to be done" in screen
    assert jobs(screen) == 0


def cancelled(job_id):
    subprocess.run(["scancel", job_id], check=True)


def killed(job_id):
    """Kill all processes of a job, as a machine without memory does."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment = (path / "environ").read_bytes().split(b"\0")
            if f"SLURM_JOB_ID={job_id}".encode() in environment:
                os.kill(int(path.name), signal.SIGKILL)
        except OSError:
            continue


def too_long(job_id):
    """Wait for the limit: a minute, the shortest one, for each of two runs in turn."""


FAULTS = {
    cancelled: ("CANCELLED", []),
    killed: ("FAILED", []),
    too_long: ("TIMEOUT", ["--set-resources", "run_images:runtime=1"]),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_job_that_is_ended_is_named_and_what_it_made_is_kept(fault, slow_project):
    status, options = FAULTS[fault]
    folder = slow_project.folder / "results" / "sky" / "runs"
    others = [folder / f"{obs_id}.fits" for obs_id in RUNS if obs_id != SLOW_RUN]

    def when_others_are_made():
        while not all(path.exists() for path in others):
            time.sleep(0.1)
        # Snakemake notes that they are made.
        time.sleep(1)
        fault(running_job())

    threading.Thread(target=when_others_are_made, daemon=True).start()
    code, screen = on_slurm(slow_project, *options)
    assert code == 1
    (error,) = (line for line in screen.splitlines() if line.startswith("ERROR"))
    assert f"results/sky/runs/{SLOW_RUN}.fits: not made" in error
    assert status in error and "Give the same command again" in error
    log = error.partition("see ")[2].partition(".log")[0] + ".log"
    assert (slow_project.folder / log).exists()
    assert all(path.exists() for path in others)
    times = [path.stat().st_mtime for path in others]

    (slow_project.folder / "slow").unlink()
    code, screen = on_slurm(slow_project)
    assert code == 0, screen
    assert [path.stat().st_mtime for path in others] == times
    assert (slow_project.folder / "results/sky" / BAND / "significance.fits").exists()


def running_job():
    command = ["squeue", "--noheader", "--states=RUNNING", "--format=%i"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def test_submission_that_is_refused_says_why(slow_project):
    options = "--default-resources", "parallel=1", "slurm_partition=nowhere"
    code, screen = on_slurm(slow_project, *options)
    assert code == 1
    (error,) = (line for line in screen.splitlines() if line.startswith("ERROR"))
    assert "results/sky/runs/1001.fits" in error
    assert "invalid partition specified: nowhere" in error
    assert "slurm_partition" in error
    (slow_project.folder / "slow").unlink()
    code, screen = on_slurm(slow_project)
    assert code == 0, screen
    # Results of before are not taken for those of a job that was never submitted.
    slow_project.change_config(spectral_index=2.0)
    assert on_slurm(slow_project, *options)[0] == 1
    images = [f"run_images sky {obs_id}" for obs_id in RUNS]
    assert {*images} <= {*slow_project.plan()}


def test_run_that_cannot_be_used_is_named_on_the_screen(slow_project):
    (slow_project.folder / "slow").unlink()
    path = slow_project.folder / "store" / "run_1002.fits"
    path.write_bytes(path.read_bytes()[:50_000])
    slow_project.change_config(max_bad_runs=1)
    code, screen = on_slurm(slow_project)
    assert code == 0, screen
    assert "WARNING" in screen and "run_1002.fits" in screen
    record = slow_project.folder / "results" / "sky" / "runs" / "1001.json"
    # Not the long command of a process of the cluster
    assert json.loads(record.read_text())["arguments"][1:] == OPTIONS


def test_one_allocation_in_which_all_happens(slow_project, built):
    """The script of docs/howto/slurm.md."""
    page = (ROOT / "docs" / "howto" / "slurm.md").read_text()
    script = page.partition("```sh\n#!")[2].partition("```")[0]
    assert "#SBATCH --cpus-per-task=16" in script
    script = script.replace("=16", "=2").replace("=32G", "=4G")
    script = script.replace(".venv/bin/", f"{ROOT}/.venv/bin/")
    script = script.replace(" --configfile gammastack.yaml", "")
    (slow_project.folder / "slow").unlink()
    file = slow_project.folder / "maps.sh"
    file.write_text("#!" + script)
    done = subprocess.run(
        ["sbatch", "--wait", file],
        cwd=slow_project.folder,
        capture_output=True,
        text=True,
    )
    logs = [path.read_text() for path in slow_project.folder.glob("slurm-*.out")]
    assert done.returncode == 0, [done.stderr, *logs]
    made, expected = slow_project.maps(), built.maps()
    assert made.keys() == expected.keys() and "significance" in made
    for name, image in expected.items():
        np.testing.assert_array_equal(made[name], image)
