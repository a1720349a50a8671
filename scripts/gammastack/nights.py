"""What is kept of each night, and the line that tells the monitoring of an update.

The folder of a night has a folder for each field that has changed, with its page and
its archive.
"""

import csv
import filecmp
import shutil
from dataclasses import dataclass, field
from enum import IntEnum
from zipfile import BadZipFile, ZipFile

from gammastack.errors import InputError
from gammastack.failures import first_reasons
from gammastack.summary import read_table
from gammastack.words import counted

# In the folder of the results; a field cannot have this name.
FOLDER = "nights"
ARCHIVE, PAGE = "archive.zip", "report.html"
# Folders of nights, such as 2026-11-28, and their logs
DATE = "[0-9]" * 4 + "-[0-9][0-9]" * 2
RUNS = "products/runs.csv"


class State(IntEnum):
    """State of a service, as plugins for Nagios and Icinga say it, and their exit code."""

    OK, WARNING, CRITICAL, UNKNOWN = range(4)


@dataclass
class Update:
    """What an update has found and made.

    Attributes
    ----------
    runs : set
        Data store and OBS_ID of all runs that are selected.
    failures : dict of int to str
        Reason by OBS_ID of those that cannot be used.
    changed : list of str
        Fields.
    new : set
        Runs that the previous archive of their field does not have.
    """

    runs: set = field(default_factory=set)
    failures: dict = field(default_factory=dict)
    changed: list = field(default_factory=list)
    new: set = field(default_factory=set)

    def text(self, n_fields):
        """Return in words what there is."""
        failed = f"{len(self.failures)} failed"
        if self.failures:
            failed += f" ({first_reasons(self.failures)})"
        return (
            f"{counted(n_fields, 'field')}, {len(self.changed)} changed,"
            f" {counted(len(self.new), 'new run')}, {failed}"
        )

    def values(self):
        """Return the numbers by name."""
        return {
            "runs": len(self.runs),
            "failed": len(self.failures),
            "changed": len(self.changed),
            "new": len(self.new),
        }


def keep(fields, results, date):
    """Keep the pages and archives that are new, and return the `Update`.

    Parameters
    ----------
    fields : dict of str to gammastack.config.fields.Field
    results : pathlib.Path
    date : str
        Of the night.
    """
    update = Update()
    for name, settings in fields.items():
        rows = read_table(results / name / "runs.csv")
        selected = {row["OBS_ID"] for row in rows if row["status"] != "excluded"}
        update.runs |= {(settings.datastore, obs_id) for obs_id in selected}
        update.failures |= {
            row["OBS_ID"]: row["reason"] for row in rows if row["status"] == "failed"
        }
        before = latest(results / FOLDER, name)
        if before and filecmp.cmp(before, results / name / ARCHIVE):
            continue
        known = runs_in(before) if before else set()
        update.new |= {(settings.datastore, obs_id) for obs_id in selected - known}
        update.changed.append(name)
        _copy(results / name, results / FOLDER / date / name)
    return update


def latest(nights, name):
    """Return the path of the latest archive of a field that was kept; None if there is none."""
    return max(nights.glob(f"{DATE}/{name}/{ARCHIVE}"), default=None)


def runs_in(archive):
    """Return the OBS_IDs of the runs that an archive was made from, as text."""
    try:
        with ZipFile(archive) as file:
            lines = file.read(RUNS).decode().splitlines()
    except (BadZipFile, KeyError) as error:
        raise InputError(
            f"{archive}: damaged ({error}); delete {archive.parent}"
        ) from error
    rows = csv.DictReader(lines)
    return {row["OBS_ID"] for row in rows if row["status"] != "excluded"}


def _copy(field_folder, night):
    """Copy page and archive to a night; whoever looks there sees both of them, or none."""
    part = night.with_name(f".part-{night.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in (PAGE, ARCHIVE):
        # With its time, by which unchanged archives are known
        shutil.copy2(field_folder / name, part)
    shutil.rmtree(night, ignore_errors=True)
    part.rename(night)


def forget(nights, n_kept):
    """Delete what is older than the latest nights of each field, and as many logs."""
    archives, logs = nights.glob(f"{DATE}/*/{ARCHIVE}"), nights.glob(f"{DATE}.log")
    by_field = {}
    for path in sorted(archives):
        by_field.setdefault(path.parent.name, []).append(path.parent)
    for folders in by_field.values():
        for folder in folders[:-n_kept]:
            shutil.rmtree(folder)
    for log in sorted(logs)[:-n_kept]:
        log.unlink()
    for night in nights.glob(DATE):
        if not any(night.iterdir()):
            night.rmdir()


def line(state, text, values):
    """Return the line of a plugin: state, text, and after a bar what can be drawn.

    Parameters
    ----------
    state : State
    text : str
    values : dict
    """
    text = " ".join(text.replace("|", "/").split())
    numbers = " ".join(f"{name}={value}" for name, value in values.items())
    return f"{state.name} - {text} | {numbers}".removesuffix(" | ")
