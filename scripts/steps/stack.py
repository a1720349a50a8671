"""Add up the groups of runs of a field, and record what happened to each run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from gammastack.errors import InputError
from gammastack.failures import (
    failures_text,
    require_few_failures,
    warnings_text,
)
from gammastack.files.band import ImageWriter
from gammastack.files.fits import write
from gammastack.files.group import GroupFile
from gammastack.files.header import Provenance, runs_table
from gammastack.files.layout import bunit, of_band
from gammastack.files.tables import UNITS, write_table
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.strips import strips
from gammastack.stacking.comparison import compare_runs
from gammastack.stacking.containment import containment_table
from gammastack.stacking.run_table import (
    bkg_norm_table,
    failed_runs,
    field_table,
    with_excluded,
)
from gammastack.stacking.stack import Stack, final_images, kinds_of_sums, none_used

NORMS = ("table_bkg_norm", "table_bkg_norm_csv", "table_bkg_norm_ecsv")


def run(
    inputs,
    outputs,
    origin,
    *,
    field,
    image,
    energy_bands,
    max_failed,
    excluded,
    has_exposure,
    point_radii,
    background=None,
):
    geometry = ImageGeometry.create(**image)
    groups = [GroupFile(path, geometry) for path in inputs["groups"]]
    origin = origin.after([group.origin for group in groups])
    by_band, warnings = {}, []
    for band, edges in energy_bands.items():
        paths = of_band(outputs, band)
        runs = pd.concat([group.runs(band) for group in groups])
        by_band[band] = runs = compare_runs(with_excluded(runs, excluded))
        n_runs, where = len(runs) - len(excluded), Path(outputs["runs"]).parent
        require_few_failures(failed_runs(runs), n_runs, max_failed, where)
        if text := none_used(runs.to_dict("records")):
            if not max_failed:
                raise InputError(f"{Path(paths['counts']).parent}: {text}")
            warnings.append(f"{band}: {text}")
        summary = Stack.sum(geometry, [group.summary(band) for group in groups])
        provenance = Provenance.of(
            summary,
            groups[0].config(band),
            edges,
            field_name=field,
            band=band,
            origin=origin,
            runs=runs_table(runs),
        )
        integral = provenance.config["for_integral_flux"]
        units = UNITS | {"exposure_on_axis": bunit("exposure", integral)}
        write_table(
            runs, paths.pop("runs_of_band"), paths.pop("runs_of_band_ecsv"), units
        )
        norms = {name: paths.pop(name) for name in NORMS if name in paths}
        if point_radii:
            units = {"r68": "deg", "r95": "deg"}
            table = containment_table(summary.points)
            write_table(table, paths.pop("psf"), paths.pop("psf_ecsv"), units)
        writer = ImageWriter(paths, geometry, _with_sum(provenance, 0), integral)
        kinds = kinds_of_sums(background, has_exposure, point_radii)
        n_counts = n_empty = 0
        for strip in strips(geometry.shape):
            part = geometry.rows(strip.rows)
            stacks = (
                group.stack(band, kinds, part)
                for group in groups
                if group.is_in(band, strip.rows)
            )
            sums = Stack.sum(part, stacks, kinds).images
            writer.add(final_images(sums))
            n_counts += int(sums["counts"].sum())
            n_empty += _without_off(sums)
        provenance = _with_sum(provenance, n_counts)
        writer.finish(provenance)
        if norms:
            _write_norms(norms, runs, provenance)
        left_out = runs["n_pixels_left_out"]
        texts = _left_out(left_out, n_empty, background) if left_out.any() else ()
        warnings += [f"{band}: {text}" for text in texts]
    table = field_table(by_band)
    write_table(table, outputs["runs"], outputs["runs_ecsv"])
    if failures := failed_runs(table):
        warnings.append(failures_text(failures, n_runs))
    odd = table[table["warning"] != ""]
    if len(odd):
        of_runs = dict(zip(odd["OBS_ID"].tolist(), odd["warning"], strict=True))
        warnings.append(warnings_text(of_runs, n_runs))
    return warnings


def _with_sum(provenance, n_counts):
    cards = (("SUMCOUNT", n_counts, "sum of the counts image"),)
    return replace(provenance, cards=cards)


def _write_norms(paths, runs, provenance):
    norms = bkg_norm_table(runs)
    write_table(norms, paths["table_bkg_norm_csv"], paths["table_bkg_norm_ecsv"])
    columns = {name: values.to_numpy() for name, values in norms.items()}
    hdu = provenance.table(columns, "BKG_NORM", UNITS)
    write(paths["table_bkg_norm"], [hdu, *provenance.tables()])


def _without_off(sums):
    """Return the number of pixels that have no OFF counts in any run that covers them."""
    if "off" not in sums:
        return 0
    return int(np.sum((sums["n_without_off"] > 0) & (sums["n_runs"] == 0)))


def _left_out(n_left_out, n_empty, background):
    """Describe what was left out of the sums."""
    text = (
        f"{n_left_out.sum()} pixels of {(n_left_out > 0).sum()} runs are left out of all"
        " images, because they have no background model or no exposure"
    )
    if "ring" not in background["method"]:
        yield f"{text}; see n_pixels_left_out in runs.csv"
        return
    remedy = "larger rings, or the method 'adaptive ring',"
    if background["method"] == "adaptive ring":
        remedy = "a larger r_out_max or threshold_alpha"
    yield (
        f"{text}, or no ring that is large enough and not excluded; {n_empty} pixels of"
        f" the image have no OFF counts in any run and are NaN; {remedy} may help"
    )
