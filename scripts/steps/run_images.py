"""Make the images of one run in all energy bands of its field."""

from pathlib import Path

from gammastack.dl3.datastore import HDULocation
from gammastack.dl3.observation import oddities, read_observation
from gammastack.files.bands import write_bands
from gammastack.files.fits import read
from gammastack.files.header import Provenance, read_config
from gammastack.files.run import run_cards
from gammastack.provenance.origin import Origin
from gammastack.runs.images import run_images
from gammastack.sky.geometry import ImageGeometry


def run(
    inputs,
    outputs,
    origin,
    *,
    obs_id,
    hdus,
    index,
    image,
    energy_bands,
    offset_band,
    spectral_index,
    for_integral_flux,
    acceptance_class=None,
):
    locations = {kind: hdu.among(inputs["dl3"]) for kind, hdu in hdus.items()}
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
    bands = dict(energy_bands)
    observation = read_observation(obs_id, locations)
    geometry = ImageGeometry.create(**image)
    images = run_images(observation, geometry, bands.values(), offset_band, **spectrum)
    cards = [("FILENAME", Path(locations["events"].path).name, "file of the events")]
    if "ZENITH" in index:
        cards.append(("ZENITH", index["ZENITH"], "[deg] of the pointing"))
    if notes := oddities(observation, index):
        cards.append(("NOTE", "; ".join(notes)))
    images = dict(zip(bands, images, strict=True))
    provenances = {
        name: Provenance.of(
            run_of_band,
            config,
            bands[name],
            origin=origin,
            cards=(*run_cards(run_of_band), *cards),
        )
        for name, run_of_band in images.items()
    }
    write_bands(outputs["images"], images, provenances, for_integral_flux)
