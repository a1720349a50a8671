"""Images in several energy bands in one file, each in an HDU named by its kind and band."""

from gammastack.files.fits import Image, card_text, in_few_bytes, write
from gammastack.files.layout import bunit, hdu_name

# Name of the HDU of the exposures for point sources
POINTS = "psf"


def write_bands(path, bands, provenances, for_integral_flux, points=None):
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
    points : dict of str to (ndarray, shape (n, n_rad), tuple), optional
        Exposures for point sources within angles, and header cards, by the name of the band.
    """
    hdus = [
        provenances[band].image(
            in_few_bytes(image),
            images.geometry,
            bunit(kind, for_integral_flux),
            hdu_name(kind, band),
        )
        for band, images in bands.items()
        for kind, image in images.images.items()
    ]
    unit = ("BUNIT", bunit("exposure", for_integral_flux))
    for band, (table, cards) in (points or {}).items():
        hdus.append(Image(table, card_text([unit, *cards]), hdu_name(POINTS, band)))
    write(path, [*hdus, *next(iter(provenances.values())).tables()])
