"""Counts and background in a disk around each pixel."""

import numpy as np

from gammastack.maps.counting import KnownBackground, OnOff
from gammastack.sky.kernels import disk_kernel, sum_in_disk

# These images of a band give its counts and background, without and with a ring.
KNOWN = ("counts", "bkg")
ON_OFF = ("counts", "acceptance", "off", "acceptance_off")


def counts_in_disk(images, radius, use=None):
    """Return the counts in a disk around each pixel, and the background there.

    Parameters
    ----------
    images : dict of str to ndarray, shape (ny, nx)
        `KNOWN`, or `ON_OFF` of a ring background, see `gammastack.stacking.stack.final_images`.
    radius : float or tuple of float
        Radius of the disk in pixels, see `gammastack.sky.kernels.disk_kernel`.
    use : ndarray of bool, shape (ny, nx), optional
        Pixels that count; by default all.

    Returns
    -------
    gammastack.maps.counting.KnownBackground or gammastack.maps.counting.OnOff
        NaN where the background is not known. With a ring, OFF belongs to the ring around
        the centre of the disk, and alpha is the acceptance of the disk over that of this
        ring, as in gammapy's ``ExcessMapEstimator`` without a correlation of OFF.
    """
    kernel = disk_kernel(radius)

    def in_disk(kind):
        return sum_in_disk(images[kind] if use is None else images[kind] * use, kernel)

    n = in_disk("counts")
    if "off" not in images:
        return KnownBackground(n, in_disk("bkg"))
    acceptance, ring = in_disk("acceptance"), images["acceptance_off"]
    known = (ring > 0) & (acceptance > 0)
    alpha = np.divide(acceptance, ring, out=np.full(n.shape, np.nan), where=known)
    return OnOff(n, images["off"], alpha)


def mean_in_disk(image, radius):
    """Return the mean of the positive pixels of an image in a disk around each pixel.

    Returns
    -------
    ndarray, shape (ny, nx)
        NaN where the disk has no positive pixels.
    """
    kernel = disk_kernel(radius)
    n_pixels = sum_in_disk(image > 0, kernel)
    return np.divide(
        sum_in_disk(image, kernel),
        n_pixels,
        out=np.full(image.shape, np.nan),
        where=n_pixels > 0,
    )
