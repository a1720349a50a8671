"""Find candidates for sources in the significance map of a field in one energy band."""

from pathlib import Path

from gammastack.files.candidates import write_candidates, write_regions
from gammastack.files.fits import read
from gammastack.maps.candidates import find_candidates
from gammastack.products import EXPOSURE, FLUX
from gammastack.sky.geometry import ImageGeometry


def run(inputs, outputs, origin, *, image, radii, candidate_threshold, ul_confidence):
    geometry = ImageGeometry.create(**image)
    files = {name: read(path)["PRIMARY"] for name, path in inputs.items()}
    images = {name: hdu.image for name, hdu in files.items()}
    labels = {
        f"significance{suffix}": radius.label.replace(" ", "")
        for suffix, radius in radii.items()
    }
    significance = {label: images.pop(name) for name, label in labels.items()}
    mask = images.pop("mask") > 0
    radius = next(iter(radii.values()))
    in_pixels = radius.on(geometry)
    columns, search = find_candidates(
        *(images, significance, mask, geometry, in_pixels),
        *(candidate_threshold, ul_confidence),
    )
    path = Path(outputs["candidates"])
    header = files["counts"].header
    n_found, n_kept = search["n_found"], len(columns["name"])
    meta = {
        "field": path.parts[-3],
        "band": path.parts[-2],
        "energy_band": [header["E_MIN"], header["E_MAX"]],
        "energy_unit": "TeV",
        "radius": radius.label,
        "threshold": candidate_threshold,
        "ul_confidence": ul_confidence,
        **search,
        "n_kept": n_kept,
    }
    integral = (
        "exposure" in files and files["exposure"].header["BUNIT"] == EXPOSURE[True]
    )
    write_candidates(path, columns, FLUX[integral], meta)
    write_regions(
        outputs["candidates_reg"], columns, in_pixels[1] / geometry.in_pixels(1)[1]
    )
    if n_found > n_kept:
        return [
            f"{n_found} peaks are above {candidate_threshold:g} sigma, of which the"
            f" {n_kept} most significant ones are kept; is the background right?"
        ]
