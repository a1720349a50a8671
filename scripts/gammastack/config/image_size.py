"""Whether images and dataset of a field fit into the memory, known before any is made."""

import os
from math import prod

from gammastack.errors import InputError
from gammastack.sky.strips import BYTES_PER_PIXEL, strips

# Sums in float64, and what is made of them, while a cube of a dataset is written
BYTES_PER_VOXEL = 32
# In the file of a dataset, and in the memory of the program that reads it
BYTES_IN_FILE = 4


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


def dataset_cubes(field):
    """Return the numbers of voxels of the cubes of a dataset, without the small ones.

    Parameters
    ----------
    field : gammastack.config.fields.Field
        One that has a dataset.
    """
    axes, binsz_irf = field.dataset["axes"], field.dataset["binsz_irf"]
    n_energy, n_true, n_rad = (
        len(axes[name]) - 1 for name in ("energy", "energy_true", "rad")
    )
    fine = prod(shape_of(field.image))
    coarse = prod(shape_of({**field.image, "binsz": binsz_irf}))
    by_kind = {"psf": coarse * n_true * n_rad, "edisp": coarse * n_true * n_energy}
    return [
        *[fine * n_energy] * 3,
        fine * n_true,
        *(by_kind[kind] for kind in field.dataset_responses),
    ]


def require_memory(field, available=None):
    """Refuse a field whose images or dataset need more memory than there is.

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
    if not field.has_dataset:
        return
    cubes = dataset_cubes(field)
    needed = max(max(cubes) * BYTES_PER_VOXEL, sum(cubes) * BYTES_IN_FILE)
    if needed > available:
        raise InputError(
            f"fields: {field.name}: dataset: its cubes on {shape[0]} x {shape[1]} pixels have"
            f" {sum(cubes) * BYTES_IN_FILE / 1e9:.0f} GB, and need about"
            f" {needed / 1e9:.0f} GB of memory to be made; there are {available / 1e9:.0f}"
            " GB. Take fewer bins, or a smaller image or larger pixels for this field"
        )
