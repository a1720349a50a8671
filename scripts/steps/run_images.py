"""Make the images of one run in all energy bands of its field."""

from dataclasses import replace

from gammastack.errors import without_folders
from gammastack.files.bands import write_bands
from gammastack.files.header import Provenance
from gammastack.files.run import points_of, run_cards
from gammastack.run_data import RunData
from gammastack.runs.images import run_images
from gammastack.runs.run import RunImages
from gammastack.sky.geometry import ImageGeometry


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
    energy_bands,
    offset_band,
    spectral_index,
    for_integral_flux,
    image_safe_energy=None,
    acceptance_class=None,
):
    data = RunData(inputs, origin, obs_id, hdus, failure, index, acceptance_class)
    bands, geometry = dict(energy_bands), ImageGeometry.create(**image)
    spectrum = {
        "spectral_index": spectral_index,
        "for_integral_flux": for_integral_flux,
    }
    config = {"image": image, "offset_band": offset_band, **spectrum, **data.config}
    if image_safe_energy is not None:
        config["safe_energy"] = image_safe_energy
    images, reason = data.make(
        lambda observation: run_images(
            observation,
            geometry,
            bands.values(),
            offset_band,
            safe_energy=image_safe_energy,
            **spectrum,
        )
    )
    if images is None:
        failed = RunImages.unused(obs_id, geometry, *data.pointing, "failed", reason)
        images = [failed] * len(bands)
    images = [
        replace(run, reason=without_folders(run.reason, data.paths)) for run in images
    ]
    images = dict(zip(bands, images, strict=True))
    provenances = {
        name: Provenance.of(
            run_of_band,
            config,
            bands[name],
            band=name,
            origin=data.origin,
            cards=(*run_cards(run_of_band), *data.cards),
        )
        for name, run_of_band in images.items()
    }
    points = {
        name: points_of(run_of_band)
        for name, run_of_band in images.items()
        if run_of_band.point_exposure is not None
    }
    write_bands(outputs["images"], images, provenances, for_integral_flux, points)
