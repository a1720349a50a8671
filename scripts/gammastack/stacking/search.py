"""Sources that are found in a significance map, to be excluded.

Apart from `gammastack.sky.exclusion`, which the configuration needs: importing scipy is slow.
"""

import numpy as np
from scipy.ndimage import binary_propagation

from gammastack.sky.kernels import correlate, disk_kernel


def add_sources(mask, significance, threshold, threshold_low, margin):
    """Exclude significant pixels, what is connected to them, and a margin around it.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
        True = use.
    significance : ndarray, shape (ny, nx)
    threshold : float
        A source has a pixel of at least this significance.
    threshold_low : float
        Neighbouring pixels, also diagonal ones, of at least this belong to it
        (hysteresis).
    margin : tuple of float
        In pixels along x and y.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    values = np.nan_to_num(significance, nan=-np.inf)
    source = binary_propagation(
        values >= threshold, structure=np.ones((3, 3)), mask=values >= threshold_low
    )
    around = correlate(source.astype(float), disk_kernel(margin)) > 0.5
    return mask & ~around
