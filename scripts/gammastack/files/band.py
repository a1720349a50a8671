"""The images of a field in one energy band, each the primary HDU of a file."""

from dataclasses import replace

from gammastack.files.fits import GrowingImage, read
from gammastack.files.header import Provenance
from gammastack.files.layout import bunit, image_product
from gammastack.provenance.origin import Origin


class ImageWriter:
    """Images of one geometry that are written strip by strip, each as the primary HDU of a file.

    Parameters
    ----------
    paths : dict of str to path
        By the name of the product, with its radius if it has one.
    geometry : gammastack.sky.geometry.ImageGeometry
    provenance : gammastack.files.header.Provenance
        With as many cards as that of `finish`, or more.
    for_integral_flux : bool
        Whether fluxes are integrals over the band.

    Raises
    ------
    KeyError
        If the name of a path is not an image in the table of products.
    """

    def __init__(self, paths, geometry, provenance, for_integral_flux=False):
        self._geometry, self._integral = geometry, for_integral_flux
        self._files = {
            name: GrowingImage(
                path, geometry.shape, _dtype(name), self._text(name, provenance)
            )
            for name, path in paths.items()
        }

    def _text(self, name, provenance):
        return provenance.image_text(self._geometry, bunit(name, self._integral))

    def add(self, images):
        """Write a strip of all images.

        Parameters
        ----------
        images : dict of str to ndarray, shape (n_rows, nx)
            By the name of the product; others than those of the paths are left out.
        """
        for name, file in self._files.items():
            file.add(images[name])

    def finish(self, provenance):
        """Write headers and tables."""
        tables = provenance.tables()
        for name, file in self._files.items():
            file.finish(self._text(name, provenance), tables)


def _dtype(name):
    product = image_product(f"{name}.fits")
    if product is None:
        raise KeyError(name)
    return product.dtype


def read_band(paths, origin):
    """Open the images of an energy band.

    Parameters
    ----------
    paths : dict of str to path
        By the name of the product; ``counts`` must be among them.
    origin : gammastack.provenance.origin.Origin
        Origin for the step that makes a map from the images.

    Returns
    -------
    images : dict of str to callable
        Return some rows, given a slice.
    provenance : gammastack.files.header.Provenance
        Of the map.
    units : dict of str to str
    """
    files = {name: read(path) for name, path in paths.items()}
    images = {name: hdus["PRIMARY"].rows for name, hdus in files.items()}
    units = {name: hdus["PRIMARY"].header["BUNIT"] for name, hdus in files.items()}
    counts = files["counts"]
    provenance = Provenance.from_header(
        counts["PRIMARY"].header,
        origin=origin.after([Origin.from_hdu(counts["INPUTS"])]),
        runs=counts["RUNS"],
    )
    return images, provenance, units


def with_radius(provenance, radius, settings, cards):
    """Return the provenance of the maps with a correlation radius.

    Parameters
    ----------
    provenance : gammastack.files.header.Provenance
    radius : gammastack.sky.geometry.Radius
    settings : dict
        Further settings that apply to these maps.
    cards : tuple of (key, value, comment)
        Additional header cards.
    """
    card = ("RADIUS", radius.pixels, "[pix]")
    if radius.pixels is None:
        card = ("RADIUS", radius.angle, "[deg]")
    config = {**provenance.config, **settings, "radius": radius.label}
    return replace(provenance, config=config, cards=(card, *cards))
