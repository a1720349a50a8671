"""Sums of datasets.

Counts, background and exposure are added up. Point spread and energy dispersion are averages
weighted with the exposure: their sums are numerators, which `average` divides by the exposure.
"""

import numpy as np

from gammastack.dl3.good_times import GoodTimeIntervals

AVERAGED = ("psf", "edisp")


def total(name, geometry, parts):
    """Add up a cube of several datasets.

    Parameters
    ----------
    name : str
        See `gammastack.datasets.run.RunDataset`.
    geometry : gammastack.sky.geometry.ImageGeometry
        Pixels of the sum.
    parts : iterable of (ndarray, gammastack.sky.geometry.ImageGeometry)
        Cubes, shape (..., ny, nx), and their pixels, cutouts of those of the sum.

    Returns
    -------
    ndarray, shape (..., ny, nx)
        Counts are whole numbers, ``mask_safe`` is 1 where any part is. Without parts it has
        no pixels.
    """
    add = np.maximum if name == "mask_safe" else np.add
    dtype = {"counts": np.int32, "mask_safe": np.uint8}.get(name, float)
    sums = np.zeros((0, 0), dtype)
    for cube, part in parts:
        if not sums.size:
            sums = np.zeros((*cube.shape[:-2], *geometry.shape), dtype)
        place = sums[(..., *geometry.placement(part))]
        add(place, cube, out=place, casting="unsafe")
    return sums


def contribution(name, run, verdict):
    """Return what a run adds to the sum of a cube.

    Parameters
    ----------
    name : str
        See `gammastack.datasets.run.RunDataset`.
    run : gammastack.files.dataset.DatasetFile
    verdict : gammastack.stacking.judge.Verdict
        With the norm of its background.

    Returns
    -------
    ndarray, shape (..., ny, nx)
    """
    cube = run.cube(name)
    if name == "background":
        return verdict.normalised(cube)
    if name in AVERAGED:
        return cube.astype(float) * run.cube(f"{name}_exposure")
    return cube


def average(numerator, exposure):
    """Return the average of a response, 0 where there is no exposure.

    Parameters
    ----------
    numerator : ndarray, shape (n_true, n, ny, nx)
    exposure : ndarray, shape (n_true, 1, ny, nx)
    """
    return np.divide(
        numerator, exposure, out=np.zeros_like(numerator), where=exposure > 0
    )


def merged_times(good_times):
    """Return the union of good time intervals, in the order of time.

    Parameters
    ----------
    good_times : iterable of ndarray, shape (2, n)
        Starts and stops.

    Returns
    -------
    ndarray, shape (2, n)
    """
    start, stop = np.concatenate([np.zeros((2, 0)), *good_times], axis=1)
    if not len(start):
        return np.zeros((2, 0))
    merged = GoodTimeIntervals.merged(start, stop)
    return np.stack([merged.start, merged.stop])
