"""What is marked on pictures of a field."""

import numpy as np

from gammastack.pictures.sky import Marks
from gammastack.sky.known_sources import known_sources


def marks_of(geometry, mask, target, runs, radius):
    """Return what is marked on the pictures of a field.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    mask : ndarray of bool, shape (ny, nx), or None
    target : tuple of float
        ICRS in deg.
    runs : pandas.DataFrame
        Of the used runs, with the columns RA_PNT and DEC_PNT.
    radius : tuple of float, or None
        In pixels.

    Returns
    -------
    gammastack.pictures.sky.Marks
    """
    ny, nx = geometry.shape
    names, ra, dec, _ = zip(*known_sources(), strict=True)
    x, y = geometry.pixel_coordinates(ra, dec)
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    sources = {
        names[number]: (float(x[number]), float(y[number]))
        for number in np.flatnonzero(inside)
    }
    pointings = np.zeros((0, 2))
    if len(runs):
        position = (runs[key].astype(float) for key in ("RA_PNT", "DEC_PNT"))
        pointings = np.stack(geometry.pixel_coordinates(*position), axis=1)
        pointings = pointings[np.isfinite(pointings).all(axis=1)]
    x, y = geometry.pixel_coordinates(*target)
    return Marks(mask, (float(x), float(y)), sources, pointings, radius)
