"""What each run sees at a position, and how it adds up."""

import numpy as np

from gammastack.maps.significance import significance
from gammastack.sky.kernels import disk_kernel


def disk_pixels(geometry, position, radius):
    """Return the pixels of a disk around the pixel at a position.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    position : tuple of float
        ICRS right ascension and declination in deg.
    radius : tuple of float
        In pixels along x and y.

    Returns
    -------
    rows, columns : ndarray of int
        Of the pixels on the image; none if the position is not on it.
    """
    row, column, inside = geometry.pixel_index(
        *(np.atleast_1d(part) for part in position)
    )
    if not inside.any():
        return np.zeros(0, int), np.zeros(0, int)
    kernel = disk_kernel(radius)
    rows, columns = (
        axis + middle[0] - size // 2
        for axis, middle, size in zip(
            np.nonzero(kernel), (row, column), kernel.shape, strict=True
        )
    )
    ny, nx = geometry.shape
    on_image = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    return rows[on_image], columns[on_image]


def counts_at(run, bkg, pixels, geometry):
    """Return the counts and the background of a run in a disk.

    Parameters
    ----------
    run : gammastack.runs.run.RunImages
    bkg : ndarray, shape (ny, nx)
        Its normalised background.
    pixels : tuple of ndarray
        Rows and columns of the disk, see `disk_pixels`.
    geometry : gammastack.sky.geometry.ImageGeometry
        The whole image.

    Returns
    -------
    n : int
    mu : float
    """
    place = geometry.placement(run.geometry)
    rows, columns = (
        axis - part.start for axis, part in zip(pixels, place, strict=True)
    )
    ny, nx = run.counts.shape
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    rows, columns = rows[inside], columns[inside]
    use = run.covered[rows, columns]
    n = int(run.counts[rows, columns][use].sum())
    return n, float(bkg[rows, columns][use].sum())


def growth(livetime, n, mu):
    """Return how excess and significance grow with the livetime.

    Parameters
    ----------
    livetime, n, mu : array_like, shape (n_runs,)
        Of each run, in the order of time.

    Returns
    -------
    dict of str to ndarray
        Sums up to each run: ``livetime`` in h, ``excess``, its Poisson error ``error``, and
        ``significance``.
    """
    n, mu = np.cumsum(n), np.cumsum(mu)
    return {
        "livetime": np.cumsum(np.asarray(livetime)) / 3600,
        "excess": n - mu,
        "error": np.sqrt(n),
        "significance": significance(n.astype(float), mu.astype(float)),
    }
