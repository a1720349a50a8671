"""Candidates for sources: peaks, positions with their errors, trials, and the files."""

import warnings

import numpy as np
import pytest
from astropy.table import QTable
from numpy.testing import assert_allclose, assert_array_equal
from regions import Regions
from scipy.special import ndtr
from scipy.stats import norm, poisson

from gammastack.files.candidates import (
    read_candidates,
    write_candidates,
    write_regions,
)
from gammastack.maps.candidates import MOST, find_candidates
from gammastack.maps.counting import KnownBackground, OnOff
from gammastack.maps.disks import counts_in_disk
from gammastack.maps.peaks import find_peaks
from gammastack.maps.source_fit import (
    RADIUS_68,
    fit_source,
    nearest_peak,
    sandwich_covariance,
)
from gammastack.maps.trials import after_trials, peaks_per_pixel
from gammastack.sky.geometry import ImageGeometry
from validation.candidates import (
    distances,
    gaussian,
    peaks_of_empty_sky,
    sources_of,
)

RADIUS = 5.0, 5.0


def map_with(*pixels, shape=(40, 60)):
    image = np.zeros(shape)
    for row, column, value in pixels:
        image[row, column] = value
    return image


def peaks_of(image, threshold, radius):
    return find_peaks(image.__getitem__, image.shape, threshold, radius)


def places(image, threshold=4, radius=(3, 3)):
    return list(
        zip(
            *(axis.tolist() for axis in peaks_of(image, threshold, radius)),
            strict=True,
        )
    )


def test_peaks_come_from_the_largest_to_the_smallest():
    image = map_with((5, 5, 4.5), (20, 30, 9), (35, 50, 6), (30, 10, 3.9))
    assert places(image) == [(20, 30), (35, 50), (5, 5)]


def test_peaks_whose_disks_overlap_are_one():
    assert places(map_with((20, 20, 9), (20, 26, 5))) == [(20, 20)]
    assert places(map_with((20, 20, 9), (20, 27, 5))) == [(20, 20), (20, 27)]
    # On the diagonal the corner of the square is further away than the disk
    assert places(map_with((20, 20, 9), (25, 25, 5))) == [(20, 20), (25, 25)]
    # An elliptic disk: 6 pixels are too near along x and far enough along y
    assert places(map_with((20, 20, 9), (20, 26, 5)), radius=(3, 1)) == [(20, 20)]
    both = [(20, 20), (26, 20)]
    assert places(map_with((20, 20, 9), (26, 20, 5)), radius=(3, 1)) == both


def test_flank_of_a_source_is_no_peak():
    y, x = np.mgrid[:81, :81]
    image = 50 * np.exp(-np.hypot(x - 40, y - 40) / 10)
    image += np.random.default_rng(0).normal(0, 0.3, image.shape)
    assert len(places(image)) == 1


def test_middle_of_a_plateau_is_its_peak():
    y, x = np.mgrid[:40, :60]
    image = np.where(np.hypot(x - 30, y - 20) <= 3, 7.0, 0)
    assert places(image) == [(20, 30)]


def test_peaks_at_edges_and_beside_unknown_pixels():
    image = map_with((0, 0, 8), (39, 59, 7), (20, 30, 6))
    image[:, 31:40] = np.nan
    assert places(image) == [(0, 0), (39, 59), (20, 30)]


@pytest.mark.parametrize("value", [np.nan, -np.inf, 3.99])
def test_no_peak(value):
    assert places(np.full((10, 10), value)) == []
    assert places(np.full((1, 1), value)) == []
    assert places(np.full((1, 1), 5.0)) == [(0, 0)]


def fit(counts, bkg, peak, radius=RADIUS):
    return fit_source(counts, bkg, np.ones(counts.shape, bool), peak, radius)


def test_fit_finds_the_source_that_the_expected_counts_have():
    shape = 61, 71
    bkg = np.linspace(0.1, 0.3, 61 * 71).reshape(shape)
    found = fit(bkg + 80 * gaussian(shape, 33.3, 28.9, 2.7), bkg, (35, 30))
    assert found.converged
    assert_allclose((found.x, found.y), (33.3, 28.9), atol=1e-3)
    assert_allclose(found.width * RADIUS[0], 2.7, rtol=1e-3)


def test_error_without_background_is_width_over_root_of_counts():
    """The error of the mean of 400 positions, here with pixels of width 1 (variance 1/12)."""
    shape, radius = (101, 101), (14.0, 14.0)
    bkg = np.full(shape, 1e-6)
    found = fit(400 * gaussian(shape, 50.2, 49.7, 4) + bkg, bkg, (50, 50), radius)
    expected = np.sqrt((4**2 + 1 / 12) / 400)
    assert_allclose(np.sqrt(np.diag(found.covariance)), expected, rtol=0.01)
    # The width has twice as many numbers, and its error is the root of 2 smaller for each.
    assert_allclose(found.width_error * radius[0], expected / 2, rtol=0.03)


def test_radius_of_68_percent():
    """For a circular Gaussian P(r < k sigma) = 1 - exp(-k^2 / 2)."""
    inside = norm.cdf(1) - norm.cdf(-1)
    assert_allclose(1 - np.exp(-(RADIUS_68**2) / 2), inside, rtol=1e-6)


def test_positions_of_600_sources_are_within_their_errors():
    """68 % of them are; 1.9 % is the binomial error, docs/validation.md has more sources."""
    rng = np.random.default_rng(11)
    strength, width = rng.uniform(6, 30, 600), rng.uniform(2, 4, 600)
    counts, bkg, truth = sources_of(strength, width, 0.15, RADIUS[0], rng)
    found = distances(counts, bkg, truth, RADIUS[0])
    assert_allclose(np.mean(found < 1), 0.683, atol=0.03)
    # The squared distance in errors along an axis has a mean of 2.
    assert_allclose(np.mean(found**2) * RADIUS_68**2, 2, rtol=0.1)


def test_covariance_of_parameters_whose_slopes_are_linear():
    """Then it is exact: inverse(curvature) scatter inverse(curvature)."""
    curvature = np.array([[2, 0.5], [0.5, 1]])
    scatter = np.array([[1, 0.2], [0.2, 3]])
    found = sandwich_covariance(
        np.array([0.3, -0.1]), lambda at: curvature @ at, lambda at: scatter
    )
    # The determinant of the curvature is 1.75.
    inverse = np.array([[1, -0.5], [-0.5, 2]]) / 1.75
    assert_allclose(found, inverse @ scatter @ inverse)
    with pytest.raises(np.linalg.LinAlgError):
        sandwich_covariance(np.zeros(2), lambda at: -at, lambda at: np.eye(2))


def test_fit_that_cannot_be_made_says_so():
    """Nothing but background: where a Gaussian could be is not known."""
    bkg = np.full((41, 41), 0.5)
    found = fit(bkg.copy(), bkg, (20, 20))
    assert not found.converged
    assert (found.x, found.y) == (20, 20)
    # 68 % of its probability are in the disk.
    assert_allclose(RADIUS_68 * np.sqrt(np.diag(found.covariance)), RADIUS)
    assert np.isnan(found.width)


def test_sources_near_each_other_do_not_move_each_other():
    shape = 61, 81
    bkg = np.full(shape, 0.2)
    strong, weak = gaussian(shape, 30, 30, 2), gaussian(shape, 43, 30, 2)
    counts = bkg + 900 * strong + 90 * weak
    nearest = nearest_peak(shape, np.array([30, 30]), np.array([30, 43]), RADIUS)
    found = fit_source(counts, bkg, nearest == 1, (43, 30), RADIUS)
    assert_allclose((found.x, found.y), (43, 30), atol=0.3)


def test_trials_of_many_counts_are_those_of_a_normal_field():
    """x nu(sqrt(2 x)) per axis, Siegmund & Yakir (2007), with x = S^2 / pixels in a row."""
    n_rows, n_pixels = 21, 317  # of a disk with a radius of 10 pixels
    mu, significance = 1e6, 4.0
    x = significance**2 * n_rows / n_pixels
    y = np.sqrt(2 * x)
    nu = 2 / y * (ndtr(y / 2) - 0.5) / (y / 2 * ndtr(y / 2) + norm.pdf(y / 2))
    found = peaks_per_pixel((10, 10), mu + significance * np.sqrt(mu), mu)
    # This nu is an approximation.
    assert_allclose(found, (x * nu) ** 2, rtol=0.05)


def test_trials_of_large_significances_are_the_pixels():
    assert_allclose(peaks_per_pixel(RADIUS, [500, 5000], 5), 1, atol=1e-3)


@pytest.mark.parametrize("radius, mu", [(5, 0.15), (2.5, 0.3), (2.5, 0.02)])
def test_empty_sky_has_as_many_peaks_as_expected(radius, mu):
    """The expected number is good to 25 %, see docs/validation.md, with 9 % from 130 peaks."""
    found, expected = peaks_of_empty_sky(radius, mu, 3, 900, np.random.default_rng(3))
    assert found > 130
    assert_allclose(found, expected, rtol=0.3)


def test_significance_after_trials():
    # P = 1 - exp(-ln 2) = 1/2
    assert_allclose(after_trials(np.log(np.log(2))), 0, atol=1e-12)
    # A rare peak: one trial changes nothing
    for sigma in (3.0, 5.0, 30.0):
        chance = norm.logsf(sigma)
        assert_allclose(after_trials(chance), sigma, rtol=1e-3)
    assert after_trials(np.log(1e9)) == -5


def test_probability_of_few_counts():
    n, mu = np.array([1, 5, 20, 50]), np.array([0.2, 0.5, 7, 30])
    found = KnownBackground(n, mu).log_p_value()
    assert_allclose(found, poisson.logsf(n - 1, mu), rtol=1e-10)


@pytest.mark.parametrize(
    "n_on, n_off, tau, sigma",
    [
        (4, 5, 5, 1.66),
        (6, 18.78, 14.44, 2.63),
        (67, 15, 0.5, 2.89),
        (200, 10, 0.1, 2.2),
    ],
)
def test_probability_with_a_ring(n_on, n_off, tau, sigma):
    """Cousins, Linnemann & Tucker (2008), DOI 10.1016/j.nima.2008.07.086, table 1, Z_Bi."""
    measured = OnOff(*(np.array([v], float) for v in (n_on, n_off, 1 / tau)))
    assert_allclose(norm.isf(np.exp(measured.log_p_value())), sigma, atol=0.006)


def test_probability_that_is_too_small_for_a_number():
    measured = KnownBackground(np.array([1e4]), np.array([1.0]))
    assert_allclose(measured.log_p_value(), norm.logsf(measured.significance()))


def sky(n=100, mu=0.3, center=(83.6, 22.0)):
    """A geometry in galactic coordinates, and images of empty sky."""
    geometry = ImageGeometry.create(center, "galactic", "TAN", (n * 0.02,) * 2, 0.02)
    images = {
        "counts": np.random.default_rng(1).poisson(mu, (n, n)),
        "bkg": np.full((n, n), mu),
    }
    return geometry, {**images, "exposure": np.full((n, n), 1e10)}


def candidates(geometry, images, mask=None, radius=RADIUS):
    mask = np.ones(geometry.shape, bool) if mask is None else mask
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        significance = counts_in_disk(images, radius).significance()
        # Functions that return rows
        images = {name: image.__getitem__ for name, image in images.items()}
        of_radius = {"0.1deg": significance.__getitem__}
        return find_candidates(
            *(images, of_radius, mask.__getitem__, geometry, radius, 4, 0.95)
        )


def test_candidate_is_where_the_source_is():
    geometry, images = sky(mu=0.1)
    ra, dec = 83.31, 22.37
    x, y = geometry.pixel_coordinates(np.array([ra]), np.array([dec]))
    mask = np.ones(geometry.shape, bool)
    mask[:10] = False
    images["counts"] = images["bkg"] + 200 * gaussian(geometry.shape, x, y, 3)
    table, search = candidates(geometry, images, mask)
    assert table["name"] == ["C1"]
    assert table["fit"] == ["ok"]
    assert_allclose((table["ra"][0], table["dec"][0]), (ra, dec), atol=2e-5)
    assert_allclose(table["sigma"], 3 * 0.02, rtol=0.01)
    # Errors are true angles, so they are the same along both axes.
    assert_allclose(table["ra_err"], table["dec_err"], rtol=0.01)
    assert_allclose(table["pos_err"], RADIUS_68 * table["dec_err"], rtol=0.01)
    assert_allclose(table["counts"], table["bkg"] + table["excess"], atol=0.5)
    assert_allclose(table["flux"], table["excess"] / 1e10)
    assert table["flux_errn"] < table["flux"] < table["flux_ul"]
    assert_allclose(table["exclusion_sep"], (y - 9.5) * 0.02, rtol=1e-3)
    assert not table["excluded"]
    assert table["source"] == ["Crab Nebula"]
    apart = np.hypot((83.633 - ra) * np.cos(np.radians(dec)), 22.015 - dec)
    assert_allclose(table["source_sep"], apart, rtol=0.01)
    assert (search["n_found"], search["n_pixels"]) == (1, 100**2)
    assert_allclose(search["n_disks"], 100**2 / 81)


def test_excluded_candidate():
    geometry, images = sky()
    images["counts"][50, 50] += 60
    mask = np.ones(geometry.shape, bool)
    mask[40:60, 40:60] = False
    table, _ = candidates(geometry, images, mask)
    assert_array_equal(table["excluded"], [True])
    assert_array_equal(table["exclusion_sep"], [0])


def unknown(images):
    return {name: np.full(image.shape, np.nan) for name, image in images.items()}


def without_exposure(images):
    return {**images, "exposure": np.zeros(images["bkg"].shape)}


@pytest.mark.parametrize("change", [lambda images: images, unknown, without_exposure])
def test_files_without_candidates_have_all_columns(change, tmp_path):
    geometry, images = sky()
    table, search = candidates(geometry, change(images))
    write_candidates(tmp_path / "c.ecsv", table, "m-2 s-1", search)
    write_regions(tmp_path / "c.reg", table, 0.1)
    found = QTable.read(tmp_path / "c.ecsv")
    assert len(found) == 0
    assert {"name", "ra", "pos_err", "significance_post", "flux_ul"} <= {
        *found.colnames
    }
    assert found["ra"].unit == "deg"
    assert found["flux"].unit == "m-2 s-1"
    assert len(Regions.read(tmp_path / "c.reg")) == 0


def test_source_without_exposure_has_no_flux():
    geometry, images = sky()
    images["counts"][48:53, 48:53] += 4
    table, _ = candidates(geometry, without_exposure(images))
    assert np.isnan(table["flux"]).all()
    assert table["excess"] > 50


def test_image_of_one_pixel():
    geometry, images = sky(n=1)
    images["counts"][:] = 20
    table, search = candidates(geometry, images, radius=(0.5, 0.5))
    assert table["fit"] == ["not converged"]
    assert_allclose((table["ra"][0], table["dec"][0]), (83.6, 22.0))
    assert search["n_disks"] == 1


def test_ring_that_is_partly_unknown():
    geometry, images = sky(mu=0.5)
    images |= {"off": np.full((100, 100), 50), "acceptance": images["bkg"]}
    images["acceptance_off"] = np.full((100, 100), 50.0)
    images["acceptance_off"][40:60, :30] = 0
    images["bkg"] = np.where(images["acceptance_off"] > 0, 0.5, np.nan)
    images["counts"] = images["counts"] + np.rint(
        150 * gaussian((100, 100), 33, 50, 2) + 150 * gaussian((100, 100), 70, 80, 2)
    ).astype(int)
    table, _ = candidates(geometry, images)
    assert table["fit"] == ["ok", "ok"]
    columns, rows = geometry.pixel_coordinates(table["ra"], table["dec"])
    assert_allclose(np.sort(columns), [33, 70], atol=0.6)
    assert_allclose(np.sort(rows), [50, 80], atol=0.6)


def test_broken_background_keeps_the_most_significant():
    geometry, images = sky(n=400, mu=0.5)
    images["bkg"] = images["bkg"] / 10
    table, search = candidates(geometry, images)
    assert len(table["name"]) == MOST < search["n_found"]
    assert np.all(np.diff(table["significance"]) <= 0)


def test_files_are_read_by_others(tmp_path):
    geometry, images = sky()
    images["counts"] += np.rint(99 * gaussian((100, 100), 33, 50, 3)).astype(int)
    table, search = candidates(geometry, images)
    for name in ("first", "second"):
        write_candidates(tmp_path / f"{name}.ecsv", table, "m-2 s-1 TeV-1", search)
    assert (tmp_path / "first.ecsv").read_bytes() == (
        tmp_path / "second.ecsv"
    ).read_bytes()
    found = QTable.read(tmp_path / "first.ecsv")
    assert found.meta["n_trials"] == search["n_trials"]
    assert_allclose(found["ra"].to_value("deg"), table["ra"], rtol=1e-12)
    assert found["flux_ul"].unit == "m-2 s-1 TeV-1"
    write_regions(tmp_path / "c.reg", table, 0.1)
    (region,) = Regions.read(tmp_path / "c.reg")
    assert region.meta["text"] == "C1"
    assert_allclose(region.center.icrs.dec.deg, table["dec"][0], atol=1e-6)
    assert_allclose(region.radius.to_value("deg"), 0.1)


def test_all_texts_and_numbers_are_read_as_they_were_written(tmp_path):
    geometry, images = sky()
    images["counts"] += np.rint(99 * gaussian((100, 100), 33, 50, 3)).astype(int)
    table, search = candidates(geometry, images)
    texts = ["A #1", "#B", 'C, "d"', "NA", "E's"]
    many = {name: list(values) * len(texts) for name, values in table.items()}
    meta = search | {"energy_band": (1e-05, 1e16), "few": 1e-05, "none": float("nan")}
    path = tmp_path / "c.ecsv"
    write_candidates(path, many | {"source": texts}, "m-2 s-1", meta)
    found, of_file = read_candidates(path)
    by_astropy = QTable.read(path)
    assert found["source"].tolist() == list(by_astropy["source"]) == texts
    for known in (of_file, by_astropy.meta):
        assert known["energy_band"] == [1e-05, 1e16]
        assert known["few"] == 1e-05
        assert np.isnan(known["none"])
    assert_allclose(found["ra"], many["ra"])
