"""Make the histogram of a run in the field of view, without known sources."""

from dataclasses import replace

from gammastack.acceptance.model import (
    FieldOfViewHistogram,
    energy_edges,
    run_histogram,
)
from gammastack.dl3.observation import read_observation
from gammastack.errors import InputError, in_words
from gammastack.files.header import Provenance
from gammastack.files.histogram import write_histogram
from gammastack.sky.exclusion import exclusion_mask as draw_mask
from gammastack.sky.exclusion_files import without_folders
from gammastack.sky.geometry import ImageGeometry

KINDS = ("events", "gti")


def run(
    inputs,
    outputs,
    origin,
    *,
    obs_id,
    hdus,
    failure,
    exclusion_mask,
    binsz,
    energy_bands,
    offset_band,
):
    edges, offset_max = energy_edges(list(energy_bands.values())), offset_band[1]
    config = {"exclusion_mask": without_folders(exclusion_mask)}
    provenance = Provenance(config, origin=origin)
    paths = inputs.get("dl3", [])
    locations = {kind: hdu.among(paths) for kind, hdu in hdus.items() if kind in KINDS}
    try:
        if failure:
            raise InputError(failure)
        observation = read_observation(obs_id, locations)
    # The run may be read the next time.
    except (MemoryError, OSError):
        raise
    # Damaged data can cause any error, and one run must not keep the others from a model.
    except Exception as error:
        histogram = FieldOfViewHistogram.empty(edges, offset_max)
        reason = replace(provenance, cards=(("REASON", in_words(error, paths)),))
        write_histogram(outputs["histogram"], histogram, reason)
        return
    # The exclusions cover the whole field of view, which the image may cut.
    pointing = observation.pointing.ra, observation.pointing.dec
    width = 2 * offset_max + 2 * binsz
    geometry = ImageGeometry.create(pointing, "icrs", "ARC", (width, width), binsz)
    mask, _ = draw_mask(geometry, exclusion_mask)
    histogram = run_histogram(observation, geometry, mask, edges, offset_max)
    provenance = replace(
        provenance,
        start=observation.start.utc.isot,
        stop=observation.stop.utc.isot,
        livetime=observation.livetime,
        ontime=observation.ontime,
        n_obs=1,
        telescope=observation.telescope,
        instrument=observation.instrument,
    )
    write_histogram(outputs["histogram"], histogram, provenance)
