"""Write the excess image, and the flux of each pixel."""

from gammastack.flux import flux
from gammastack.images import image_units
from gammastack.maps import read_band
from gammastack.products import write_images


def run(inputs, outputs, params, origin):
    images, geometry, provenance = read_band(inputs, origin)
    excess = images["counts"] - images["bkg"]
    maps = {"excess": excess, "flux": flux(excess, images["exposure"])}
    units = image_units(params["for_integral_flux"])
    write_images(outputs, maps, geometry, units, provenance)
