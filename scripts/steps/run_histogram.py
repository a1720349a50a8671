"""Make the histogram of a run in the field of view, without known sources."""

from gammastack.acceptance.model import energy_edges, run_histogram
from gammastack.dl3.observation import read_observation
from gammastack.files.header import Provenance
from gammastack.files.histogram import write_histogram
from gammastack.sky.exclusion import exclusion_mask as draw_mask
from gammastack.sky.exclusion_files import without_folders
from gammastack.sky.geometry import ImageGeometry


def run(
    inputs,
    outputs,
    origin,
    *,
    obs_id,
    hdus,
    exclusion_mask,
    binsz,
    energy_bands,
    offset_band,
):
    locations = {kind: hdus[kind].among(inputs["dl3"]) for kind in ("events", "gti")}
    observation = read_observation(obs_id, locations)
    _, offset_max = offset_band
    # The exclusions cover the whole field of view, which the image may cut.
    pointing = observation.pointing.ra, observation.pointing.dec
    width = 2 * offset_max + 2 * binsz
    geometry = ImageGeometry.create(pointing, "icrs", "ARC", (width, width), binsz)
    mask, _ = draw_mask(geometry, exclusion_mask)
    edges = energy_edges(list(energy_bands.values()))
    histogram = run_histogram(observation, geometry, mask, edges, offset_max)
    provenance = Provenance(
        {"exclusion_mask": without_folders(exclusion_mask)},
        observation.start.utc.isot,
        observation.stop.utc.isot,
        observation.livetime,
        observation.ontime,
        1,
        origin=origin,
    )
    write_histogram(outputs["histogram"], histogram, provenance)
