"""The files of datasets, in the format of gammapy's ``MapDataset``, with our provenance.

Format: https://docs.gammapy.org/2.1/user-guide/maps/index.html; GADF v0.3 calls it ``gadf``:
cubes with two celestial axes in the header, and a table of the bins of the others.
"""

import json
from functools import cache

import numpy as np

from gammastack.files.fits import (
    Image,
    Table,
    card_text,
    in_few_bytes,
    read,
    write,
)
from gammastack.files.header import of_runs, runs_frame, wcs_text
from gammastack.files.run import identity
from gammastack.provenance.origin import Origin
from gammastack.runs.run import RunImages

# Unit and axes of each cube, the fastest axis first; a plus marks one that is a single bin.
CUBES = {
    "counts": ("", ["energy"]),
    "exposure": ("m2 s", ["energy_true"]),
    "background": ("", ["energy"]),
    "mask_safe": ("", ["energy"]),
    "edisp": ("", ["energy", "energy_true"]),
    "edisp_exposure": ("m2 s", ["energy+", "energy_true"]),
    "psf": ("sr-1", ["rad", "energy_true"]),
    "psf_exposure": ("m2 s", ["rad+", "energy_true"]),
}
# Name and limits of the columns of an axis, its unit, and how gammapy interpolates
COLUMNS = {
    "energy": (("ENERGY", "E_MIN", "E_MAX"), "TeV", "log"),
    "energy_true": (
        ("ENERGY_TRUE", "ENERGY_TRUE_MIN", "ENERGY_TRUE_MAX"),
        "TeV",
        "log",
    ),
    "rad": (("RAD", "RAD_MIN", "RAD_MAX"), "deg", "lin"),
}
GTI_CARDS = (("MJDREFI", 51544), ("MJDREFF", 0.0), ("TIMESYS", "tt"))


def write_dataset(path, provenance, cubes, axes, good_times, dtype=np.float32):
    """Write a dataset; its cubes are made one after the other.

    Parameters
    ----------
    path : path
    provenance : gammastack.files.header.Provenance
    cubes : iterable of (str, ndarray, gammastack.sky.geometry.ImageGeometry)
        Name in `CUBES`, values of shape (..., ny, nx), and pixels of each cube. Those
        without pixels are left out.
    axes : gammastack.datasets.axes.DatasetAxes
    good_times : ndarray, shape (2, n)
        Starts and stops in s (TT) after ``gammastack.datasets.run.TIME_ZERO``.
    dtype : type
        Of values that are not whole numbers. Those of responses are not known to the seven
        digits of float32, but a sum of many needs more.
    """

    def hdus():
        yield Image(np.zeros((0, 0)), provenance.text)
        for name, cube, geometry in cubes:
            if cube.size:
                is_whole = cube.dtype.kind != "f"
                cube = in_few_bytes(cube) if is_whole else cube.astype(dtype)
                yield from _cube(name, cube, geometry, axes, provenance.livetime)
        start, stop = good_times
        columns = {"START": start, "STOP": stop}
        yield Table(columns, card_text(GTI_CARDS), "GTI", dict.fromkeys(columns, "s"))
        yield from provenance.tables()

    write(path, hdus())


def _cube(name, cube, geometry, axes, livetime):
    """Return the HDU of a cube, and that of its bins."""
    unit, names = CUBES[name]
    meta = {}
    if name.endswith("exposure"):
        meta = {"livetime": f"{livetime} s", "is_pointlike": False}
    bins = [_bins(one, axes) for one in names]
    axis_cards = [card for n, one in enumerate(names, 1) for card in _axis(n, one)]
    table, sizes = f"{name}_BANDS".upper(), [len(low) for low, _ in bins]
    ny, nx = geometry.shape
    cards = [
        *axis_cards,
        ("WCSSHAPE", f"({','.join(map(str, (nx, ny, *sizes)))})"),
        ("BANDSHDU", table),
        ("META", json.dumps(meta)),
        ("BUNIT", unit),
    ]
    cube = cube.reshape(*sizes[::-1], ny, nx)
    yield Image(cube, wcs_text(geometry) + card_text(cards), name.upper())
    yield Table(_columns(names, bins), card_text(axis_cards), table, _units(names))


def _bins(name, axes):
    """Return the lower and upper edges of the bins of an axis."""
    edges = getattr(axes, name.removesuffix("+"))
    return (edges[:1], edges[-1:]) if name.endswith("+") else (edges[:-1], edges[1:])


def _axis(number, name):
    (_, low, high), _, interpolation = COLUMNS[name.removesuffix("+")]
    yield f"AXCOLS{number}", f"{low},{high}"
    yield f"INTERP{number}", interpolation


def _columns(names, bins):
    """Return the columns of all combinations of bins; those of the first axis vary fastest."""
    sizes = [len(low) for low, _ in bins]
    numbers = np.indices(sizes[::-1])[::-1].reshape(len(sizes), -1)
    columns = {"CHANNEL": np.arange(np.prod(sizes))}
    for name, (low, high), number in zip(names, bins, numbers, strict=True):
        (center, *limits), _, interpolation = COLUMNS[name.removesuffix("+")]
        middle = np.sqrt(low * high) if interpolation == "log" else (low + high) / 2
        for column, values in zip((center, *limits), (middle, low, high), strict=True):
            columns[column] = values[number]
    return columns


def _units(names):
    columns = [COLUMNS[name.removesuffix("+")] for name in names]
    return {column: unit for group, unit, _ in columns for column in group}


class DatasetFile:
    """The file of a dataset of a run or of a group; its cubes are read when they are asked for.

    Parameters
    ----------
    path : path
    pixels : gammastack.datasets.pixels.DatasetPixels
        Of the field.

    Attributes
    ----------
    header : astropy.io.fits.Header
        With the provenance.
    origin : gammastack.provenance.origin.Origin
    good_times : ndarray, shape (2, n)
    geometry : callable
        Returns the pixels of a cube, given its name, as a cutout of those of the field.
    """

    def __init__(self, path, pixels):
        self._hdus = read(path, in_memory=0)
        self._pixels = pixels
        self.header = self._hdus["PRIMARY"].header
        self.origin = Origin.from_hdu(self._hdus["INPUTS"])
        self.good_times = np.stack([*self._hdus["GTI"].table.values()])
        # It is asked for again for each cube.
        self.geometry = cache(self._cutout)

    @property
    def runs(self):
        """Return what became of each run of a group, as a `pandas.DataFrame`."""
        return runs_frame(self._hdus["RUNS"])

    def has(self, name):
        """Return whether there is a cube of this name."""
        return name.upper() in self._hdus

    def cube(self, name):
        """Return a cube, shape (..., ny, nx)."""
        return self._hdus[name.upper()].image

    def _cutout(self, name):
        """Return the pixels of a cube, a cutout of those of the field."""
        whole = self._pixels.of(name)
        if not self.has(name):
            return whole.around([])
        return whole.cutout_of(self._hdus[name.upper()].header)

    def image(self):
        """Return the `gammastack.runs.run.RunImages` of a run: sums over the safe energies."""
        known = of_runs(self.header)
        del known["n_obs"], known["n_failed"]
        images = {"counts": np.zeros((0, 0), np.int32), "bkg": np.zeros((0, 0))}
        if self.has("counts"):
            images["counts"] = self.cube("counts").sum(axis=0, dtype=np.int32)
            images["bkg"] = self.cube("background").sum(axis=0, dtype=float)
        geometry = self.geometry("counts")
        return RunImages(geometry=geometry, **identity(self.header), **known, **images)
