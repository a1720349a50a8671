"""Make the dataset of one run, before any norm of its background."""

from dataclasses import replace

from gammastack.datasets.axes import DatasetAxes
from gammastack.datasets.pixels import DatasetPixels
from gammastack.datasets.run import run_dataset, unused
from gammastack.errors import without_folders
from gammastack.files.dataset import CUBES, write_dataset
from gammastack.files.header import Provenance
from gammastack.files.run import run_cards
from gammastack.run_data import RunData


def run(
    inputs,
    outputs,
    origin,
    *,
    obs_id,
    hdus,
    failure,
    index,
    image,
    offset_band,
    dataset,
    safe_energy,
    acceptance_class=None,
):
    data = RunData(inputs, origin, obs_id, hdus, failure, index, acceptance_class)
    pixels = DatasetPixels.create(image, dataset["binsz_irf"])
    config = {
        "image": image,
        "offset_band": offset_band,
        "dataset": dataset,
        "safe_energy": safe_energy,
        **data.config,
    }
    axes = DatasetAxes.create(**dataset["axes"])
    made, reason = data.make(
        lambda observation: run_dataset(
            observation, pixels, axes, offset_band, safe_energy
        )
    )
    if made is None:
        made = unused(obs_id, pixels, data.pointing, "failed", reason)
    reason = without_folders(made.image.reason, data.paths)
    image = replace(made.image, reason=reason)
    provenance = Provenance.of(
        image,
        config,
        axes.span,
        origin=data.origin,
        cards=(
            *run_cards(image),
            ("E_SAFE", made.threshold, "[TeV] energy threshold"),
            *data.cards,
        ),
    )
    cubes = (
        (name, made.cubes[name], made.pixels.of(name))
        for name in CUBES
        if name in made.cubes
    )
    write_dataset(outputs["dataset"], provenance, cubes, axes, made.good_times)
