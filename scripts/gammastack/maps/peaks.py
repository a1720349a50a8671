"""Peaks of a significance map: where candidates for sources are."""

import numpy as np
from scipy.ndimage import maximum_filter

from gammastack.sky.kernels import disk_kernel, elliptic_distance


def find_peaks(image, threshold, radius):
    """Find the maxima of a map of sums in disks that are larger than all within two radii.

    Disks that are two radii apart share no counts, so the peaks are independent, and the noise on
    the flank of a bright source is none. A maximum filter of `scipy.ndimage` finds them.
    ``photutils.detection.find_peaks`` is the same filter, but gives each pixel of a plateau as
    a peak; ``skimage.feature.peak_local_max`` leaves out peaks near the edges by default, and
    its distances are not those of an elliptic disk.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        NaN where it is not known.
    threshold : float
    radius : tuple of float
        Radius of the disks in pixels along x and y.

    Returns
    -------
    rows, columns : ndarray of int, shape (n_peaks,)
        From the largest value to the smallest one; of a plateau the pixel that is nearest to
        its middle.
    """
    values = np.where(image >= threshold, image, -np.inf)
    apart = 2 * radius[0], 2 * radius[1]
    # The square inside the disk leaves few pixels to be compared with the whole disk.
    size = [2 * int(length / np.sqrt(2)) + 1 for length in apart[::-1]]
    highest = maximum_filter(values, size, mode="constant", cval=-np.inf)
    rows, columns = np.nonzero((values == highest) & (values > -np.inf))
    disk = disk_kernel(apart) > 0
    ny, nx = disk.shape
    padded = np.pad(values, [(n // 2,) for n in disk.shape], constant_values=-np.inf)
    is_peak = [
        padded[row : row + ny, column : column + nx][disk].max() == values[row, column]
        for row, column in zip(rows, columns, strict=True)
    ]
    rows, columns = rows[is_peak], columns[is_peak]
    order = np.argsort(-values[rows, columns], kind="stable")
    return _one_of_each_plateau(rows[order], columns[order], apart)


def _one_of_each_plateau(rows, columns, apart):
    """Keep one of the peaks that are not further apart than a distance: they are equal."""
    kept = []
    while len(rows):
        near = elliptic_distance(columns - columns[0], rows - rows[0], apart) <= 1
        middle = columns[near].mean(), rows[near].mean()
        distance = elliptic_distance(
            columns[near] - middle[0], rows[near] - middle[1], apart
        )
        chosen = np.flatnonzero(near)[np.argmin(distance)]
        kept.append((rows[chosen], columns[chosen]))
        rows, columns = rows[~near], columns[~near]
    return tuple(np.array(kept, int).reshape(-1, 2).T)
