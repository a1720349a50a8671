"""The cached images of runs and of groups of runs: a file per kind, an HDU per band.

They are cutouts of the image of the field.
"""

from gammastack.geometry import ImageGeometry
from gammastack.images import RunImages
from gammastack.products import (
    image_hdu,
    read_data,
    read_data_and_origin,
    write_hdus,
)
from gammastack.stack import Stack

# Attribute, header key, and value of a group of which no run is used
TIMES = (
    ("start", "DATE-OBS", ""),
    ("stop", "DATE-END", ""),
    ("livetime", "LIVETIME", 0.0),
    ("ontime", "ONTIME", 0.0),
    ("n_obs", "N_OBS", 0),
)


def run_cards(run):
    """Header cards from which `read_run_images` knows the run."""
    return (
        ("OBS_ID", run.obs_id),
        ("N_EVENTS", run.n_events, "selected, in the whole field of view"),
        ("N_PIXELS", run.n_pixels, "pixels of the image in the offset band"),
    )


def write_cutouts(paths, images, units, tables):
    """Write images of several energy bands.

    Parameters
    ----------
    paths : dict of str to path
        By kind: counts, bkg, exposure.
    images : dict of str to (gammastack.images.RunImages or Stack, Provenance)
        By the name of the band.
    units : dict of str to str
        BUNIT by kind.
    tables : list of astropy.io.fits.BinTableHDU
        What follows the images in each file.
    """
    for kind, path in paths.items():
        hdus = [
            image_hdu(
                getattr(image, kind), image.geometry, units[kind], provenance, name
            )
            for name, (image, provenance) in images.items()
        ]
        write_hdus(path, [*hdus, *tables])


def read_run_images(paths, name):
    """Read back the images of a run in one energy band.

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
    origin : gammastack.provenance.origin.Origin
        Both of the file of the counts.
    """
    header, origin, arguments = _read(paths, name)
    del arguments["n_obs"]
    keys = {"obs_id": "OBS_ID", "n_events": "N_EVENTS", "n_pixels": "N_PIXELS"}
    numbers = {name: header[key] for name, key in keys.items()}
    return RunImages(**numbers, **arguments), header, origin


def read_group(paths, name):
    """Read back the sums of a group in one energy band.

    Returns
    -------
    stack : gammastack.stack.Stack
    header : astropy.io.fits.Header
        Of the counts image.
    """
    header, _, arguments = _read(paths, name)
    return Stack(**arguments), header


def _read(paths, name):
    counts, header, origin = read_data_and_origin(paths["counts"], name)
    others = {kind: path for kind, path in paths.items() if kind != "counts"}
    return (
        header,
        origin,
        {
            "geometry": ImageGeometry.from_header(header),
            "counts": counts,
            **{name: header.get(key, default) for name, key, default in TIMES},
            **{kind: read_data(path, name)[0] for kind, path in others.items()},
        },
    )
