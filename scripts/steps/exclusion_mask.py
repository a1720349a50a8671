"""Draw the exclusion mask of a field."""

import numpy as np

from gammastack.files.fits import write
from gammastack.files.header import Provenance
from gammastack.sky.exclusion import exclusion_mask as draw_mask
from gammastack.sky.exclusion_files import without_folders
from gammastack.sky.geometry import ImageGeometry


def run(inputs, outputs, origin, *, field, image, exclusion_mask):
    geometry = ImageGeometry.create(**image)
    mask, notes = draw_mask(geometry, exclusion_mask)
    config = {"image": image, "exclusion_mask": without_folders(exclusion_mask)}
    cards = (("NOTE", "; ".join(notes)),) if notes else ()
    provenance = Provenance(config, field_name=field, cards=cards, origin=origin)
    # Before a search for sources the mask is not final, and has another name.
    (path,) = outputs.values()
    image = provenance.image(mask.view(np.uint8), geometry)
    write(path, [image, *provenance.tables()])
