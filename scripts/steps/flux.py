"""Write the flux maps for one correlation radius."""

from dataclasses import replace

from gammastack.files.band import read_band, with_radius
from gammastack.files.header import write_images
from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.flux import flux_maps
from gammastack.runs.images import image_units


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
    units = image_units(params["for_integral_flux"])
    write_images(outputs, maps, geometry, units, provenance)
