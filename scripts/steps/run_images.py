"""Make the images of one run in all energy bands of its field."""

from pathlib import Path

from gammastack.datastore import HDULocation
from gammastack.dl3 import oddities, read_observation
from gammastack.geometry import ImageGeometry
from gammastack.images import image_units, run_images
from gammastack.run_files import write_run_images


def run(inputs, outputs, params):
    hdus = {
        kind: HDULocation(inputs["dl3"][number], *name_and_class)
        for kind, (number, *name_and_class) in params["hdus"].items()
    }
    observation = read_observation(params["obs_id"], hdus)
    spectrum = {
        "spectral_index": params["spectral_index"],
        "for_integral_flux": params["for_integral_flux"],
    }
    images = run_images(
        observation,
        ImageGeometry.create(**params["image"]),
        params["energy_bands"].values(),
        params["offset_band"],
        **spectrum,
    )
    pointing = observation.pointing
    cards = [
        ("RA_PNT", pointing.ra, "[deg] ICRS"),
        ("DEC_PNT", pointing.dec, "[deg] ICRS"),
        ("FILENAME", Path(hdus["events"].path).name, "file of the events"),
    ]
    if notes := oddities(observation, params["index"]):
        cards.append(("NOTE", "; ".join(notes)))
    write_run_images(
        outputs,
        dict(zip(params["energy_bands"].items(), images, strict=True)),
        image_units(params["for_integral_flux"]),
        {"image": params["image"], "offset_band": params["offset_band"], **spectrum},
        tuple(cards),
    )
