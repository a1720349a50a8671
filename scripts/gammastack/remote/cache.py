"""Copies of files of servers on this computer, which many processes share.

A copy belongs to a version of a file. Who uses it holds a lock that it shares with others who
do; who fetches or deletes it holds the lock alone. The system gives the locks of a process
back however it ends.
"""

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gammastack.errors import InputError

# When there is no room, more than is needed is made, so that it is not made for each file.
KEPT = 0.9
LOCK, PART = ".lock", ".part"


@dataclass(frozen=True)
class FileCache:
    """A folder of copies.

    Parameters
    ----------
    folder : str
    limit : float
        Bytes that it may hold. Copies in use are kept, whatever the limit.
    """

    folder: str
    limit: float

    @contextmanager
    def hold(self, url, version, download):
        """Provide a copy of a file that stays as long as the context.

        Parameters
        ----------
        url : str
        version : gammastack.remote.server.Version
        download : callable
            Writes the file to a path, where the beginning of it may be already.

        Yields
        ------
        str
            A path with the name of the file.
        """
        if version.size > self.limit:
            raise InputError(
                f"datastore_cache: {url} has {version.size / 1e6:.0f} MB, more than the size"
                f" of the cache, {self.limit / 1e6:.0f} MB; enlarge it"
            )
        place = self._place(url, version)
        copy = place / url.rpartition("/")[2]
        while True:
            with _locked(place, fcntl.LOCK_SH):
                if _size(copy) == version.size:
                    # The time of the lock is that of the last use.
                    os.utime(_with(place, LOCK))
                    yield str(copy)
                    break
            with _locked(place, fcntl.LOCK_EX):
                if _size(copy) != version.size:
                    self._make_room(version.size, _with(place, LOCK))
                    part = _with(place, PART)
                    download(part)
                    place.mkdir(exist_ok=True)
                    os.replace(part, copy)
        # There may be more than allowed as long as many copies are in use.
        self._make_room()

    def _place(self, url, version):
        """Return the folder of a copy; what belongs to it has names that begin like it."""
        name = sha256(f"{url} {version.size} {version.tag}".encode()).hexdigest()
        return Path(self.folder, name[:2], name[2:40])

    def _make_room(self, size=0, lock=None):
        """Delete the copies that were not used for longest, until another one fits.

        It counts as a whole from now on: `lock`, the file of its lock, says how large it is.
        """
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        with open(Path(self.folder, "size"), "a+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if lock:
                lock.write_text("")
            file.seek(0)
            text = file.read()
            # Not less than what is there: what a process left that was killed counts twice.
            total = int(text) if text.isdecimal() else self.limit
            if total + size > self.limit:
                total = self._evict(self.limit * KEPT - size)
            if text != (new := str(int(total + size))):
                file.truncate(0)
                file.write(new)
            if lock:
                lock.write_text(str(size))

    def _evict(self, allowed):
        """Delete copies until no more than some bytes are left; return how many are."""
        found = [_Entry.of(path) for path in Path(self.folder).glob(f"??/*{LOCK}")]
        total = sum(entry.size for entry in found)
        for entry in sorted(found, key=lambda entry: entry.used):
            if total <= allowed:
                break
            # Who uses or fetches it has the lock.
            with (
                suppress(BlockingIOError),
                _locked(entry.place, fcntl.LOCK_EX | fcntl.LOCK_NB),
            ):
                shutil.rmtree(entry.place, ignore_errors=True)
                for end in (PART, LOCK):
                    _with(entry.place, end).unlink(missing_ok=True)
                total -= entry.size
        return total


@dataclass(frozen=True)
class _Entry:
    """A copy, whole or not: its place, last use, and the size of the whole in bytes."""

    place: Path
    used: float
    size: int

    @classmethod
    def of(cls, lock):
        place, used, text = lock.with_name(lock.name.removesuffix(LOCK)), 0.0, ""
        # Another process may have deleted it.
        with suppress(OSError):
            used, text = lock.stat().st_mtime, lock.read_text()
        return cls(place, used, int(text) if text.isdecimal() else 0)


def _with(place, end):
    return place.with_name(place.name + end)


def _size(path):
    """Return the size of a file, -1 if it is not there."""
    with suppress(OSError):
        return os.stat(path).st_size
    return -1


@contextmanager
def _locked(place, mode):
    """Hold the lock of a copy. Another process may delete the file of the lock meanwhile."""
    path = _with(place, LOCK)
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            fcntl.flock(file, mode)
            if _inode(path) == os.fstat(file.fileno()).st_ino:
                yield
                return


def _inode(path):
    with suppress(OSError):
        return os.stat(path).st_ino
    return None
