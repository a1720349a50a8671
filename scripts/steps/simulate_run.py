"""Write the DL3 file of a simulated run."""

from gammastack.dl3.simulate import BackgroundModel, observation_hdus, simulated_runs
from gammastack.files.gadf import write_hdus


def run(inputs, outputs, origin, *, simulation, obs_id):
    seed = simulation["seed"]
    runs = simulated_runs(
        simulation["center"], simulation["wobble"], simulation["n_runs"], seed
    )
    simulated = next(run for run in runs if run.obs_id == obs_id)
    model = BackgroundModel(simulation["bkg_gradient"])
    hdus = observation_hdus(simulated, model, simulation["sources"], seed)
    write_hdus(outputs["dl3"], hdus)
