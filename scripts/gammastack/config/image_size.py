"""Whether the images of a field fit into the memory, known before any of them is made."""

import os

from gammastack.errors import InputError
from gammastack.sky.strips import BYTES_PER_PIXEL, strips


def shape_of(image):
    """Return the numbers of pixels along longitude and latitude, given the settings of an image."""
    return [round(size / image["binsz"]) for size in image["width"]]


def pixels_in_memory(field):
    """Return how many pixels the steps of a field have in the memory at the same time.

    Images are made in strips, but for the search for sources.
    """
    nx, ny = shape_of(field.image)
    if field.has_search or not nx * ny:
        return nx * ny
    sizes = (
        radius.pixels or radius.angle / field.image["binsz"]
        for radius in field.radii.values()
    )
    rows = (strip.around for strip in strips((ny, nx), round(max(sizes))))
    return nx * max(around.stop - around.start for around in rows)


def require_memory(field, available=None):
    """Refuse a field whose images need more memory than there is.

    Parameters
    ----------
    field : gammastack.config.fields.Field
    available : int, optional
        In bytes; by default the memory of this machine.

    Raises
    ------
    InputError
    """
    if available is None:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shape = shape_of(field.image)
    needed = pixels_in_memory(field) * BYTES_PER_PIXEL
    if needed > available:
        remedy = "make the image or the radius smaller, or the pixels larger"
        if field.has_search:
            remedy += (
                ", or do without a threshold in exclusion_mask: the search for sources needs"
                " the image as a whole"
            )
        raise InputError(
            f"fields: {field.name}: width, binsz: maps of {shape[0]} x {shape[1]} pixels"
            f" need about {needed / 1e9:.0f} GB of memory, and there are"
            f" {available / 1e9:.0f} GB; {remedy}"
        )
