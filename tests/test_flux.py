"""Maps in disks: sums, fluxes, and the significance of empty sky."""

import numpy as np
import pytest
from astropy import units as u
from numpy.testing import assert_allclose

from gammastack.maps.counting import KnownBackground, OnOff
from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.empty_sky import (
    expected_moments,
    histogram,
    independent,
    not_as_expected,
    off_significance,
    off_statistics,
)
from gammastack.maps.flux import flux, flux_maps
from gammastack.maps.significance import significance

SHAPE = 200, 200
RADIUS = 3, 3
N_DISK = 29  # pixels


def images(seed=1, mu=0.5):
    rng = np.random.default_rng(seed)
    return {"counts": rng.poisson(mu, SHAPE), "bkg": np.full(SHAPE, mu)}


def test_counts_in_disk_of_a_known_background():
    measured = counts_in_disk(images(), 3)
    assert isinstance(measured, KnownBackground)
    counts = images()["counts"]
    y, x = np.mgrid[-3:4, -3:4]
    disk = x**2 + y**2 <= 9
    assert measured.n[50, 60] == counts[47:54, 57:64][disk].sum()
    assert_allclose(measured.mu[50, 60], 0.5 * N_DISK)


def test_counts_in_disk_with_a_ring():
    """OFF is that of the centre; alpha is the disk's acceptance over the ring's."""
    sums = {"acceptance": np.full(SHAPE, 2.0), "off": np.full(SHAPE, 40.0)}
    sums["acceptance_off"] = np.full(SHAPE, 100.0)
    sums["acceptance_off"][10, 10] = 0
    measured = counts_in_disk({**images(), **sums}, 3)
    assert isinstance(measured, OnOff)
    assert_allclose(measured.alpha[50, 60], 2 * N_DISK / 100)
    assert measured.n_off[50, 60] == 40
    assert np.isnan(measured.significance()[10, 10])
    assert np.isfinite(measured.significance()[10, 11])


def test_flux_of_a_source_of_known_flux():
    """An excess of 30 counts at an exposure of 1e12 cm2 s is 3e-11 cm-2 s-1."""
    per_cm2 = u.Unit("m-2 s-1").to("cm-2 s-1")
    counts, exposure = np.full(SHAPE, 2), np.full(SHAPE, 1e8)
    counts[100, 100] += 30
    measured = counts_in_disk({"counts": counts, "bkg": np.full(SHAPE, 2.0)}, 3)
    maps = flux_maps(measured, mean_in_disk(exposure, 3), 0.95, 5)
    assert_allclose(measured.excess[100, 100], 30)
    assert_allclose(maps["flux_corr"][100, 100] * per_cm2, 3e-11)
    assert_allclose(flux(30.0, 1e8) * per_cm2, 3e-11)
    n, mu = 2 * N_DISK + 30, 2.0 * N_DISK
    at_source = KnownBackground(n, mu)
    for name, counts in (
        ("flux_corr_ul", at_source.upper_limit(0.95)),
        ("flux_corr_sensitivity", at_source.sensitivity(5)),
        ("flux_corr_errn", at_source.errors()[0]),
        ("flux_corr_errp", at_source.errors()[1]),
    ):
        assert_allclose(maps[name][100, 100] * per_cm2, counts / 1e12)


def test_no_exposure_no_flux():
    """The flux is NaN, neither infinite nor 0, in single pixels and in disks."""
    exposure = np.full(SHAPE, 1e8)
    exposure[:, :100] = 0
    assert np.isnan(flux(images()["counts"], exposure)[:, :100]).all()
    in_disk = mean_in_disk(exposure, 3)
    maps = flux_maps(counts_in_disk(images(), 3), in_disk, 0.95, 5)
    for name in set(maps):
        assert np.isnan(maps[name][:, :97]).all()
        assert np.isfinite(maps[name][:, 97:]).all()
    # The mean is over the part of the disk that has exposure
    assert_allclose(in_disk[:, 97:], 1e8)


def test_off_statistics_of_poisson_counts():
    """They are as expected for 841 disks that do not overlap, with 14.5 counts each."""
    mask = np.ones(SHAPE, dtype=bool)
    values, bkg = off_significance(images(), mask, RADIUS)
    found = off_statistics(values, bkg, RADIUS)
    assert found["n_pixels"] == values.size
    assert found["n_independent"] == 29**2 == len(independent(values, RADIUS))
    assert abs(found["mean"] - found["mean_expected"]) < 4 / np.sqrt(29**2)
    assert abs(found["width"] - found["width_expected"]) < 4 / np.sqrt(2 * 29**2)
    assert_allclose(found["width_error"], found["width_independent"] / np.sqrt(2) / 29)
    assert histogram(values).sum() == values.size


def test_positions_without_off_counts_count():
    """Leaving them out would bias the mean: they have the largest significances."""
    rng = np.random.default_rng(3)
    acceptance = np.full(SHAPE, 0.01)
    off = rng.poisson(1.0, SHAPE).astype(float)
    sums = {"acceptance": acceptance, "off": off, "acceptance_off": acceptance * 100}
    counts = rng.poisson(acceptance)
    images = {"counts": counts, "bkg": off / 100, **sums}
    values, bkg = off_significance(images, np.ones(SHAPE, dtype=bool), RADIUS)
    assert np.isfinite(values).all() and (off == 0).any()
    assert_allclose(bkg[50, 50], 0.01 * N_DISK)


def test_excluded_pixels_are_dropped():
    """A source inside the exclusion does not reach the disks around it."""
    mask = np.ones(SHAPE, dtype=bool)
    mask[80:120, 80:120] = False
    with_source = images()
    with_source["counts"] = with_source["counts"] + 1000 * ~mask
    for found, expected in zip(
        off_significance(with_source, mask, RADIUS),
        off_significance(images(), mask, RADIUS),
        strict=True,
    ):
        assert np.array_equal(found, expected, equal_nan=True)
        assert np.isnan(found[~mask]).all() and np.isfinite(found[mask]).all()


@pytest.mark.parametrize("mu", [0.01, 0.7, 1.0, 25.3, 5000.0])
def test_expected_moments_by_summation(mu):
    n = np.arange(int(mu + 20 * np.sqrt(mu)) + 30)
    log_probability = n * np.log(mu) - mu - np.cumsum(np.log(np.maximum(n, 1)))
    p, s = np.exp(log_probability), significance(n, mu)
    mean = (p * s).sum()
    width = np.sqrt((p * s**2).sum() - mean**2)
    assert_allclose(expected_moments(np.array([mu])), (mean, width), atol=0.01)


def test_sky_without_a_single_position():
    nothing = np.full(SHAPE, np.nan)
    found = off_statistics(nothing, nothing, RADIUS)
    assert (found["n_pixels"], found["n_independent"]) == (0, 0)
    assert np.isnan(found["mean"]) and np.isnan(found["width_error"])


EMPTY = {
    "mean_independent": -0.02,
    "mean_expected": -0.05,
    "mean_error": 0.01,
    "width_independent": 1.03,
    "width_expected": 1.0,
    "width_error": 0.01,
    "largest": 4.2,
}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, []),
        ({"mean_independent": 0.2}, ["mean 0.20, expected -0.05"]),
        ({"mean_independent": -0.2}, ["mean -0.20, expected -0.05"]),
        ({"width_independent": 1.58}, ["width 1.58, expected 1.00"]),
        # Too narrow a distribution hides no source.
        ({"width_independent": 0.9}, []),
        ({"largest": 9.9}, ["up to 9.9 sigma"]),
        ({key: float("nan") for key in EMPTY}, []),
    ],
)
def test_sky_that_is_not_empty(changes, words):
    text = not_as_expected({**EMPTY, **changes})
    assert bool(text) == bool(words)
    assert all(word in text for word in words)
