"""What is asked of the servers of stores, with fsspec: versions of files, and parts of them.

Requests that fail for a reason that passes are made again after a pause. The words of errors
are ours alone: those of the packages may hold what must not be shown.
"""

import asyncio
import random
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from gammastack.errors import InputError
from gammastack.remote.address import split_bucket

# So many requests for versions are under way at once.
N_AT_ONCE = 32
# Of an S3 store, whole folders are listed, 1,000 files a request, if more files are needed.
N_SINGLE = 32
PART = 4 * 2**20  # bytes that are asked for at once
# Of a request, in s; a server that sends less than a part in this time is too slow.
TIME_LIMIT = 60
N_TRIES = 5
PAUSE = 0.5  # s before the second request; before each later one it is doubled
PASSING = (408, 425, 429)  # and 500 and more
# aiohttp unpacks content that says that it is packed, but .fits.gz is what we want.
AS_IT_IS = {"Accept-Encoding": "identity"}
EXTRA = "pip install 'gammastack[remote]'"


class RemoteError(InputError, OSError):
    """A file cannot be had from a server; it says nothing about the file."""


class NoSuchFile(RemoteError):
    """The server does not have the file."""


class NotAllowed(RemoteError):
    """The server does not give the file to this user."""


class FileChanged(RemoteError):
    """The server has another version of the file than the one that is wanted."""


class Version(NamedTuple):
    """What tells versions of a file apart.

    Attributes
    ----------
    size : int
    tag : str
        The ETag, or the time of the last change; empty if the server gives neither.
    sha256 : str
        Of the content, only if there is no tag.
    """

    size: int
    tag: str
    sha256: str = ""

    def content(self, url):
        """Return a text that stands for the content of the file at an address.

        The tags of a web server tell versions at one address apart, RFC 9110 section 8.8.3;
        those of an object store are hashes.
        """
        place = "" if url.startswith("s3:") and self.tag else url
        known = self.sha256 or f"{place} {self.size} {self.tag}"
        return self.sha256 or sha256(known.encode()).hexdigest()


@cache
def server_of(url):
    """Return the server of an address."""
    host, _ = split_bucket(url)
    return (ObjectStore if host.startswith("s3:") else WebServer)(host)


class Server:
    """A server; subclasses know its protocol.

    Parameters
    ----------
    host : str
        With its scheme.
    """

    time_limit, n_tries, pause = TIME_LIMIT, N_TRIES, PAUSE

    def __init__(self, host):
        self.host = host
        self._is_down = False
        self._fs = self._open()

    def versions(self, urls):
        """Ask for the versions of files, many at once.

        Returns
        -------
        dict of str to Version, or to NoSuchFile or NotAllowed
            By address.

        Raises
        ------
        RemoteError
            If the server does not answer.
        """
        return self._wait(self._versions, list(dict.fromkeys(urls)))

    def read(self, url, version, start):
        """Read a part of a file, or all from there on if the server gives no parts.

        Raises
        ------
        RemoteError
        """
        stop = min(start + PART, version.size)
        return self._wait(
            self._repeated, url, partial(self._read, url, version, start, stop)
        )

    def _wait(self, function, *arguments):
        from fsspec.asyn import sync

        try:
            return sync(self._fs.loop, function, *arguments)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _versions(self, urls):
        found, free = {}, asyncio.Semaphore(N_AT_ONCE)

        async def ask(url):
            async with free:
                try:
                    found[url] = await self._repeated(url, partial(self._version, url))
                except (NoSuchFile, NotAllowed) as error:
                    found[url] = error

        async with asyncio.TaskGroup() as tasks:
            for url in urls:
                tasks.create_task(ask(url))
        return found

    async def _repeated(self, url, request):
        """Make a request until it succeeds; a server that was down is asked only once."""
        n_tries = 1 if self._is_down else self.n_tries
        for number in range(n_tries):
            if number:
                pause = self.pause * 2 ** (number - 1)
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            try:
                async with asyncio.timeout(self.time_limit) as limit:
                    result = await request(limit)
                self._is_down = False
                return result
            except RemoteError:
                raise
            # Packages below raise errors of many kinds.
            except Exception as error:
                status, problem = self._problem(error)
                if status is not None and not _passes(status):
                    raise self._refusal(url, status) from None
        self._is_down = True
        times = f" after {n_tries} attempts" if n_tries > 1 else ""
        raise RemoteError(
            f"{url}: {problem}{times}. What is there is kept: give the same command again"
            " when the server works"
        ) from None

    def _problem(self, error):
        """Return the HTTP status, or None, and the problem in words."""
        seen = error
        while seen is not None:
            if status := self._status(seen):
                return status, f"the server answers with status {status}"
            seen = seen.__cause__
        if isinstance(error, TimeoutError):
            return None, f"no answer of the server within {self.time_limit:g} s"
        if isinstance(error, FileNotFoundError):
            return 404, ""
        if isinstance(error, PermissionError):
            return 403, ""
        kind = type(error).__name__
        return None, f"the connection to the server failed or was cut ({kind})"

    def _refusal(self, url, status):
        if status in (404, 410):
            return NoSuchFile(
                f"{url}: no such file on the server. {self.check_address}"
            )
        if status in (400, 401, 403):
            return NotAllowed(
                f"{url}: the server does not allow it (status {status}). {self.log_in}"
            )
        if status in (412, 416):
            return _changed(url)
        return RemoteError(
            f"{url}: the server answers with status {status}; this is not a request that"
            " it knows. Check the address"
        )


class WebServer(Server):
    """A server of files by HTTP."""

    check_address = "Check the address"
    log_in = (
        "If it needs a password, give it in ~/.netrc (NETRC names another file), readable"
        " for you alone"
    )

    def _open(self):
        fsspec = _package("fsspec")
        _package("aiohttp")
        options = {"trust_env": True, "auto_decompress": False}
        return fsspec.filesystem(self.host.partition(":")[0], client_kwargs=options)

    @asynccontextmanager
    async def _answer(self, method, url, **headers):
        import yarl

        session = await self._fs.set_session()
        options = {"allow_redirects": True, **self._fs.kwargs}
        headers = {**options.pop("headers", {}), **AS_IT_IS, **headers}
        place = yarl.URL(quote(url, safe="/%:@!$&'()*+,;=~[]"), encoded=True)
        async with session.request(method, place, headers=headers, **options) as answer:
            yield answer

    async def _version(self, url, limit):
        async with self._answer("HEAD", url) as answer:
            if answer.status not in (405, 501):
                answer.raise_for_status()
                if "Content-Length" in answer.headers:
                    return _version_of(url, answer)
        async with self._answer("GET", url, Range="bytes=0-0") as answer:
            answer.raise_for_status()
            return _version_of(url, answer)

    async def _read(self, url, version, start, stop, limit):
        async with self._answer(
            "GET", url, Range=f"bytes={start}-{stop - 1}"
        ) as answer:
            answer.raise_for_status()
            wanted = version._replace(sha256="")
            if _version_of(url, answer) != wanted:
                # A body that is too short can have a header that says the same.
                is_there = await self._version(url, limit) == wanted
                raise _Truncated if is_there else _changed(url)
            if answer.status == 206:
                return _whole(await answer.read(), stop - start)
            # All of it comes, and may take as long as all its parts.
            n_parts = 1 + version.size // PART
            limit.reschedule(limit.when() + self.time_limit * (n_parts - 1))
            return _whole(await answer.read(), version.size)[start:]

    def _status(self, error):
        return getattr(error, "status", None)


class ObjectStore(Server):
    """A bucket of an object store that speaks S3."""

    check_address = (
        "Check bucket and folder; AWS_ENDPOINT_URL is the address of a store that is not"
        " Amazon's"
    )
    log_in = (
        "Give keys that may read it with 'aws configure' or AWS_PROFILE, or"
        " FSSPEC_S3_ANON=true for a public bucket; AWS_ENDPOINT_URL is the address of a"
        " store that is not Amazon's"
    )

    def _open(self):
        fs = _package("s3fs").S3FileSystem(
            config_kwargs={
                "retries": {"total_max_attempts": 1},
                "max_pool_connections": N_AT_ONCE,
            },
            use_listings_cache=False,
        )
        # Requests are repeated here.
        fs.retries = 1
        return fs

    async def _versions(self, urls):
        listed, of_folder = {}, {}
        for url in urls:
            of_folder.setdefault(url.rpartition("/")[0], []).append(url)
        for folder, wanted in of_folder.items():
            if len(wanted) > N_SINGLE:
                # Who may read files may not be allowed to list them.
                with suppress(NoSuchFile, NotAllowed):
                    listed |= await self._repeated(
                        folder, partial(self._listed, folder)
                    )
        found = {url: listed[url] for url in urls if url in listed}
        others = [url for url in urls if url not in found]
        return found | await super()._versions(others)

    async def _listed(self, folder, limit):
        bucket, prefix, _ = self._fs.split_path(f"{folder}/x")
        request = {
            "Bucket": bucket,
            "Prefix": prefix.removesuffix("x"),
            "Delimiter": "/",
        }
        found = {}
        while True:
            answer = await self._fs._call_s3("list_objects_v2", **request)
            for entry in answer.get("Contents", ()):
                version = Version(entry["Size"], entry["ETag"])
                found[f"{self.host}/{entry['Key']}"] = version
            if not answer.get("IsTruncated"):
                return found
            request["ContinuationToken"] = answer["NextContinuationToken"]
            limit.reschedule(limit.when() + self.time_limit)

    async def _version(self, url, limit):
        bucket, key, _ = self._fs.split_path(url)
        answer = await self._fs._call_s3("head_object", Bucket=bucket, Key=key)
        return Version(answer["ContentLength"], answer["ETag"])

    async def _read(self, url, version, start, stop, limit):
        bucket, key, _ = self._fs.split_path(url)
        place = {"Bucket": bucket, "Key": key, "Range": f"bytes={start}-{stop - 1}"}
        answer = await self._fs._call_s3("get_object", **place, IfMatch=version.tag)
        async with answer["Body"] as body:
            content = await body.read()
        if answer["ETag"] != version.tag:
            raise _changed(url)
        return _whole(content, stop - start)

    def _status(self, error):
        if type(error).__name__ in NO_CREDENTIALS:
            return 401
        answer = getattr(error, "response", None)
        # Errors of other packages have a response, too.
        if not isinstance(answer, dict):
            return None
        return answer.get("ResponseMetadata", {}).get("HTTPStatusCode")


# Of botocore
NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("ProfileNotFound", "TokenRetrievalError", "SSOTokenLoadError"),
    *("UnauthorizedSSOTokenError", "NoAuthTokenError"),
}


class _Truncated(Exception):
    """A body is shorter than it should be."""


def _passes(status):
    return (status >= 500 and status != 501) or status in PASSING


def _whole(content, size):
    if len(content) != size:
        raise _Truncated
    return content


def _version_of(url, answer):
    """Return the version in the headers of an answer by HTTP."""
    headers = answer.headers
    size = headers.get("Content-Range", "").rpartition("/")[2]
    size = size or headers.get("Content-Length", "")
    if not size.isdecimal():
        raise RemoteError(
            f"{url}: the server does not say how large the file is, so nobody would see if"
            " a part were missing. Use another server, or copy the files to a folder"
        )
    tag = headers.get("ETag", "")
    if not tag or tag.startswith("W/"):
        # A weak tag may stay if the content changes.
        tag = " ".join(filter(None, (tag, headers.get("Last-Modified"))))
    return Version(int(size), tag)


def _changed(url):
    return FileChanged(
        f"{url}: the file on the server has changed since it was looked at. Give the same"
        " command again when nobody writes to the store any more"
    )


def _package(name):
    try:
        return __import__(name)
    except ImportError:
        raise InputError(
            f"datastore: a store on a server needs the package {name}: {EXTRA}"
        ) from None
