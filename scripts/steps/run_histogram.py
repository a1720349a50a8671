"""Make the histogram of a run in the field of view, known sources left out."""

from gammastack.acceptance import energy_edges, run_histogram
from gammastack.datastore import HDULocation
from gammastack.dl3 import read_observation
from gammastack.geometry import ImageGeometry
from gammastack.histograms import write_histogram
from gammastack.products import Provenance, read_config, read_data_and_origin


def run(inputs, outputs, params, origin):
    hdus = {
        kind: HDULocation(inputs["dl3"][number], *name_and_class)
        for kind, (number, *name_and_class) in params["hdus"].items()
        if kind in ("events", "gti")
    }
    observation = read_observation(params["obs_id"], hdus)
    geometry = ImageGeometry.create(**params["image"])
    mask, header, earlier = read_data_and_origin(inputs["mask"])
    bands = list(params["energy_bands"].values())
    histogram = run_histogram(
        observation,
        geometry,
        mask > 0,
        energy_edges(bands),
        params["offset_band"][1],
    )
    exclusions = read_config(header)["exclusion_mask"]
    provenance = Provenance(
        {"exclusion_mask": exclusions},
        observation.start.utc.isot,
        observation.stop.utc.isot,
        observation.livetime,
        observation.ontime,
        1,
        origin=origin.after([earlier]),
    )
    write_histogram(outputs["histogram"], histogram, provenance)
