"""DS9 regions, drawn on the sky."""

import warnings

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from regions import (
    LineSkyRegion,
    PixelRegion,
    PointSkyRegion,
    Regions,
)

from gammastack.errors import InputError
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.sphere import lonlat

WITHOUT_AREA = (PointSkyRegion, LineSkyRegion)


def inside_regions(geometry, vectors, text, name):
    """Return which pixels of an image are inside DS9 regions.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    vectors : ndarray, shape (3, ny, nx)
        The `pixel_vectors` of the geometry.
    text : str
        In the DS9 format.
    name : str
        Name of the text in messages.

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Raises
    ------
    gammastack.errors.InputError
        If a line of the text is not a region, or a region has no area or is in pixels.
    """
    try:
        with warnings.catch_warnings():
            # Regions that cannot be read are only left out with a warning.
            warnings.simplefilter("error", AstropyUserWarning)
            regions = Regions.parse(text, format="ds9")
    except Exception as error:
        raise InputError(
            f"exclusion_mask: '{name}' is not a readable DS9 region ({error})"
        ) from error
    if not len(regions):
        raise InputError(
            f"exclusion_mask: '{name}' holds no region. A region string looks like"
            " 'icrs; circle(83.63, 22.01, 0.3)'."
        )
    ra, dec = lonlat(vectors)
    on_sky = np.isfinite(ra)
    sky = SkyCoord(ra[on_sky], dec[on_sky], unit="deg", frame="icrs")
    added, removed = np.zeros((2, *geometry.shape), dtype=bool)
    for region in regions:
        # Its pixels would be elsewhere on the sky in an image of another centre or size.
        if isinstance(region, PixelRegion):
            raise InputError(
                f"exclusion_mask: '{name}' holds a region in image coordinates; save it"
                " in sky coordinates (in DS9: Region, Save, coordinate system icrs)"
            )
        if isinstance(region, WITHOUT_AREA):
            raise InputError(
                f"exclusion_mask: '{name}' holds a point or a line, which covers no"
                " pixel; make it a circle"
            )
        # In DS9, a region with a minus sign is taken out of the others.
        minus = str(region.meta.get("include", True)).lower() in ("false", "-", "0")
        region.meta.pop("include", None)
        inside = region.contains(sky, _wcs_around(region))
        (removed if minus else added)[on_sky] |= inside
    return added & ~removed


def _wcs_around(region):
    """Return a WCS in which the shape of a region is the same as on the sky.

    It is around the region's centre, in the region's frame, with true distances from the centre.
    """
    center = region.center if hasattr(region, "center") else region.vertices[0]
    frame = "galactic" if center.frame.name == "galactic" else "icrs"
    position = center.icrs.ra.deg, center.icrs.dec.deg
    return ImageGeometry.create(position, frame, "ARC", (1, 1), 0.01).wcs
