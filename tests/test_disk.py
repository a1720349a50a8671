"""What takes how much of the disk, and what is removed: never more than nobody needs."""

import json
import os
import shutil
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

import warm
from gammastack.disk import in_units, leftovers, place_of, remove
from gammastack.invocation import Remembered, remembered
from gammastack.lock import Lock
from project import SETTINGS, shell_environment

BANDS = [["1 TeV", "10 TeV"], ["10 TeV", "50 TeV"]]
FIGURE = "results/sky/1TeV-10TeV/significance.png"
OLD_FIGURE = "results/sky/10TeV-50TeV/significance.png"


def disk(project, *arguments):
    """Exit code and text of the command."""
    configs = [] if "--configfile" in arguments else ["--configfile", CONFIG]
    arguments = *configs, *arguments
    return warm.run("scripts/disk.py", arguments, project.folder, shell_environment())


CONFIG = "config/config.yaml"


def tree(folder):
    """All results and records of Snakemake by path: content, or where a link leads to."""
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        for top in ("results", "store", ".snakemake/metadata", ".snakemake/incomplete")
        for path in (folder / top).rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture(scope="module")
def shrunk(built, tmp_path_factory):
    """A project with results of a run, a band, a radius and a field that are gone."""
    project = built.copy(tmp_path_factory.mktemp("shrunk") / "project")
    larger = {"energy_bands": BANDS, "radius": ["0.2 deg", "0.3 deg"]}
    project.change_config(**larger, fields={**SETTINGS["fields"], "old": {}})
    done = project.snakemake("all", FIGURE, OLD_FIGURE)
    assert done.code == 0, done.text
    project.larger = tree(project.folder)
    (project.folder / "config/larger.yaml").write_text(
        (project.folder / CONFIG).read_text()
    )
    project.config = {**SETTINGS, "observations": {"exclude": [1003]}}
    project.write_config(**project.config)
    assert project.snakemake().code == 0
    return project


def test_dry_run_and_removal(shrunk, tmp_path):
    project = shrunk.copy(tmp_path / "project")
    project.larger = shrunk.larger
    sky = project.folder / "results" / "sky"
    # Foreign files, also one that has the name of a result
    foreign = sky / "notes.txt", project.folder / "results/mine/report.html"
    foreign[1].parent.mkdir()
    for path in foreign:
        path.write_text("mine")
    (sky / ".part-runs.csv").write_text("killed")
    before = tree(project.folder)

    code, text = disk(project)
    assert code == 0, text
    assert tree(project.folder) == before
    assert "Nothing was removed" in text
    assert "results/sky/runs: 2 files" in text
    assert "Not made here, never removed: 2 files" in text
    size = text.partition("Made by none of the configurations: ")[2].splitlines()[0]

    code, text = disk(project, "--remove")
    assert code == 0 and size in text, text
    after = tree(project.folder)
    gone = {
        name for name in before.keys() - after.keys() if name.startswith("results/")
    }
    assert {name: before[name] for name in after} == after
    assert all(path.read_text() == "mine" for path in foreign)
    n_bytes = sum(len(before[name]) for name in gone)
    assert size == f"{len(gone)} files, {in_units(n_bytes)}"
    assert not (project.folder / "results/old").exists()
    kept = {name.removeprefix("results/") for name in after if name not in gone}
    assert FIGURE.removeprefix("results/") in kept
    assert not [name for name in kept if "10TeV-50TeV" in name or "0.3deg" in name]
    assert not [name for name in kept if name.startswith("sky/runs/1003")]
    known = remembered_in(project)
    assert known and all(os.path.lexists(project.folder / path) for path in known)

    assert "0 files, 0 bytes" in disk(project)[1]
    assert project.snakemake().jobs == []
    shutil.copy(project.folder / "config/larger.yaml", project.folder / CONFIG)
    done = project.snakemake("all", FIGURE, OLD_FIGURE)
    assert done.code == 0, done.text
    assert "run_images sky 1003" in done.jobs and "maps sky 10TeV-50TeV" in done.jobs
    again = tree(project.folder)
    changed = [
        name
        for name, content in project.larger.items()
        if again[name] != content
        and not name.endswith((".json", ".html"))
        and name.startswith("results")
    ]
    assert changed == []


def remembered_in(project):
    """What Snakemake remembers in a project."""
    before = os.getcwd()
    os.chdir(project.folder)
    try:
        return remembered()
    finally:
        os.chdir(before)


def test_what_another_configuration_needs_is_kept(shrunk):
    code, text = disk(shrunk, "--configfile", CONFIG, "config/larger.yaml")
    assert code == 0
    assert "Made by none of the configurations: 0 files, 0 bytes" in text


def test_store_that_cannot_be_read(shrunk, tmp_path):
    project = shrunk.copy(tmp_path / "project")
    (project.folder / "store/hdu-index.fits.gz").unlink()
    before = tree(project.folder)
    code, text = disk(project, "--remove")
    assert code == 2 and "config.yaml: what it makes is not known: datastore" in text
    assert tree(project.folder) == before


def test_nothing_is_removed_while_somebody_is_at_work(shrunk, tmp_path):
    project = shrunk.copy(tmp_path / "project")
    before = tree(project.folder)
    with Lock(project.folder / ".snakemake/at_work") as lock:
        lock.share()
        code, text = disk(project, "--remove")
    assert code == 2 and f"process {os.getpid()} on" in text
    lock = project.folder / ".snakemake/locks/0.output.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("results/summary.csv\n")
    code, text = disk(project, "--remove")
    assert code == 2 and "snakemake --unlock" in text
    assert tree(project.folder) == before


def test_no_invocation_begins_while_something_is_removed(shrunk):
    with Lock(shrunk.folder / ".snakemake/at_work") as lock:
        lock.be_alone()
        done = shrunk.snakemake("--forceall")
        assert done.code != 0 and done.jobs == []
        assert "is at work on the results" in " ".join(done.text.split())
        assert shrunk.snakemake("--dry-run").code == 0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A results folder, the only one, as the working folder of the tests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/sky").mkdir(parents=True)
    return tmp_path


def made(*paths):
    """What Snakemake remembers, of files that are written here."""
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.lexists(path):
            with open(path, "w") as file:
                file.write("made")
    return {path: Remembered() for path in paths}


def removed(known, wanted=()):
    """Files that are removed, and that are said to be."""
    before = {*everything()}
    found = leftovers(["results"], {*wanted}, known)
    remove(found, ["results"])
    gone = {str(path) for path in found.memory}
    assert before - {*everything()} - gone == {*found.files}
    return sorted(found.files)


def everything():
    for place, folders, names in os.walk("."):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from (
            os.path.normpath(os.path.join(place, name)) for name in (*names, *links)
        )


def test_link_is_removed_and_not_its_target(folder):
    (folder / "cache.fits").write_text("shared")
    (folder / "results/sky/runs").mkdir()
    (folder / "results/sky/runs/1.fits").symlink_to(folder / "cache.fits")
    assert removed(made("results/sky/runs/1.fits")) == ["results/sky/runs/1.fits"]
    assert (folder / "cache.fits").read_text() == "shared"


def test_nothing_behind_a_link_is_removed(folder):
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere/1.fits").write_text("other")
    (folder / "results/sky/runs").symlink_to(folder / "elsewhere")
    assert removed(made("results/sky/runs/1.fits")) == []
    assert (folder / "elsewhere/1.fits").read_text() == "other"


def test_nothing_elsewhere_is_removed(folder):
    paths = "elsewhere/a.fits", "results2/a.fits", "results/simulated-dl3/run_1.fits"
    assert removed(made(*paths, "results/nights/2026-01-01/sky/archive.zip")) == []


@pytest.mark.parametrize(
    "name", ["a\nb", "$(touch c)", "-rf", "\u202e", "a" * 200, "*"]
)
def test_hostile_names(folder, name):
    path = f"results/sky/{name}"
    known = made(path, "results/sky/a")
    assert removed(known, ["results/sky/a"]) == [path]
    assert (folder / "results/sky/a").exists()


def test_what_is_on_demand_of_results_is_kept(folder):
    kept = "results/sky/b/counts.fits", "results/sky/provenance/prov.json"
    known = made(*kept, "results/sky/b/counts.pdf", "results/sky/archive.zip")
    assert removed(known, kept) == []
    assert removed(known, kept[:1]) == ["results/sky/archive.zip", kept[1]]


def test_records_of_jobs_go_with_what_they_made(folder):
    known = made("results/a/maps.fits", "results/b/x.fits", "results/b/y.fits")
    logs = ["results/a/provenance/maps.json", "results/b/provenance/maps.json"]
    made(
        *logs,
        "results/a/provenance/system-1.json",
        "results/b/provenance/system-1.json",
    )
    known["results/a/maps.fits"].logs = {logs[0]}
    known["results/b/x.fits"].logs = known["results/b/y.fits"].logs = {logs[1]}
    assert removed(known, ["results/b/y.fits"]) == [
        *("results/a/maps.fits", logs[0]),
        *("results/a/provenance/system-1.json", "results/b/x.fits"),
    ]
    assert not (folder / "results/a").exists()


def test_folder_that_was_deleted_by_hand(folder):
    """What Snakemake remembers of it goes, but not the folders in which it remembers."""
    files = [
        Path(f".snakemake/{kind}/@part/name") for kind in ("metadata", "incomplete")
    ]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    known = {"results/old/a": Remembered(files, {"results/old/provenance/a.json"})}
    assert removed(known) == []
    assert all([*file.parents[1].parent.glob("*/*")] == [] for file in files)
    assert all(file.parents[1].is_dir() for file in files)


def test_what_snakemake_remembers(folder):
    long = f"results/{'b' * 300}/a.fits"
    for path in ("results/sky/a.fits", long):
        name = urlsafe_b64encode(path.encode()).decode()
        parts = [name[n : n + 254] for n in range(0, len(name), 254)]
        *above, last = parts
        place = folder.joinpath(".snakemake/metadata", *("@" + part for part in above))
        place.mkdir(parents=True, exist_ok=True)
        (place / last).write_text(json.dumps({"log": ["results/log.json"]}))
    (folder / ".snakemake/incomplete").mkdir()
    (folder / ".snakemake/incomplete/migration_underway").touch()
    found = remembered()
    assert found.keys() == {"results/sky/a.fits", long}
    assert found[long].logs == {"results/log.json"}


@pytest.mark.parametrize(
    "path, place",
    [
        ("sky/runs/1.fits", ("sky", "runs")),
        ("sky/groups/all.fits", ("sky", "groups")),
        ("sky/1TeV-10TeV/counts.fits", ("sky", "maps")),
        ("sky/1TeV-10TeV/counts.png", ("sky", "figures")),
        ("sky/archive.zip", ("sky", "archives")),
        ("sky/report.html", ("sky", "pages")),
        ("sky/provenance/maps-1TeV-10TeV.json", ("sky", "records")),
        ("provenance/summary.json", ("", "records")),
        ("index.html", ("", "pages")),
        ("nights/2026-01-01/sky/archive.zip", ("sky", "nights")),
        ("nights/2026-01-01.log", ("", "nights")),
        ("simulated-dl3/run_1.fits", ("", "simulated data")),
        ("notes.txt", ("", "other")),
    ],
)
def test_kinds(path, place):
    assert place_of(path) == place


@pytest.mark.parametrize(
    "size, text",
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e15, "2500.0 TB")],
)
def test_units(size, text):
    assert in_units(int(size)) == text
