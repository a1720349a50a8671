"""Write the index files of the simulated store."""

from gammastack.products import write_hdus
from gammastack.simulate import simulated_index


def run(inputs, outputs, params, origin):
    observations, hdus = simulated_index(**params["simulation"])
    write_hdus(outputs["obs_index"], [observations])
    write_hdus(outputs["hdu_index"], [hdus])
