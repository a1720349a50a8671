"""Draw the exclusion mask of a field, and search for more sources if it is asked for."""

from dataclasses import replace

import numpy as np

from gammastack.files.fits import write
from gammastack.files.header import Provenance
from gammastack.files.run import RunFile
from gammastack.maps.disks import counts_in_disk
from gammastack.sky.exclusion import exclusion_mask as draw_mask
from gammastack.sky.exclusion import without_folders
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.search import search_sources
from gammastack.stacking.stack import final_images, require_used, stack_runs


def run(
    inputs,
    outputs,
    origin,
    *,
    image,
    exclusion_mask,
    source_search=None,
    radius=None,
    energy_bands=(),
    ncounts_min=0,
    bkg_norm=True,
    background=None,
):
    geometry = ImageGeometry.create(**image)
    mask, notes = draw_mask(geometry, exclusion_mask)
    exclusions = without_folders(exclusion_mask)
    config = {"image": image, "exclusion_mask": exclusions}
    provenance = Provenance(config, cards=_note(notes), origin=origin)
    if source_search is None:
        _write(outputs["exclusion_mask"], mask, geometry, provenance)
        return None
    _write(outputs["known_sources"], mask, geometry, provenance)
    settings = {
        "ncounts_min": ncounts_min,
        "bkg_norm": bkg_norm,
        "background": background,
    }
    origins = {}

    def significance(mask):
        for band in energy_bands:
            yield _significance(
                inputs["runs"], band, geometry, mask, settings, radius, origins
            )

    margin = geometry.in_pixels(source_search["margin"])
    found = search_sources(mask, significance, {**source_search, "margin": margin})
    excluded = int(np.sum(mask & ~found.mask))
    note = f"{excluded} pixels excluded in {found.n_rounds} rounds"
    if not found.converged:
        note += "; the last one still found new ones"
    search = {**source_search, "radius": radius.label}
    config |= {"exclusion_mask": [*exclusions, search], "energy_bands": energy_bands}
    rounds = ("ROUNDS", found.n_rounds, "of the search for sources")
    provenance = replace(
        provenance,
        config=config | settings,
        cards=(rounds, *_note([*notes, note])),
        origin=origin.after(origins.values()),
    )
    _write(outputs["exclusion_mask"], found.mask, geometry, provenance)
    if not found.converged:
        return [f"exclusion_mask: {note}; raise its rounds, or its thresholds"]


def _note(notes):
    return (("NOTE", "; ".join(notes)),) if notes else ()


def _write(path, mask, geometry, provenance):
    image = provenance.image(mask.astype(np.uint8), geometry)
    write(path, [image, *provenance.tables()])


def _significance(paths, band, geometry, mask, settings, radius, origins):
    """Significance in a band with a mask; keep the origin of each run."""

    def runs():
        for path in paths:
            file = RunFile(path, geometry)
            if path not in origins:
                origins[path] = file.origin
            yield file.images(band)

    stack, records = stack_runs(geometry, runs(), mask, **settings)
    require_used(records)
    images = final_images(stack.images)
    return counts_in_disk(images, radius.on(geometry)).significance()
