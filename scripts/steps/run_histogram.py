"""Make the histogram of a run in the field of view, known sources left out."""

from gammastack.acceptance.model import energy_edges, run_histogram
from gammastack.dl3.datastore import HDULocation
from gammastack.dl3.observation import read_observation
from gammastack.files.header import Provenance
from gammastack.files.histogram import write_histogram
from gammastack.sky.exclusion import exclusion_mask
from gammastack.sky.geometry import ImageGeometry
from steps.exclusion_mask import without_folders


def run(inputs, outputs, params, origin):
    hdus = {
        kind: HDULocation(inputs["dl3"][number], *name_and_class)
        for kind, (number, *name_and_class) in params["hdus"].items()
        if kind in ("events", "gti")
    }
    observation = read_observation(params["obs_id"], hdus)
    offset_max = params["offset_band"][1]
    # Of the whole field of view, which the image may cut
    pointing = observation.pointing.ra, observation.pointing.dec
    width = 2 * offset_max + 2 * params["binsz"]
    geometry = ImageGeometry.create(
        pointing, "icrs", "ARC", (width, width), params["binsz"]
    )
    mask, _ = exclusion_mask(geometry, params["exclusion_mask"])
    edges = energy_edges(list(params["energy_bands"].values()))
    histogram = run_histogram(observation, geometry, mask, edges, offset_max)
    provenance = Provenance(
        {"exclusion_mask": without_folders(params["exclusion_mask"])},
        observation.start.utc.isot,
        observation.stop.utc.isot,
        observation.livetime,
        observation.ontime,
        1,
        origin=origin,
    )
    write_histogram(outputs["histogram"], histogram, provenance)
