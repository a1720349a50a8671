"""Snakemake as a program: how it is started, and what it keeps in the folder .snakemake."""

import csv
import json
import os
import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile
from pathlib import Path
from textwrap import shorten

from gammastack.errors import InputError

SNAKEFILE = Path(__file__).resolve().parents[2] / "Snakefile"
KEPT = ".snakemake"
# Where it remembers what it has made, and what it has begun to make
MEMORY = (f"{KEPT}/metadata", f"{KEPT}/incomplete")
# The workflow says the first; Snakemake and Python begin a paragraph with the others.
TOLD, ERROR = "ERROR: ", re.compile(r"\w*(Error|Exception)\b")
PLACE = re.compile(r' in file "[^"]*", line \d+')
TRACE = ('File "', "Call stack:")
# Monitoring cuts longer lines.
MAX_LENGTH = 400


def command(configfile, *arguments):
    """Return the command that starts Snakemake.

    Parameters
    ----------
    configfile : path
    *arguments : str
        Options, and then targets: the first one begins with a hyphen.
    """
    start = sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)
    return [*start, "--configfile", str(configfile), *arguments]


def reason(text):
    """Return why an invocation failed, from what it said; nothing if it did not say why."""
    lines = text.split("\n")
    why = [line.removeprefix(TOLD) for line in lines if line.startswith(TOLD)][:1]
    if not why:
        why = takewhile(is_told, dropwhile(lambda line: not ERROR.match(line), lines))
    words = PLACE.sub("", " ".join(why)).removeprefix("Error:")
    return shorten(words, MAX_LENGTH, placeholder=" ...")


def is_told(line):
    """Return whether a line belongs to a message: it is not empty, and no place in the code."""
    return bool(line.strip()) and not line.lstrip().startswith(TRACE)


def is_locked():
    """Return whether Snakemake is at work here, or has left its lock."""
    return any(Path(KEPT).glob("locks/*.lock"))


def outputs(configfile):
    """Return the paths of all that a configuration makes, but for figures and archives.

    Raises
    ------
    InputError
        If this cannot be said, such as if a data store cannot be read.
    """
    targets = "--summary", "--", "all", "doctor"
    done = subprocess.run(
        command(configfile, *targets), capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = reason(done.stdout + done.stderr)
        raise InputError(f"{configfile}: what it makes is not known: {why}")
    lines = done.stdout.splitlines()
    header = next(n for n, line in enumerate(lines) if line.startswith("output_file\t"))
    table = csv.DictReader(lines[header:], delimiter="\t", quoting=csv.QUOTE_NONE)
    return {os.path.normpath(row["output_file"]) for row in table if row["rule"]}


@dataclass
class Remembered:
    """What Snakemake remembers of a file that it has made, or begun to make.

    Attributes
    ----------
    files : list of pathlib.Path
        In which it remembers.
    logs : set of str
        Paths of the logs of the job.
    """

    files: list = field(default_factory=list)
    logs: set = field(default_factory=set)


def remembered():
    """Return what Snakemake `Remembered`, by the path of what it has made."""
    found = {}
    for folder in map(Path, MEMORY):
        for file in filter(Path.is_file, folder.rglob("*")):
            # A long path is divided: all parts but the last one begin with an @.
            parts = (part.lstrip("@") for part in file.relative_to(folder).parts)
            # What else may be there is none of Snakemake's records.
            with suppress(ValueError):
                path = os.path.normpath(urlsafe_b64decode("".join(parts)).decode())
                known = found.setdefault(path, Remembered())
                known.files.append(file)
                record = json.loads(file.read_bytes())
                known.logs.update(map(os.path.normpath, record.get("log") or ()))
    return found
