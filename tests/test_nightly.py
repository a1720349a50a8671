"""The update that nobody watches: what it makes and keeps, and what it tells the monitoring."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from gammastack.archive.bundle import open_bundle
from gammastack.archive.verify import report, verify
from gammastack.errors import InputError
from gammastack.invocation import reason
from gammastack.lock import InUse, Lock
from gammastack.nights import State, forget, line, runs_in
from nightly import main
from project import MORE_PARTS, ROOT, shell_environment

OK, WARNING, CRITICAL, UNKNOWN, AT_WORK = 0, 1, 2, 3, 75
# What Nagios and Icinga read
PLUGIN = re.compile(
    r"(OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+)(?: \|((?: \w+=\d+s?)+))?\n", re.ASCII
)


@dataclass
class Night:
    """Exit code of an update, and its line in parts."""

    code: int
    state: str
    text: str
    values: dict


def command(project, *arguments):
    start = [sys.executable, "scripts/nightly.py", "--cores", "2"]
    return {
        "args": [*start, "--configfile", "config/config.yaml", *arguments],
        "cwd": project.folder,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        # A signal to the group does not end the tests.
        "start_new_session": True,
    }


def night_of(code, output):
    """The night that an update describes: in one line, and nothing else."""
    found = PLUGIN.fullmatch(output)
    assert found, output
    state, text, values = found.groups()
    values = dict(value.split("=") for value in (values or "").split())
    assert code in (State[state], AT_WORK)
    return Night(code, state, text, values)


def nightly(project, *arguments, **environment):
    """Update a project, and wait for the end."""
    done = subprocess.run(
        **command(project, *arguments),
        env=shell_environment() | environment,
        timeout=120,
        check=False,
    )
    return night_of(done.returncode, done.stdout)


def tree(folder):
    """Content of all files by path, but for what an invocation remembers."""
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".snakemake" not in path.parts
    }


def kept(project):
    """Files that are kept of the nights, from the folder of the nights."""
    folder = project.folder / "results" / "nights"
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*/*"))


@pytest.fixture(scope="module")
def first(built, tmp_path_factory):
    """A project with a store without index, one of whose runs is not there yet, after a night."""
    project = built.copy(tmp_path_factory.mktemp("first") / "project")
    for name in MORE_PARTS:
        shutil.copy(ROOT / name, project.folder)
    for path in (project.folder / "store").glob("*index*"):
        path.unlink()
    (project.folder / "store/run_1004.fits").rename(project.folder / "run_1004.fits")
    project.night = nightly(project)
    return project


@pytest.fixture
def updated(first, tmp_path):
    """A copy of it, to change things in."""
    return first.copy(tmp_path / "project")


def test_first_night(first):
    assert first.night.code == OK, first.night.text
    assert first.night.text.startswith("1 field, 1 changed, 3 new runs, 0 failed")
    assert {**first.night.values, "time": ""} == {
        **{"runs": "3", "failed": "0", "changed": "1", "new": "3", "time": ""}
    }
    page, archive = reversed(kept(first))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d/sky/report.html", page)
    archive = first.folder / "results" / "nights" / archive
    findings = verify(
        open_bundle(archive), first.folder / "scripts", first.folder / "store"
    )
    assert report(findings)[1] == 0
    assert (
        archive.read_bytes() == (first.folder / "results/sky/archive.zip").read_bytes()
    )


def test_nights_are_no_results(first):
    """Nothing that looks at the results takes what is kept for one."""
    command = [sys.executable, "scripts/verify.py", "results"]
    done = subprocess.run(
        command, cwd=first.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "nights" not in done.stdout, done.stdout


def test_nothing_new_then_a_new_run_then_a_damaged_one(updated):
    before = kept(updated)
    night = nightly(updated, "--", "--quiet")
    assert night.code == OK
    assert "0 changed, 0 new runs, 0 failed" in night.text
    assert kept(updated) == before
    (updated.folder / "run_1004.fits").rename(updated.folder / "store/run_1004.fits")
    night = nightly(updated)
    assert night.code == OK
    assert "1 changed, 1 new run, 0 failed" in night.text
    assert night.values["runs"] == "4" and night.values["new"] == "1"
    path = updated.folder / "store/run_1002.fits"
    path.write_bytes(path.read_bytes()[:100_000])
    night = nightly(updated)
    assert night.code == WARNING
    assert "1 failed (1002: run_1002.fits: truncated" in night.text
    assert night.values["failed"] == "1"


def started(project, *arguments):
    """Start an update, and return it when Snakemake has locked what it makes."""
    process = subprocess.Popen(**command(project, *arguments), env=shell_environment())
    locks = project.folder / ".snakemake" / "locks"
    deadline = time.monotonic() + 60
    while len([*locks.glob("*")]) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def test_two_at_once_and_a_machine_that_goes_down(updated, first):
    process = started(updated, "--", "--forceall")
    # Held back: it must not end before the second one looks at the lock.
    os.killpg(process.pid, signal.SIGSTOP)
    before = tree(updated.folder)
    second = nightly(updated)
    assert second.code == AT_WORK
    assert re.match(r"not tried: process \d+ on \S+ \(.*\) is at work", second.text)
    assert tree(updated.folder) == before
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert [*(updated.folder / ".snakemake/locks").iterdir()]
    assert nightly(updated).code == OK
    assert updated.products().keys() == first.products().keys()
    name = "sky/1TeV-10TeV/significance.fits"
    assert updated.products()[name] == first.products()[name]


@pytest.mark.slow
def test_snakemake_that_goes_on_alone_is_at_work(updated):
    """Its update was killed; what it has locked must not be unlocked."""
    process = started(updated, "--", "--forceall")
    process.kill()
    assert nightly(updated).code == AT_WORK
    while nightly(updated).code == AT_WORK:
        time.sleep(0.5)
    process.communicate()
    assert nightly(updated).code == OK


def test_update_that_is_asked_to_end(updated):
    process = started(updated, "--", "--forceall")
    process.terminate()
    output, _ = process.communicate(timeout=60)
    night = night_of(process.returncode, output)
    assert night.code == CRITICAL and "ended by SIGTERM" in night.text


@pytest.mark.slow
def test_snakemake_that_is_killed(updated):
    process = started(updated, "--", "--forceall")
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        (child,) = map(int, file.read().split())
    os.kill(child, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    night = night_of(process.returncode, output)
    assert night.code == CRITICAL and "Snakemake was killed (SIGKILL)" in night.text


def test_missing_index(updated):
    (updated.folder / "store/obs-index.fits.gz").write_bytes(b"")
    before = kept(updated)
    night = nightly(updated)
    assert night.code == CRITICAL
    assert "datastore: 'store' has no hdu-index.fits.gz" in night.text
    assert re.search(r"; see results/nights/\S+\.log, \d+ s$", night.text)
    assert kept(updated) == before


def test_full_disk(updated):
    updated.change_config(radius="0.3 deg")
    night = nightly(
        updated, FAULT="maps:full", PYTHONPATH=str(ROOT / "tests" / "faults")
    )
    assert night.code == CRITICAL
    assert "OSError" in night.text


def test_snakemake_by_hand_keeps_updates_away(updated):
    with Lock(updated.folder / ".snakemake/at_work") as lock:
        lock.share()
        assert nightly(updated).code == AT_WORK


@pytest.mark.parametrize(
    "arguments", [[], ["--configfile", "a.yaml", "--cores", "0"], ["--keep", "1"]]
)
def test_called_in_the_wrong_way(arguments):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/nightly.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert night_of(done.returncode, done.stdout).code == UNKNOWN


def test_what_nobody_expects_is_critical(tmp_path, monkeypatch, capsys):
    """An error of Python has the exit code of a warning otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["nightly.py", "--configfile", "my.yaml"])
    monkeypatch.setattr("nightly.load_settings", lambda path: {}[path])
    found = night_of(main(), capsys.readouterr().out)
    assert found.code == CRITICAL and "KeyError('my.yaml')" in found.text


def test_lock(tmp_path):
    with Lock(tmp_path / "lock") as one, Lock(tmp_path / "lock") as other:
        one.share()
        other.share()
        with pytest.raises(InUse, match=f"process {os.getpid()} on"):
            one.be_alone()
    with Lock(tmp_path / "lock") as one, Lock(tmp_path / "lock") as other:
        one.be_alone()
        with pytest.raises(InUse):
            other.share()


def test_latest_nights_of_each_field_are_kept(tmp_path):
    for night in ("2026-01-01/a", "2026-01-02/b", "2026-01-03/b", "2026-01-04/b"):
        (tmp_path / night).mkdir(parents=True)
        (tmp_path / night / "archive.zip").touch()
        (tmp_path / f"{night[:10]}.log").touch()
    (tmp_path / "notes.txt").touch()
    forget(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("2026-01-01", "2026-01-03", "2026-01-03.log"),
        *("2026-01-04", "2026-01-04.log", "notes.txt"),
    ]


def test_damaged_archive_of_an_earlier_night(tmp_path):
    path = tmp_path / "sky" / "archive.zip"
    path.parent.mkdir()
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=rf"damaged .*; delete {path.parent}"):
        runs_in(path)


def test_line_of_a_hostile_text():
    text = line(State.OK, "a | b\nCRITICAL", {"runs": 1})
    assert text == "OK - a / b CRITICAL | runs=1"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("WorkflowError:\nno\n\nERROR: one | two\nERROR: three", "one | two"),
        ("Using\nError:\ndatastore: gone\n\nmore", "datastore: gone"),
        (
            "Traceback\n  raise\nOSError: [Errno 28] No space\n",
            "OSError: [Errno 28] No space",
        ),
        (
            'RuleException:\nOSError in file "a.smk", line 3:\nNo space\nFile "b.py"\n',
            "RuleException: OSError: No space",
        ),
        ("OSError: full\nCall stack:\n  File 'a'\n", "OSError: full"),
        ("ERROR: " + 200 * "long ", 79 * "long " + "..."),
        ("✓ done\n", ""),
    ],
)
def test_reason_of_a_failure(text, expected):
    assert reason(text) == expected


HOWTO = ROOT / "docs" / "howto"
UNITS = ["gammastack.service", "gammastack.timer"]


def in_place(text, project):
    """A text with the path of a project for that of the documentation."""
    assert "/path/to/gammastack" in text
    return text.replace("/path/to/gammastack", str(project.folder))


@pytest.fixture
def installed(updated):
    """The project with the configuration and the environment that the documentation names."""
    shutil.copy(
        updated.folder / "config/config.yaml", updated.folder / "gammastack.yaml"
    )
    python = updated.folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return updated


def run_bare(command, folder):
    """Run a command as cron and systemd do, with hardly any variables."""
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_units_of_systemd(installed, tmp_path):
    for name in UNITS:
        text = (HOWTO / name).read_text()
        if name.endswith("service"):
            text = in_place(text, installed)
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in UNITS]
    done = run_bare(["systemd-analyze", "verify", *paths], tmp_path)
    # It says in words alone that it does not know a key.
    assert done.returncode == 0 and done.stdout + done.stderr == ""
    (calendar,) = re.findall("^OnCalendar=(.*)$", paths[1].read_text(), re.MULTILINE)
    done = run_bare(["systemd-analyze", "calendar", calendar], tmp_path)
    assert done.returncode == 0 and "Next elapse" in done.stdout


def test_command_of_the_service(installed):
    text = in_place((HOWTO / "gammastack.service").read_text(), installed)
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    done = run_bare(shlex.split(settings["ExecStart"]), settings["WorkingDirectory"])
    night = night_of(done.returncode, done.stdout)
    assert night.code == OK and "0 changed" in night.text
    accepted = {*map(int, settings["SuccessExitStatus"].split())}
    assert accepted == {WARNING, AT_WORK}


def test_line_for_cron(installed):
    """It says nothing, and causes no mail, as long as all is well."""
    page = (HOWTO / "nightly.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\d+ \d+ \* \* \* +(.*)$", page, re.MULTILINE)
    # A percent sign would end the command.
    assert "%" not in line
    command = ["/bin/sh", "-c", in_place(line, installed)]
    done = run_bare(command, installed.folder)
    assert done.stdout + done.stderr == ""
    with Lock(installed.folder / ".snakemake/at_work") as lock:
        lock.share()
        done = run_bare(command, installed.folder)
    assert done.stdout.startswith("UNKNOWN - not tried: process")
