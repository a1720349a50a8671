"""Files of servers on this machine, which are fetched through thick and thin."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from dl3_files import refused
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.hdus import OBS_INDEX
from gammastack.dl3.remote_store import open_store
from gammastack.errors import InputError
from gammastack.remote import server as server_module
from gammastack.remote.address import joined, refuse_secrets, require_address
from gammastack.remote.cache import FileCache
from gammastack.remote.files import RemoteFiles
from gammastack.remote.server import FileChanged, NotAllowed, RemoteError
from servers import FileServer, Proxy, some_fail

SCRIPTS = Path(__file__).parents[1] / "scripts"
PART = 2**16
CONTENT = {
    f"{name}.fits": bytes([number]) * 300_000 for number, name in enumerate("abc")
}


@pytest.fixture(autouse=True)
def small_parts_and_no_patience(monkeypatch):
    monkeypatch.setattr(server_module, "PART", PART)
    monkeypatch.setattr(server_module.Server, "pause", 0.01)
    monkeypatch.setattr(server_module.Server, "time_limit", 1.0)
    server_module.server_of.cache_clear()


@pytest.fixture
def folder(tmp_path):
    """Files on a server."""
    folder = tmp_path / "there"
    folder.mkdir()
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def server(folder):
    with FileServer(folder) as server:
        yield server


@pytest.fixture
def files(tmp_path):
    return remote_files(tmp_path)


def remote_files(tmp_path, limit=1e9):
    return RemoteFiles(FileCache(str(tmp_path / "cache"), limit))


def read(files, server, *names):
    """Return the content of copies."""
    with files.hold([f"{server.address}/{name}" for name in names]) as paths:
        assert [Path(path).name for path in paths] == [*names]
        return [Path(path).read_bytes() for path in paths]


def copies(tmp_path):
    """Return the names of the copies in the cache."""
    return sorted(path.name for path in (tmp_path / "cache").glob("??/*/*"))


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@host/dl3",
        "https://hunter2@host/dl3",
        "s3://bucket/dl3?X-Amz-Signature=hunter2",
        "https://host/dl3#hunter2",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(url):
    with pytest.raises(InputError) as caught:
        refuse_secrets(url, "datastore")
    assert "netrc" in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["gs://bucket/x", "file:///x", "https://", "s3:///x"])
def test_unknown_addresses(url):
    with refused("datastore", url, "s3://bucket/folder"):
        require_address(url, "datastore")


@pytest.mark.parametrize(
    "url, names, there",
    [
        ("https://h/dl3", ["", "", "a.fits"], "https://h/dl3/a.fits"),
        ("https://h", ["data", "../b", "a.fits"], "https://h/b/a.fits"),
        ("s3://bucket/x", ["../../..", "a.fits"], "s3://bucket/a.fits"),
        ("s3://bucket/x", ["", "/data", "a.fits"], "s3://bucket/data/a.fits"),
        (
            "https://h/x",
            ["https://other/y", "a.fits"],
            "https://h/x/https:/other/y/a.fits",
        ),
    ],
)
def test_files_stay_on_the_server(url, names, there):
    assert joined(url, *names) == there


# What servers do


def test_each_file_is_fetched_once_in_parts(server, files, tmp_path):
    names = sorted(CONTENT)
    assert read(files, server, *names) == [*CONTENT.values()]
    assert read(files, server, *names) == [*CONTENT.values()]
    assert read(remote_files(tmp_path), server, *names) == [*CONTENT.values()]
    assert server.sent == sum(map(len, CONTENT.values()))
    assert len(server.paths("HEAD")) == 2 * len(names)


def test_a_fifth_of_the_requests_fails(server, files):
    server.fault = some_fail(0.2)
    assert read(files, server, *CONTENT) == [*CONTENT.values()]


@pytest.mark.parametrize(
    "given",
    [
        {"has_ranges": False},
        {"has_time": False},
        {"has_size": False},
        {"methods": {"GET"}},
    ],
)
@pytest.mark.parametrize("fault", [None, "cut", "short", 503])
def test_other_servers(server, files, given, fault):
    """Without ranges, times, sizes but of ranges, or HEAD; the second request fails."""
    vars(server).update(given)
    faults = [fault, None]
    server.fault = lambda method, path: faults.pop() if faults else None
    assert read(files, server, "b.fits") == [CONTENT["b.fits"]]


def test_a_server_without_tags(server, files, tmp_path):
    """The content counts: it is fetched to be known, and again only if its size changes."""
    server.has_etag = server.has_time = False
    url = f"{server.address}/a.fits"
    version = files.file(url).version
    assert len(version.sha256) == 64 and files.untagged == [url]
    assert read(files, server, "a.fits") == [CONTENT["a.fits"]]
    assert remote_files(tmp_path).file(url).content == version.sha256
    assert server.sent == len(CONTENT["a.fits"])
    (server.folder / "a.fits").write_bytes(b"other")
    assert remote_files(tmp_path).file(url).content != version.sha256


def test_a_server_that_does_not_give_sizes_is_refused(server, files):
    server.has_size = server.has_ranges = False
    with refused("a.fits", "does not say how large"):
        read(files, server, "a.fits")


def test_names_with_odd_characters(server, files):
    name = "rün #1 50%? [x].fits"
    (server.folder / name).write_bytes(b"content")
    server.fault = lambda method, path: None
    assert read(files, server, name) == [b"content"]


@pytest.mark.parametrize("fault", [503, 429, "cut", "short", 3.0])
def test_a_server_that_never_works(server, files, fault, tmp_path):
    """A clear message, soon, and for the next file at once; nothing is in the cache."""
    url = f"{server.address}/a.fits"
    files.look_up([url, f"{server.address}/b.fits"])
    server.fault = lambda method, path: fault
    if fault == 3.0:
        server_module.Server.time_limit = 0.2
    start = time.monotonic()
    with pytest.raises(RemoteError) as caught:
        read(files, server, "a.fits")
    assert url in str(caught.value) and "after 5 attempts" in str(caught.value)
    assert "give the same command again" in str(caught.value)
    n_requests = len(server.requests)
    with pytest.raises(RemoteError):
        read(files, server, "b.fits")
    assert time.monotonic() - start < 6
    if fault != 3.0:
        assert len(server.paths("GET")) == 6 and len(server.requests) <= n_requests + 2
    assert copies(tmp_path) == []
    server.fault = lambda method, path: None
    assert read(files, server, "a.fits", "b.fits") == [*CONTENT.values()][:2]


def test_no_server(files):
    with FileServer("/nowhere") as gone:
        pass
    with refused(gone.address, "connection", "give the same command again"):
        files.look_up([f"{gone.address}/a.fits"])


def test_missing_and_forbidden_files_are_asked_for_once(server, files):
    server.forbidden = {"b.fits"}
    urls = [f"{server.address}/{name}" for name in ("no.fits", "b.fits", "a.fits")]
    files.look_up(urls)
    assert [*map(files.problem, urls)] == [
        "no such file, but the HDU index lists it",
        "you have no permission to read it",
        "",
    ]
    assert len(server.requests) == 3
    with refused(urls[1], "status 403", ".netrc"):
        files.file(urls[1])


def test_password_from_netrc(server, files, tmp_path, monkeypatch):
    server.users = "me:hunter2"
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with refused("status 401", "netrc") as _:
        files.file(f"{server.address}/a.fits")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    netrc.chmod(0o600)
    assert read(remote_files(tmp_path), server, "a.fits") == [CONTENT["a.fits"]]


def test_a_file_that_changes_under_way(server, files, tmp_path):
    """It is never mixed: an error, or the newest version if that is wanted."""
    path, url = server.folder / "a.fits", f"{server.address}/a.fits"
    newest = b"n" * len(CONTENT["a.fits"])
    changes = [newest]

    def change(method, _):
        if method == "GET" and len(server.paths()) == 2 and changes:
            path.write_bytes(changes.pop())

    files.look_up([url])
    server.fault = change
    with pytest.raises(FileChanged, match="has changed since"):
        read(files, server, "a.fits")
    assert copies(tmp_path) == []
    path.write_bytes(CONTENT["a.fits"])
    server.requests.clear()
    changes.append(newest)
    again = remote_files(tmp_path)
    again.fetch(url)
    assert read(again, server, "a.fits") == [newest]


def test_errors_can_be_handed_on():
    error = pickle.loads(pickle.dumps(NotAllowed("why")))
    assert (str(error), type(error)) == ("why", NotAllowed)


# The cache


def test_the_files_that_were_not_used_for_longest_make_room(server, tmp_path):
    files = remote_files(tmp_path, limit=700_000)
    for name in ("a.fits", "b.fits", "a.fits"):
        read(files, server, name)
        time.sleep(0.02)
    read(files, server, "c.fits")
    assert copies(tmp_path) == ["a.fits", "c.fits"]
    read(files, server, "b.fits")
    assert copies(tmp_path) == ["b.fits", "c.fits"]


def test_files_in_use_stay(server, tmp_path):
    files = remote_files(tmp_path, limit=700_000)
    with files.hold([f"{server.address}/a.fits"]) as (path,):
        for name in ("b.fits", "c.fits", "b.fits", "c.fits"):
            read(files, server, name)
        assert Path(path).read_bytes() == CONTENT["a.fits"]
        assert len(copies(tmp_path)) == 2
    read(files, server, "b.fits")
    assert copies(tmp_path) == ["b.fits", "c.fits"]


def test_a_cache_that_is_too_small(server, tmp_path):
    with refused("datastore_cache", "a.fits", "enlarge"):
        read(remote_files(tmp_path, limit=1e5), server, "a.fits")


def test_a_copy_that_was_damaged_or_deleted(server, files, tmp_path):
    """One of another size is fetched again."""
    read(files, server, "a.fits", "b.fits")
    for path in (tmp_path / "cache").glob("??/*/*"):
        path.write_bytes(b"short") if path.name == "a.fits" else path.unlink()
    assert read(files, server, "a.fits", "b.fits") == [*CONTENT.values()][:2]


PROGRAM = """
import sys
sys.path.insert(0, {scripts!r})
from gammastack.remote import server
from gammastack.remote.cache import FileCache
from gammastack.remote.files import RemoteFiles
server.PART = {part}
server.Server.pause = 0.01
for number in range({rounds}):
    for name in "abc" if number % 2 else "cab":
        files = RemoteFiles(FileCache({cache!r}, {limit}))
        with files.hold([f"{address}/{{name}}.fits"]) as (path,):
            content = open(path, "rb").read()
            assert content == bytes(["abc".index(name)]) * 300_000, name
"""


def program(server, tmp_path, limit, rounds):
    cache = str(tmp_path / "cache")
    text = PROGRAM.format(
        scripts=str(SCRIPTS),
        part=PART,
        cache=cache,
        limit=limit,
        address=server.address,
        rounds=rounds,
    )
    return subprocess.Popen([sys.executable, "-c", text])


def test_processes_share_what_one_of_them_fetches(server, tmp_path):
    processes = [program(server, tmp_path, 1e9, 1) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert server.sent == sum(map(len, CONTENT.values()))


def test_processes_that_take_the_room_from_each_other(server, tmp_path):
    """With failing requests, too: each gets what it wants, and the limit holds."""
    server.fault = some_fail(0.05)
    processes = [program(server, tmp_path, 700_000, 8) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert len(copies(tmp_path)) <= 2


def test_a_killed_process_is_carried_on(server, files, tmp_path):
    """Only the rest is fetched."""
    arrived = threading.Event()

    def fault(method, path):
        if len(server.paths()) == 3:
            arrived.set()
            time.sleep(0.5)

    server.fault = fault
    process = program(server, tmp_path, 1e9, 1)
    assert arrived.wait(10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (part,) = (tmp_path / "cache").glob("??/*.part")
    assert part.stat().st_size == 3 * PART
    time.sleep(0.6)
    server.fault = lambda method, path: None
    server.requests.clear()
    assert read(files, server, "c.fits") == [CONTENT["c.fits"]]
    assert server.sent == len(CONTENT["c.fits"]) - 3 * PART


# Object stores


@pytest.fixture(scope="module")
def moto():
    """An S3 server without files."""
    module = pytest.importorskip("moto.server")
    started = module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    started.start()
    yield started.get_host_and_port()
    started.stop()


@pytest.fixture
def bucket(moto, monkeypatch, tmp_path):
    """A bucket with files, behind a proxy that can fail."""
    with Proxy(*moto) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAHUNTER2")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3 = pytest.importorskip("s3fs").S3FileSystem(skip_instance_cache=True)
        name = tmp_path.name.replace("_", "-")[:40].strip("-")
        s3.mkdir(name)
        for file, content in CONTENT.items():
            s3.pipe(f"{name}/dl3/{file}", content)
        proxy.requests.clear()
        proxy.s3, proxy.address = s3, f"s3://{name}/dl3"
        # Instances know the environment in which they were made.
        type(s3).clear_instance_cache()
        yield proxy


def test_object_store(bucket, files, tmp_path):
    assert read(files, bucket, *CONTENT) == [*CONTENT.values()]
    assert read(remote_files(tmp_path), bucket, *CONTENT) == [*CONTENT.values()]
    assert sum(one.sent for one in bucket.requests if one.status == 206) == 900_000


def test_failing_object_store(bucket, files):
    bucket.fault = some_fail(0.2)
    assert read(files, bucket, *CONTENT) == [*CONTENT.values()]


def test_many_files_of_an_object_store_are_listed(bucket, files):
    for number in range(40):
        bucket.s3.pipe(f"{bucket.address}/many/{number}.fits", b"x")
    bucket.requests.clear()
    urls = [f"{bucket.address}/many/{number}.fits" for number in range(40)]
    files.look_up([*urls, f"{bucket.address}/many/no.fits"])
    assert [one.method for one in bucket.requests] == ["GET", "HEAD"]
    assert all(files.file(url).version.size == 1 for url in urls)
    assert files.problem(f"{bucket.address}/many/no.fits").startswith("no such file")


def test_object_that_changes_under_way(bucket, files, tmp_path):
    files.look_up([f"{bucket.address}/a.fits"])
    bucket.s3.pipe(f"{bucket.address}/a.fits", b"n" * 300_000)
    with pytest.raises(FileChanged):
        read(files, bucket, "a.fits")
    assert copies(tmp_path) == []


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "aws configure"),
        ({"AWS_PROFILE": "nobody"}, "aws configure"),
        ({}, "status 403"),
    ],
)
def test_keys_that_do_not_fit(bucket, files, monkeypatch, wrong, words, tmp_path):
    for name, value in wrong.items():
        monkeypatch.delenv(name, False)
        if value:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    if not wrong:
        bucket.fault = lambda method, path: 403
    with pytest.raises(NotAllowed) as caught:
        read(files, bucket, "a.fits")
    assert words in str(caught.value) and "unter2" not in str(caught.value).lower()
    assert len(bucket.requests) <= 1


def test_no_such_bucket(bucket, files):
    with refused("s3://no-such-bucket/x", "obs-index.fits.gz", "index.py"):
        open_store("s3://no-such-bucket/x", files)


# Stores


def test_a_store_without_index_is_refused(server, files):
    with refused(server.address, "obs-index.fits.gz", "scripts/index.py"):
        open_store(server.address, files)


def test_a_damaged_index(server, files):
    (server.folder / "obs-index.fits").write_bytes(b"nothing")
    (server.folder / "hdu-index.fits.gz").write_bytes(b"nothing")
    with refused(f"{server.address}/obs-index.fits", "not a readable FITS table"):
        open_store(server.address, files)


def test_the_packages_are_missing(monkeypatch, files):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with refused("s3fs", "pip install 'gammastack[remote]'"):
        files.look_up(["s3://bucket/x"])


def keep_columns(path, names):
    """Remove the other columns of a table."""
    with fits.open(path) as hdus:
        columns = [hdus[1].columns[name] for name in names]
        table = fits.BinTableHDU.from_columns(columns)
        table.writeto(path, overwrite=True)


def test_a_store_is_the_same_as_the_folder(simulated_store, tmp_path):
    """And knows the zenith angles, which are in the headers of the events alone."""
    shutil.copytree(simulated_store[0].folder, tmp_path / "store")
    keep_columns(tmp_path / "store" / OBS_INDEX, ["OBS_ID", "RA_PNT", "DEC_PNT"])
    local = DataStore.from_dir(tmp_path / "store")
    with FileServer(local.folder) as server:
        store = open_store(server.address, remote_files(tmp_path))
        assert store.obs_ids == local.obs_ids
        assert store.index_row(1001) == local.index_row(1001)
        assert store.zeniths([1001, 1002]) == local.zeniths([1001, 1002])
        assert np.isfinite([*store.zeniths([1001, 1002]).values()]).all()
        here, there = local.available(1001), store.available(1001)
        with store.at_hand(there) as copies:
            for kind, hdu in here.items():
                assert there[kind].path == f"{server.address}/run_1001.fits"
                content = Path(copies[kind].path).read_bytes()
                assert content == Path(hdu.path).read_bytes()
        sent = [one.sent for one in server.requests if "run_1001" in one.path]
        assert sum(sent) == os.path.getsize(here["events"].path)


def test_many_requests_are_under_way_at_once(server, files):
    """A hundred files, and a server that takes 0.1 s for each answer."""
    for number in range(100):
        (server.folder / f"{number}.fits").write_bytes(b"x")
    server.fault = lambda method, path: 0.1
    start = time.monotonic()
    files.look_up([f"{server.address}/{number}.fits" for number in range(100)])
    assert time.monotonic() - start < 3


def test_threads_share_a_server(server, files):
    with ThreadPoolExecutor(8) as executor:
        found = executor.map(lambda _: read(files, server, "a.fits"), range(16))
        assert [*found] == [[CONTENT["a.fits"]]] * 16
    assert server.sent == len(CONTENT["a.fits"])
