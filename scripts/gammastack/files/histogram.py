"""The file of the histogram of a run in the field of view."""

import numpy as np

from gammastack.acceptance.model import FieldOfViewHistogram
from gammastack.files.fits import Image, Table, card_text, read, write
from gammastack.files.header import of_runs
from gammastack.provenance.origin import Origin


def write_histogram(path, histogram, provenance):
    """Write a `gammastack.acceptance.model.FieldOfViewHistogram`."""
    offset_card = card_text([("OFFMAX", histogram.offset_max, "[deg] largest offset")])
    hdus = [
        Image(histogram.counts.astype(np.int32), offset_card + provenance.text),
        Image(histogram.exposure, name="EXPOSURE"),
        Image(histogram.moments, name="MOMENTS"),
        Table({"EDGES": histogram.energy}, b"", "ENERGY"),
        Table({"EDGES": histogram.fov}, b"", "FOV"),
    ]
    write(path, [*hdus, *provenance.tables()])


def read_histogram(path):
    """Read back a histogram, its header, and its origin."""
    hdus = read(path)
    header = hdus["PRIMARY"].header
    known = of_runs(header)
    histogram = FieldOfViewHistogram(
        energy=hdus["ENERGY"].table["EDGES"],
        fov=hdus["FOV"].table["EDGES"],
        counts=hdus["PRIMARY"].image,
        exposure=hdus["EXPOSURE"].image,
        moments=hdus["MOMENTS"].image,
        offset_max=header["OFFMAX"],
        ontime=known["ontime"],
        n_obs=known["n_obs"],
    )
    return histogram, header, Origin.from_hdu(hdus["INPUTS"])
