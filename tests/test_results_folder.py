"""Results folders that cannot be used: read-only, or in use by another invocation."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time

from gammastack.archive.bundle import open_bundle
from gammastack.archive.verify import report, verify
from project import Project, shell_environment

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def as_common_user():
    """Let permissions of files hold even if the tests run as root."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def snakemake(project, *arguments):
    """Start an invocation without the powers of root."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=shell_environment(),
        preexec_fn=as_common_user,
    )


def test_read_only_results_folder(project):
    project.change_config(fields={"other": {}})
    results = project.folder / "results"
    before = project.products()
    results.chmod(0o555)
    try:
        process = snakemake(project)
        text, _ = process.communicate(timeout=60)
    finally:
        results.chmod(0o755)
    assert process.returncode != 0
    assert "The results folder 'results' is read-only for you. Give another" in text
    assert "Traceback" not in text
    assert project.products() == before
    assert project.snakemake().code == 0


def test_unlocked_as_the_readme_says(project):
    command = [sys.executable, "-m", "snakemake", "--unlock"]
    assert subprocess.run(command, cwd=project.folder, check=False).returncode == 0


def test_two_invocations_at_once(project, built):
    """The second one is refused, the first one ends as if it were alone."""
    first = snakemake(project, "--forceall")
    locks = project.folder / ".snakemake" / "locks"
    deadline = time.monotonic() + 60
    while not _are_complete(locks) and time.monotonic() < deadline:
        time.sleep(0.01)
    # Held back: it must not end before the second one looks at the lock
    first.send_signal(signal.SIGSTOP)
    second = project.snakemake("--forceall")
    first.send_signal(signal.SIGCONT)
    assert second.code != 0 and second.jobs == []
    message = " ".join(second.text.split())
    assert re.search(r"no other Snakemake process.*--unlock", message)
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert project.products() == built.products()


def _are_complete(locks):
    """Whether there are the locks of inputs and of outputs, with their content."""
    sizes = [path.stat().st_size for path in locks.glob("*")]
    return len(sizes) == 2 and all(sizes)


def test_results_from_elsewhere_in_a_project_with_results(project, tmp_path):
    """A field whose results were copied into a project that has records of another one."""
    other = Project(tmp_path / "other", {**project.config, "fields": {"west": {}}})
    (other.folder / "store").symlink_to(project.folder / "store")
    assert other.snakemake().code == 0
    (project.folder / "results/sky").rename(other.folder / "results/sky")
    other.change_config(fields={"west": {}, **project.config["fields"]})
    done = other.snakemake()
    assert done.code != 0 and done.jobs == []
    message = " ".join(done.text.split())
    assert re.search(r"results/sky/\S+ was made elsewhere.*--forceall", message)


def test_results_of_an_earlier_version_are_refused(project):
    """Those had a folder for each run."""
    record = project.folder / "results/sky/runs/1001/record.json"
    record.parent.mkdir()
    record.write_text("{}")
    done = project.snakemake("--dry-run")
    assert done.code != 0 and "Traceback" not in done.text
    message = " ".join(done.text.split())
    assert "results/sky/runs holds results of an earlier version" in message
    assert "delete results/sky, or give another results folder" in message


def test_bands_and_radii_of_another_configuration_are_named(project):
    """They stay, are no damage, and no reason to call the results out of date."""
    bands = [["1 TeV", "10 TeV"], ["10 TeV", "50 TeV"]]
    project.change_config(energy_bands=bands, radius=["0.2 deg", "0.3 deg"])
    assert project.snakemake().code == 0
    project.change_config()
    done = project.snakemake()
    assert done.code == 0
    said = done.text.splitlines()
    (number,) = (n for n, line in enumerate(said) if "another configuration" in line)
    assert said[number + 1 : number + 3] == [
        "  results/sky/10TeV-50TeV: 43 files",
        "  results/sky/1TeV-10TeV: 12 files",
    ]
    bundle = open_bundle(project.folder / "results" / "sky")
    findings = verify(bundle, project.folder / "scripts", project.folder / "store")
    lines, code = report(findings)
    assert code == 0
    assert lines[0].startswith("of another configuration")
    assert lines[1].startswith(
        "  10TeV-50TeV: bkg.fits, bkg_norm_relative.fits, candidates.ecsv,"
    )
    assert "significance_0.3deg.fits" in lines[2] and "counts.fits" not in lines[2]
