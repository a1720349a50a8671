import os

import numpy as np
import pytest
from astropy.io import fits

from dl3_files import (
    HDU_CLASSES,
    HDU_COLUMNS,
    OBS_ID,
    OBSERVATION_COLUMNS,
    hdu_rows,
    plain_run,
    refused,
    text_table,
    write_index,
    write_run,
)
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX
from gammastack.dl3.observation import read_observation
from gammastack.dl3.simulate import index_hdus, simulated_runs
from gammastack.files.gadf import write_hdus

OBSERVATIONS = [(OBS_ID, "Crab", 83.0, 22.0, 45.0), (7, "Vela", 128.0, -45.0, 30.0)]


def store_of(folder, hdus, observations=OBSERVATIONS, **options):
    write_index(folder, observations, hdus, **options)
    return DataStore.from_dir(folder)


@pytest.mark.parametrize("ending", [".fits.gz", ".fits"])
def test_index_files(tmp_path, ending):
    store = store_of(tmp_path, hdu_rows(OBS_ID), ending=ending)
    assert store.obs_ids == [7, OBS_ID]
    assert store.observations["OBJECT"].tolist() == ["Vela", "Crab"]
    assert store.pointings([OBS_ID]) == (83, 22)
    found = store.hdus(OBS_ID)
    assert {kind: hdu.hdu_class for kind, hdu in found.items()} == HDU_CLASSES
    assert found["aeff"].path == str(tmp_path / "run.fits")
    assert found["aeff"].hdu_name == "AEFF"


def test_simulated_index(tmp_path):
    runs = simulated_runs((83.6, 22.0), 0.7, 3, seed=0)
    observations, hdus = index_hdus(runs, [f"{run.obs_id}.fits" for run in runs])
    write_hdus(tmp_path / "obs-index.fits.gz", [observations])
    write_hdus(tmp_path / "hdu-index.fits.gz", [hdus])
    store = DataStore.from_dir(tmp_path)
    assert store.observations["RA_PNT"].tolist() == [run.ra for run in runs]
    assert store.hdus(1002)["bkg"].path == str(tmp_path / "1002.fits")


@pytest.mark.parametrize("way", ["relative", "parent", "absolute", "base_dir", "both"])
def test_folder_of_files(tmp_path, way):
    folder, data = tmp_path / "store", tmp_path / "elsewhere"
    folder.mkdir()
    data.mkdir()
    (folder / "elsewhere").symlink_to(data)
    write_run(data / "run.fits", plain_run())
    file_dir, base_dir = {
        "relative": ("elsewhere", None),
        "parent": ("../elsewhere", None),
        "absolute": (str(data), None),
        "base_dir": ("", data),
        "both": ("elsewhere", tmp_path),
    }[way]
    store = store_of(folder, hdu_rows(OBS_ID, file_dir), base_dir=base_dir)
    path = store.hdus(OBS_ID)["events"].path
    assert os.path.samefile(path, data / "run.fits")
    assert len(read_observation(OBS_ID, store.hdus(OBS_ID)).events.time) == 9


def test_runs_share_a_response_file(tmp_path):
    run = plain_run()
    responses = {kind: run.pop(kind) for kind in ("aeff", "bkg")}
    write_run(tmp_path / "irf.fits", responses)
    rows = []
    for obs_id, deadc in ((OBS_ID, 0.9), (7, 0.8)):
        run["events"].header |= {"DEADC": deadc, "OBS_ID": obs_id}
        name = write_run(tmp_path / f"{obs_id}.fits", run).name
        rows += hdu_rows(obs_id, name=name, classes={"events": "events", "gti": "gti"})
        shared = {"aeff": "aeff_2d", "bkg": "bkg_3d"}
        rows += hdu_rows(obs_id, name="irf.fits", classes=shared)
    store = store_of(tmp_path, rows)
    first, second = (read_observation(i, store.hdus(i)) for i in (OBS_ID, 7))
    assert (first.deadc, second.deadc) == (0.9, 0.8)
    assert np.array_equal(first.aeff.area, second.aeff.area)
    assert np.array_equal(first.bkg.rate, second.bkg.rate)


def test_capitals_in_the_hdu_index_do_not_matter(tmp_path):
    classes = {kind.upper(): name.upper() for kind, name in HDU_CLASSES.items()}
    store = store_of(tmp_path, hdu_rows(OBS_ID, classes=classes))
    assert store.hdus(OBS_ID)["bkg"].hdu_class == "bkg_3d"


def test_of_two_background_models_the_3d_one_is_taken(tmp_path):
    rows = hdu_rows(OBS_ID, classes={"bkg": "bkg_2d"}) + hdu_rows(OBS_ID)
    store = store_of(tmp_path, rows)
    assert store.hdus(OBS_ID)["bkg"].hdu_class == "bkg_3d"


def test_only_what_is_asked_for_must_be_listed(tmp_path):
    rows = hdu_rows(OBS_ID, classes={"events": "events", "gti": "gti"})
    found = store_of(tmp_path, rows).hdus(OBS_ID, ("events", "gti"))
    assert list(found) == ["events", "gti"]


@pytest.mark.parametrize("kind", HDU_CLASSES)
def test_run_without_an_hdu_in_the_index(tmp_path, kind):
    classes = {key: name for key, name in HDU_CLASSES.items() if key != kind}
    store = store_of(tmp_path, hdu_rows(OBS_ID, classes=classes))
    with refused("hdu-index.fits.gz", OBS_ID, f"no HDU of type {kind}"):
        store.hdus(OBS_ID)


def test_run_without_background_may_be_counted(tmp_path):
    classes = {key: name for key, name in HDU_CLASSES.items() if key != "bkg"}
    store = store_of(tmp_path, hdu_rows(OBS_ID, classes=classes))
    with refused("make_background_image: false"):
        store.hdus(OBS_ID)


def test_hdu_of_another_class(tmp_path):
    store = store_of(tmp_path, hdu_rows(OBS_ID, classes={"bkg": "bkg_4d"}))
    with refused("bkg_3d or bkg_2d", "only bkg_4d"):
        store.hdus(OBS_ID, ["bkg"])


def test_run_that_the_hdu_index_does_not_know(tmp_path):
    store = store_of(tmp_path, hdu_rows(OBS_ID))
    with refused("hdu-index.fits.gz", "observation 7"):
        store.hdus(7)


def test_hdu_listed_twice(tmp_path):
    store = store_of(tmp_path, hdu_rows(OBS_ID) + hdu_rows(OBS_ID))
    with refused("hdu-index.fits.gz", OBS_ID, "2 rows", "events"):
        store.hdus(OBS_ID)


def test_observation_listed_twice(tmp_path):
    """Only that observation is not available."""
    again = (OBS_ID, "Crab", 84.0, 22.0, 45.0)
    write_run(tmp_path / "run.fits", plain_run())
    rows = hdu_rows(OBS_ID) + hdu_rows(7)
    store = store_of(tmp_path, rows, [*OBSERVATIONS, again])
    assert store.obs_ids == [7, OBS_ID]
    assert store.pointings([OBS_ID]) == (83, 22)
    assert store.available(7) == store.hdus(7)
    with refused("obs-index.fits.gz", f"observation {OBS_ID} has 2 rows"):
        store.available(OBS_ID)


def test_negative_obs_id(tmp_path):
    store = store_of(tmp_path, hdu_rows(-1), [(-1, "Crab", 83.0, 22.0, 45.0)])
    with refused("obs-index.fits.gz: OBS_ID -1 is not a whole number, 0 or more"):
        _ = store.obs_ids


def test_missing_folder(tmp_path):
    with refused("datastore", tmp_path / "nowhere", "does not exist", "GAMMAPY_DATA"):
        DataStore.from_dir(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["obs-index.fits.gz", "hdu-index.fits.gz"])
def test_missing_index(tmp_path, name):
    write_index(tmp_path, OBSERVATIONS, hdu_rows(OBS_ID))
    (tmp_path / name).unlink()
    with refused(tmp_path, f"no {name}"):
        DataStore.from_dir(tmp_path)


def no_fits(path):
    path.write_text("<html>404 not found</html>")


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    path.write_bytes(path.read_bytes()[:-200])


def corrupt(path):
    data = bytearray(path.read_bytes())
    data[30:60] = bytes(30)
    path.write_bytes(data)


def without_table(path):
    fits.PrimaryHDU().writeto(path, overwrite=True)


def with_image(path):
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)))]
    fits.HDUList(hdus).writeto(path, overwrite=True)


@pytest.mark.parametrize(
    "damage", [no_fits, empty, truncated, corrupt, without_table, with_image]
)
@pytest.mark.parametrize("name", ["obs-index.fits.gz", "hdu-index.fits.gz"])
def test_unreadable_index(tmp_path, name, damage):
    store = store_of(tmp_path, hdu_rows(OBS_ID))
    damage(tmp_path / name)
    with refused(tmp_path / name):
        _ = store.observations
        store.hdus(OBS_ID)


@pytest.mark.parametrize(
    ("name", "rows", "names", "column"),
    [
        ("obs-index.fits.gz", OBSERVATIONS, OBSERVATION_COLUMNS, "DEC_PNT"),
        ("hdu-index.fits.gz", hdu_rows(OBS_ID), HDU_COLUMNS, "FILE_DIR"),
    ],
)
def test_index_without_a_column(tmp_path, name, rows, names, column):
    store = store_of(tmp_path, hdu_rows(OBS_ID))
    renamed = [key.replace(column, "OTHER") for key in names]
    hdus = [fits.PrimaryHDU(), text_table("INDEX", rows, renamed)]
    fits.HDUList(hdus).writeto(tmp_path / name, overwrite=True)
    with refused(tmp_path / name, f"no column {column}"):
        _ = store.observations
        store.hdus(OBS_ID)


def test_hdu_index_with_a_column_of_numbers(tmp_path):
    rows = [(obs_id, kind, 3, *rest) for obs_id, kind, _, *rest in hdu_rows(OBS_ID)]
    store = store_of(tmp_path, rows)
    with refused(tmp_path / "hdu-index.fits.gz", "column HDU_CLASS has no text"):
        store.hdus(OBS_ID)


@pytest.mark.parametrize(("value", "folder"), [(5, "5"), (None, "")])
def test_base_dir_that_is_no_text(tmp_path, value, folder):
    store_of(tmp_path, hdu_rows(OBS_ID))
    fits.setval(tmp_path / "hdu-index.fits.gz", "BASE_DIR", value=value, ext=1)
    path = DataStore.from_dir(tmp_path).hdus(OBS_ID)["events"].path
    assert path == os.path.join(tmp_path, folder, "run.fits")


def test_files_that_are_still_to_be_made_are_not_looked_for(tmp_path):
    runs = simulated_runs((83.6, 22.0), 0.7, 3, seed=0)
    tables = index_hdus(runs, [f"{run.obs_id}.fits" for run in runs])
    index = dict(zip((OBS_INDEX, HDU_INDEX), tables, strict=True))
    store = DataStore(tmp_path / "store", index, is_planned=True)
    assert store.unknown_files() == {}


def test_files_of_the_selected_runs_must_be_there(tmp_path):
    write_run(tmp_path / "run.fits", plain_run())
    store = store_of(tmp_path, hdu_rows(OBS_ID) + hdu_rows(7, name="gone.fits"))
    assert store.available(OBS_ID) == store.hdus(OBS_ID)
    with refused("gone.fits: no such file, but the HDU index lists it"):
        store.available(7)


def test_hess_release(hess_store):
    assert len(hess_store.obs_ids) == 105
    row = hess_store.obs_ids.index(23523)
    assert hess_store.observations["TARGET_NAME"][row] == "Crab"
    assert hess_store.hdus(23523)["bkg"].hdu_name == "bkg"
    for obs_id in hess_store.obs_ids:
        assert hess_store.available(obs_id)
