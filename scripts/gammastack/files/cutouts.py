"""The cached images of runs and of groups of runs, as cutouts of the image of the field.

A run has a file per kind with an HDU per energy band, a group of runs one file.
"""

from gammastack.files.header import (
    image_hdu,
    read_data,
    read_data_and_origin,
    read_images,
    write_hdus,
)
from gammastack.runs.images import RunImages
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.stack import Stack

# Attribute, header key, and value of a group of which no run is used
TIMES = (
    ("start", "DATE-OBS", ""),
    ("stop", "DATE-END", ""),
    ("livetime", "LIVETIME", 0.0),
    ("ontime", "ONTIME", 0.0),
)


def run_cards(run):
    """Header cards from which `read_run_images` knows the run."""
    return (
        ("OBS_ID", run.obs_id),
        ("N_EVENTS", run.n_events, "selected, in the whole field of view"),
        ("N_PIXELS", run.n_pixels, "pixels of the image in the offset band"),
        ("RA_PNT", run.ra, "[deg] ICRS"),
        ("DEC_PNT", run.dec, "[deg] ICRS"),
        ("EXPAXIS", run.exposure_on_axis, "exposure at the pointing"),
    )


def write_run_images(paths, images, units, tables):
    """Write the images of a run in several energy bands.

    Parameters
    ----------
    paths : dict of str to path
        By kind: counts, bkg, exposure.
    images : dict of str to (gammastack.runs.images.RunImages, Provenance)
        By the name of the band.
    units : dict of str to str
        BUNIT by kind, of those that have one.
    tables : list of astropy.io.fits.BinTableHDU
        What follows the images in each file.
    """
    for kind, path in paths.items():
        hdus = [
            image_hdu(
                getattr(image, kind),
                image.geometry,
                units.get(kind, ""),
                provenance,
                name,
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
    images : gammastack.runs.images.RunImages
    header : astropy.io.fits.Header
    origin : gammastack.provenance.origin.Origin
        Both of the file of the counts.
    """
    counts, header, origin = read_data_and_origin(paths["counts"], name)
    others = {
        kind: read_data(path, name)[0]
        for kind, path in paths.items()
        if kind != "counts"
    }
    keys = {
        "obs_id": "OBS_ID",
        "n_events": "N_EVENTS",
        "n_pixels": "N_PIXELS",
        "ra": "RA_PNT",
        "dec": "DEC_PNT",
        "exposure_on_axis": "EXPAXIS",
    }
    images = RunImages(
        geometry=ImageGeometry.from_header(header),
        counts=counts,
        **{name: header[key] for name, key in keys.items()},
        **{name: header[key] for name, key, _ in TIMES},
        **others,
    )
    return images, header, origin


def write_group(path, stacks, units, tables):
    """Write the sums of a group of runs in several energy bands.

    Parameters
    ----------
    path : path
    stacks : dict of str to (gammastack.stacking.stack.Stack, Provenance)
        By the name of the band.
    units, tables
        As in `write_run_images`.
    """
    hdus = [
        image_hdu(
            image, stack.geometry, units.get(kind, ""), provenance, _name(band, kind)
        )
        for band, (stack, provenance) in stacks.items()
        for kind, image in stack.images.items()
    ]
    write_hdus(path, [*hdus, *tables])


def _name(band, kind):
    return f"{band} {kind}"


def read_group(path, band, kinds):
    """Read back the sums of a group in one energy band.

    Returns
    -------
    stack : gammastack.stacking.stack.Stack
    header : astropy.io.fits.Header
        Of the counts image.
    """
    names = [_name(band, kind) for kind in kinds]
    images, header = read_images(path, names)
    stack = Stack(
        ImageGeometry.from_header(header),
        dict(zip(kinds, images, strict=True)),
        n_obs=header.get("N_OBS", 0),
        **{name: header.get(key, default) for name, key, default in TIMES},
    )
    return stack, header
