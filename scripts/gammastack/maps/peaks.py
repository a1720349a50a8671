"""Peaks of a significance map: where candidates for sources are."""

import numpy as np
from scipy.ndimage import maximum_filter

from gammastack.sky.kernels import disk_kernel, elliptic_distance, reach
from gammastack.sky.strips import strips


def find_peaks(rows, shape, threshold, radius):
    """Find the maxima of a map of sums in disks that are larger than all within two radii.

    Disks that are two radii apart share no counts, so the peaks are independent, and the noise on
    the flank of a bright source is none.

    Parameters
    ----------
    rows : callable
        Returns some rows of the map, given a slice; NaN where it is not known.
    shape : tuple of int
        Of the map.
    threshold : float
    radius : tuple of float
        Radius of the disks in pixels along x and y.

    Returns
    -------
    rows, columns : ndarray of int, shape (n_peaks,)
        From the largest value to the smallest one; of a plateau the pixel that is nearest to
        its middle.
    """
    found = []
    for strip in strips(shape, margin=reach(_apart(radius))):
        y, x, values = _highest_pixels(rows(strip.around), threshold, radius)
        y = y + strip.around.start
        inside = (y >= strip.rows.start) & (y < strip.rows.stop)
        found.append((y[inside], x[inside], values[inside]))
    return _one_of_each_plateau(*map(np.concatenate, zip(*found, strict=True)), radius)


def _apart(radius):
    """Return how far peaks are apart at least, in pixels along x and y."""
    return 2 * radius[0], 2 * radius[1]


def _highest_pixels(image, threshold, radius):
    """Return the pixels that no other one within two radii exceeds.

    A maximum filter of `scipy.ndimage` finds them. ``photutils.detection.find_peaks`` is the
    same filter, but gives each pixel of a plateau as a peak; ``skimage.feature.peak_local_max``
    leaves out peaks near the edges by default, and its distances are not those of an elliptic
    disk.

    Parameters
    ----------
    image : ndarray, shape (n_rows, nx)
    threshold, radius
        As in `find_peaks`.

    Returns
    -------
    rows, columns : ndarray of int, shape (n,)
    values : ndarray, shape (n,)
    """
    values = np.where(image >= threshold, image, -np.inf)
    far = _apart(radius)
    # The square inside the disk leaves few pixels to be compared with the whole disk.
    size = [2 * int(length / np.sqrt(2)) + 1 for length in far[::-1]]
    highest = maximum_filter(values, size, mode="constant", cval=-np.inf)
    rows, columns = np.nonzero((values == highest) & (values > -np.inf))
    disk = disk_kernel(far) > 0
    ny, nx = disk.shape
    padded = np.pad(values, [(n // 2,) for n in disk.shape], constant_values=-np.inf)
    is_peak = np.array(
        [
            padded[row : row + ny, column : column + nx][disk].max()
            == values[row, column]
            for row, column in zip(rows, columns, strict=True)
        ],
        bool,
    )
    rows, columns = rows[is_peak], columns[is_peak]
    return rows, columns, values[rows, columns]


def _one_of_each_plateau(rows, columns, values, radius):
    """Keep one of the pixels that are not further apart than two radii: they are equal.

    Parameters
    ----------
    rows, columns : ndarray of int, shape (n,)
    values : ndarray, shape (n,)
    radius : tuple of float
        Radius of the disks in pixels along x and y.

    Returns
    -------
    rows, columns : ndarray of int, shape (n_peaks,)
        From the largest value to the smallest one.
    """
    order = np.argsort(-values, kind="stable")
    rows, columns, far = rows[order], columns[order], _apart(radius)
    kept = []
    while len(rows):
        near = elliptic_distance(columns - columns[0], rows - rows[0], far) <= 1
        middle = columns[near].mean(), rows[near].mean()
        distance = elliptic_distance(
            columns[near] - middle[0], rows[near] - middle[1], far
        )
        chosen = np.flatnonzero(near)[np.argmin(distance)]
        kept.append((rows[chosen], columns[chosen]))
        rows, columns = rows[~near], columns[~near]
    return tuple(np.array(kept, int).reshape(-1, 2).T)
