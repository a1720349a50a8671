"""Images in several energy bands in one file, each in an HDU named by its kind and band."""

import numpy as np

from gammastack.files.fits import write
from gammastack.files.layout import bunit, hdu_name


def write_bands(path, bands, provenances, for_integral_flux):
    """Write the images of a run, or the sums of a group of runs.

    Parameters
    ----------
    path : path
    bands : dict of str to RunImages or Stack
        What has a ``geometry``, and ``images`` by kind, by the name of the band.
    provenances : dict of str to gammastack.files.header.Provenance
        By the name of the band.
    for_integral_flux : bool
        Which unit the exposure has.
    """
    hdus = [
        provenances[band].image(
            _in_few_bytes(image),
            images.geometry,
            bunit(kind, for_integral_flux),
            hdu_name(kind, band),
        )
        for band, images in bands.items()
        for kind, image in images.images.items()
    ]
    write(path, [*hdus, *next(iter(provenances.values())).tables()])


def _in_few_bytes(image):
    """Return whole numbers in the smallest type of FITS that holds them.

    It saves a seventh of the file of a run, and time. Compression would save half of it, for a
    fifth more time per run, and its bytes depend on the version of a library.
    """
    if image.dtype.kind == "f" or not image.size:
        return image
    low, high = int(image.min()), int(image.max())
    if low >= 0 and high <= np.iinfo(np.uint8).max:
        return image.astype(np.uint8)
    if low >= -(2**15) and high < 2**15:
        return image.astype(np.int16)
    return image
