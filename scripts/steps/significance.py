"""Write the significance image for one correlation radius; with a ring also alpha."""

import numpy as np

from gammastack.files.band import read_band, with_radius
from gammastack.files.header import write_images
from gammastack.maps.disks import counts_in_disk


def run(inputs, outputs, params, origin):
    images, geometry, provenance = read_band(inputs, origin)
    measured = counts_in_disk(images, geometry.pixels(*params["radius"]))
    image = measured.significance()
    cards = [
        ("SUMCOUNT", int(images["counts"].sum()), "sum of the counts image"),
        ("SUMBKG", float(np.nansum(images["bkg"])), "sum of the bkg image"),
    ]
    if np.any(np.isfinite(image)):
        y, x = np.unravel_index(np.nanargmax(image), image.shape)
        ra, dec = geometry.position(x, y)
        cards += [
            ("PEAK", float(image[y, x]), "largest significance"),
            ("PEAK_RA", ra, "[deg] its ICRS position"),
            ("PEAK_DEC", dec, "[deg] its ICRS position"),
        ]
    provenance = with_radius(provenance, params["radius"], cards)
    maps = {"significance": image}
    if "alpha" in outputs:
        maps["alpha"] = measured.alpha
    write_images(outputs, maps, geometry, {}, provenance)
