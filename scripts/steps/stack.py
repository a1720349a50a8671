"""Add up the groups of runs of a field in one energy band."""

import numpy as np
import pandas as pd

from gammastack.cutouts import read_group
from gammastack.geometry import ImageGeometry
from gammastack.images import image_units
from gammastack.products import (
    Provenance,
    read_config,
    read_runs_and_origin,
    runs_hdu,
    write_images,
)
from gammastack.stack import Stack, final_images, kinds_of_sums, require_used


def run(inputs, outputs, params, origin):
    geometry = ImageGeometry.create(**params["image"])
    kinds = kinds_of_sums(params["background"])
    stack = Stack.empty(geometry, kinds)
    for path in inputs["groups"]:
        group, header = read_group(path, params["band"], kinds)
        stack.add(group)
    tables, origins = zip(*map(read_runs_and_origin, inputs["groups"]), strict=True)
    runs = pd.concat(tables)
    runs = runs[runs["band"] == params["band"]].drop(columns="band")
    runs = runs.sort_values("OBS_ID", ignore_index=True)
    require_used(runs.to_dict("records"))
    provenance = Provenance.of(
        stack,
        read_config(header),
        params["energy_band"],
        cards=(
            ("SUMCOUNT", int(stack.images["counts"].sum()), "sum of the counts image"),
        ),
        origin=origin.after(origins),
        runs=runs_hdu(runs),
    )
    units = image_units(params["for_integral_flux"])
    write_images(outputs, final_images(stack.images), geometry, units, provenance)
    runs.to_csv(outputs["runs"], index=False)
    return warnings(params["band"], stack.images)


def warnings(band, sums):
    """What is odd about the sums of a field."""
    if "exposure" in sums:
        blind = int(np.sum((sums["exposure"] == 0) & (sums["counts"] > 0)))
        if blind:
            yield f"{band}: {blind} pixels with counts have no exposure: flux NaN"
    if "n_without_off" in sums:
        left_out = int(sums["n_without_off"].sum())
        empty = int(np.sum((sums["n_without_off"] > 0) & (sums["n_runs"] == 0)))
        if left_out:
            yield (
                f"{band}: the ring of {left_out} pixels of single runs is excluded"
                f" altogether, or too small: they are left out. {empty} pixels of the"
                " image have no background in any run and are NaN. Larger rings, or the"
                " method 'adaptive ring', leave less out."
            )
