"""Add up the images of a group of runs, in all energy bands of the field."""

import numpy as np
import pandas as pd

from gammastack.files.bands import write_bands
from gammastack.files.fits import read
from gammastack.files.header import Provenance, read_config, runs_table
from gammastack.files.run import RunFile
from gammastack.provenance.origin import Origin
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.kernels import radius_of_area
from gammastack.sky.strips import positive
from gammastack.stacking.run_table import run_table
from gammastack.stacking.stack import stack_runs


def run(
    inputs,
    outputs,
    origin,
    *,
    field,
    image,
    energy_bands,
    ncounts_min,
    bkg_norm,
    bkg_scale_band,
    on_bad_bkg_scale,
    has_exposure,
    point_radii,
    background=None,
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
    config, mask, origins = dict(settings), None, []
    if "mask" in inputs:
        hdus = read(inputs["mask"])
        header, rows = hdus["PRIMARY"].header, hdus["PRIMARY"].rows
        mask = positive(rows, geometry.shape)
        config["exclusion_mask"] = read_config(header)["exclusion_mask"]
        origins.append(Origin.from_hdu(hdus["INPUTS"]))
    files = [RunFile(path, geometry) for path in inputs["runs"]]
    origin = origin.after([*origins, *(file.origin for file in files)])
    stacks, tables = {}, []
    areas = {
        suffix: radius_of_area(radius.on(geometry), geometry)
        for suffix, radius in point_radii.items()
    }
    for band in energy_bands:
        stacks[band], records = stack_runs(
            geometry,
            (file.images(band) for file in files),
            mask,
            part=geometry.around([file.geometry(band) for file in files]),
            radii=areas,
            **settings,
        )
        headers = [file.header(band) for file in files]
        tables.append(run_table(records, headers, band))
    config = read_config(headers[0]) | config
    table = runs_table(pd.concat(tables))
    provenances = {
        band: Provenance.of(
            stack,
            config,
            energy_bands[band],
            field_name=field,
            band=band,
            origin=origin,
            runs=table,
        )
        for band, stack in stacks.items()
    }
    # There are none if no run is used.
    points = {
        band: (stack.points, ())
        for band, stack in stacks.items()
        if np.ndim(stack.points)
    }
    integral = config["for_integral_flux"]
    write_bands(outputs["sums"], stacks, provenances, integral, points)
