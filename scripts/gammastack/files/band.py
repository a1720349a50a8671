"""The images of a field in one energy band, each the primary HDU of a file."""

from dataclasses import replace

from gammastack.files.fits import read, write
from gammastack.files.header import Provenance
from gammastack.files.layout import IMAGES, bunit
from gammastack.provenance.origin import Origin


def write_images(paths, images, geometry, provenance, for_integral_flux=False):
    """Write images of one geometry, each as the primary HDU of a file.

    Parameters
    ----------
    paths : dict of str to path
        By the name of the product.
    images : dict of str to ndarray, shape (ny, nx)
        By the name of the product; others than those of the paths are left out.
    geometry : gammastack.sky.geometry.ImageGeometry
    provenance : gammastack.files.header.Provenance
    for_integral_flux : bool
        Whether fluxes are integrals over the band.

    Raises
    ------
    KeyError
        If a path has no image, or its name is not an image in the table of products.
    """
    tables = provenance.tables()
    for name, path in paths.items():
        data = images[name].astype(IMAGES[name].dtype, copy=False)
        unit = bunit(name, for_integral_flux)
        write(path, [provenance.image(data, geometry, unit), *tables])


def read_band(paths, origin):
    """Read the images of an energy band.

    Parameters
    ----------
    paths : dict of str to path
        By the name of the product; ``counts`` must be among them.
    origin : gammastack.provenance.origin.Origin
        Origin for the step that makes a map from the images.

    Returns
    -------
    images : dict of str to ndarray, shape (ny, nx)
    provenance : gammastack.files.header.Provenance
        Of the map.
    units : dict of str to str
    """
    files = {name: read(path) for name, path in paths.items()}
    images = {name: hdus["PRIMARY"].image for name, hdus in files.items()}
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
