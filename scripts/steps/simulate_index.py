"""Write the index files of the simulated store."""

from gammastack.dl3.simulate import simulated_index
from gammastack.files.header import write_hdus


def run(inputs, outputs, params, origin):
    observations, hdus = simulated_index(**params["simulation"])
    write_hdus(outputs["obs_index"], [observations])
    write_hdus(outputs["hdu_index"], [hdus])
