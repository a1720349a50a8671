"""Files of servers: which versions are there, and copies of them to read."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple

from gammastack.remote.address import split_bucket
from gammastack.remote.cache import FileCache
from gammastack.remote.server import (
    FileChanged,
    NoSuchFile,
    NotAllowed,
    RemoteError,
    Version,
    server_of,
)

# A file that changes while it is fetched is fetched again so often.
N_TRIES = 3
# So many files are fetched at once, and so many copies are held at once.
N_AT_ONCE, BATCH = 8, 64


class RemoteFile(NamedTuple):
    """A version of a file on a server."""

    url: str
    version: Version

    @property
    def content(self):
        """Return a text that stands for the content."""
        return self.version.content(self.url)


class RemoteFiles:
    """Files of servers as an invocation sees them: it asks for each version once.

    Parameters
    ----------
    cache : gammastack.remote.cache.FileCache
    memory : path, optional
        JSON file in which `save` keeps the versions for other processes of the invocation.
    digest_of : callable, optional
        Returns the SHA-256 of a copy; it may remember it.

    Attributes
    ----------
    untagged : list of str
        Addresses of files that the servers give no tag for, see
        ``gammastack.remote.server.Version``.
    """

    def __init__(self, cache, memory=None, digest_of=None):
        self.cache, self.untagged = cache, []
        self._memory, self._digest_of = memory and Path(memory), digest_of or _sha256
        self._known = {}

    def save(self):
        """Write the versions, and what is missing, to the memory, if anything is known."""
        known = {
            url: version if isinstance(version, Version) else None
            for url, version in self._known.items()
            if isinstance(version, Version | NoSuchFile)
        }
        if known:
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._memory.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(known), encoding="utf-8")
            temporary.replace(self._memory)

    def recall(self):
        """Take the versions from the memory, without asking the servers."""
        # What is not known is asked for.
        with suppress(OSError, ValueError, TypeError):
            known = json.loads(self._memory.read_bytes())
            self._known = {
                url: Version(*version) if version else NoSuchFile(url)
                for url, version in known.items()
            }

    def look_up(self, urls):
        """Ask for the versions that are not known yet, all at once.

        Raises
        ------
        gammastack.remote.server.RemoteError
            If a server does not answer.
        """
        of_host = {}
        for url in dict.fromkeys(urls):
            if url not in self._known:
                of_host.setdefault(split_bucket(url)[0], []).append(url)
        for host, unknown in of_host.items():
            versions = server_of(host).versions(unknown)
            untagged = [
                RemoteFile(url, version)
                for url, version in versions.items()
                if isinstance(version, Version) and not version.tag
            ]
            self.untagged += [file.url for file in untagged]
            for batch, paths in _batches(untagged, self.cache):
                for file, path in zip(batch, paths, strict=True):
                    digest = self._digest_of(path)
                    versions[file.url] = file.version._replace(sha256=digest)
            self._known |= versions

    def file(self, url):
        """Return the `RemoteFile` at an address.

        Raises
        ------
        gammastack.remote.server.RemoteError
        """
        self.look_up([url])
        if not isinstance(version := self._known[url], Version):
            raise version
        return RemoteFile(url, version)

    def problem(self, url):
        """Return why a file cannot be had, or nothing; other errors of the server are raised."""
        try:
            self.file(url)
        except NoSuchFile:
            return "no such file, but the HDU index lists it"
        except NotAllowed:
            return "you have no permission to read it"
        return ""

    def is_missing(self, url):
        """Return whether the server has no such file; its other errors are raised."""
        try:
            self.file(url)
        except NoSuchFile:
            return True
        return False

    def hold(self, urls):
        """Provide copies of files, see `held`."""
        return held([self.file(url) for url in urls], self.cache)

    def fetch(self, url):
        """Fetch the newest version of a file, also if it changes meanwhile."""
        for n_left in reversed(range(N_TRIES)):
            try:
                with self.hold([url]):
                    return
            except FileChanged:
                if not n_left:
                    raise
                del self._known[url]

    def batches(self, urls):
        """Yield addresses and paths of copies in lists, which stay until the next ones."""
        files = [self.file(url) for url in urls]
        for batch, paths in _batches(files, self.cache):
            yield [file.url for file in batch], paths


def _batches(files, cache):
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        with held(batch, cache) as paths:
            yield batch, paths


class RemoteInputs(NamedTuple):
    """Inputs of a step that are fetched when it is performed."""

    files: list
    cache: FileCache


@contextmanager
def at_hand(inputs):
    """Provide the inputs of a step as paths, and what records say of copies in place of these.

    Parameters
    ----------
    inputs : dict
        Path, list of paths, or `RemoteInputs` by role.

    Yields
    ------
    dict
        Path, or list of paths, by role.
    dict of str to dict
        ``url`` and ``version`` by the path of a copy.
    """
    with ExitStack() as stack:
        paths, recorded = dict(inputs), {}
        for role, remote in inputs.items():
            if isinstance(remote, RemoteInputs):
                paths[role] = stack.enter_context(held(*remote))
                for path, file in zip(paths[role], remote.files, strict=True):
                    recorded[path] = {"url": file.url, "version": file.content}
        yield paths, recorded


@contextmanager
def held(files, cache):
    """Provide copies of some files, in their order, that stay as long as the context.

    Parameters
    ----------
    files : list of RemoteFile
    cache : gammastack.remote.cache.FileCache

    Raises
    ------
    gammastack.remote.server.RemoteError
    """

    def enter(file):
        copy = cache.hold(file.url, file.version, _Download(file))
        try:
            return stack.enter_context(copy)
        except RemoteError:
            raise
        except OSError as error:
            raise RemoteError(
                f"datastore_cache: {cache.folder}: no copy of {file.url} can be kept there"
                f" ({error.strerror}). Make room or give another folder"
            ) from None

    with ExitStack() as stack:
        if len(files) == 1:
            yield [enter(files[0])]
            return
        with ThreadPoolExecutor(N_AT_ONCE) as executor:
            paths = [*executor.map(enter, files)]
        yield paths


class _Download:
    """Write a file to a path, from where an earlier attempt has ended."""

    def __init__(self, file):
        self._file = file

    def __call__(self, path):
        url, version = self._file
        server = server_of(split_bucket(url)[0])
        with open(path, "ab") as output:
            if output.tell() > version.size:
                output.truncate(0)
            while (start := output.tell()) < version.size:
                output.write(server.read(url, version, start))
                output.flush()
        if version.sha256 and _sha256(path) != version.sha256:
            os.unlink(path)
            raise FileChanged(
                f"{url}: the file on the server has changed since it was looked at. Give"
                " the same command again"
            )


def _sha256(path):
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
