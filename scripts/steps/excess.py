"""Write the excess image."""

from gammastack.products import Provenance, image_hdu, read_data, read_image, write_hdus


def run(inputs, outputs, params):
    counts, geometry, header = read_image(inputs["counts"])
    bkg, _ = read_data(inputs["bkg"])
    provenance = Provenance.from_header(header)
    write_hdus(outputs["excess"], [image_hdu(counts - bkg, geometry, "", provenance)])
