import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.testing import assert_allclose

from gammastack.dl3.observation import read_observation
from gammastack.errors import DamagedResult
from gammastack.files.bands import write_bands
from gammastack.files.fits import write
from gammastack.files.header import Provenance, read_image
from gammastack.files.run import RunFile, run_cards
from gammastack.provenance.origin import Origin
from gammastack.runs.images import run_images
from gammastack.sky.geometry import ImageGeometry

GEOMETRY = ImageGeometry.create((83.63, 22.01), "galactic", "TAN", (3, 2), 0.1)
PROVENANCE = Provenance(
    config={"offset_band": [0.0, 2.0], "note": "x" * 200},
    start="2020-01-01T00:00:00.000",
    stop="2020-01-02T00:00:00.000",
    livetime=90.0,
    ontime=100.0,
    n_obs=1,
    energy_band=(1.0, 10.0),
    telescope="HESS, MAGIC",
    instrument="HESS PHASE1",
    field_name="crab",
    band="1TeV-10TeV",
)


def test_header_says_where_an_image_comes_from(tmp_path):
    path = tmp_path / "image.fits"
    write(path, [PROVENANCE.image(np.ones((20, 30)), GEOMETRY, "m2 s")])
    header = fits.getheader(path)
    expected = {
        "BUNIT": "m2 s",
        "CTYPE1": "GLON-TAN",
        "DATE-OBS": "2020-01-01T00:00:00.000",
        "DATE-END": "2020-01-02T00:00:00.000",
        "LIVETIME": 90.0,
        "ONTIME": 100.0,
        "N_OBS": 1,
        "OBJECT": "crab",
        "FIELD": "crab",
        "BAND": "1TeV-10TeV",
        "TELESCOP": "HESS, MAGIC",
        "INSTRUME": "HESS PHASE1",
        "E_MIN": 1.0,
        "E_MAX": 10.0,
    }
    assert {key: header[key] for key in expected} == expected
    assert Provenance.from_header(header) == PROVENANCE
    # astropy would warn about times that do not fit; warnings are errors here
    assert WCS(header).wcs.mjdobs == 58849.0


def test_checksums_hold(tmp_path):
    path = tmp_path / "image.fits"
    image = PROVENANCE.image(np.ones((20, 30)), GEOMETRY)
    write(path, [image, PROVENANCE.table({"a": [1]}, "TABLE")])
    with fits.open(path, checksum=True) as hdus:
        for hdu in hdus:
            assert hdu.verify_checksum() == hdu.verify_datasum() == 1


@pytest.mark.parametrize("name", ["image.fits", "image.fits.gz"])
def test_identical_inputs_give_identical_files(tmp_path, name):
    paths = tmp_path / "a" / name, tmp_path / "b" / name
    for path in paths:
        path.parent.mkdir()
        write(path, [PROVENANCE.image(np.ones((20, 30)), GEOMETRY)])
        time.sleep(1.1)  # times in FITS headers have a resolution of one second
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert str(tmp_path).encode() not in paths[0].read_bytes()


def test_damaged_result_is_named(tmp_path):
    path = tmp_path / "image.fits"
    write(path, [PROVENANCE.image(np.ones((20, 30)), GEOMETRY)])
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DamagedResult, match=r"(?s)image\.fits: damaged result"):
        read_image(path)


def test_image_round_trip(tmp_path):
    path = tmp_path / "image.fits"
    data = np.arange(600.0).reshape(20, 30)
    write(path, [PROVENANCE.image(data, GEOMETRY)])
    again, geometry, _ = read_image(path)
    assert_allclose(again, data)
    assert geometry.same_grid(GEOMETRY) and geometry.shape == (20, 30)


def test_table_carries_the_same_keys(tmp_path):
    path = tmp_path / "table.fits"
    write(path, [PROVENANCE.table({"OBS_ID": [1, 2]}, "BKG_NORM")])
    with fits.open(path) as hdus:
        assert hdus["BKG_NORM"].header["LIVETIME"] == 90.0
        assert hdus["BKG_NORM"].data["OBS_ID"].tolist() == [1, 2]


@pytest.mark.parametrize("dec, empty", [(22.01, False), (-60.0, True)])
def test_run_images_round_trip(simulated_store, tmp_path, dec, empty):
    store, runs, _ = simulated_store
    observation = read_observation(runs[0].obs_id, store.hdus(runs[0].obs_id))
    geometry = ImageGeometry.create((83.63, dec), "icrs", "TAN", (2, 2), 0.1)
    bands = {"1TeV-3TeV": (1.0, 3.0), "3TeV-10TeV": (3.0, 10.0)}
    made = run_images(observation, geometry, bands.values(), (0, 2))
    images = dict(zip(bands, made, strict=True))
    origin = Origin({"step": "0"}, {}, (("dl3", 1, "run.fits", "0" * 64),))
    provenances = {
        band: Provenance.of(run, {}, bands[band], cards=run_cards(run), origin=origin)
        for band, run in images.items()
    }
    path = tmp_path / "1001.fits"
    write_bands(path, images, provenances, for_integral_flux=True)
    file = RunFile(path, geometry)
    assert file.origin == origin
    for band, expected in images.items():
        assert file.header(band)["OBS_ID"] == runs[0].obs_id
        again = file.images(band)
        keys = "obs_id start stop livetime ontime n_events n_pixels ra dec exposure_on_axis"
        for key in keys.split():
            assert getattr(again, key) == getattr(expected, key)
        assert (again.n_pixels == 0) == empty
        assert again.geometry.shape == expected.geometry.shape
        assert geometry.placement(again.geometry) == geometry.placement(
            expected.geometry
        )
        for kind in ("counts", "bkg", "exposure"):
            assert np.array_equal(getattr(again, kind), getattr(expected, kind))


def test_run_without_responses_round_trip(simulated_store, tmp_path):
    store, _, _ = simulated_store
    observation = read_observation(1001, store.hdus(1001, ("events", "gti")))
    (run,) = run_images(observation, GEOMETRY, [(1.0, 10.0)], (0, 2))
    path = tmp_path / "1001.fits"
    provenance = Provenance.of(run, {}, (1.0, 10.0), cards=run_cards(run))
    write_bands(path, {"band": run}, {"band": provenance}, for_integral_flux=False)
    again = RunFile(path, GEOMETRY).images("band")
    assert np.array_equal(again.counts, run.counts)
    assert again.bkg is None and again.exposure is None


@pytest.mark.parametrize("largest, bitpix", [(255, 8), (256, 16), (2**15, 32)])
def test_counts_take_as_few_bytes_as_they_need(
    largest, bitpix, simulated_store, tmp_path
):
    store, _, _ = simulated_store
    observation = read_observation(1001, store.hdus(1001, ("events", "gti")))
    (run,) = run_images(observation, GEOMETRY, [(1.0, 10.0)], (0, 2))
    run.counts[0, 0] = largest
    path = tmp_path / "1001.fits"
    provenance = Provenance.of(run, {}, (1.0, 10.0), cards=run_cards(run))
    write_bands(path, {"band": run}, {"band": provenance}, for_integral_flux=False)
    file = RunFile(path, GEOMETRY)
    assert file.header("band")["BITPIX"] == bitpix
    again = file.images("band").counts
    assert again.dtype == np.int32 and np.array_equal(again, run.counts)
