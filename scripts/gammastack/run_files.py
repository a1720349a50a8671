"""The cached images of single runs: FITS files with one HDU per energy band."""

from gammastack.geometry import ImageGeometry
from gammastack.images import RunImages
from gammastack.products import Provenance, image_hdu, read_data, write_hdus


def write_run_images(paths, images, units, config, cards):
    """Write the images of a run, a file per kind with an HDU per energy band.

    Parameters
    ----------
    paths : dict of str to path
        By kind: counts, bkg, exposure.
    images : dict of (name, energy band) to gammastack.images.RunImages
    units : dict of str to str
        BUNIT by kind.
    config : dict
        The settings that made them.
    cards : tuple of (key, value, comment)
        What else belongs into the headers.
    """
    for kind, path in paths.items():
        hdus = []
        for (name, band), run in images.items():
            of_band = (
                ("OBS_ID", run.obs_id),
                ("N_EVENTS", run.n_events, "selected, in the whole field of view"),
                ("N_PIXELS", run.n_pixels, "pixels of the image in the offset band"),
            )
            provenance = Provenance.of(run, config, band, (*of_band, *cards))
            data = getattr(run, kind)
            hdus.append(image_hdu(data, run.geometry, units[kind], provenance, name))
        write_hdus(path, hdus)


def read_run_images(paths, name):
    """Read back what `write_run_images` wrote for one energy band.

    Parameters
    ----------
    paths : dict of str to path
        By kind; bkg and exposure may be missing.
    name : str
        Name of the band.

    Returns
    -------
    images : gammastack.images.RunImages
    header : astropy.io.fits.Header
        Of the counts image.
    """
    read = {kind: read_data(path, name) for kind, path in paths.items()}
    _, header = read["counts"]
    images = RunImages(
        obs_id=header["OBS_ID"],
        start=header["DATE-OBS"],
        stop=header["DATE-END"],
        livetime=header["LIVETIME"],
        ontime=header["ONTIME"],
        geometry=ImageGeometry.from_header(header),
        n_events=header["N_EVENTS"],
        n_pixels=header["N_PIXELS"],
        **{kind: data for kind, (data, _) in read.items()},
    )
    return images, header
