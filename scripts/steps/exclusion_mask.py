"""Draw the exclusion mask of a field."""

from pathlib import Path

import numpy as np

from gammastack.files.header import Provenance, image_hdu, write_hdus
from gammastack.sky.exclusion import exclusion_mask, file_of, with_file
from gammastack.sky.geometry import ImageGeometry


def run(inputs, outputs, params, origin):
    geometry = ImageGeometry.create(**params["image"])
    mask, notes = exclusion_mask(geometry, params["exclusion_mask"])
    config = {
        "image": params["image"],
        "exclusion_mask": without_folders(params["exclusion_mask"]),
    }
    cards = (("NOTE", "; ".join(notes)),) if notes else ()
    provenance = Provenance(config, cards=cards, origin=origin)
    hdu = image_hdu(mask.astype(np.uint8), geometry, "", provenance)
    write_hdus(outputs["mask"], [hdu, *provenance.tables()])


def without_folders(exclusions):
    """The exclusions with the names of their files: folders would make equal masks differ."""
    return [
        with_file(item, Path(file_of(item)).name) if file_of(item) else item
        for item in exclusions
    ]
