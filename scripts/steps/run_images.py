"""Make the images of one run in all energy bands of its field."""

from dataclasses import replace
from pathlib import Path

from gammastack.dl3.checks import findings
from gammastack.dl3.finding import NOTE, WARNING, texts
from gammastack.dl3.hdus import HDULocation
from gammastack.dl3.observation import read_observation
from gammastack.errors import InputError, in_words, without_folders
from gammastack.files.bands import write_bands
from gammastack.files.fits import read
from gammastack.files.header import Provenance, read_config
from gammastack.files.run import run_cards
from gammastack.provenance.origin import Origin
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
    acceptance_class=None,
):
    paths = inputs.get("dl3", [])
    locations = {kind: hdu.among(paths) for kind, hdu in hdus.items()}
    spectrum = {
        "spectral_index": spectral_index,
        "for_integral_flux": for_integral_flux,
    }
    config = {"image": image, "offset_band": offset_band, **spectrum}
    if "acceptance" in inputs:
        path = inputs["acceptance"]
        locations["bkg"] = HDULocation(path, "BKG", acceptance_class)
        hdus_of_model = read(path)
        config["acceptance"] = read_config(hdus_of_model["BKG"].header)
        origin = origin.after([Origin.from_hdu(hdus_of_model["INPUTS"])])
    bands, geometry, cards = dict(energy_bands), ImageGeometry.create(**image), []
    if "ZENITH" in index:
        cards.append(("ZENITH", index["ZENITH"], "[deg] of the pointing"))
    if "events" in locations:
        name = Path(locations["events"].path).name
        cards.append(("FILENAME", name, "file of the events"))
    try:
        if failure:
            raise InputError(failure)
        observation = read_observation(obs_id, locations)
        images = run_images(
            observation, geometry, bands.values(), offset_band, **spectrum
        )
        images = [
            replace(run, reason=without_folders(run.reason, paths)) for run in images
        ]
        # A model that was made from the runs covers the energies that are needed, not more.
        measured = (
            observation if acceptance_class is None else replace(observation, bkg=None)
        )
        found = findings(measured, index)
        for severity in (WARNING, NOTE):
            if text := texts(found, severity):
                cards.append((severity.upper(), text))
    # The run may be read the next time.
    except (MemoryError, OSError):
        raise
    # Damaged data can cause any error, and one run must not keep the others from the maps.
    except Exception as error:
        pointing = index.get("RA_PNT", 0.0), index.get("DEC_PNT", 0.0)
        reason = in_words(error, paths)
        failed = RunImages.unused(obs_id, geometry, *pointing, "failed", reason)
        images = [failed] * len(bands)
    images = dict(zip(bands, images, strict=True))
    provenances = {
        name: Provenance.of(
            run_of_band,
            config,
            bands[name],
            band=name,
            origin=origin,
            cards=(*run_cards(run_of_band), *cards),
        )
        for name, run_of_band in images.items()
    }
    write_bands(outputs["images"], images, provenances, for_integral_flux)
