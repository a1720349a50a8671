"""Test whether the significance of empty sky is as expected for Poisson counts."""

from functools import cache

import numpy as np
from scipy.special import gammaln, xlogy

from gammastack.maps.disks import counts_in_disk
from gammastack.maps.significance import significance

BINS = np.linspace(-6, 6, 61)
# Differences of the sky from what is expected are said if they are larger than this many
# errors, and values that are larger than this many sigma.
MANY_ERRORS = 5.0
LARGEST_OF_EMPTY_SKY = 6.0
# The moments of the significance are tabulated at these background counts; beyond them it
# is a standard normal variable to 0.01.
GRID = np.geomspace(1e-3, 1e3, 121)


def off_significance(images, mask, radius):
    """Compute the significance in disks, without the excluded pixels.

    Parameters
    ----------
    images : dict of str to ndarray, shape (ny, nx)
        As in `gammastack.maps.disks.counts_in_disk`.
    mask : ndarray of bool, shape (ny, nx)
        True = outside the exclusions.
    radius : tuple of float
        Radius of the disk in pixels along x and y.

    Returns
    -------
    significance, background : ndarray, shape (ny, nx)
        Values of the disks, with a ring the background from the acceptance; NaN at excluded
        positions, off the field of view, and where the background is not known.
    """
    measured = counts_in_disk(images, radius, mask)
    significance = measured.significance()
    background = measured.background
    covered = images.get("acceptance", images["bkg"]) > 0
    if "off" in images:
        # With few OFF counts the model is the better estimate.
        background = measured.alpha * images["acceptance_off"]
    use = mask & covered & np.isfinite(significance)
    return np.where(use, significance, np.nan), np.where(use, background, np.nan)


@cache
def _moments():
    """Return mean, and mean square, of the significance of Poisson counts around each of `GRID`."""
    n = np.arange(2000)[:, None]
    probability = np.exp(xlogy(n, GRID) - GRID - gammaln(n + 1))
    values = significance(n, GRID)
    return (probability * values).sum(axis=0), (probability * values**2).sum(axis=0)


def expected_moments(background):
    """Return mean and width of the significance of Poisson counts over a known background.

    At few counts it is not a normal variable: for 1 count its mean is -0.2.

    Parameters
    ----------
    background : ndarray, shape (n,)
        Expected counts at each position.

    Returns
    -------
    mean, width : float
    """
    x = np.log(background)
    mean, square = (
        np.mean(np.interp(x, np.log(GRID), moment, right=limit))
        for moment, limit in zip(_moments(), (0.0, 1.0), strict=True)
    )
    return float(mean), float(np.sqrt(square - mean**2))


def independent(image, radius):
    """Return the values of disks that do not overlap, on a grid: 1D array without NaN."""
    step_x, step_y = (int(2 * size + 1e-6) + 1 for size in radius)
    grid = image[step_y // 2 :: step_y, step_x // 2 :: step_x]
    return grid[np.isfinite(grid)]


def off_statistics(significance, background, radius):
    """Return mean and width of the significance of empty sky, and the expected values.

    Parameters
    ----------
    significance, background : ndarray, shape (ny, nx)
        Results of `off_significance`.
    radius : tuple of float
        Radius of the disk in pixels along x and y.

    Returns
    -------
    dict
        ``n_pixels``, ``mean`` and ``width`` (standard deviation) of all positions, with
        ``mean_expected`` and ``width_expected`` of `expected_moments`; ``smallest`` and
        ``largest``; ``n_independent``, ``mean_independent`` and ``width_independent``, with
        their errors, of disks on a grid that do not overlap.
    """
    values = significance[np.isfinite(significance)]
    apart = independent(significance, radius)
    n = len(apart)
    expected = (np.nan, np.nan)
    if len(values):
        expected = expected_moments(background[np.isfinite(background)])
    return {
        "n_pixels": len(values),
        "mean": _of(np.mean, values),
        "mean_expected": expected[0],
        "width": _of(np.std, values),
        "width_expected": expected[1],
        "smallest": _of(np.min, values),
        "largest": _of(np.max, values),
        "n_independent": n,
        "mean_independent": _of(np.mean, apart),
        "mean_error": _of(np.std, apart) / np.sqrt(n) if n else np.nan,
        "width_independent": _of(np.std, apart),
        "width_error": _of(np.std, apart) / np.sqrt(2 * n) if n else np.nan,
    }


def not_as_expected(row):
    """Describe how the result of `off_statistics` differs from that of empty sky, if it does.

    Mean and width of the independent disks are compared, because neighbours share counts.
    """
    texts = []
    for name in ("mean", "width"):
        value, expected = row[f"{name}_independent"], row[f"{name}_expected"]
        difference = value - expected if name == "width" else abs(value - expected)
        if difference > MANY_ERRORS * row[f"{name}_error"]:
            texts.append(f"{name} {value:.2f}, expected {expected:.2f}")
    if row["largest"] > LARGEST_OF_EMPTY_SKY:
        texts.append(f"up to {row['largest']:.1f} sigma")
    if not texts:
        return ""
    return f"significance outside the exclusions: {', '.join(texts)}"


def _of(function, values):
    return float(function(values)) if len(values) else np.nan


def histogram(significance):
    """Count the positions in `BINS`; the outermost bins include all beyond."""
    values = significance[np.isfinite(significance)]
    first, last = BINS[0], BINS[-1]
    # The bins are equal, so no search for the bin of each position is needed.
    return np.histogram(np.clip(values, first, last), len(BINS) - 1, (first, last))[0]
