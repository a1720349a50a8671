"""Write the excess image."""

from gammastack.products import image_hdu, read_data, read_product, write_hdus


def run(inputs, outputs, params, origin):
    counts, geometry, provenance = read_product(inputs["counts"], origin)
    bkg, _ = read_data(inputs["bkg"])
    image = image_hdu(counts - bkg, geometry, "", provenance)
    write_hdus(outputs["excess"], [image, *provenance.tables()])
