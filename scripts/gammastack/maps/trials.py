"""How often empty sky has a peak of some significance: trials of a search in a map."""

from dataclasses import replace

import numpy as np
from scipy.special import chndtr, ndtri_exp

from gammastack.sky.kernels import disk_kernel

# Further steps of the random walk of `peaks_per_pixel` matter less than exp(-20), or are left out.
NEGLIGIBLE = 20
MOST_STEPS = 1000
# The background differs across a map; so many pixels stand for all.
SAMPLES = 9
# Significances after trials that are smaller say nothing more.
SMALLEST = -5


def peaks_per_pixel(radius, n, mu):
    """Return how many of the pixels with `n` counts or more are a peak of empty sky.

    Neighbouring disks share nearly all of their counts, so that pixels above a threshold are
    in clumps, and a map has more trials than disks that do not overlap, but fewer than pixels. Along
    an axis the counts in the disk change by a random walk: a step loses a part s of the `n`
    counts and gains s `mu`, s = 1 / (pixels of the disk in a row). The pixel is the peak if the
    walk does not come back on either side, of which Spitzer (1956),
    DOI 10.1090/S0002-9947-1956-0079851-X, gives the probability::

        exp(- sum over k of (P(W_k >= 0) + P(W_k > 0)) / k),  W_k = Poisson(k s mu) - Poisson(k s n)

    (of equal neighbours one is the peak). The axes count as independent, as they are for
    squares. For many counts this is the correction nu of Siegmund & Yakir (2007), The
    Statistics of Gene Mapping, DOI 10.1007/978-0-387-49686-3, page 112. What disks do
    differently is measured in docs/validation/candidates.py: 0.75 to 1.2 times the peaks for radii of
    10 to 1.5 pixels.

    Parameters
    ----------
    radius : tuple of float
        Radius of the disks in pixels along x and y.
    n, mu : array_like
        Counts and expected counts in a disk, n > mu.

    Returns
    -------
    ndarray
        Between 0 and 1.
    """
    disk = disk_kernel(radius)
    n, mu = (np.asarray(values, dtype=float)[..., None] for values in (n, mu))
    fall = np.min((np.sqrt(n) - np.sqrt(mu)) ** 2, initial=np.inf)
    peaks = 1.0
    for length in disk.shape:
        step = length / disk.sum()
        steps = int(np.clip(NEGLIGIBLE / (step * fall), 1, MOST_STEPS))
        k = np.arange(1, steps + 1)
        # The difference of Poisson variables by non-central chi-squared ones, Johnson (1959),
        # DOI 10.1093/biomet/46.3-4.352
        gained, lost = 2 * k * step * mu, 2 * k * step * n
        back = (1 - chndtr(lost, 2, gained)) + chndtr(gained, 2, lost)
        peaks = peaks * np.exp(-np.sum(back / k, axis=-1))
    return peaks


def expected_peaks(measured, radius, threshold, n_pixels=None):
    """Return the number of peaks above a threshold that empty sky has in a map.

    Parameters
    ----------
    measured : gammastack.maps.counting.KnownBackground or gammastack.maps.counting.OnOff
        Of the pixels that are searched, or of a sample of them: arrays of shape (n,).
    radius : tuple of float
        Radius of the disks in pixels along x and y.
    threshold : float
    n_pixels : int, optional
        How many pixels are searched; by default those of `measured`.

    Returns
    -------
    expected : float
    trials : float
        As many pixels as would have as many peaks if each was on its own.
    """
    size = measured.background.size
    if not size:
        return 0.0, 0.0
    n_pixels = n_pixels or size
    ranks = ((np.arange(SAMPLES) + 0.5) / SAMPLES * size).astype(int)
    chosen = np.argpartition(measured.background, ranks)[ranks]
    some = {name: values[chosen] for name, values in vars(measured).items()}
    some = replace(measured, **some)
    n = np.ceil(some.background + some.sensitivity(threshold))
    probability = np.exp(some.with_counts(n).log_p_value())
    trials = n_pixels * peaks_per_pixel(radius, n, some.background)
    return float(np.mean(trials * probability)), float(np.mean(trials))


def after_trials(log_expected):
    """Return the significance of a peak among many that could have been found.

    Parameters
    ----------
    log_expected : array_like
        Logarithm of the number of peaks that are expected of empty sky, as significant as this
        one or more.

    Returns
    -------
    ndarray
        That of the probability 1 - exp(-expected) of any; below 0 if it is more than 1/2.
    """
    log_expected = np.asarray(log_expected, dtype=float)
    # The probability is the expected number where that is so small that it would be 0.
    small = log_expected < -30
    chance = -np.expm1(-np.exp(np.where(small, 0, log_expected)))
    log_chance = np.where(small, log_expected, np.log(chance))
    return np.clip(-ndtri_exp(np.minimum(log_chance, -1e-9)), SMALLEST, None)
