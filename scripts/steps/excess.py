"""Write the excess image, and the flux of each pixel."""

from gammastack.files.band import read_band
from gammastack.files.header import write_images
from gammastack.maps.flux import flux
from gammastack.runs.images import image_units


def run(inputs, outputs, params, origin):
    images, geometry, provenance = read_band(inputs, origin)
    excess = images["counts"] - images["bkg"]
    maps = {"excess": excess, "flux": flux(excess, images["exposure"])}
    units = image_units(params["for_integral_flux"])
    write_images(outputs, maps, geometry, units, provenance)
