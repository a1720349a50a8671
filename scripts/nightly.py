#!/usr/bin/env python3
"""Update all maps without anybody watching, and say in one line how it went.

Pages and archives of fields that have changed are kept in RESULTS/nights/DATE/FIELD; what
Snakemake says is in RESULTS/nights/DATE.log. The line is that of a plugin for Nagios or
Icinga. Exit codes: 0 OK, also if there was nothing to do; 1 some runs cannot be used; 2 not
updated, with the reason; 3 called in the wrong way; 75 not tried, because an earlier update,
or somebody else, is at work on the results.
"""

import argparse
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from gammastack.archive.screen import show
from gammastack.config.fields import read_config
from gammastack.config.load import load_settings
from gammastack.errors import InputError
from gammastack.invocation import command, is_locked, reason
from gammastack.lock import InUse, Lock
from gammastack.nights import FOLDER, State, forget, keep, line

AT_WORK = 75  # EX_TEMPFAIL of sysexits.h


class Parser(argparse.ArgumentParser):
    """Says errors as plugins do."""

    def error(self, message):
        show(line(State.UNKNOWN, message, {}))
        self.exit(State.UNKNOWN)


def main():
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", required=True, metavar="FILE")
    parser.add_argument("--cores", type=positive, default=1, metavar="N")
    parser.add_argument(
        "--keep",
        type=positive,
        metavar="N",
        help="keep N nights of each field, not all",
    )
    parser.add_argument("options", nargs="*", help="of Snakemake, after --")
    given, code = parser.parse_args(), None
    start, text, values = time.monotonic(), "", {}
    try:
        with Lock() as lock:
            lock.be_alone()
            state, text, values = update(given, lock)
    except InUse as error:
        state, text, code = State.UNKNOWN, f"not tried: {error}", AT_WORK
    # Python would end with the exit code of a warning.
    except Exception as error:
        is_told = isinstance(error, (InputError, OSError))
        state, text = (
            State.CRITICAL,
            f"not updated: {error if is_told else repr(error)}",
        )
    seconds = round(time.monotonic() - start)
    show(line(state, f"{text}, {seconds} s", {**values, "time": f"{seconds}s"}))
    return state if code is None else code


def positive(text):
    """Return a number above 0."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def update(given, lock):
    """Update the results; return state, text and values for the monitoring."""
    config = read_config(load_settings(given.configfile))
    results, date = Path(config.results), datetime.now(UTC).strftime("%Y-%m-%d")
    nights = results / FOLDER
    nights.mkdir(parents=True, exist_ok=True)
    path = nights / f"{date}.log"
    with open(path, "a+", encoding="utf-8", errors="replace") as log:
        # From now on others can see that somebody is at work, and Snakemake can join.
        lock.share()
        if is_locked():
            snakemake(log, command(given.configfile, "--unlock"))
        options = "--cores", str(given.cores), *given.options
        snakemake(log, command(given.configfile, *options, "--", "all", "archive"))
    found = keep(config.fields, results, date)
    if given.keep:
        forget(nights, given.keep)
    state = State.WARNING if found.failures else State.OK
    return state, f"{found.text(len(config.fields))}, {path}", found.values()


def snakemake(log, started):
    """Run Snakemake with its output in the log; `InputError` says why it failed.

    Parameters
    ----------
    log : file object
    started : list of str
        Command.
    """
    print(f"{datetime.now(UTC):%H:%M:%S} {shlex.join(started)}", file=log, flush=True)
    start = log.tell()
    process = subprocess.Popen(
        started, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
    )
    signals = []

    def end(number, frame):
        # Snakemake finishes what it has begun.
        signals.append(number)
        process.terminate()

    signal.signal(signal.SIGTERM, end)
    code = process.wait()
    if code == 0:
        return
    log.seek(start)
    why = reason(log.read()) or f"Snakemake ended with exit code {code}"
    if signals:
        why = "ended by SIGTERM, the next update goes on from here"
    elif code < 0:
        why = f"Snakemake was killed ({signal.Signals(-code).name})"
    raise InputError(f"{why}; see {log.name}")


if __name__ == "__main__":
    sys.exit(main())
