"""The cached histograms of runs in the field of view."""

import numpy as np
from astropy.io import fits
from astropy.table import Table

from gammastack.acceptance.model import FieldOfViewHistogram
from gammastack.files.header import native, opened, write_hdus
from gammastack.provenance.origin import Origin


def write_histogram(path, histogram, provenance):
    """Write a `gammastack.acceptance.model.FieldOfViewHistogram`."""
    primary = fits.PrimaryHDU(histogram.counts.astype(np.int32))
    provenance.fill(primary.header)
    for key in ("offset_max", "ontime", "n_obs"):
        primary.header[_card(key)] = getattr(histogram, key)
    hdus = [
        primary,
        fits.ImageHDU(histogram.exposure, name="EXPOSURE"),
        fits.ImageHDU(histogram.moments, name="MOMENTS"),
        fits.BinTableHDU(Table({"EDGES": histogram.energy}), name="ENERGY"),
        fits.BinTableHDU(Table({"EDGES": histogram.fov}), name="FOV"),
    ]
    write_hdus(path, [*hdus, *provenance.tables()])


def read_histogram(path):
    """Read back a histogram, its header, and its origin."""
    with opened(path) as hdus:
        header = hdus[0].header
        histogram = FieldOfViewHistogram(
            energy=native(hdus["ENERGY"].data["EDGES"]),
            fov=native(hdus["FOV"].data["EDGES"]),
            counts=native(hdus[0].data),
            exposure=native(hdus["EXPOSURE"].data),
            moments=native(hdus["MOMENTS"].data),
            **{key: header[_card(key)] for key in ("offset_max", "ontime", "n_obs")},
        )
        return histogram, header, Origin.from_hdu(hdus["INPUTS"])


def _card(key):
    return {"offset_max": "OFFMAX", "ontime": "ONTIME", "n_obs": "N_OBS"}[key]
