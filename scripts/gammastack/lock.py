"""A lock on the results: who is at work on them, and who must be alone with them.

The lock of Snakemake itself is a file that stays when a process is killed, or a machine
goes down. This one (flock) ends with the process that holds it.
"""

import fcntl
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

from gammastack.errors import InputError

# Beside the files by which Snakemake knows what it has made
FILE = Path(".snakemake/at_work")


class InUse(InputError):
    """Another process is at work on the results."""


class Lock:
    """A lock that any number of processes share, or one has for itself, until it ends.

    Parameters
    ----------
    path : path
        It also says who has taken the lock last.
    """

    def __init__(self, path=FILE):
        Path(path).parent.mkdir(exist_ok=True)
        self._file = open(path, "a+", encoding="utf-8")  # noqa: SIM115

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def share(self):
        """Let others share the lock, but nobody have it alone; `InUse` if somebody has."""
        self._take(fcntl.LOCK_SH)

    def be_alone(self):
        """Have the lock alone; `InUse` if others have it."""
        self._take(fcntl.LOCK_EX)

    def _take(self, kind):
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            who = self._file.read() or "another process"
            raise InUse(f"{who} is at work on the results") from None
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()} ({now})")
        self._file.flush()
