"""Test whether the significance of empty sky is as expected for Poisson counts."""

from functools import cache
from typing import NamedTuple

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


def independent(image, radius, first_row=0):
    """Return the values of disks that do not overlap, on a grid: 1D array without NaN.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Some rows of an image.
    radius : tuple of float
        In pixels along x and y.
    first_row : int
        The row of the image that they begin with.
    """
    step_x, step_y = (int(2 * size + 1e-6) + 1 for size in radius)
    grid = image[(step_y // 2 - first_row) % step_y :: step_y, step_x // 2 :: step_x]
    return grid[np.isfinite(grid)]


class OffStatistics:
    """Mean and width of the significance of empty sky, from an image that is seen in strips.

    Parameters
    ----------
    radius : tuple of float
        Radius of the disk in pixels along x and y.

    Attributes
    ----------
    histogram : ndarray, shape (60,)
        Positions in `BINS`; the outermost bins include all beyond.
    peak : tuple of float
        Largest significance, and its column and row; NaN and zeros without any.
    """

    def __init__(self, radius):
        self._radius, self._apart = radius, []
        self._moments = self._expected = Moments()
        self._smallest, self.peak = np.nan, (np.nan, 0, 0)
        self.histogram = np.zeros(len(BINS) - 1, int)

    def add(self, significance, background, first_row=0):
        """Add results of `off_significance`: some rows, beginning with a row of the image."""
        known = np.isfinite(significance)
        values = significance[known]
        if not len(values):
            return
        self._moments = self._moments.with_values(values)
        expected = expected_moments(background[np.isfinite(background)])
        self._expected = self._expected.with_moments(len(values), *expected)
        self._apart.append(independent(significance, self._radius, first_row))
        self._smallest = np.fmin(self._smallest, values.min())
        self.peak = larger(self.peak, peak(significance, first_row))
        self.histogram += histogram(values)

    def row(self):
        """Return the statistics.

        Returns
        -------
        dict
            ``n_pixels``, ``mean`` and ``width`` (standard deviation) of all positions, with
            ``mean_expected`` and ``width_expected`` of `expected_moments`; ``smallest`` and
            ``largest``; ``n_independent``, ``mean_independent`` and ``width_independent``,
            with their errors, of disks on a grid that do not overlap.
        """
        apart = np.concatenate([[], *self._apart])
        n = len(apart)
        return {
            "n_pixels": self._moments.n,
            "mean": self._moments.mean,
            "mean_expected": self._expected.mean,
            "width": self._moments.width,
            "width_expected": self._expected.width,
            "smallest": float(self._smallest),
            "largest": float(self.peak[0]),
            "n_independent": n,
            "mean_independent": _of(np.mean, apart),
            "mean_error": _of(np.std, apart) / np.sqrt(n) if n else np.nan,
            "width_independent": _of(np.std, apart),
            "width_error": _of(np.std, apart) / np.sqrt(2 * n) if n else np.nan,
        }


def off_statistics(significance, background, radius):
    """Return the row of `OffStatistics` of a whole image."""
    statistics = OffStatistics(radius)
    statistics.add(significance, background)
    return statistics.row()


class Moments(NamedTuple):
    """Number, mean and width (standard deviation) of values; NaN without any."""

    n: int = 0
    mean: float = np.nan
    width: float = np.nan

    def with_values(self, values):
        """Return the moments of more values."""
        return self.with_moments(len(values), np.mean(values), np.std(values))

    def with_moments(self, n, mean, width):
        """Return the moments with those of other values."""
        if not self.n:
            return Moments(n, float(mean), float(width))
        total, apart = self.n + n, mean - self.mean
        variance = (self.n * self.width**2 + n * width**2) / total
        variance += self.n * n * (apart / total) ** 2
        return Moments(
            total, float(self.mean + apart * n / total), float(np.sqrt(variance))
        )


def peak(image, first_row=0):
    """Return the largest value of some rows of an image, and its column and row.

    NaN and zeros without any.
    """
    if not np.any(np.isfinite(image)):
        return np.nan, 0, 0
    y, x = np.unravel_index(np.nanargmax(image), image.shape)
    return image[y, x], x, y + first_row


def larger(first, second):
    """Return the larger one of two results of `peak`; the first one of equals."""
    return second if np.isnan(first[0]) or second[0] > first[0] else first


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
