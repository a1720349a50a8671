"""Write the excess image, and the flux of each pixel."""

from gammastack.flux import flux
from gammastack.images import image_units
from gammastack.products import image_hdu, read_data, read_product, write_hdus


def run(inputs, outputs, params, origin):
    counts, geometry, provenance = read_product(inputs["counts"], origin)
    bkg, exposure = (read_data(inputs[kind])[0] for kind in ("bkg", "exposure"))
    excess = counts - bkg
    flux_unit = image_units(params["for_integral_flux"])["flux"]
    for name, data, unit in (
        ("excess", excess, ""),
        ("flux", flux(excess, exposure), flux_unit),
    ):
        image = image_hdu(data, geometry, unit, provenance)
        write_hdus(outputs[name], [image, *provenance.tables()])
