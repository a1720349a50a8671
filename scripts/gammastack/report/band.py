"""What a page says about an energy band: numbers, pictures and data of its charts."""

from base64 import b64encode
from math import ceil, sqrt

import numpy as np
import pandas as pd
from astropy.time import Time

from gammastack.files.fits import read
from gammastack.files.header import read_config, runs_frame
from gammastack.files.layout import IMAGES
from gammastack.maps.disks import counts_in_disk
from gammastack.maps.empty_sky import BINS, histogram, not_as_expected
from gammastack.pictures.pixels import color_bar, png, reduced
from gammastack.pictures.scale import scale_of, well_exposed
from gammastack.provenance.origin import Origin
from gammastack.report.contents import AT_TARGET, PICTURES
from gammastack.report.quantised import encode, rounded
from gammastack.report.target import counts_at, disk_pixels, growth
from gammastack.stacking.run_table import bkg_norm_table

# Limits of the size of a page: of one picture, of all, and of the map in the viewer
PICTURE_PIXELS, ALL_PICTURE_PIXELS, VIEWER_PIXELS = 250_000, 4_000_000, 1_000_000
N_THUMBNAILS, THUMBNAIL_PIXELS = 8, 40_000


class Band:
    """The results of a field in one energy band, read.

    Parameters
    ----------
    name : str
    paths : dict of str to path
        By product, those of `gammastack.report.contents.READ` that there are.
    geometry : gammastack.sky.geometry.ImageGeometry

    Attributes
    ----------
    images : dict of str to ndarray
    units : dict of str to str
    header : astropy.io.fits.Header
        Of the image that says most.
    runs : pandas.DataFrame
        What became of each run.
    origin : gammastack.provenance.origin.Origin
    """

    def __init__(self, name, paths, geometry):
        self.name, self.geometry = name, geometry
        self._paths = paths
        files = {name: read(path) for name, path in paths.items() if name in IMAGES}
        self.images = {name: hdus["PRIMARY"].image for name, hdus in files.items()}
        self.units = {
            name: hdus["PRIMARY"].header["BUNIT"] for name, hdus in files.items()
        }
        most = files.get("significance", files["counts"])
        self.header = most["PRIMARY"].header
        self.runs = runs_frame(most["RUNS"])
        self.origin = Origin.from_hdu(most["INPUTS"])

    @property
    def config(self):
        """Return the settings in the header."""
        return read_config(self.header)

    @property
    def used(self):
        """Return the rows of the used runs, in the order of time."""
        return self.runs[self.runs["status"] == "used"].sort_values("start")

    def off_row(self):
        """Return the first row of the statistics of the empty sky; None without background."""
        if "off_statistics" not in self._paths:
            return None
        return pd.read_csv(self._paths["off_statistics"]).iloc[0].to_dict()

    def at(self, position):
        """Return the values of the maps at a position, by product; None where unknown."""
        row, column, inside = self.geometry.pixel_index(
            *(np.atleast_1d(part) for part in position)
        )
        values = {}
        for name in AT_TARGET:
            if name in self.images:
                value = self.images[name][row[0], column[0]] if inside.any() else np.nan
                values[name] = float(value) if np.isfinite(value) else None
        return values

    def histogram(self, mask):
        """Return the distribution of the significance inside and outside the exclusions."""
        if "off_histogram" not in self._paths:
            return None
        table = pd.read_csv(self._paths["off_histogram"])
        outside = table.iloc[:, 2].to_numpy()
        row = self.off_row()
        inside = histogram(np.where(mask, np.nan, self.images["significance"]))
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


def picture(name, image, n_pixels, use=None):
    """Return what the page needs to show an image.

    Parameters
    ----------
    name : str
        Of the product, see `gammastack.pictures.scale.scale_of`.
    image : ndarray, shape (ny, nx)
    n_pixels : int
        Larger images are reduced to so many pixels.
    use : ndarray of bool, optional

    Returns
    -------
    dict
        ``png`` and ``bar`` in base64; ``low``, ``high``, ``n_below``, ``n_above``,
        ``smallest``, ``largest``; ``factor``, the pixels in a row of those that are shown.
    """
    scale = scale_of(name, image, use)
    small, factor = reduced(image, _largest_side(image.shape, n_pixels))
    known = image[np.isfinite(image)]
    below, above = scale.clipped(image)
    return {
        "png": _base64(png(small, scale)),
        "bar": _base64(color_bar(scale)),
        "low": scale.low,
        "high": scale.high,
        "n_below": below,
        "n_above": above,
        "smallest": float(known.min()) if len(known) else None,
        "largest": float(known.max()) if len(known) else None,
        "factor": factor,
    }


def _base64(content):
    return b64encode(content).decode("ascii")


def _largest_side(shape, n_pixels):
    ny, nx = shape
    return ceil(max(shape) / max(1, ceil(sqrt(ny * nx / n_pixels))))


def pictures(band, n_bands):
    """Return the pictures of a band by product, in the order of `PICTURES`."""
    names = [name for name in PICTURES if name in band.images]
    n_pixels = min(PICTURE_PIXELS, ALL_PICTURE_PIXELS // (len(names) * n_bands))
    enough = well_exposed(band.images.get("exposure"))
    return {
        name: picture(
            name, band.images[name], n_pixels, enough if "flux" in name else None
        )
        for name in names
    }


def viewer(band, n_bands):
    """Return the significance map for the viewer: text, shape, and pixels in a row of a value."""
    image = band.images["significance"]
    side = _largest_side(image.shape, VIEWER_PIXELS // n_bands)
    small, factor = reduced(image, side)
    return {"map": encode(small), "shape": list(small.shape), "factor": factor}


def growth_at(band, runs, position, radius):
    """Return excess and significance at a position as the runs were added, and each run's.

    Parameters
    ----------
    band : Band
    runs : callable
        Returns the `gammastack.runs.run.RunImages` of an OBS_ID.
    position : tuple of float
        ICRS in deg.
    radius : tuple of float
        In pixels along x and y.

    Returns
    -------
    dict of str to list, or None
        None if no run sees the position.
    """
    pixels = disk_pixels(band.geometry, position, radius)
    rows = []
    for row in band.used.itertuples():
        n, mu = counts_at(runs(row.OBS_ID), row.bkg_scale, pixels, band.geometry)
        if mu > 0:
            rows.append((row.OBS_ID, row.livetime, n, mu))
    if not rows:
        return None
    obs_ids, livetime, n, mu = zip(*rows, strict=True)
    curves = {name: rounded(of) for name, of in growth(livetime, n, mu).items()}
    return {"obs_id": list(obs_ids), "n": list(n), "mu": rounded(mu), **curves}


def thumbnails(band, runs, radius):
    """Return small pictures of the runs that are odd: counts, background and residual.

    Parameters
    ----------
    band, runs, radius
        As in `growth_at`.

    Returns
    -------
    list of dict
        ``obs_id``, ``warning``, and by name the pictures of counts and background in the
        disk, and of the significance of the counts over the background.
    """
    odd = band.used[band.used["warning"] != ""]
    found = []
    for row in odd.head(N_THUMBNAILS).itertuples():
        run = runs(row.OBS_ID)
        if 0 in run.counts.shape:
            continue
        counts = np.where(run.covered, run.counts, 0)
        bkg = row.bkg_scale * np.where(run.covered, run.bkg, 0)
        measured = counts_in_disk({"counts": counts, "bkg": bkg}, radius)
        residual = np.where(run.covered, measured.significance(), np.nan)
        images = {"counts": measured.n, "bkg": measured.mu, "significance": residual}
        found.append(
            {
                "obs_id": row.OBS_ID,
                "warning": row.warning,
                "pictures": {
                    name: picture(
                        name, np.where(run.covered, image, np.nan), THUMBNAIL_PIXELS
                    )
                    for name, image in images.items()
                },
            }
        )
    return found


def verdict(row):
    """Describe how the empty sky differs from what is expected, nothing if it does not."""
    return "" if row is None else not_as_expected(row)
