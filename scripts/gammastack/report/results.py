"""The results of a field, read."""

from functools import cached_property, lru_cache
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.time import Time

from gammastack.files.fits import read
from gammastack.files.header import read_config, runs_frame
from gammastack.files.layout import IMAGES, of_band
from gammastack.files.run import RunFile
from gammastack.maps.empty_sky import BINS, histogram
from gammastack.pictures.marks import marks_of
from gammastack.pictures.overlay import overlay
from gammastack.pictures.pixels import coarse
from gammastack.provenance.origin import Origin
from gammastack.report.contents import AT_TARGET, PICTURES
from gammastack.report.quantised import rounded
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.strips import positive, strips
from gammastack.stacking.run_table import bkg_norm_table

PEAK = ("peak", "peak_ra", "peak_dec")
# Of larger images only blocks of pixels are in the memory.
MOST_PIXELS = 8_000_000


class Results:
    """The results of a field, read.

    Parameters
    ----------
    name : str
    paths : dict of str to path
        By product and band, those of `gammastack.report.contents.READ` that there are;
        ``runs_table``, ``mask`` if there is one, and ``some_runs``: a
        `gammastack.provenance.activity.Offer` of the images of all runs.
    image : dict
        Arguments of `gammastack.sky.geometry.ImageGeometry.create`.
    energy_bands : dict of str to tuple of float
        In TeV, by name.
    radius : gammastack.sky.radius.Radius
        The first one.

    Attributes
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    target : tuple of float
        ICRS right ascension and declination of the centre in deg.
    mask : ndarray of bool, shape (ny, nx), or None
        True = outside the exclusions.
    bands : list of Band
    runs : pandas.DataFrame
        What became of each run.
    """

    def __init__(self, name, paths, image, energy_bands, radius):
        self.name, self.energy_bands, self.radius = name, energy_bands, radius
        self.geometry = ImageGeometry.create(**image)
        self.frame, self.target = image["frame"], tuple(image["center"])
        self.mask = None
        if "mask" in paths:
            rows = read(paths["mask"])["PRIMARY"].rows
            self.mask = positive(rows, self.geometry.shape)
        self.bands = [
            Band(band, of_band(paths, band), self.geometry) for band in energy_bands
        ]
        # An empty text is no missing value.
        numbers = {"livetime": "", "ontime": ""}
        self.runs = pd.read_csv(
            paths["runs_table"], keep_default_na=False, na_values=numbers
        )
        self._offer = paths["some_runs"]
        self._run_paths = {int(Path(path).stem): path for path in self._offer.paths}

    @property
    def disk(self):
        """Return the correlation radius in pixels along x and y."""
        return self.radius.on(self.geometry)

    @cached_property
    def overlay(self):
        """Return the frame of the pictures; None for an image that is too small to have one."""
        if min(self.geometry.shape) < 2:
            return None
        used = self.runs[self.runs["status"] == "used"]
        marks = marks_of(self.geometry, self.mask, self.target, used, self.disk)
        return overlay(self.geometry, self.frame, marks)

    def images_of_runs(self, band):
        """Return a function that returns the `gammastack.runs.run.RunImages` of an OBS_ID."""

        @lru_cache(maxsize=1)
        def images(obs_id):
            path = self._offer.take(self._run_paths[obs_id])
            return RunFile(path, self.geometry).images(band)

        return images


class Band:
    """The results of a field in one energy band, read.

    Parameters
    ----------
    name : str
    paths : dict of str to path
        By product.
    geometry : gammastack.sky.geometry.ImageGeometry

    Attributes
    ----------
    paths : dict of str to path
    images : dict of str to ndarray
        Those that are shown. Of large images blocks of pixels, see `gammastack.pictures.pixels.coarse`.
    factor : int
        Pixels in a row of a block.
    units : dict of str to str
    header : astropy.io.fits.Header
        Of the image that says most.
    runs : pandas.DataFrame
        What became of each run.
    origin : gammastack.provenance.origin.Origin
    """

    def __init__(self, name, paths, geometry):
        self.name, self.geometry = name, geometry
        self.paths = paths
        # The files are not kept in the memory beside the images.
        files = {
            name: read(path, in_memory=0)
            for name, path in paths.items()
            if name in IMAGES
        }
        self._hdus = {name: hdus["PRIMARY"] for name, hdus in files.items()}
        self.images, self.factor = {}, 1
        for name in PICTURES:
            if hdu := self._hdus.get(name):
                image, self.factor = coarse(hdu.rows, hdu.shape, MOST_PIXELS)
                self.images[name] = image
        self.units = {name: hdu.header["BUNIT"] for name, hdu in self._hdus.items()}
        most = files.get("significance", files["counts"])
        self.header = most["PRIMARY"].header
        self.runs = runs_frame(most["RUNS"])
        self.origin = Origin.from_hdu(most["INPUTS"])

    @property
    def config(self):
        """Return the settings in the header."""
        return read_config(self.header)

    @property
    def peak(self):
        """Return value and position of the largest significance; None where there is none."""
        return {name: self.header.get(name.upper()) for name in PEAK}

    @cached_property
    def used(self):
        """Return the rows of the used runs, in the order of time."""
        return self.runs[self.runs["status"] == "used"].sort_values("start")

    @cached_property
    def off_row(self):
        """Return the first row of the statistics of the empty sky; None without background."""
        if "off_statistics" not in self.paths:
            return None
        return pd.read_csv(self.paths["off_statistics"]).iloc[0].to_dict()

    def at(self, position):
        """Return the values of the maps at a position, by product; None where unknown."""
        row, column, inside = self.geometry.pixel_index(
            *(np.atleast_1d(part) for part in position)
        )
        values = {}
        for name in AT_TARGET:
            if name in self._hdus:
                value = np.nan
                if inside.any():
                    value = self._hdus[name].rows(slice(row[0], row[0] + 1))[
                        0, column[0]
                    ]
                values[name] = float(value) if np.isfinite(value) else None
        return values

    def histogram(self, mask):
        """Return the distribution of the significance inside and outside the exclusions."""
        if "off_histogram" not in self.paths:
            return None
        table = pd.read_csv(self.paths["off_histogram"])
        outside = table.iloc[:, 2].to_numpy()
        rows = self._hdus["significance"].rows
        inside = sum(
            histogram(np.where(mask[strip.rows], np.nan, rows(strip.rows)))
            for strip in strips(self.geometry.shape)
        )
        if not (outside.any() or inside.any()):
            return None
        row = self.off_row
        width = BINS[1] - BINS[0]
        center = (BINS[:-1] + BINS[1:]) / 2
        return {
            "center": rounded(center),
            "outside": outside.tolist(),
            "inside": inside.tolist(),
            "expected": _gaussian(center, 0, 1, outside.sum() * width),
            "fitted": _gaussian(
                center, row["mean"], row["width"], outside.sum() * width
            ),
        }

    def norms(self):
        """Return the background norms of the used runs; None without any."""
        used = self.used.reset_index(drop=True)
        if "bkg" not in self.images or not len(used):
            return None
        table = bkg_norm_table(used)
        return {
            "obs_id": table["OBS_ID"].tolist(),
            "norm": rounded(table["bkg_scale"]),
            "error": rounded(table["bkg_scale_err"]),
            "mjd": rounded(_mjd(used["start"]), 9),
            "zenith": rounded(table["ZENITH"]),
            "outlier": [bool(flag) for flag in table["outlier"]],
        }


def _gaussian(x, mean, width, area):
    if not width > 0:
        return [None] * len(x)
    curve = np.exp(-(((x - mean) / width) ** 2) / 2) / width / sqrt(2 * np.pi)
    return rounded(area * curve)


def _mjd(times):
    return Time(times.tolist(), format="isot", scale="utc").mjd
