"""Stores without index files: the index is made from the headers of the DL3 files."""

import errno
import gzip
import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.utils import iers

import index
from dl3_files import (
    DEADC,
    MJDREF,
    OBS_ID,
    POINTING,
    hdu_rows,
    plain_run,
    refused,
    write_index,
    write_run,
)
from gammastack import memory
from gammastack.dl3 import headers
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.folder_index import find_files, index_folder
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX
from gammastack.dl3.observation import read_observation
from gammastack.dl3.zenith import zenith_angle
from hostile import fits_header

RESPONSES = ("aeff", "bkg")


@pytest.fixture
def reads(monkeypatch):
    """Names of the files whose headers are read; all files seem old enough to be remembered."""
    names, read = [], headers._read
    monkeypatch.setattr(memory, "TOO_YOUNG", -(10**12))
    monkeypatch.setattr(
        headers, "_read", lambda path: names.append(Path(path).name) or read(path)
    )
    return names


def write(path, obs_id=OBS_ID, parts=("events", "gti", *RESPONSES), **cards):
    """Write some HDUs of a run; cards are those of its events."""
    run = {kind: table for kind, table in plain_run().items() if kind in parts}
    if "events" in run:
        run["events"].header |= {"OBS_ID": obs_id, **cards}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_run(path, run)


def bytes_of(index):
    tables = index.tables().values()
    return [hdu.header.tostring().encode() + hdu.data.tobytes() for hdu in tables]


@pytest.fixture
def index_script(monkeypatch, capsys):
    """Function that runs scripts/index.py, and returns its exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["index.py", *map(str, arguments)])
        return index.main(), *capsys.readouterr()

    return run


def test_store_without_index(tmp_path):
    write(tmp_path / "run.fits", OBJECT="Crab")
    write(tmp_path / "more" / "other.FITS.gz", 7, OBJECT="Vela")
    store = DataStore.from_dir(tmp_path)
    assert store.obs_ids == [7, OBS_ID]
    assert store.observations["OBJECT"].tolist() == ["Vela", "Crab"]
    assert store.observations["EVENT_COUNT"].tolist() == [9, 9]
    assert store.pointings([7]) == POINTING
    for obs_id in store.obs_ids:
        observation = read_observation(obs_id, store.available(obs_id))
        assert observation.deadc == DEADC == store.index_row(obs_id)["DEADC"]
        assert store.hdus(obs_id)["bkg"].hdu_class == "bkg_3d"
    assert f"'{tmp_path}' has no index; 2 runs found in 2 files" in store.note


def test_index_is_as_that_of_the_simulated_store(simulated_store, tmp_path):
    """But for the zenith angle, which is not in the headers, and what more there is."""
    store, _, _ = simulated_store
    for path in store.folder.glob("run_*.fits"):
        (tmp_path / path.name).symlink_to(path)
    found = DataStore.from_dir(tmp_path)
    for key in store.observations.keys() - {"ZEN_PNT"}:
        expected, values = store.observations[key], found.observations[key]
        assert values.dtype == expected.dtype
        assert values.tolist() == expected.tolist()
    for obs_id in store.obs_ids:
        for kind, hdu in store.hdus(obs_id).items():
            ours = found.hdus(obs_id)[kind]
            assert ours.path == hdu.path.replace(str(store.folder), str(tmp_path))
            assert (ours.hdu_name, ours.hdu_class) == (hdu.hdu_name, hdu.hdu_class)


@pytest.mark.parametrize("text", ["000123", " 123 ", "+123", 123.0])
def test_obs_id_that_is_no_whole_number_in_the_header(tmp_path, text):
    write(tmp_path / "run.fits", text)
    assert DataStore.from_dir(tmp_path).obs_ids == [123]


def test_obs_id_of_the_file(tmp_path):
    """The primary header has it for all HDUs that have none of their own."""
    for name, parts in (("run", ("events", "gti")), ("irf", RESPONSES)):
        path = write(tmp_path / f"{name}.fits", parts=parts)
        fits.setval(path, "OBS_ID", value="000123", ext=0)
    fits.delval(tmp_path / "run.fits", "OBS_ID", ext=1)
    write(tmp_path / "other.fits", 7, ("events", "gti"))
    fits.setval(tmp_path / "other.fits", "OBS_ID", value=8, ext=0)
    store = DataStore.from_dir(tmp_path)
    assert store.obs_ids == [7, 123]
    places = store.available(123)
    assert places["aeff"].path == str(tmp_path / "irf.fits")
    assert read_observation(123, places).obs_id == 123
    assert not store.lists(7, "aeff")


@pytest.mark.parametrize(
    "text",
    [
        "CTAO_2025_000123",
        "12a",
        "",
        "1.5",
        "1_2",
        1.5,
        "9" * 19,
        "9" * 30,
        -1,
        "-1",
        True,
    ],
)
def test_obs_id_that_is_no_number(tmp_path, text):
    write(tmp_path / "run.fits", text)
    write(tmp_path / "good.fits", 7)
    index = index_folder(tmp_path)
    assert [cards["OBS_ID"] for cards in index.observations] == [7]
    assert f"EVENTS has OBS_ID = {text!r}; a whole number" in index.left_out["run.fits"]
    (tmp_path / "good.fits").unlink()
    with refused(tmp_path, "nor a run among its 1 FITS files", "run.fits", repr(text)):
        DataStore.from_dir(tmp_path)


def test_name_that_the_index_cannot_hold(tmp_path):
    write(tmp_path / "données.fits")
    assert "beyond ASCII" in index_folder(tmp_path).left_out["données.fits"]


def test_run_without_pointing(tmp_path):
    write(tmp_path / "run.fits", RA_PNT="unknown")
    assert index_folder(tmp_path).left_out == {"run.fits": "EVENTS has no RA_PNT"}


def no_fits(content):
    return b"<html>404 not found</html>"


def empty(content):
    return b""


def damaged_gzip(content):
    compressed = bytearray(gzip.compress(content))
    compressed[20:2000] = bytes(1980)
    return bytes(compressed)


def within_a_header(content):
    return content[:4000]


def negative_size(content):
    """The data would end where their header starts: a reader could go on for ever."""
    primary = fits_header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0")
    cards = ("XTENSION= 'IMAGE   '", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = -2880")
    return primary + fits_header(*cards)


@pytest.mark.parametrize(
    "damage", [no_fits, empty, damaged_gzip, within_a_header, negative_size]
)
def test_unreadable_file_is_left_out_with_the_reason(tmp_path, damage):
    write(tmp_path / "good.fits")
    bad = write(tmp_path / "bad.fits", 7)
    bad.write_bytes(damage(bad.read_bytes()))
    store = DataStore.from_dir(tmp_path)
    assert store.obs_ids == [OBS_ID]
    assert "1 run found in 2 files; left out: bad.fits (" in store.note
    assert list(index_folder(tmp_path).left_out) == ["bad.fits"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("EVENTS", "has two HDUs named EVENTS"),
        ("", "has an HDU of class gti without a name (EXTNAME)"),
    ],
)
def test_hdus_behind_one_that_cannot_be_found_by_its_name(tmp_path, name, problem):
    run = plain_run()
    run["gti"].name = name
    run["gti"].header["HDUCLAS1"] = "GTI"
    write_run(tmp_path / "run.fits", run)
    store = DataStore.from_dir(tmp_path)
    assert f"run.fits ({problem})" in store.note
    assert list(store.available(OBS_ID, ("events", *RESPONSES))) == [
        "events",
        *RESPONSES,
    ]


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_truncated_run_stays_in_the_index(tmp_path, compress):
    """So that it is among those that fail, and no one looks for it in vain."""
    path = write(tmp_path / "run.fits")
    with fits.open(path) as hdus:
        end = hdus["GTI"].fileinfo()["datLoc"] + 10
    path.write_bytes(path.read_bytes()[:end])
    if compress is gzip.compress:
        path.write_bytes(gzip.compress(path.read_bytes())[:-4])
    store = DataStore.from_dir(tmp_path)
    assert store.obs_ids == [OBS_ID]
    assert "run.fits (truncated: " in store.note
    with refused("run.fits: truncated"):
        store.available(OBS_ID)


def test_compressed_file_of_many_members(tmp_path):
    """Such as bgzip writes; the time does not grow with the square of their number."""
    path = write(tmp_path / "run.fits.gz")
    content, end = gzip.decompress(path.read_bytes()), gzip.compress(b"")
    parts = [content[start : start + 2880] for start in range(0, len(content), 2880)]
    path.write_bytes(b"".join(map(gzip.compress, parts)) + end * 250_000)
    start = time.process_time()
    assert index_folder(tmp_path).n_runs == 1
    assert time.process_time() - start < 15


def test_compressed_file_that_would_fill_the_memory(tmp_path):
    write(tmp_path / "run.fits")
    (tmp_path / "bomb.fits").write_bytes(gzip.compress(bytes(2**20), 1) * 513)
    index = index_folder(tmp_path)
    assert index.n_runs == 1
    assert "unpacks to more than 512 MB" in index.left_out["bomb.fits"]


def test_link_to_nothing_and_loops(tmp_path):
    write(tmp_path / "data" / "run.fits")
    (tmp_path / "data" / "loop").symlink_to(tmp_path)
    (tmp_path / "same").symlink_to(tmp_path / "data")
    (tmp_path / "same.fits").symlink_to(tmp_path / "data" / "run.fits")
    (tmp_path / "gone.fits").symlink_to(tmp_path / "nowhere.fits")
    (tmp_path / "itself.fits").symlink_to(tmp_path / "itself.fits")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe.fits")
    assert find_files(tmp_path)[0] == ["data/run.fits"]
    index = index_folder(tmp_path)
    assert index.n_runs == 1
    assert index.left_out == {
        "folder": "cannot be read (No such file or directory)",
        "gone.fits": "cannot be read (No such file or directory)",
        "itself.fits": "cannot be read (Too many levels of symbolic links)",
    }


def test_linked_folders_are_searched(tmp_path):
    write(tmp_path / "elsewhere" / "run.fits")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "data").symlink_to(tmp_path / "elsewhere")
    assert find_files(tmp_path / "store") == (["data/run.fits"], {})


def test_hidden_files_and_results_are_no_data(tmp_path, built):
    write(tmp_path / "run.fits")
    write(tmp_path / ".snakemake" / "run.fits", 7)
    write(tmp_path / ".run.fits", 8)
    for part in ("runs", "groups", "1TeV-10TeV"):
        shutil.copytree(
            built.folder / "results" / "sky" / part, tmp_path / "results" / part
        )
    index = index_folder(tmp_path)
    assert [cards["OBS_ID"] for cards in index.observations] == [OBS_ID]
    assert (index.n_files, index.left_out) == (1, {})


def test_run_in_two_files_fails(tmp_path):
    write(tmp_path / "a.fits")
    write(tmp_path / "b.fits")
    write(tmp_path / "c.fits", 7)
    store = DataStore.from_dir(tmp_path)
    assert store.available(7)
    with refused("headers of the files", OBS_ID, "2 rows", "a.fits, b.fits"):
        store.available(OBS_ID)
    assert index_folder(tmp_path).left_out == {
        "b.fits": f"run {OBS_ID} is in a.fits, too; keep one"
    }


@pytest.mark.parametrize("way", ["header", "file name"])
def test_responses_in_other_files(tmp_path, way):
    """The OBS_ID in their headers, or in the name of the file, tells whose they are."""
    for obs_id in (7, 8):
        write(tmp_path / f"{obs_id}.fits", obs_id, ("events", "gti"))
        name = (
            f"irf_{obs_id}.fits"
            if way == "file name"
            else f"irf_{'ab'[obs_id % 7]}.fits"
        )
        path = write(tmp_path / name, parts=RESPONSES)
        if way == "header":
            for number in (1, 2):
                fits.setval(path, "OBS_ID", value=f"{obs_id:06}", ext=number)
    store = DataStore.from_dir(tmp_path)
    for obs_id, name in ((7, "a"), (8, "b")):
        name = f"irf_{obs_id if way == 'file name' else name}.fits"
        assert store.available(obs_id)["aeff"].path == str(tmp_path / name)
    assert "is the" not in store.note


def test_shared_responses(tmp_path):
    """They serve the runs that have none of their own."""
    write(tmp_path / "events" / "a.fits", 7, ("events", "gti"))
    write(tmp_path / "events" / "b.fits", 8, ("events", "gti", "aeff"))
    write(tmp_path / "irf" / "z20_50h.fits", parts=RESPONSES)
    store = DataStore.from_dir(tmp_path)
    files = {
        obs_id: [
            os.path.basename(store.available(obs_id)[kind].path) for kind in RESPONSES
        ]
        for obs_id in (7, 8)
    }
    assert files == {7: ["z20_50h.fits"] * 2, 8: ["b.fits", "z20_50h.fits"]}
    assert "irf/z20_50h.fits is the aeff_2d of runs without one" in store.note


def test_responses_that_no_run_needs_are_named(tmp_path):
    write(tmp_path / "7.fits", 7)
    write(tmp_path / "irf_7.fits", parts=["aeff"])
    write(tmp_path / "irf.fits", parts=["bkg"])
    index = index_folder(tmp_path)
    assert index.left_out == {
        "irf.fits": "BKG (bkg_3d) belongs to no run, and none needs it",
        "irf_7.fits": "AEFF is not used: run 7 has its own aeff",
    }
    assert {path for _, _, _, path, _, _ in index.hdus} == {"7.fits"}


def two_runs(parts=("events", "gti", *RESPONSES)):
    """The tables of runs 7 and 8, to be written into one file."""
    tables = {}
    for number, obs_id in enumerate((7, 8)):
        for kind in parts:
            table = plain_run()[kind]
            table.name += str(number)
            table.header |= {"OBS_ID": obs_id, "HDUCLAS1": kind.upper()}
            tables[kind, obs_id] = table
    return tables


def test_responses_for_all_runs_in_a_file(tmp_path):
    """Some writers give them the OBS_ID 0."""
    tables = two_runs(("events", "gti"))
    tables |= {kind: plain_run()[kind] for kind in RESPONSES}
    for kind in RESPONSES:
        tables[kind].header["OBS_ID"] = 0
    write_run(tmp_path / "both.fits", tables)
    store = DataStore.from_dir(tmp_path)
    for one in (7, 8):
        assert store.available(one)["aeff"].hdu_name == "AEFF"


def test_response_of_none_of_the_runs_in_a_file(tmp_path):
    tables = two_runs()
    tables["aeff", 8].header["OBS_ID"] = 9
    write_run(tmp_path / "both.fits", tables)
    index = index_folder(tmp_path)
    text = "AEFF1 is of run 9, which is none of those in the file"
    assert index.left_out == {"both.fits": text}
    store = DataStore.from_dir(tmp_path)
    assert store.lists(7, "aeff") and not store.lists(8, "aeff")


def test_two_runs_in_a_file(tmp_path):
    """An HDU belongs to the run whose OBS_ID is in its header."""
    write_run(tmp_path / "both.fits", two_runs())
    store = DataStore.from_dir(tmp_path)
    for number, obs_id in enumerate((7, 8)):
        names = {hdu.hdu_name for hdu in store.available(obs_id).values()}
        assert names == {f"{kind}{number}" for kind in ("EVENTS", "GTI", "AEFF", "BKG")}


def test_several_responses_without_a_run_are_not_shared(tmp_path):
    write(tmp_path / "a.fits", 7, ("events", "gti", "bkg"))
    for name in ("south", "north"):
        write(tmp_path / f"{name}.fits", parts=["aeff"])
    index = index_folder(tmp_path)
    assert list(index.left_out) == ["north.fits", "south.fits"]
    assert "nor is it the only such file" in index.left_out["north.fits"]
    with refused("observation 7 has no HDU of type aeff"):
        DataStore.from_dir(tmp_path).available(7)


def test_results_are_not_shared(tmp_path):
    write(tmp_path / "a.fits", 7, ("events", "gti"))
    path = write(tmp_path / "acceptance.fits", parts=["bkg"])
    fits.setval(path, "CREATOR", value="gammastack 1.0", ext=1)
    index = index_folder(tmp_path)
    assert (index.n_files, index.shared, index.left_out) == (1, {}, {})


def test_responses_of_another_run_are_not_shared(tmp_path):
    write(tmp_path / "a.fits", 7, ("events", "gti", "bkg"))
    path = write(tmp_path / "irf.fits", parts=["aeff"])
    fits.setval(path, "OBS_ID", value=8, ext=1)
    assert index_folder(tmp_path).left_out == {
        "irf.fits": "AEFF is of run 8, of which there are no events"
    }


@pytest.mark.parametrize("part", [*RESPONSES, "events", "gti"])
def test_hdus_without_classes_in_the_header(tmp_path, part):
    """Names tell which are events and intervals, columns what the responses are."""
    path = write(tmp_path / "run.fits")
    with fits.open(path, mode="update") as hdus:
        for key in ("HDUCLASS", "HDUCLAS3", "HDUCLAS4"):
            hdus[part.upper()].header.remove(key, ignore_missing=True)
    store = DataStore.from_dir(tmp_path)
    assert store.available(OBS_ID)[part].hdu_name == part.upper()


def test_only_new_files_are_read_again(tmp_path, reads):
    store, cache = tmp_path / "store", tmp_path / "cache.json"
    write(store / "a.fits", 7)
    write(store / "b.fits", 8)
    first = bytes_of(index_folder(store, cache))
    assert sorted(reads) == ["a.fits", "b.fits"]
    assert bytes_of(index_folder(store, cache)) == first
    assert len(reads) == 2
    write(store / "c.fits", 9)
    (store / "a.fits").unlink()
    index = index_folder(store, cache)
    assert reads[2:] == ["c.fits"]
    assert [cards["OBS_ID"] for cards in index.observations] == [8, 9]
    assert "a.fits" not in cache.read_text()
    assert bytes_of(index) == bytes_of(index_folder(store))


def test_memory_of_another_reader_is_not_used(tmp_path, reads, monkeypatch):
    store, cache = tmp_path / "store", tmp_path / "cache.json"
    write(store / "a.fits", 7)
    index_folder(store, cache)
    monkeypatch.setattr(headers, "READER", headers.READER + 1)
    index_folder(store, cache)
    assert reads == ["a.fits"] * 2


def test_file_that_the_system_refuses_is_read_again(tmp_path, reads, monkeypatch):
    store, cache = tmp_path / "store", tmp_path / "cache.json"
    write(store / "a.fits", 7)

    def fail(file):
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as failing:
        failing.setattr(headers, "_read_hdus", fail)
        left_out = index_folder(store, cache).left_out
    assert left_out == {"a.fits": "cannot be read (Permission denied)"}
    assert index_folder(store, cache).n_runs == 1
    assert reads == ["a.fits"] * 2


def test_times_refer_to_one_zero(tmp_path):
    time = {"TSTART": 100.0, "TSTOP": 200.0}
    write(tmp_path / "a.fits", 7, **time)
    write(tmp_path / "b.fits", 8, **time, MJDREFI=MJDREF + 2)
    write(tmp_path / "c.fits", 9, **time, TIMESYS="UTC")
    store = DataStore.from_dir(tmp_path)
    header = index_folder(tmp_path).tables()[OBS_INDEX].header
    assert header["MJDREFI"] == MJDREF
    start = store.observations["TSTART"]
    assert start[:2].tolist() == [100, 100 + 2 * 86400] and np.isnan(start[2])


@pytest.mark.parametrize("name", [OBS_INDEX, HDU_INDEX])
def test_one_index_file_is_missing(tmp_path, index_script, name):
    write(tmp_path / "run.fits")
    index_script(tmp_path)
    (tmp_path / name).unlink()
    with refused(f"no {name}", f"scripts/index.py {tmp_path} --overwrite"):
        DataStore.from_dir(tmp_path)


def test_folder_without_data(tmp_path):
    with refused(tmp_path, OBS_INDEX, HDU_INDEX, "nor a run among its 0 FITS files"):
        DataStore.from_dir(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("obs-index.fits", "hdu-index.fits.gz"),
        ("obs-index.fits.gz", "hdu-index.fits"),
        ("OBS-INDEX.FITS", "Hdu-Index.fits.GZ"),
    ],
)
def test_names_of_index_files(tmp_path, names):
    write(tmp_path / "run.fits")
    write_index(tmp_path, [(OBS_ID, "Crab", 20.0, -30.0, 45.0)], hdu_rows(OBS_ID))
    for old, new in zip((OBS_INDEX, HDU_INDEX), names, strict=True):
        content = (tmp_path / old).read_bytes()
        (tmp_path / old).unlink()
        is_plain = not new.lower().endswith(".gz")
        (tmp_path / new).write_bytes(gzip.decompress(content) if is_plain else content)
    store = DataStore.from_dir(tmp_path)
    assert store.note == ""
    assert store.zenith(OBS_ID) == 45
    assert store.available(OBS_ID)


def test_script_writes_the_index(tmp_path, index_script):
    write(tmp_path / "data" / "run.fits")
    (tmp_path / "data" / "bad.fits").write_bytes(b"")
    code, output, _ = index_script(tmp_path)
    assert (code, output.splitlines()[-1]) == (0, "left out: data/bad.fits: empty")
    assert output.startswith("Runs: 1, files: 2: ")
    store = DataStore.from_dir(tmp_path)
    assert (store.note, store.obs_ids) == ("", [OBS_ID])
    before = {name: (tmp_path / name).read_bytes() for name in (OBS_INDEX, HDU_INDEX)}
    code, _, errors = index_script(tmp_path)
    assert (code, "--overwrite" in errors) == (2, True)
    assert index_script(tmp_path, "--overwrite")[0] == 0
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


def test_script_writes_elsewhere(tmp_path, index_script):
    write(tmp_path / "data" / "run.fits")
    output = tmp_path / "new" / "index"
    assert index_script(tmp_path / "data", "--output", output)[0] == 0
    path = DataStore.from_dir(output).available(OBS_ID)["events"].path
    assert os.path.samefile(path, tmp_path / "data" / "run.fits")
    assert not list((tmp_path / "data").glob("*index*"))


def test_script_for_a_folder_beyond_ascii(tmp_path, index_script):
    write(tmp_path / "données" / "run.fits")
    arguments = tmp_path / "données", "--output", tmp_path / "index"
    code, _, errors = index_script(*arguments)
    assert (code, "../données: the index cannot hold" in errors) == (2, True)
    assert index_script(tmp_path / "données")[0] == 0


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_script_without_a_run(tmp_path, index_script, folder):
    code, output, errors = index_script(tmp_path / folder)
    assert (code, output, errors[:7]) == (2, "", "ERROR: ")
    assert not list(tmp_path.iterdir())


# Zenith angles

SITE = -17.8920, 28.7619, 2200.0


def test_zenith_of_the_celestial_pole():
    """It is 90 deg - latitude, at any time, within the 0.1 deg of precession and nutation."""
    mjd = np.linspace(50_000, 60_000, 50)
    zenith = zenith_angle(0.0, 90.0, mjd, "TT", SITE)
    assert np.abs(zenith - (90 - SITE[1])).max() < 0.15


@pytest.mark.parametrize("scale", ["TT", "UTC", "TAI"])
def test_zenith_is_as_in_astropy(scale):
    """Also for years that the tables of the rotation of the Earth do not cover."""
    mjd = np.array([40_000.3, 51_544.9, 53_343.93, 60_000.1, 75_000.7])
    ra, dec = (
        np.array([10.0, 83.6, 83.6, 266.4, 300]),
        np.array([80.0, 22, 22, -29, -60]),
    )
    lon, lat, height = SITE
    ours = zenith_angle(ra, dec, mjd, scale, SITE)
    with iers.conf.set_temp("auto_download", False):
        frame = AltAz(
            obstime=Time(mjd[1:4], format="mjd", scale=scale.lower()),
            location=EarthLocation(
                lon=lon * u.deg, lat=lat * u.deg, height=height * u.m
            ),
        )
        theirs = SkyCoord(ra[1:4], dec[1:4], unit="deg").transform_to(frame).zen.deg
    assert np.abs(ours[1:4] - theirs).max() < 0.01
    assert np.isfinite(ours).all()


@pytest.mark.parametrize(
    "arguments",
    [(np.nan, 0, 5e4), (0, 95, 5e4), (0, 0, np.nan), (0, 0, 1e9), (0, 0, -1e9)],
)
def test_zenith_that_cannot_be_known(arguments):
    assert np.isnan(zenith_angle(*arguments, "TT", SITE)).all()


def test_zenith_of_the_hess_release(hess_store):
    """ZEN_PNT of the release is that of the target, not of the pointing, as time shows.

    The mean altitude of a run of half an hour is not that of its middle, either.
    """
    table = hess_store.observations
    header = {"MJDREFI": 51910, "MJDREFF": 0.000742870370370241}
    mjd = sum(header.values()) + (table["TSTART"] + table["TSTOP"]) / 2 / 86400
    site = 16.5002222222222, -23.2717777777778, 1835.0
    zenith = zenith_angle(table["RA_OBJ"], table["DEC_OBJ"], mjd, "TT", site)
    difference = np.abs(zenith - table["ZEN_PNT"])
    assert np.median(difference) < 0.15
    assert np.sum(difference > 0.5) == 1  # run 28981
    zenith = zenith_angle(table["RA_PNT"], table["DEC_PNT"], mjd, "TT", site)
    assert np.median(np.abs(zenith - table["ZEN_PNT"])) < 0.5


PLACE = {"GEOLON": 0.0, "GEOLAT": 10.0, "ALTITUDE": 0.0, "TSTART": 0.0, "TSTOP": 0.0}


@pytest.mark.parametrize(
    ("cards", "zenith"),
    [
        ({"ZEN_PNT": 33.0, "ALT_PNT": 1.0}, 33),
        ({"ALT_PNT": 50.0}, 40),
        # Near the pole the zenith angle is 90 deg - latitude
        ({**PLACE, "DEC_PNT": 90.0}, 80),
        ({**PLACE, "DEC_PNT": 90.0, "GEOLAT": "10.0"}, 80),
        # Placeholders of what is not known
        ({"ZEN_PNT": -1.0, "ALT_PNT": 50.0}, 40),
        ({**PLACE, "DEC_PNT": 90.0, "ZEN_PNT": 999.0, "ALT_PNT": -999.0}, 80),
        ({}, np.nan),
    ],
)
def test_zenith_of_a_store_without_index(tmp_path, cards, zenith):
    write(tmp_path / "run.fits", **cards)
    store = DataStore.from_dir(tmp_path)
    assert store.zenith(OBS_ID) == pytest.approx(zenith, abs=0.15, nan_ok=True)
    assert ("ZENITH" in store.index_row(OBS_ID)) == bool(cards)


@pytest.mark.parametrize("placeholder", [-1.0, 999.0])
def test_placeholder_of_a_zenith_angle_in_both(tmp_path, placeholder):
    cards = {**PLACE, "DEC_PNT": 90.0, "ZEN_PNT": placeholder}
    write(tmp_path / "run.fits", 7, **cards)
    write_index(tmp_path, [(7, "", 20.0, -30.0, placeholder)], hdu_rows(7))
    store = DataStore.from_dir(tmp_path)
    assert store.zeniths([7])[7] == pytest.approx(80, abs=0.15)


def test_zenith_that_only_the_header_has(tmp_path, reads):
    """It is looked for if it is needed, and only for the runs that need it."""
    for obs_id, zenith in ((7, 25.0), (8, 35.0)):
        write(tmp_path / f"{obs_id}.fits", obs_id, ZEN_PNT=zenith)
    rows = hdu_rows(7, name="7.fits") + hdu_rows(8, name="8.fits")
    observations = [(7, "", 20.0, -30.0, 45.0), (8, "", 20.0, -30.0, np.nan)]
    write_index(tmp_path, observations, rows)
    store = DataStore.from_dir(tmp_path)
    assert store.index_row(7)["ZENITH"] == 45
    assert "ZENITH" not in store.index_row(8)
    assert reads == []
    assert store.zeniths([7, 8]) == {7: 45, 8: 35}
    assert reads == ["8.fits"]


def test_zenith_from_the_columns_of_the_index(hess_store, tmp_path, reads):
    """The header of the release has the site, as texts."""
    with fits.open(hess_store.index_file(OBS_INDEX)) as hdus:
        columns = [
            column
            for column in hdus[1].columns
            if column.name not in ("ZEN_PNT", "ALT_PNT")
        ]
        table = fits.BinTableHDU.from_columns(columns, header=hdus[1].header)
        table.writeto(tmp_path / OBS_INDEX)
    shutil.copy(hess_store.index_file(HDU_INDEX), tmp_path)
    store = DataStore.from_dir(tmp_path)
    assert np.isnan(store.zenith(23523))
    # ZEN_PNT of the release is that of the Crab nebula, 0.5 deg from the pointing.
    for obs_id, zenith in store.zeniths([23523, 23526]).items():
        assert zenith == pytest.approx(hess_store.zenith(obs_id), abs=0.7)
    assert reads == []


def test_hess_release_without_index(hess_store, tmp_path):
    """The index is that of the release, whose numbers are float32, but for what it adds."""
    (tmp_path / "data").symlink_to((hess_store.folder / "data").resolve())
    store = DataStore.from_dir(tmp_path)
    assert "105 runs found in 105 files" in store.note
    ours, theirs = store.observations, hess_store.observations
    for key in ours.keys() & theirs.keys():
        if theirs[key].dtype == object:
            assert ours[key].tolist() == theirs[key].tolist()
        else:
            assert np.allclose(ours[key], theirs[key], rtol=1e-6)
    for obs_id in hess_store.obs_ids:
        places = [
            {
                kind: (os.path.basename(hdu.path), hdu.hdu_class, hdu.hdu_name.upper())
                for kind, hdu in one.hdus(obs_id).items()
            }
            for one in (store, hess_store)
        ]
        assert places[0] == places[1]


# The workflow


@pytest.mark.slow
def test_products_without_index_are_the_same(project):
    """Bit for bit, if the headers say of the zenith angle what the index says."""
    store = project.folder / "store"
    with fits.open(store / OBS_INDEX) as hdus:
        zenith = dict(zip(hdus[1].data["OBS_ID"], hdus[1].data["ZEN_PNT"], strict=True))
    for obs_id, value in zenith.items():
        path = store / f"run_{obs_id}.fits"
        fits.setval(path, "ZEN_PNT", value=value, ext=1)
        with fits.open(path, mode="update") as hdus:
            hdus[1].add_checksum()
    project.snakemake()
    expected = project.products()
    for name in (OBS_INDEX, HDU_INDEX):
        (store / name).unlink()
    done = project.snakemake("--forceall")
    assert done.code == 0, done.text
    assert "datastore: 'store' has no index; 4 runs found in 4 files" in done.text
    assert project.products() == expected
    assert (project.folder / ".snakemake" / "dl3_headers.json").exists()
    # Without --forceall, as nothing has changed
    assert project.snakemake().jobs == []
