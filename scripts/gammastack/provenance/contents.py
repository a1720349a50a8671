"""Hashes of files by content, without reading untouched files again."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from gammastack.provenance.origin import sha256_of

# A file that changed less than this many ns ago could change again without a new time.
TOO_YOUNG = 2_000_000_000


class Contents:
    """SHA-256 of files, remembered as long as their size, times and inode stay the same.

    The time of the last change of an inode also tells of files that were replaced by
    older ones, as rsync and tar do.

    Parameters
    ----------
    memory : path
        JSON file in which they are remembered.
    """

    def __init__(self, memory):
        self._memory = Path(memory)
        self._known, self._changed = {}, False
        # Without a memory everything is read again.
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(json.loads(self._memory.read_bytes()))

    def sha256(self, path):
        """Return the SHA-256 of the content of a file, hexadecimal."""
        status = os.stat(path)
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        known = self._known.get(path)
        if known and known[:4] == state:
            return known[4]
        now, digest = time.time_ns(), sha256_of(path)
        if status.st_ctime_ns < now - TOO_YOUNG:
            self._known[path] = [*state, digest]
            self._changed = True
        return digest

    def save(self):
        """Write the memory, if there is anything new."""
        if not self._changed:
            return
        # Without the memory the files are read again.
        with suppress(OSError):
            temporary = self._memory.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(self._known))
            temporary.replace(self._memory)
