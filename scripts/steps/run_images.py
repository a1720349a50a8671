"""Make the images of one run in all energy bands of its field."""

from gammastack.dl3.datastore import HDULocation
from gammastack.dl3.observation import oddities, read_observation
from gammastack.files.cutouts import run_cards, write_run_images
from gammastack.files.header import Provenance, read_config_and_origin
from gammastack.runs.images import image_units, run_images
from gammastack.sky.geometry import ImageGeometry

# Parameters that stand in the header
SETTINGS = ("image", "offset_band", "spectral_index", "for_integral_flux")


def run(inputs, outputs, params, origin):
    hdus = {
        kind: HDULocation(inputs["dl3"][number], *name_and_class)
        for kind, (number, *name_and_class) in params["hdus"].items()
    }
    config = {key: params[key] for key in SETTINGS}
    if "acceptance" in inputs:
        path = inputs["acceptance"]
        hdus["bkg"] = HDULocation(path, "BKG", params["acceptance_class"])
        config["acceptance"], earlier = read_config_and_origin(path, "BKG")
        origin = origin.after([earlier])
    bands = dict(params["energy_bands"])
    observation = read_observation(params["obs_id"], hdus)
    images = run_images(
        observation,
        ImageGeometry.create(**params["image"]),
        bands.values(),
        params["offset_band"],
        spectral_index=params["spectral_index"],
        for_integral_flux=params["for_integral_flux"],
    )
    number, *_ = params["hdus"]["events"]
    cards = [("FILENAME", params["files"][number][0], "file of the events")]
    if "ZENITH" in params["index"]:
        cards.append(("ZENITH", params["index"]["ZENITH"], "[deg] of the pointing"))
    if notes := oddities(observation, params["index"]):
        cards.append(("NOTE", "; ".join(notes)))
    provenances = [
        Provenance.of(
            image, config, band, origin=origin, cards=(*run_cards(image), *cards)
        )
        for image, band in zip(images, bands.values(), strict=True)
    ]
    write_run_images(
        outputs,
        dict(
            zip(
                bands,
                zip(images, provenances, strict=True),
                strict=True,
            )
        ),
        image_units(params["for_integral_flux"]),
        provenances[0].tables(),
    )
