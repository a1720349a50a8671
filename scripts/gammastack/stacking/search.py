"""Search for sources to exclude in a significance map.

Separate from `gammastack.sky.exclusion`, which the configuration needs: scipy loads slowly.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import binary_propagation

from gammastack.errors import InputError
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
        Neighbouring pixels, including diagonal ones, of at least this significance belong to
        it (hysteresis).
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


class Search(NamedTuple):
    """Result of a search for sources: the mask, the number of rounds, and whether it ended."""

    mask: np.ndarray
    n_rounds: int
    converged: bool


def search_sources(mask, significance, search):
    """Exclude what is significant, until nothing changes.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
        True = use.
    significance : callable
        Function of a mask that returns the significance maps in all bands.
    search : dict
        Largest number of ``rounds``, and the other arguments of `add_sources`.

    Returns
    -------
    Search

    Raises
    ------
    InputError
        If the whole image is excluded.
    """
    search = dict(search)
    rounds, n_rounds, changed = search.pop("rounds"), 0, True
    while changed and n_rounds < rounds:
        longer = mask
        for image in significance(mask):
            longer = add_sources(longer, image, **search)
        if not longer.any():
            raise InputError(
                "exclusion_mask: the search for sources excludes the whole image; raise"
                " its threshold and threshold_low, or lower its margin"
            )
        changed = bool((longer != mask).any())
        mask, n_rounds = longer, n_rounds + 1
    return Search(mask, n_rounds, not changed)
