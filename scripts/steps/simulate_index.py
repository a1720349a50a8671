"""Write the index files of the simulated store."""

from pathlib import Path

from gammastack.products import write_hdus
from gammastack.simulate import index_hdus, simulated_runs


def run(inputs, outputs, params, origin):
    settings = params["simulation"]
    runs = simulated_runs(
        settings["center"], settings["wobble"], settings["n_runs"], settings["seed"]
    )
    names = [Path(path).name for path in inputs["dl3"]]
    observations, hdus = index_hdus(runs, names)
    write_hdus(outputs["obs_index"], [observations])
    write_hdus(outputs["hdu_index"], [hdus])
