"""Write the index files of the simulated store."""

from gammastack.dl3.simulate import simulated_index
from gammastack.files.gadf import write_hdus


def run(inputs, outputs, origin, *, simulation):
    observations, hdus = simulated_index(**simulation)
    write_hdus(outputs["obs_index"], [observations])
    write_hdus(outputs["hdu_index"], [hdus])
