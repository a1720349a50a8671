import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import correlate2d
from scipy.stats import norm, poisson

from gammastack.maps.disks import counts_in_disk
from gammastack.maps.significance import significance
from gammastack.sky.kernels import (
    correlate,
    correlate_all,
    disk_kernel,
    ring_kernel,
    sum_in_disk,
)


@pytest.mark.parametrize(
    "n, mu, expected, last_digit",
    [
        # These were computed independently for the design, to the digits given
        (11, 9, 0.6440149844, 1e-10),
        (7, 9, -0.6939726249, 1e-10),
        (5, 1, 2.84506, 1e-5),
        (100, 23, 11.82942, 1e-5),
        # Limiting cases: no counts, and counts as expected
        (0, 8, -4.0, 1e-14),
        (4, 4, 0.0, 1e-14),
    ],
)
def test_known_background(n, mu, expected, last_digit):
    assert_allclose(significance(n, mu), expected, rtol=0, atol=last_digit / 2)


def test_agrees_with_poisson_probability_for_many_counts():
    """For many counts the probability of n or more is that of a normal distribution."""
    mu, n = 1e4, 1.05e4
    probability = 0.5 * (poisson.sf(n, mu) + poisson.sf(n - 1, mu))
    assert_allclose(significance(n, mu), norm.isf(probability), rtol=1e-3)


@pytest.mark.parametrize("mu", [0.0, -1.0, np.nan])
def test_no_background_has_no_significance(mu):
    assert np.isnan(significance(3, mu))


@pytest.mark.parametrize(
    "radius, n_pixels", [(0, 1), (1, 5), (5, 81), (10, 317), (0.1 / 0.02, 81)]
)
def test_disk_holds_the_rim(radius, n_pixels):
    assert disk_kernel(radius).sum() == n_pixels


def test_elliptic_disk_for_pixels_that_are_not_square():
    kernel = disk_kernel((4, 2))
    assert kernel.shape == (5, 9)
    assert kernel[2].sum() == 9 and kernel[:, 4].sum() == 5


@pytest.mark.parametrize("shape", [(40, 50), (3, 50), (1, 1)])
@pytest.mark.parametrize("radius", [0, 2, 5.0, (7, 3), (12, 30)])
def test_sums_under_kernels(shape, radius):
    """The sums are those of the image padded with zeros, even under larger kernels."""
    image = np.random.default_rng(1).uniform(0, 1, shape)
    image[:, : shape[1] // 2] = 0
    kernel = disk_kernel(radius)
    y, x = (n // 2 for n in kernel.shape)
    padded = np.pad(image, ((y, y), (x, x)))
    expected = correlate2d(padded, kernel, mode="valid")
    in_disk = sum_in_disk(image, kernel)
    assert_allclose(in_disk, expected, rtol=1e-13)
    assert ((in_disk > 0) == (expected > 0)).all()
    assert_allclose(correlate(image, kernel), expected, rtol=0, atol=1e-12)
    kernels = [kernel, ring_kernel((1, 2), (3, 4))]
    for one, (sums, twice) in zip(
        kernels, correlate_all([image, 2 * image], kernels), strict=True
    ):
        assert_allclose(sums, correlate(image, one), rtol=0, atol=1e-12)
        assert_allclose(twice, 2 * sums, rtol=0, atol=1e-12)


def test_flat_map():
    counts, bkg = np.full((20, 20), 2), np.full((20, 20), 1.0)
    assert_allclose(correlate(counts, disk_kernel(5))[10, 10], 162)
    image = counts_in_disk({"counts": counts, "bkg": bkg}, 5).significance()
    assert_allclose(image[10, 10], 7.910732, rtol=1e-7)
    # At a corner only a quarter of the disk is on the image: nothing is reflected
    quarter = disk_kernel(5)[5:, 5:].sum()
    assert_allclose(image[0, 0], significance(2 * quarter, quarter))


def test_beyond_the_background_there_is_none():
    counts, bkg = np.zeros((40, 40), int), np.zeros((40, 40))
    counts[5, 5], bkg[:, 20:] = 3, 100.0
    image = counts_in_disk({"counts": counts, "bkg": bkg}, 5).significance()
    assert np.isnan(image[:, :15]).all()
    assert np.isfinite(image[:, 15:]).all()
