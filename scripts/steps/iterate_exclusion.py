"""Add what is significant to the exclusion mask of a field, until nothing changes."""

import numpy as np

from gammastack.errors import InputError
from gammastack.files.band import label_of_radius
from gammastack.files.cutouts import read_run_images
from gammastack.files.header import (
    Provenance,
    image_hdu,
    read_config,
    read_data_and_origin,
    write_hdus,
)
from gammastack.maps.disks import counts_in_disk
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.search import add_sources
from gammastack.stacking.stack import final_images, require_used, stack_runs
from steps.stack_group import run_files

# Parameters that stand in the header
SETTINGS = ("energy_bands", "ncounts_min", "bkg_norm", "background")


def run(inputs, outputs, params, origin):
    geometry = ImageGeometry.create(**params["image"])
    data, header, earlier = read_data_and_origin(inputs["mask"])
    search = dict(params["source_search"])
    rounds = search.pop("rounds")
    margin = geometry.in_pixels(search["margin"])
    mask, n_rounds, changed, of_runs = data > 0, 0, True, []
    while changed and n_rounds < rounds:
        longer = mask
        for band in params["energy_bands"]:
            significance, of_runs = _significance(inputs, band, geometry, mask, params)
            longer = add_sources(longer, significance, **{**search, "margin": margin})
        if not longer.any():
            raise InputError(
                "exclusion_mask: the search for sources excludes the whole image; raise"
                " its threshold and threshold_low, or lower its margin"
            )
        changed = bool((longer != mask).any())
        mask, n_rounds = longer, n_rounds + 1
    config = read_config(header)
    settings = {**params["source_search"], "radius": label_of_radius(params["radius"])}
    config["exclusion_mask"] = [*config["exclusion_mask"], settings]
    config |= {key: params[key] for key in SETTINGS}
    excluded = int(np.sum((data > 0) & ~mask))
    note = f"{excluded} pixels excluded in {n_rounds} rounds"
    if changed:
        note += "; the last one still found new ones"
    cards = [("ROUNDS", n_rounds, "of the search for sources"), ("NOTE", note)]
    if "NOTE" in header:
        cards[1] = ("NOTE", f"{header['NOTE']}; {note}")
    provenance = Provenance(
        config, cards=tuple(cards), origin=origin.after([earlier, *of_runs])
    )
    hdu = image_hdu(mask.astype(np.uint8), geometry, "", provenance)
    write_hdus(outputs["mask"], [hdu, *provenance.tables()])
    if changed:
        return [f"exclusion_mask: {note}; raise its rounds, or its thresholds"]


def _significance(inputs, band, geometry, mask, params):
    """Significance with a mask, and the origin of each run."""
    origins = []

    def runs():
        for paths in run_files(inputs):
            images, _, origin = read_run_images(paths, band)
            origins.append(origin)
            yield images

    stack, records = stack_runs(
        geometry,
        runs(),
        mask,
        params["ncounts_min"],
        params["bkg_norm"],
        params["background"],
    )
    require_used(records)
    images = final_images(stack.images)
    measured = counts_in_disk(images, geometry.pixels(*params["radius"]))
    return measured.significance(), origins
