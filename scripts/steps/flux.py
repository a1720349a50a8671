"""Write the flux maps for one correlation radius."""

from dataclasses import replace

from gammastack.correlation import counts_in_disk, mean_in_disk
from gammastack.flux import flux_maps
from gammastack.images import image_units
from gammastack.maps import read_band, with_radius
from gammastack.products import image_hdu, write_hdus


def run(inputs, outputs, params, origin):
    images, geometry, provenance = read_band(inputs, origin)
    radius = geometry.pixels(*params["radius"])
    maps = flux_maps(
        counts_in_disk(images, radius),
        mean_in_disk(images["exposure"], radius),
        params["ul_confidence"],
        params["n_sigma_sensitivity"],
    )
    provenance = with_radius(provenance, params["radius"])
    limits = {key: params[key] for key in ("ul_confidence", "n_sigma_sensitivity")}
    provenance = replace(provenance, config={**provenance.config, **limits})
    flux_unit = image_units(params["for_integral_flux"])["flux"]
    for name, data in maps.items():
        unit = "" if name == "excess_corr" else flux_unit
        hdu = image_hdu(data, geometry, unit, provenance)
        write_hdus(outputs[name], [hdu, *provenance.tables()])
