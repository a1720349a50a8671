"""Add what is significant to the exclusion mask of a field, until nothing changes."""

import numpy as np

from gammastack.files.fits import read, write
from gammastack.files.header import Provenance, read_config
from gammastack.files.run import RunFile
from gammastack.maps.disks import counts_in_disk
from gammastack.provenance.origin import Origin
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.strips import positive
from gammastack.stacking.search import search_sources
from gammastack.stacking.stack import final_images, stack_runs


def run(
    inputs,
    outputs,
    origin,
    *,
    field,
    image,
    source_search,
    radius,
    energy_bands,
    ncounts_min,
    bkg_norm,
    bkg_scale_band,
    on_bad_bkg_scale,
    has_exposure,
    background,
):
    geometry = ImageGeometry.create(**image)
    settings = {
        "ncounts_min": ncounts_min,
        "bkg_norm": bkg_norm,
        "background": background,
        "has_exposure": has_exposure,
        "bkg_scale_band": bkg_scale_band,
        "on_bad_bkg_scale": on_bad_bkg_scale,
    }
    hdus = read(inputs["known"])
    header = hdus["PRIMARY"].header
    known = positive(hdus["PRIMARY"].rows, geometry.shape)
    origins = {inputs["known"]: Origin.from_hdu(hdus["INPUTS"])}

    def runs(band):
        for path in inputs["runs"]:
            file = RunFile(path, geometry)
            if path not in origins:
                origins[path] = file.origin
            yield file.images(band)

    def significance(mask):
        for band in energy_bands:
            stack, _ = stack_runs(geometry, runs(band), mask, **settings)
            images = final_images(stack.images)
            yield counts_in_disk(images, radius.on(geometry)).significance()

    margin = geometry.in_pixels(source_search["margin"])
    found = search_sources(known, significance, {**source_search, "margin": margin})
    excluded = int(np.sum(known & ~found.mask))
    note = f"{excluded} pixels excluded in {found.n_rounds} rounds"
    if not found.converged:
        note += "; the last one still found new ones"
    notes = [header["NOTE"], note] if "NOTE" in header else [note]
    config = read_config(header)
    search = {**source_search, "radius": radius.label}
    config["exclusion_mask"] = [*config["exclusion_mask"], search]
    provenance = Provenance(
        config | {"energy_bands": energy_bands} | settings,
        field_name=field,
        cards=(
            ("ROUNDS", found.n_rounds, "of the search for sources"),
            ("NOTE", "; ".join(notes)),
        ),
        origin=origin.after(origins.values()),
    )
    mask = provenance.image(found.mask.astype(np.uint8), geometry)
    write(outputs["exclusion_mask"], [mask, *provenance.tables()])
    if not found.converged:
        return [f"exclusion_mask: {note}; raise its rounds, or its thresholds"]
