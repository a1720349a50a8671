"""Memory of what was found out about files, so that untouched ones are not read again."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

# A file that changed less than this many ns ago could change again without a new time.
TOO_YOUNG = 2_000_000_000


class Memory:
    """Values by file, remembered as long as its size, times and inode stay the same.

    The time of the last change of an inode also tells of files that were replaced by
    older ones, as rsync and tar do.

    Parameters
    ----------
    file : path, optional
        JSON file in which they are kept; without one, only this process remembers.
    """

    def __init__(self, file=None):
        self._file = file and Path(file)
        self._known, self._states, self._changed = {}, {}, False
        # Without a memory everything is read again.
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(self._file.read_bytes())) if file else {}

    def recall(self, path):
        """Return what is known about a file, or None; to be asked before the file is read."""
        path = str(path)
        status, now = os.stat(path), time.time_ns()
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        self._states[path] = state if status.st_ctime_ns < now - TOO_YOUNG else None
        known = self._known.get(path)
        return known[4] if known and known[:4] == state else None

    def remember(self, path, value):
        """Keep what was read from a file since `recall`."""
        if state := self._states[str(path)]:
            self._known[str(path)] = [*state, value]
            self._changed = True

    def forget(self, paths):
        """Forget files that are no longer there."""
        for path in paths:
            self._changed |= self._known.pop(str(path), None) is not None

    @property
    def paths(self):
        """Return the paths of the known files."""
        return [*self._known]

    def save(self):
        """Write the memory, if there is anything new."""
        if self._file is None or not self._changed:
            return
        # Without the memory the files are read again.
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(self._known))
            temporary.replace(self._file)
