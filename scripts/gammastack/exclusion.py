"""Exclusion masks: 1 = use, 0 = known source."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from gammastack.errors import InputError
from gammastack.geometry import (
    ImageGeometry,
    lonlat,
    separation,
    unit_vectors,
)


def exclusion_mask(geometry, exclusions):
    """Mask of the pixels that may be used to normalise the background.

    Parameters
    ----------
    geometry : gammastack.geometry.ImageGeometry
    exclusions : list
        Each item is a circle ``{"center": (ra, dec), "radius": r}`` in ICRS deg, or a
        text: DS9 region file (``.reg``), FITS mask file (``.fits``, ``.fits.gz``;
        1 = use, 0 = exclude) or DS9 region string.

    Returns
    -------
    mask : ndarray of bool, shape (ny, nx)
        True = use.
    notes : list of str
        What the user should know: a mask file that had to be resampled.

    Raises
    ------
    InputError
        Naming the item.
    """
    vectors = geometry.pixel_vectors()
    mask, notes = np.ones(geometry.shape, dtype=bool), []
    for item in exclusions:
        if isinstance(item, dict):
            inside = separation(vectors, unit_vectors(*item["center"])) < item["radius"]
            mask &= ~inside
        elif item.endswith((".fits", ".fits.gz")):
            use, note = _mask_from_file(geometry, vectors, item)
            mask &= use
            notes += note
        else:
            # Importing regions is slow, and most fields do without
            from gammastack.ds9 import inside_regions

            text = _read_text(item) if is_file(item) else item
            mask &= ~inside_regions(geometry, vectors, text, item)
    return mask, notes


def is_file(item):
    """Whether an exclusion is the name of a file."""
    return isinstance(item, str) and item.endswith((".reg", ".fits", ".fits.gz"))


def _read_text(path):
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"exclusion_mask: '{path}' is not a readable DS9 region file ({error})"
        ) from error


def _mask_from_file(geometry, vectors, path):
    try:
        with fits.open(path) as hdus:
            hdu = next(
                hdu for hdu in hdus if hdu.header.get("NAXIS") == 2 and hdu.is_image
            )
            data, other = hdu.data, ImageGeometry.from_header(hdu.header)
    except StopIteration:
        raise InputError(
            f"exclusion_mask: '{path}' is not a FITS image with a celestial WCS (it has"
            " no image of two axes)"
        ) from None
    # What astropy raises on a damaged file is not documented
    except Exception as error:
        raise InputError(
            f"exclusion_mask: '{path}' is not a FITS image with a celestial WCS ({error})"
        ) from error
    if not np.isin(data, (0, 1)).all():
        raise InputError(
            f"exclusion_mask: '{path}' has other values than 1 (use) and 0 (exclude)"
        )
    rows, columns, covered = other.pixel_index(*lonlat(vectors))
    mask = np.ones(geometry.shape, dtype=bool)
    mask[covered] = data[rows, columns] > 0
    if geometry.same_grid(other) and covered.all():
        return mask, []
    outside = f", {np.sum(~covered)} pixels outside it are used" * (not covered.all())
    return mask, [
        f"exclusion_mask: {Path(path).name} has another pixel grid or size than the image;"
        f" the nearest pixel of the mask was taken{outside}"
    ]
