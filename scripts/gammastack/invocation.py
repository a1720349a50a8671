"""Snakemake as a program: how it is started, and what it keeps in the folder .snakemake."""

import re
import sys
from itertools import takewhile
from pathlib import Path

SNAKEFILE = Path(__file__).resolve().parents[2] / "Snakefile"
KEPT = Path(".snakemake")
# The workflow says the first; Snakemake and Python begin a paragraph with the others.
TOLD, ERROR = "ERROR: ", re.compile(r"\w*(Error|Exception)\b")


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
    for line in lines:
        if line.startswith(TOLD):
            return line.removeprefix(TOLD)
    for number, line in enumerate(lines):
        if ERROR.match(line):
            paragraph = " ".join(takewhile(str.strip, lines[number:]))
            return " ".join(paragraph.removeprefix("Error:").split())
    return ""


def is_locked():
    """Return whether Snakemake is at work here, or has left its lock."""
    return any(KEPT.glob("locks/*.lock"))
