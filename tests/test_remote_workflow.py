"""The workflow with a store on a server of this machine."""

import shutil
from typing import NamedTuple

import pytest
from astropy.io import fits

from dl3_files import edit
from project import RUNS, SETTINGS, Invocation, Project
from servers import FileServer, Proxy
from test_remote import moto  # noqa: F401
from test_reruns import IMAGES, STACK

SECRET = "hunter2hunter2"


SETTINGS_THERE = {**SETTINGS, "datastore_cache": {"folder": "cache", "size": "1 GB"}}


class There(NamedTuple):
    """A project, the server of its store, and its first invocation."""

    project: Project
    server: FileServer
    cold: Invocation
    requests: list


@pytest.fixture(scope="module")
def there(simulated_store, tmp_path_factory):
    """A project with all results, made cold from a store on a web server."""
    folder = tmp_path_factory.mktemp("there")
    with FileServer(simulated_store[0].folder) as server:
        project = Project(
            folder / "project", {**SETTINGS_THERE, "datastore": server.address}
        )
        cold = project.snakemake()
        assert cold.code == 0, cold.text
        yield There(project, server, cold, [*server.requests])


@pytest.fixture
def server(there, simulated_store, tmp_path):
    """The server, with a copy of the store to change things in."""
    there.server.folder = tmp_path / "store"
    shutil.copytree(simulated_store[0].folder, tmp_path / "store")
    there.server.requests.clear()
    yield there.server
    there.server.users, there.server.fault = "", lambda method, path: None


@pytest.fixture
def project(there, tmp_path):
    """A copy of the project."""
    return there.project.copy(tmp_path / "project")


@pytest.fixture
def new_project(there, tmp_path):
    """The project without results and copies."""
    return Project(tmp_path / "new", there.project.config)


def fetched(server):
    """Return the DL3 files that were fetched, and forget the requests."""
    names = sorted({name for name in server.paths() if name.startswith("run_")})
    server.requests.clear()
    return names


def test_products_are_those_of_the_folder_and_files_are_fetched_once(built, there):
    assert there.cold.jobs == built.cold.jobs
    assert there.project.products() == built.products()
    whole = sum(path.stat().st_size for path in there.server.folder.glob("run_*"))
    runs = [one for one in there.requests if "run_" in one.path]
    assert sum(one.sent for one in runs) == whole
    assert sum(one.method == "HEAD" for one in runs) == len(RUNS)
    records = (there.project.folder / "results/sky/runs").glob("*.json")
    for text in [path.read_text() for path in records]:
        assert f"{there.server.address}/run_" in text
        assert str(there.project.folder) not in text


def test_nothing_changed(project, server):
    """With the copies and without."""
    again = project.snakemake()
    assert (again.code, again.jobs, server.sent) == (0, [], 0)
    shutil.rmtree(project.folder / "cache")
    again = project.snakemake()
    assert (again.code, again.jobs, fetched(server)) == (0, [], [])


def test_changed_and_missing_files(project, server):
    path = server.folder / "run_1002.fits"
    with fits.open(path) as hdus:
        events = edit(hdus["EVENTS"])
        events.data = events.data[:-100]
        hdus.writeto(path, overwrite=True)
    (server.folder / "run_1003.fits").unlink()
    jobs = sorted([*IMAGES[1:3], *STACK])
    assert project.plan() == jobs
    assert "run 1002: run_1002.fits: has another content now" in project.said
    assert "run 1003: run_1003.fits: not there any more" in project.said
    assert fetched(server) == []
    done = project.snakemake()
    assert (done.code, done.jobs) == (0, jobs)
    assert fetched(server) == ["run_1002.fits"]
    assert "no such file, but the HDU index lists it" in done.text


def written(folder):
    """Return all that is in the files of a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def netrc(tmp_path):
    """Environment with secrets; the password for the server is in a file."""
    path = tmp_path / "netrc"
    path.write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    path.chmod(0o600)
    keys = "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"
    return {"NETRC": str(path), **dict.fromkeys(keys, SECRET)}


@pytest.mark.parametrize(
    "said, settings, password",
    [
        ("status 401", {}, "another"),
        ("must not have a user", {"datastore": f"https://me:{SECRET}@host"}, SECRET),
    ],
)
def test_refusals_show_no_secrets(new_project, server, netrc, said, settings, password):
    server.users = f"me:{password}"
    new_project.change_config(**settings)
    done = new_project.snakemake(**netrc)
    assert done.code != 0 and said in done.text
    new_project.change_config()
    assert SECRET not in done.text
    assert SECRET.encode() not in written(new_project.folder)


def test_a_server_that_fails_is_not_the_fault_of_a_run(
    there, new_project, server, netrc
):
    """The job fails, and is tried again; nothing is said of the run, and no secret told."""
    server.users = f"me:{SECRET}"
    server.fault = lambda method, path: (
        "cut" if "1003" in path and method == "GET" else None
    )
    done = new_project.snakemake(**netrc)
    assert done.code != 0
    assert "run_1003.fits: the connection to the server failed" in done.text
    assert not (new_project.folder / "results/sky/runs/1003.fits").exists()
    assert not (new_project.folder / "results/sky/runs.csv").exists()
    server.fault = lambda method, path: None
    fetched(server)
    again = new_project.snakemake(**netrc)
    assert again.code == 0, again.text
    assert fetched(server) == ["run_1003.fits"]
    assert new_project.products() == there.project.products()
    assert SECRET not in done.text + again.text
    assert SECRET.encode() not in written(new_project.folder)


def test_object_store(built, moto, new_project, monkeypatch):  # noqa: F811
    s3fs = pytest.importorskip("s3fs")
    with Proxy(*moto) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRET)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        s3 = s3fs.S3FileSystem(skip_instance_cache=True)
        s3.mkdir("hess-data")
        s3.put(f"{built.folder}/store/", "hess-data/dl3/", recursive=True)
        proxy.requests.clear()
        new_project.change_config(datastore="s3://hess-data/dl3/")
        done = new_project.snakemake()
        assert done.code == 0, done.text
        assert new_project.products() == built.products()
        assert SECRET.encode() not in written(new_project.folder)
        n_requests = len(proxy.requests)
        again = new_project.snakemake()
        assert (again.code, again.jobs) == (0, [])
        assert {one.method for one in proxy.requests[n_requests:]} == {"HEAD"}


@pytest.mark.slow
def test_other_rules_that_read_files(new_project, server):
    """An acceptance from the runs, the doctor, and a process for each job."""
    new_project.change_config(
        background={"method": "acceptance", "zenith_bins": [0, 90]}
    )
    done = new_project.snakemake(
        "results/sky/runs/1001.fits", "--workflow-profile", "none"
    )
    assert done.code == 0, done.text
    # The processes of jobs do not ask again.
    assert len(server.paths("HEAD")) == 4 + len(RUNS)
    done = new_project.snakemake("doctor")
    assert done.code == 0 and "4 runs" in done.text, done.text
