"""Pictures of a page: maps, the map of the viewer, and thumbnails of runs."""

from base64 import b64encode
from math import ceil, sqrt

import numpy as np

from gammastack.maps.disks import counts_in_disk
from gammastack.pictures.pixels import color_bar, png, reduced
from gammastack.pictures.scale import scale_of, well_exposed
from gammastack.report.contents import PICTURES
from gammastack.report.quantised import STEP, encode
from gammastack.sky.geometry import rotation_from_icrs
from gammastack.stacking.run_table import background_of

# Limits of the size of a page: of one picture, of all, and of the map in the viewer
PICTURE_PIXELS, ALL_PICTURE_PIXELS, VIEWER_PIXELS = 250_000, 4_000_000, 1_000_000
N_THUMBNAILS, THUMBNAIL_PIXELS = 8, 40_000
# Pixels between the positions from which the viewer interpolates; it is exact to 1 arcsec
# for pixels of 0.02 deg.
GRID_STEP = 16
# More positions would make the page too large.
MOST_POSITIONS = 50_000


def picture(name, image, n_pixels, use=None, block=1):
    """Return what the page needs to show an image.

    Parameters
    ----------
    name : str
        Of the product, see `gammastack.pictures.scale.scale_of`.
    image : ndarray, shape (ny, nx)
    n_pixels : int
        Larger images are reduced to so many pixels.
    use : ndarray of bool, optional
    block : int
        Pixels of the map in a row of a pixel of the image.

    Returns
    -------
    dict
        ``png`` and ``bar`` in base64; ``low``, ``high``, ``n_below``, ``n_above``,
        ``smallest``, ``largest``; ``factor``, the pixels of the map in a row of those that are
        shown.
    """
    scale = scale_of(name, image, use)
    small, factor = reduced(image, _largest_side(image.shape, n_pixels))
    known = image[np.isfinite(image)]
    below, above = scale.clipped(image)
    return {
        "png": _base64(png(small, scale)),
        "bar": _base64(color_bar(scale.colors)),
        "low": scale.low,
        "high": scale.high,
        "n_below": below,
        "n_above": above,
        "smallest": float(known.min()) if len(known) else None,
        "largest": float(known.max()) if len(known) else None,
        "factor": factor * block,
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
            *(name, band.images[name], n_pixels),
            use=enough if "flux" in name else None,
            block=band.factor,
        )
        for name in names
    }


def viewer(band, n_bands):
    """Return the data of the viewer of a band.

    Parameters
    ----------
    band : gammastack.report.results.Band
    n_bands : int

    Returns
    -------
    dict
        ``map``: the significance as text, ``step`` of its values, its ``shape``, and
        ``factor``: pixels of the map in a row of its pixels.
    """
    image = band.images["significance"]
    side = _largest_side(image.shape, VIEWER_PIXELS // n_bands)
    small, factor = reduced(image, side)
    return {
        "map": encode(small),
        "step": STEP,
        "shape": list(small.shape),
        "factor": factor * band.factor,
    }


def position_grid(geometry):
    """Return what a page needs to know the position of each pixel.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry

    Returns
    -------
    dict
        ICRS unit ``vectors`` of pixels on a grid of ``nx`` by ``ny`` nodes, ``step`` pixels
        apart, between which it interpolates; ``galactic``, the matrix that rotates them.
    """
    ny, nx = geometry.shape
    step = GRID_STEP * ceil(sqrt(max(1, ny * nx / GRID_STEP**2 / MOST_POSITIONS)))
    x, y = (np.arange(0, n - 1 + step, step) for n in (nx, ny))
    vectors = geometry.vectors(*np.meshgrid(x, y)).reshape(3, -1).T
    return {
        "step": step,
        "nx": len(x),
        "ny": len(y),
        "galactic": rotation_from_icrs("galactic").round(10).tolist(),
        "vectors": [
            [round(part, 8) if np.isfinite(part) else None for part in vector]
            for vector in vectors.tolist()
        ],
    }


def thumbnails(band, runs, radius):
    """Return small pictures of the runs that are odd: counts, background and residual.

    Parameters
    ----------
    band : gammastack.report.results.Band
    runs : callable
        Returns the `gammastack.runs.run.RunImages` of an OBS_ID.
    radius : tuple of float
        In pixels along x and y.

    Returns
    -------
    list of dict
        ``obs_id``, ``warning``, and by name the pictures of counts and background in the
        disk, and of the significance of the counts over the background.
    """
    odd = band.used[band.used["warning"] != ""]
    found = []
    for row in odd.head(N_THUMBNAILS).to_dict("records"):
        run = runs(row["OBS_ID"])
        if 0 in run.counts.shape:
            continue
        counts = np.where(run.covered, run.counts, 0)
        bkg = np.where(run.covered, background_of(run, row), 0)
        measured = counts_in_disk({"counts": counts, "bkg": bkg}, radius)
        residual = np.where(run.covered, measured.significance(), np.nan)
        images = {"counts": measured.n, "bkg": measured.mu, "significance": residual}
        found.append(
            {
                "obs_id": row["OBS_ID"],
                "warning": row["warning"],
                "pictures": {
                    name: picture(
                        name, np.where(run.covered, image, np.nan), THUMBNAIL_PIXELS
                    )
                    for name, image in images.items()
                },
            }
        )
    return found
