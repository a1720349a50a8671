"""Bundles in CTAO's dialect of GADF give what plain files of the same runs give."""

import shutil

import numpy as np
import pytest

from ctao_files import PRODUCT, write_bundles
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.hdus import hdu_types
from gammastack.dl3.observation import read_observation
from project import RUNS


@pytest.fixture(scope="module")
def bundles(simulated_store, tmp_path_factory):
    """A folder with the runs of the simulated store as bundles."""
    _, runs, model = simulated_store
    folder = tmp_path_factory.mktemp("bundles")
    write_bundles(folder, runs, model, seed=7)
    return folder


@pytest.fixture(scope="module")
def pairs(bundles, simulated_store):
    """Each run as it is read from its bundle, and from its plain file."""
    stores = DataStore.from_dir(bundles), simulated_store[0]
    return [
        [
            read_observation(obs_id, store.available(obs_id, hdu_types(["aeff"])))
            for store in stores
        ]
        for obs_id in RUNS
    ]


def test_bundles_are_a_store(bundles, simulated_store):
    store = DataStore.from_dir(bundles)
    assert "4 runs found in 4 files" in store.note
    assert "left out" not in store.note
    truth = {run.obs_id: run.zenith for run in simulated_store[1]}
    assert store.zeniths(store.obs_ids) == pytest.approx(truth)
    assert not any(store.lists(obs_id, "bkg") for obs_id in RUNS)


def test_bundles_have_the_same_events_and_areas(pairs):
    single = np.finfo(np.float32).eps
    for ours, plain in pairs:
        assert ours.findings == ()
        assert (ours.pointing, ours.deadc) == (plain.pointing, plain.deadc)
        for key in ("ra", "dec", "energy"):
            values = getattr(ours.events, key), getattr(plain.events, key)
            assert np.allclose(*values, rtol=single, atol=0)
        assert np.array_equal(ours.aeff.area, plain.aeff.area)


def test_times_are_those_of_tai(pairs):
    """They would be off by the 32.184 s between TT and TAI if the scale were not read."""
    for ours, plain in pairs:
        assert np.array_equal(ours.events.time, plain.events.time)
        assert ours.ontime == plain.ontime
        for key in ("time_ref", "start", "stop"):
            difference = getattr(ours, key) - getattr(plain, key)
            assert abs(difference.to_value("s")) < 1e-6


def test_maps_are_the_same(project, bundles):
    """None of the events is so close to the edge of a pixel or a band that rounding moves it."""
    project.change_config(background="acceptance")
    assert project.snakemake().code == 0
    plain = project.maps()
    for name in ("results", "store"):
        shutil.rmtree(project.folder / name)
    shutil.copytree(bundles, project.folder / "store")
    done = project.snakemake()
    assert done.code == 0, done.text
    ours = project.maps()
    assert ours.keys() == plain.keys() > {"counts", "significance", "exposure"}
    for name, image in plain.items():
        assert np.array_equal(ours[name], image, equal_nan=True), name


def test_bundles_are_valid(bundles):
    """In the eyes of CTAO, whose check of a file leaves out the types and units of columns."""
    peer = pytest.importorskip("ctao_datamodel")
    product = peer.models.dataproducts.Product
    assert product.model_fields["ctao_metadata_version"].default == PRODUCT["CTAOMETA"]
    from ctao_datamodel.models.dl3.ctao_gadf import CTAO_GADF_EVENTBUNDLE_HDUS

    for path in bundles.iterdir():
        for hdu, (header, columns) in CTAO_GADF_EVENTBUNDLE_HDUS.items():
            table, _ = peer.validate_fits_bintable_hdu(
                path, hdu=hdu, header_model=header, column_model=columns
            )
            if columns is not None:
                peer.model_validate_astropy_table(table, columns)
