"""Add up the groups of runs of a field in one energy band."""

import numpy as np
import pandas as pd

from gammastack.files.cutouts import read_group
from gammastack.files.header import (
    Provenance,
    read_config,
    read_runs_and_origin,
    runs_hdu,
    write_images,
)
from gammastack.runs.images import image_units
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.stack import Stack, final_images, kinds_of_sums, require_used


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
    require_used(runs.to_dict("records"), f"{outputs['counts']}: ")
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
    left_out = warnings(runs["n_pixels_left_out"], stack.images, params["background"])
    return [f"{params['band']}: {text}" for text in left_out]


def warnings(n_left_out, sums, background):
    """What was left out of the sums."""
    if not n_left_out.any():
        return
    text = (
        f"{n_left_out.sum()} pixels of {(n_left_out > 0).sum()} runs are left out of all"
        " images, for want of a background model or an exposure"
    )
    if "off" not in sums:
        yield f"{text}; see n_pixels_left_out in runs.csv"
        return
    n_empty = int(np.sum((sums["n_without_off"] > 0) & (sums["n_runs"] == 0)))
    remedy = "larger rings, or the method 'adaptive ring',"
    if background["method"] == "adaptive ring":
        remedy = "a larger r_out_max or threshold_alpha"
    yield (
        f"{text}, or of a ring that is large enough and not excluded; {n_empty} pixels of"
        f" the image have no OFF counts in any run and are NaN; {remedy} may help"
    )
