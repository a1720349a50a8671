from dataclasses import dataclass

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from numpy.testing import assert_allclose

from gammastack.errors import InputError
from gammastack.maker import StackedObsImageMaker, empty_image
from gammastack.maps.disks import KNOWN, counts_in_disk
from gammastack.sky.exclusion import exclusion_mask
from gammastack.sky.geometry import ImageGeometry

GEOMETRY = ImageGeometry.create((83.63, 22.01), "icrs", "TAN", (4, 4), 0.1)
BANDS = [1, 10] * u.TeV, [0, 2] * u.deg


@pytest.fixture
def maker(simulated_store):
    store, runs, _ = simulated_store
    obs_table = Table({"OBS_ID": [run.obs_id for run in runs]})
    mask = fits.PrimaryHDU(np.ones(GEOMETRY.shape), GEOMETRY.header())
    return StackedObsImageMaker(GEOMETRY, *BANDS, store, obs_table, mask)


def test_images_and_norms(maker, simulated_store):
    maker.make_images(make_background_image=True, for_integral_flux=True, radius=5)
    _, runs, _ = simulated_store
    images = {name: hdu.data for name, hdu in maker.images.items()}
    assert set(images) == {
        "exclusion",
        "counts",
        "bkg",
        "exposure",
        "significance",
        "excess",
    }
    assert_allclose(images["excess"], images["counts"] - images["bkg"])
    expected = counts_in_disk({kind: images[kind] for kind in KNOWN}, 5).significance()
    assert_allclose(images["significance"], expected)
    assert maker.images["exposure"].header["BUNIT"] == "m2 s"
    # The sums agree because the norm of each run is fitted to all pixels
    assert_allclose(images["bkg"].sum(), images["counts"].sum())
    table = maker.table_bkg_norm
    assert table["OBS_ID"].tolist() == [run.obs_id for run in runs]
    pull = (table["bkg_scale"] - [run.norm for run in runs]) / table["bkg_scale_err"]
    assert np.abs(pull).max() < 3.5


def test_counts_only_is_the_default(maker):
    maker.make_images()
    assert set(maker.images) == {"exclusion", "counts"}
    assert maker.table_bkg_norm is None


def test_radius_as_an_angle(maker):
    maker.make_images(make_background_image=True, radius=5)
    in_pixels = maker.images["significance"].data
    maker.significance_image(0.5 * u.deg)
    assert_allclose(maker.images["significance"].data, in_pixels)


def test_making_images_twice_changes_nothing(maker):
    maker.make_images(make_background_image=True)
    first = maker.images["bkg"].data.copy(), len(maker.table_bkg_norm)
    maker.make_images(make_background_image=True)
    assert_allclose(maker.images["bkg"].data, first[0])
    assert len(maker.table_bkg_norm) == first[1]
    maker.make_images()
    assert set(maker.images) == {"exclusion", "counts"}
    assert maker.table_bkg_norm is None


def test_reference_image_from_a_file(maker, simulated_store, tmp_path):
    path = tmp_path / "empty.fits"
    fits.PrimaryHDU(np.zeros(GEOMETRY.shape), GEOMETRY.header()).writeto(path)
    store, runs, _ = simulated_store
    obs_ids = [run.obs_id for run in runs]
    again = StackedObsImageMaker(path, *BANDS, str(store.folder), obs_ids)
    again.make_images()
    maker.make_images()
    assert_allclose(again.images["counts"].data, maker.images["counts"].data)


@dataclass
class Geom:
    """What a `WcsGeom` of gammapy 2.1 has, and a `WcsNDMap` under the name ``geom``."""

    wcs: WCS
    data_shape: tuple


@dataclass
class Map:
    geom: Geom
    data: np.ndarray


@pytest.mark.parametrize("axes", [(), (1,)])
def test_maps_of_gammapy(simulated_store, axes):
    """Sizes are numpy integers there, and a map may have an energy axis of one bin."""
    geom = Geom(GEOMETRY.wcs, (*axes, *map(np.int64, GEOMETRY.shape)))
    use = np.ones(geom.data_shape, dtype=bool)
    use[..., 20:, :] = False
    for image in (geom, Map(geom, use)):
        made = StackedObsImageMaker(
            image, *BANDS, simulated_store[0], [1001], Map(geom, use)
        )
        assert made.geometry == GEOMETRY
        assert made.images["exclusion"].data.sum() == 20 * 40
    two = Map(Geom(GEOMETRY.wcs, (2, 40, 40)), np.ones((2, 40, 40)))
    with pytest.raises(InputError, match=r"shape \(2, 40, 40\)"):
        StackedObsImageMaker(geom, *BANDS, simulated_store[0], [1001], two)


@pytest.mark.parametrize("name", ["mask.fits", "mask.reg"])
def test_mask_from_a_file(simulated_store, tmp_path, name):
    text = "icrs; circle(83.63, 22.01, 0.5)"
    expected, _ = exclusion_mask(GEOMETRY, [text])
    path = tmp_path / name
    if name == "mask.reg":
        path.write_text(text)
    else:
        hdu = fits.PrimaryHDU(expected.astype(np.uint8), GEOMETRY.header())
        hdu.writeto(path)
    for mask in (path, str(path)):
        made = StackedObsImageMaker(GEOMETRY, *BANDS, simulated_store[0], [1001], mask)
        assert np.array_equal(made.images["exclusion"].data, expected)


def test_empty_image():
    center = SkyCoord(83.63, 22.01, unit="deg").galactic
    for position in ((83.63, 22.01), center):
        image = empty_image(position, 4 * u.deg, 6 * u.arcmin)
        assert image.shape == GEOMETRY.shape and image.same_grid(GEOMETRY)
    assert empty_image((1, 2), [3, 2] * u.deg, 0.1 * u.deg).shape == (20, 30)
    assert empty_image(center, 1 * u.deg, 0.5 * u.deg, "galactic", "CAR").shape == (
        2,
        2,
    )


def test_obs_id_twice_is_refused(simulated_store):
    with pytest.raises(InputError, match="OBS_ID occurs more than once"):
        StackedObsImageMaker(GEOMETRY, *BANDS, simulated_store[0], [1001, 1001])


def test_mask_of_another_grid_is_refused(simulated_store):
    other = ImageGeometry.create((83.6, 22.0), "galactic", "TAN", (4, 4), 0.1)
    mask = fits.PrimaryHDU(np.ones(other.shape), other.header())
    with pytest.raises(InputError, match="not on the grid"):
        StackedObsImageMaker(GEOMETRY, *BANDS, simulated_store[0], [1001], mask)
    header = GEOMETRY.header()
    header["CRPIX1"] += 10
    mask = fits.PrimaryHDU(np.ones(GEOMETRY.shape), header)
    with pytest.raises(InputError, match="not on the grid"):
        StackedObsImageMaker(GEOMETRY, *BANDS, simulated_store[0], [1001], mask)
    with pytest.raises(InputError, match=r"shape \(3, 3\)"):
        StackedObsImageMaker(
            GEOMETRY, *BANDS, simulated_store[0], [1001], np.ones((3, 3))
        )
