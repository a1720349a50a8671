"""Whether the images of a field fit into the memory, known before any of them is made."""

import os
from math import prod

from gammastack.errors import InputError

# Measured with 9 million pixels: the step that makes the maps takes 170 bytes of memory for
# each pixel, and 200 with a ring.
BYTES_PER_PIXEL = 200


def shape_of(image):
    """Return the numbers of pixels along longitude and latitude, given the settings of an image."""
    return [round(size / image["binsz"]) for size in image["width"]]


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
    needed = prod(shape) * BYTES_PER_PIXEL
    if needed > available:
        raise InputError(
            f"fields: {field.name}: width, binsz: maps of {shape[0]} x {shape[1]} pixels"
            f" need about {needed / 1e9:.0f} GB of memory, and there are"
            f" {available / 1e9:.0f} GB; make the image smaller, or its pixels larger"
        )
