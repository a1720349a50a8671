"""An image product as a picture shows it, read from its file alone."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits

from gammastack.errors import InputError
from gammastack.files.fits import read
from gammastack.files.header import read_config, runs_frame
from gammastack.files.layout import IMAGES, image_product
from gammastack.pictures.figure import contours_at
from gammastack.pictures.marks import marks_of
from gammastack.pictures.scale import scale_of, well_exposed
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.radius import Radius


@dataclass(frozen=True)
class ImageProduct:
    """An image of a field, or a part of one.

    Attributes
    ----------
    name : str
        In the table of products.
    image : ndarray, shape (ny, nx)
    geometry : gammastack.sky.geometry.ImageGeometry
    unit : str
        BUNIT.
    config : dict
        The settings that made it.
    runs : pandas.DataFrame
        What became of each run; empty if the file does not say.
    """

    name: str
    image: np.ndarray
    geometry: ImageGeometry
    unit: str
    config: dict
    runs: pd.DataFrame

    @property
    def frame(self):
        """Return ``icrs`` or ``galactic``, which the axes of the image are."""
        return self.config["image"]["frame"]

    def label(self, exponent=0):
        """Return what the image shows, and its unit times a power of 10, for matplotlib."""
        product = IMAGES[self.name]
        text = product.description[0].upper() + product.description[1:]
        counted = product.unit if isinstance(product.unit, str) else ""
        unit = re.sub(r"(?<=[A-Za-z])(-?\d+)", r"$^{\1}$", self.unit or counted)
        if unit == product.description:
            unit = ""
        factor = f"$10^{{{exponent}}}$" if exponent else ""
        unit = " ".join(filter(None, (factor, unit)))
        return f"{text} ({unit})" if unit else text

    def around(self, position, width):
        """Return the part of the image around a position.

        Parameters
        ----------
        position : tuple of float
            ICRS in deg.
        width : float
            In deg.

        Raises
        ------
        InputError
            If it is not on the image.
        """
        part = self.geometry.cutout(*position, width / 2)
        if 0 in part.shape:
            ra, dec = position
            raise InputError(
                f"RA {ra:g}, Dec {dec:g} (ICRS, in deg) is not on the image"
            )
        place = self.geometry.placement(part)
        return replace(self, image=self.image[place], geometry=part)

    def marks(self, mask):
        """Return all that can be marked on the image.

        Parameters
        ----------
        mask : ImageProduct or None
            The exclusion mask of the field.
        """
        radius = None
        if "{radius}" in IMAGES[self.name].file:
            radius = Radius.from_label(self.config["radius"]).on(self.geometry)
        return marks_of(
            self.geometry,
            None if mask is None else mask.image > 0,
            self.config["image"]["center"],
            self.runs,
            radius,
        )


def read_product(path):
    """Read an image product of a field.

    Raises
    ------
    InputError
        If the file is not an image of a field, or damaged.
    """
    path = Path(path)
    product = image_product(path.name)
    if product is None:
        raise InputError(
            f"{path} has no image of a field, as exclusion_mask.fits, counts.fits and"
            " significance_0.2deg.fits have; docs/results.md lists all of them"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    hdus = read(path)
    primary, runs = hdus["PRIMARY"], pd.DataFrame()
    if "RUNS" in hdus:
        runs = runs_frame(hdus["RUNS"])
        runs = runs[runs["status"] == "used"]
    return ImageProduct(
        product.name,
        primary.image,
        ImageGeometry.from_header(primary.header),
        primary.header["BUNIT"],
        read_config(primary.header),
        runs,
    )


def read_beside(path, name):
    """Read another image of the same field and band.

    Parameters
    ----------
    path : path
        Of an image product.
    name : str
        Of the other one, in the table of products.

    Returns
    -------
    ImageProduct, or None if there is no such file.
    """
    path = Path(path)
    own, other = image_product(path.name).file, IMAGES[name].file
    folder = path.absolute().parents[own.count("/") - other.count("/")]
    found = folder / f"{name}.fits"
    return read_product(found) if found.is_file() else None


def scale_of_product(shown, exposure=None):
    """Return the colours of an image product; fluxes count only where there is exposure.

    Parameters
    ----------
    shown : ImageProduct
    exposure : ImageProduct, optional

    Returns
    -------
    gammastack.pictures.scale.Scale
    """
    use = None if exposure is None else well_exposed(exposure.image)
    return scale_of(shown.name, shown.image, use)


def read_contours(path, levels):
    """Read the first image of a FITS file to draw its contours.

    Parameters
    ----------
    path : path
        Not only of a product: it needs a celestial WCS.
    levels : sequence of float

    Returns
    -------
    gammastack.pictures.figure.Contours

    Raises
    ------
    InputError
        If there is no such image, or no contour at these levels.
    """
    try:
        with fits.open(path) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2]
            data, geometry = images[0].data, ImageGeometry.from_header(images[0].header)
    # The errors that astropy raises on a damaged file are not documented.
    except Exception as error:
        raise InputError(
            f"{path}: not a FITS file with an image of two axes and a celestial WCS"
            f" ({error})"
        ) from error
    return contours_at(levels, data, geometry, path)
