"""Exclusion masks: 1 = use, 0 = known source."""

from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits

from gammastack.errors import InputError
from gammastack.sky.exclusion_files import file_of
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.sphere import lonlat, separation, unit_vectors
from gammastack.sky.strips import strips

# Columns of a catalogue may have these names, in lower case.
CATALOG_COLUMNS = {
    "ra": ("ra", "raj2000", "ra_icrs"),
    "dec": ("dec", "dej2000", "decj2000", "de_icrs", "dec_icrs"),
    "radius": ("radius",),
}


def exclusion_mask(geometry, exclusions):
    """Return the mask of the pixels that may be used to normalise the background.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    exclusions : list
        Each item is a circle ``{"center": (ra, dec), "radius": r}`` in ICRS deg; a
        catalogue ``{"catalog": file}``, with ``"radius"`` for sources without one, see
        `read_catalog`; or a text: DS9 region file (``.reg``), FITS mask file (``.fits``,
        ``.fits.gz``; 1 = use, 0 = exclude) or DS9 region string.

    Returns
    -------
    mask : ndarray of bool, shape (ny, nx)
        True = use.
    notes : list of str
        Notes for the user: a mask file that had to be resampled.

    Raises
    ------
    InputError
        The message names the item.
    """
    mask, resampled = np.ones(geometry.shape, dtype=bool), {}
    for strip in strips(geometry.shape):
        part = geometry.rows(strip.rows)
        use = mask[strip.rows]
        vectors = part.pixel_vectors()
        for item in exclusions:
            if isinstance(item, str) and item.endswith((".fits", ".fits.gz")):
                same_grid, covered, values = _mask_from_file(part, vectors, item)
                use[covered] &= values
                if not same_grid or not covered.all():
                    outside = int(np.sum(~covered))
                    resampled[item] = resampled.get(item, 0) + outside
            else:
                _exclude(use, part, vectors, item)
    notes = [
        f"exclusion_mask: {Path(path).name} has another pixel grid or size than the image;"
        " the nearest pixel of the mask was taken"
        f"{f', {outside} pixels outside it are used' * (outside > 0)}"
        for path, outside in resampled.items()
    ]
    return mask, notes


def _exclude(use, geometry, vectors, item):
    """Exclude pixels that are in a circle, near a source of a catalogue, or in DS9 regions."""
    if not isinstance(item, dict):
        # Importing regions is slow, and most fields do not need it.
        from gammastack.sky.ds9 import inside_regions

        text = _read_text(item) if file_of(item) else item
        use &= ~inside_regions(geometry, vectors, text, item)
        return
    sources = (
        [(*item["center"], item["radius"])]
        if "center" in item
        else (read_catalog(item["catalog"], item.get("radius")))
    )
    for ra, dec, radius in sources:
        # Most sources of a catalogue are elsewhere.
        place = geometry.placement(geometry.cutout(ra, dec, radius))
        near = vectors[:, *place]
        use[place] &= separation(near, unit_vectors(ra, dec)) >= radius


def read_catalog(path, radius=None):
    """Return circles around the sources of a catalogue.

    Parameters
    ----------
    path : path
        A table that astropy reads: FITS, ECSV, CSV, ... with the columns RA, DEC and
        RADIUS in any spelling of `CATALOG_COLUMNS`, in deg if they have no unit.
    radius : float, optional
        In deg, where the table has no radius.

    Returns
    -------
    list of (float, float, float)
        ICRS position and radius in deg.

    Raises
    ------
    InputError
        The message names the file, and the column or the row.
    """
    # Importing it is slow, and most fields do not need it.
    from astropy.table import Table

    try:
        options = {"comment": "#"} if str(path).endswith(".csv") else {}
        table = Table.read(path, **options)
    # The errors that astropy raises depend on the format.
    except Exception as error:
        raise InputError(
            f"exclusion_mask: catalog: '{path}' is not a readable table"
            f" ({str(error).partition(chr(10))[0]}); it must be .fits, .ecsv or .csv"
        ) from error
    if not len(table):
        raise InputError(f"exclusion_mask: catalog: '{path}' holds no source")
    ra, dec = (_catalog_column(table, name, path) for name in ("ra", "dec"))
    if radius is None or _name_in(table, "radius"):
        radii = _catalog_column(table, "radius", path, radius)
    else:
        radii = np.full(len(table), radius)
    bad = ~(np.isfinite(ra + dec + radii) & (np.abs(dec) <= 90) & (radii >= 0))
    if bad.any():
        raise InputError(
            f"exclusion_mask: catalog: '{path}' has no usable position or radius in row"
            f" {np.flatnonzero(bad)[0] + 1}; complete it, or give a radius for sources"
            " without one: {catalog: ..., radius: 0.3 deg}"
        )
    return list(zip(ra.tolist(), dec.tolist(), radii.tolist(), strict=True))


def _name_in(table, name):
    names = (
        column for column in table.colnames if column.lower() in CATALOG_COLUMNS[name]
    )
    return next(names, None)


def _catalog_column(table, name, path, missing=None):
    """Return a column in deg; masked values are NaN, or `missing`."""
    column = _name_in(table, name)
    if column is None:
        also = " (or give one radius for all: {catalog: ..., radius: 0.3 deg})"
        raise InputError(
            f"exclusion_mask: catalog: '{path}' has no column {name.upper()}"
            f"{also * (name == 'radius')}; it has {', '.join(table.colnames)}"
        )
    try:
        unit = table[column].unit or "deg"
        values = np.ma.asarray(table[column], dtype=float) * u.Unit(unit).to("deg")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"exclusion_mask: catalog: '{path}': column {column} is not an angle ({error})"
        ) from error
    values = np.ma.filled(values, np.nan)
    return values if missing is None else np.where(np.isnan(values), missing, values)


def _read_text(path):
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"exclusion_mask: '{path}' is not a readable DS9 region file ({error})"
        ) from error


def _mask_from_file(geometry, vectors, path):
    """Return whether the pixel grid is the same, which pixels are covered, and their values."""
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
    # The errors that astropy raises on a damaged file are not documented.
    except Exception as error:
        raise InputError(
            f"exclusion_mask: '{path}' is not a FITS image with a celestial WCS ({error})"
        ) from error
    if not np.isin(data, (0, 1)).all():
        raise InputError(
            f"exclusion_mask: '{path}' has other values than 1 (use) and 0 (exclude)"
        )
    rows, columns, covered = other.pixel_index(*lonlat(vectors))
    return geometry.same_grid(other), covered, data[rows, columns] > 0
