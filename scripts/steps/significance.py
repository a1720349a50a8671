"""Write the significance image for one correlation radius."""

from dataclasses import replace

import numpy as np

from gammastack.products import image_hdu, read_data, read_product, write_hdus
from gammastack.significance import significance_image


def run(inputs, outputs, params, origin):
    counts, geometry, provenance = read_product(inputs["counts"], origin)
    bkg, _ = read_data(inputs["bkg"])
    pixels, angle = params["radius"]
    radius = pixels if angle is None else geometry.in_pixels(angle)
    image = significance_image(counts, bkg, radius)
    cards = [
        ("RADIUS", *((pixels, "[pix]") if angle is None else (angle, "[deg]"))),
        ("SUMCOUNT", int(counts.sum()), "sum of the counts image"),
        ("SUMBKG", float(bkg.sum()), "sum of the bkg image"),
    ]
    if np.any(np.isfinite(image)):
        y, x = np.unravel_index(np.nanargmax(image), image.shape)
        ra, dec = geometry.position(x, y)
        cards += [
            ("PEAK", float(image[y, x]), "largest significance"),
            ("PEAK_RA", ra, "[deg] its ICRS position"),
            ("PEAK_DEC", dec, "[deg] its ICRS position"),
        ]
    size = f"{pixels:g} pix" if angle is None else f"{angle:g} deg"
    config = {**provenance.config, "radius": size}
    provenance = replace(provenance, config=config, cards=tuple(cards))
    hdu = image_hdu(image, geometry, "", provenance)
    write_hdus(outputs["significance"], [hdu, *provenance.tables()])
