"""Write the DL3 file of a simulated run."""

from gammastack.products import write_hdus
from gammastack.simulate import BackgroundModel, observation_hdus, simulated_runs


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
