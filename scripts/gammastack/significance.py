"""Significance of an excess over a known background."""

import numpy as np
from scipy.signal import oaconvolve
from scipy.special import xlogy


def disk_kernel(radius):
    """Pixels whose centre is within an elliptic disk, its rim included.

    Parameters
    ----------
    radius : float or tuple of float
        Radius in pixels, or its two values along x and y.

    Returns
    -------
    ndarray of float, shape (odd, odd)
        1 inside, 0 outside.
    """
    rx, ry = np.broadcast_to(np.asarray(radius, dtype=float), 2)
    # 0.1 deg / 0.02 deg must be 5 pixels, whatever the rounding
    rx, ry = rx * (1 + 1e-9), ry * (1 + 1e-9)
    y, x = np.mgrid[-int(ry) : int(ry) + 1, -int(rx) : int(rx) + 1]
    return ((x / max(rx, 1e-9)) ** 2 + (y / max(ry, 1e-9)) ** 2 <= 1).astype(float)


def correlate(image, kernel):
    """Sum of an image under a kernel around each pixel, zero beyond the image's edges."""
    return oaconvolve(image, kernel, mode="same")


def significance(n, mu):
    """Significance of `n` counts where `mu` are expected, mu known without error.

    ``sign(n - mu) sqrt(2 (n ln(n / mu) - n + mu))``: Cash (1979),
    DOI 10.1086/156922; the limit of Li & Ma (1983), DOI 10.1086/161295, equation 17,
    for alpha to 0. For n = 0 it is -sqrt(2 mu).

    Parameters
    ----------
    n, mu : array_like
        Counts and expected background counts.

    Returns
    -------
    ndarray
        NaN where mu is not positive.
    """
    n, mu = np.asarray(n, dtype=float), np.asarray(mu, dtype=float)
    known = np.where(mu > 0, mu, np.nan)
    statistic = 2 * (xlogy(n, n / known) - n + known)
    return np.sign(n - known) * np.sqrt(np.clip(statistic, 0, None))


def significance_image(counts, bkg, radius):
    """Significance of the counts in a disk around each pixel.

    Parameters
    ----------
    counts, bkg : ndarray, shape (ny, nx)
        Counts and expected background counts per pixel.
    radius : float or tuple of float
        Radius of the disk in pixels, see `disk_kernel`.

    Returns
    -------
    ndarray, shape (ny, nx)
        NaN where the disk holds no background.
    """
    kernel = disk_kernel(radius)
    # The transform leaves noise of 1e-16 of the sum: counts are whole numbers, and
    # where no pixel of the disk has background there is none.
    n = np.rint(correlate(counts.astype(float), kernel))
    covered = correlate((bkg > 0).astype(float), kernel) > 0.5
    mu = np.where(covered, correlate(bkg, kernel), 0.0)
    return significance(n, mu)
