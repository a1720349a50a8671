"""Archives: what is in them, what is found wrong with them, and that they rebuild."""

import json
import os
import random
import re
import shutil
from hashlib import sha256
from zipfile import ZipFile

import pytest
import yaml
from astropy.io import fits

import warm
from crates import validator_issues
from gammastack.archive.pack import pinned_config
from project import MORE_PARTS, PARTS, ROOT, Project

BAND = "1TeV-10TeV"
ARCHIVE = "results/sky/archive.zip"
SETTINGS = {
    "datastore": "$STORE_FOR_TEST/store",
    "center": [83.63, 22.01],
    "width": "3 deg",
    "binsz": "0.1 deg",
    "energy_bands": [["1 TeV", "10 TeV"]],
    "observations": {"cone": "3 deg"},
    "fields": {"sky": {"exclusion_mask": ["sources.reg"]}},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory, simulated_store):
    """A project with an archive, and the store that it was made from beside it."""
    folder = tmp_path_factory.mktemp("archive")
    project = Project(folder / "project", SETTINGS, [*PARTS, *MORE_PARTS])
    shutil.copytree(simulated_store[0].folder, folder / "store")
    (folder / "store" / "README.txt").write_text("Only for tests.")
    (project.folder / "sources.reg").write_text("icrs; circle(83.63, 22.01, 0.3)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORE_FOR_TEST", str(folder))
        done = project.snakemake(ARCHIVE)
    assert done.code == 0, done.text
    return project


@pytest.fixture
def project(built, tmp_path, monkeypatch):
    """A copy of the project with its archive, and of the store, to change things in."""
    shutil.copytree(built.folder.parent, tmp_path / "copy")
    monkeypatch.setenv("STORE_FOR_TEST", str(tmp_path / "copy"))
    return Project(tmp_path / "copy" / "project", SETTINGS, parts=[])


def command(project, name, *arguments):
    """Exit code and output of a command of the project."""
    script, environment = f"scripts/{name}.py", dict(os.environ)
    code, text = warm.run(script, arguments, project.folder, environment)
    assert "Traceback" not in text
    return code, text


def repacked(project, change):
    """The archive, written anew by zipfile with its files by name changed."""
    path = project.folder / ARCHIVE
    with ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        comment = archive.comment
    change(files)
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = comment
    return ARCHIVE


def flipped(content, bit):
    content = bytearray(content)
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def test_archive_holds_all_that_is_needed(built):
    with ZipFile(built.folder / ARCHIVE) as archive:
        names = set(archive.namelist())
        config = yaml.safe_load(archive.read("code/config/config.yaml"))
        manifest = archive.read("manifest-sha256.txt").decode()
        digests = {
            name: sha256(archive.read(name)).hexdigest()
            for name in names - {"manifest-sha256.txt"}
        }
        readme = archive.read("README.md").decode()
        crate = json.loads(archive.read("ro-crate-metadata.json"))
    maps = ["counts", "bkg", "exposure", "excess", "significance"]
    products = [f"products/{BAND}/{name}.fits" for name in [*maps, "table_bkg_norm"]]
    assert names >= {
        *products,
        f"products/{BAND}/table_bkg_norm.csv",
        "products/runs.csv",
        "products/exclusion_mask.fits",
        "provenance/prov.json",
        "provenance/run_images-1003.json",
        "code/Snakefile",
        "code/requirements.txt",
        "code/scripts/gammastack/runs/background.py",
        "inputs/1/sources.reg",
        "data-terms/README.txt",
    }
    assert not [
        name
        for name in names
        if name.startswith(("products/runs/", "products/groups/"))
    ]
    assert manifest == "".join(f"{digests[one]}  {one}\n" for one in sorted(digests))
    field = config["fields"]["sky"]
    assert config["datastore"] == SETTINGS["datastore"]
    assert field["observations"] == {"obs_ids": [1001, 1002, 1003, 1004]}
    assert field["exclusion_mask"] == ["../inputs/1/sources.reg"]
    assert "4 observations" in readme and "(`data-terms/`)" in readme
    assert any(entity["@id"] == "./" for entity in crate["@graph"])


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated")
def test_archive_is_a_valid_ro_crate(built):
    assert validator_issues(built.folder / ARCHIVE, "REQUIRED") == set()


def test_rebuilt_from_the_archive_and_the_data_alone(project, tmp_path):
    with ZipFile(project.folder / ARCHIVE) as archive:
        archive.extractall(tmp_path / "unpacked")
    shutil.rmtree(project.folder / "scripts")
    rebuilt = Project(tmp_path / "unpacked" / "code", parts=[])
    done = rebuilt.snakemake()
    assert done.code == 0, done.text
    code, text = command(rebuilt, "compare", "..", "results/sky")
    assert code == 0, text
    code, text = command(rebuilt, "verify", "..")
    assert code == 0, text
    for path in (tmp_path / "unpacked" / "products").rglob("*.*"):
        name = path.relative_to(tmp_path / "unpacked" / "products")
        assert (rebuilt.folder / "results/sky" / name).read_bytes() == path.read_bytes()


def test_intact(project):
    # Of the results also the file of regions, which an archive has inside
    for path, n_inputs in ((ARCHIVE, 4), ("results/sky", 5)):
        code, text = command(project, "verify", path)
        assert code == 0, text
        assert "OK: " in text and f"{n_inputs} input files as they were read" in text


def test_all_fields_at_once_and_the_worst_of_them(project):
    shutil.copytree(project.folder / "results/sky", project.folder / "results/bad")
    (project.folder / "results/bad/runs.csv").unlink()
    code, text = command(project, "verify", "results")
    assert code == 1
    assert re.search(
        r"results/bad:\nruns.csv: missing\nDAMAGED(.|\n)*results/sky:\nOK", text
    )


@pytest.mark.parametrize("seed", range(5))
def test_any_flipped_bit_of_an_archive_is_found(project, seed):
    path = project.folder / ARCHIVE
    content = path.read_bytes()
    path.write_bytes(flipped(content, random.Random(seed).randrange(8 * len(content))))
    code, text = command(project, "verify", ARCHIVE)
    assert code in (1, 2), text


def test_flipped_bit_in_a_file_of_an_archive_names_it(project):
    name = f"products/{BAND}/excess.fits"

    def change(files):
        files[name] = flipped(files[name], 8 * 20000)

    code, text = command(project, "verify", repacked(project, change))
    assert code == 1
    assert f"{name}: its content is not what was written" in text
    assert "DAMAGED" in text


def test_missing_and_added_files_of_an_archive_are_named(project):
    def change(files):
        del files[f"products/{BAND}/bkg.fits"]
        files["products/better.fits"] = b"better"

    code, text = command(project, "verify", repacked(project, change))
    assert code == 1
    assert f"products/{BAND}/bkg.fits: missing" in text
    assert "products/better.fits: added" in text


def test_damaged_results_are_named(project):
    folder = project.folder / "results/sky"
    path = folder / BAND / "counts.fits"
    path.write_bytes(flipped(path.read_bytes(), 8 * 20000))
    (folder / BAND / "bkg.fits").unlink()
    (folder / BAND / "mine.fits").write_bytes(b"")
    other = folder / "2TeV-5TeV" / "counts.fits"
    other.parent.mkdir()
    shutil.copy(path, other)
    code, text = command(project, "verify", "results/sky")
    assert code == 1
    assert re.search(r"^of another configuration.*\n  2TeV-5TeV: counts\.fits\n", text)
    assert f"{BAND}/counts.fits: its content is not what was written" in text
    assert f"{BAND}/bkg.fits: missing" in text
    assert f"{BAND}/mine.fits: no part of the result" in text


def test_no_archive_of_damaged_results(project):
    path = project.folder / "results/sky" / BAND / "significance.fits"
    path.write_bytes(flipped(path.read_bytes(), 8 * 20000))
    (project.folder / ARCHIVE).unlink()
    done = project.snakemake(ARCHIVE)
    assert done.code == 0, done.text
    text = f"WARNING: results/sky/{BAND}/significance.fits: damaged result"
    assert text in " ".join(done.text.split())
    assert command(project, "verify", ARCHIVE)[0] == 0


def test_interrupted_archive_leaves_nothing_that_looks_like_a_result(project):
    (project.folder / ARCHIVE).unlink()
    fault = {"FAULT": "archive_of_field:packing"}
    done = project.snakemake(
        ARCHIVE, **fault, PYTHONPATH=str(ROOT / "tests" / "faults")
    )
    assert done.code != 0
    code, text = command(project, "verify", "results/sky")
    assert code == 0 and "no part of the result" not in text
    assert project.snakemake(ARCHIVE).code == 0
    assert command(project, "verify", ARCHIVE)[0] == 0
    assert not [*(project.folder / "results").rglob(".*")]


@pytest.mark.parametrize("path", [ARCHIVE, "results/sky"])
def test_changed_observation_and_what_depends_on_it(project, path):
    store = project.folder.parent / "store"
    with fits.open(store / "run_1002.fits", "update") as hdus:
        hdus["EVENTS"].data["ENERGY"][:5] *= 2
    code, text = command(project, "verify", path, "--datastore", store)
    assert code == 3
    assert "run 1002: run_1002.fits: has another content now" in text
    assert f"{BAND}/bkg.fits" in text and "exclusion_mask.fits" not in text


def test_changed_code_and_what_depends_on_it(project):
    with open(project.folder / "scripts/gammastack/maps/empty_sky.py", "a") as file:
        file.write("EDITED = True\n")
    code, text = command(project, "verify", ARCHIVE)
    assert code == 3
    assert "code: gammastack/maps/empty_sky.py has changed" in text
    assert f"would be recomputed: {BAND}/candidates.ecsv, {BAND}/cand" in text


def test_changed_configuration_and_selection(project):
    changed = {"spectral_index": 2.0, "observations": {"exclude": [1004]}}
    (project.folder / "new.yaml").write_text(yaml.safe_dump({**SETTINGS, **changed}))
    code, text = command(project, "verify", "results/sky", "--configfile", "new.yaml")
    assert code == 3
    lines = text.splitlines()
    assert lines[:2] == ["spectral_index 2.3 -> 2.0", "run 1004 removed"]
    arguments = "results/sky", "--configfile", "config/config.yaml"
    code, text = command(project, "verify", *arguments)
    assert code == 0, text


def test_data_that_cannot_be_found_is_said(built, project, monkeypatch):
    monkeypatch.delenv("STORE_FOR_TEST")
    store = built.folder.parent / "store"
    elsewhere = store.rename(store.with_name("elsewhere"))
    try:
        code, text = command(project, "verify", ARCHIVE)
        assert code == 0
        assert "not checked, run_1001.fits" in text and "--datastore" in text
        code, text = command(project, "verify", ARCHIVE, "--datastore", elsewhere)
        assert code == 0 and "4 input files as they were read" in text
    finally:
        elsewhere.rename(store)


@pytest.mark.parametrize(
    "path, message",
    [
        ("nowhere.zip", "nowhere.zip: no such file or folder"),
        ("sources.reg", "sources.reg: no readable archive"),
        ("config", "config: neither an archive nor the results of a field"),
    ],
)
def test_what_cannot_be_read_is_refused(project, path, message):
    for arguments in (("verify", path), ("compare", ARCHIVE, path)):
        code, text = command(project, *arguments)
        assert code == 2
        assert message in text


def test_archive_and_results_are_the_same(project):
    assert command(project, "compare", ARCHIVE, "results/sky")[0] == 0


def test_pinned_configuration_keeps_what_it_does_not_know():
    config = {
        "results": "elsewhere",
        "datastore": "store",
        "exclusion_mask": ["icrs; circle(1, 2, 3)", "a/b.reg", "c/b.reg"],
        "fields": {"one": None, "two": {}},
    }
    pinned, files = pinned_config(config, "one", [1, 2])
    assert pinned == {
        "datastore": "store",
        "fields": {
            "one": {
                "observations": {"obs_ids": [1, 2]},
                "exclusion_mask": [
                    "icrs; circle(1, 2, 3)",
                    "../inputs/2/b.reg",
                    "../inputs/3/b.reg",
                ],
            }
        },
    }
    assert files == {"inputs/2/b.reg": "a/b.reg", "inputs/3/b.reg": "c/b.reg"}


@pytest.mark.slow
def test_other_checkouts_find_the_images_of_runs_in_a_shared_cache(
    built, project, tmp_path, monkeypatch
):
    """The same content under another field is found, a changed one is not; damage heals for all."""
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "cache"))
    shutil.rmtree(project.folder / "results")
    assert project.snakemake("--cache").code == 0
    other = Project(tmp_path / "other", {**SETTINGS, "fields": {"again": None}})
    with fits.open(project.folder.parent / "store/run_1002.fits", "update") as hdus:
        hdus["EVENTS"].data["ENERGY"][:5] *= 2
    done = other.snakemake("--cache")
    assert done.code == 0, done.text
    runs = other.folder / "results/again/runs"
    for obs_id in (1001, 1003, 1004):
        ours = project.folder / "results/sky/runs"
        for name in (f"{obs_id}.fits", f"{obs_id}.json"):
            assert os.path.samefile(runs / name, ours / name)
            assert (runs / name).stat().st_mode & 0o777 == 0o644
    cached = runs / "1003.fits"
    intact = cached.read_bytes()
    cached.write_bytes(flipped(intact, 8 * 20000))
    assert other.snakemake("--cache").code == 0
    assert cached.is_symlink() and cached.read_bytes() == intact
    changed = (runs / "1002.fits").read_bytes()
    assert changed != (project.folder / "results/sky/runs/1002.fits").read_bytes()
    code, text = command(other, "verify", "results/again")
    assert code == 0, text
    shutil.rmtree(other.folder / "results")
    assert other.snakemake().code == 0
    assert (runs / "1002.fits").read_bytes() == changed
