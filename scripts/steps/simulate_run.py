"""Write the DL3 file of a simulated run."""

from gammastack.dl3.simulate import BackgroundModel, observation_hdus, simulated_runs
from gammastack.files.header import write_hdus


def run(inputs, outputs, params, origin):
    settings = params["simulation"]
    runs = simulated_runs(
        settings["center"], settings["wobble"], settings["n_runs"], settings["seed"]
    )
    simulated = next(one for one in runs if one.obs_id == params["obs_id"])
    model = BackgroundModel(settings["bkg_gradient"])
    write_hdus(
        outputs["dl3"],
        observation_hdus(simulated, model, settings["sources"], settings["seed"]),
    )
