"""Sections 2.5 and 2.6: runs far from the model, and gradients that are not in it."""

from dataclasses import replace
from functools import cache

import pandas as pd

from gammastack.stacking.run_table import bkg_norm_table
from validation.disks import MEAN, PULL, WIDTH, Disks, disks_of_field, moments
from validation.report import table
from validation.simulation import IRF, MODEL, Experiment, in_parallel, stacked

NORM_OF_BAD_RUN = 3.0
N_RUNS_OF_TABLE = 12
EXTRA_GRADIENT = 0.2  # per deg to the north
GRADIENT = {"method": "irf", "gradient": True}


@cache
def table_experiment():
    return Experiment(N_RUNS_OF_TABLE)


def field_with_bad_run(seed):
    """Norms with a run of three times the background, and disks without and with it."""
    usual = table_experiment().runs(seed)
    bad = [*usual[:-1], replace(usual[-1], norm=NORM_OF_BAD_RUN)]
    images = [table_experiment().images(seed, runs) for runs in (usual, bad)]
    _, records = stacked(images[1])
    norms = bkg_norm_table(pd.DataFrame(records))
    return norms, [disks_of_field(one, IRF, True)[1] for one in images]


def bad_run(n_fields):
    """Norm of the bad run, how often runs are flagged, and rows of empty sky."""
    tables, disks = zip(
        *in_parallel(field_with_bad_run, range(1, n_fields + 1)), strict=True
    )
    bad = pd.concat([one.iloc[[-1]] for one in tables])
    others = pd.concat([one.iloc[:-1] for one in tables])
    norm = bad["bkg_scale"].mean()
    error = bad["bkg_scale_err"].mean() / n_fields**0.5
    rows = [
        (
            "norm of the run",
            f"{NORM_OF_BAD_RUN:g}",
            f"{norm:.4f} ± {error:.4f}",
            abs(norm - NORM_OF_BAD_RUN) <= PULL * error,
        ),
        (
            "fields where it is flagged",
            n_fields,
            bad["outlier"].sum(),
            bad["outlier"].all(),
        ),
        (
            "other runs that are flagged",
            0,
            others["outlier"].sum(),
            not others["outlier"].any(),
        ),
    ]
    for name, parts in zip(
        ("all runs usual", "with the run"), zip(*disks, strict=True), strict=True
    ):
        (mean, width), ok = moments(Disks.together(parts))
        rows.append((f"{name}: mean, width / expected", "", f"{mean}, {width}", ok))
    return rows


@cache
def tilted_experiment():
    truth = replace(MODEL, gradient=MODEL.gradient + EXTRA_GRADIENT)
    return Experiment(model=MODEL, truth=truth)


def tilted_field(seed):
    """Records of the runs with a gradient fitted, and disks without and with it."""
    runs = tilted_experiment().images(seed)
    _, records = stacked(runs, background=GRADIENT)
    disks = [disks_of_field(runs, method, True)[1] for method in (IRF, GRADIENT)]
    return records, disks


def gradient(n_fields):
    """Rows of the gradients that were fitted, and of empty sky."""
    fields = in_parallel(tilted_field, range(1, n_fields + 1))
    runs = pd.DataFrame([record for records, _ in fields for record in records])
    rows = []
    for axis, direction, true in (
        ("lon", "east", 0.0),
        ("lat", "north", EXTRA_GRADIENT),
    ):
        values = runs[f"bkg_gradient_{axis}"]
        pulls = (values - true) / runs[f"bkg_gradient_{axis}_err"]
        error = values.std() / len(runs) ** 0.5
        rows.append(
            (
                f"gradient to the {direction} (per deg), {len(runs)} runs",
                f"{true:g}",
                f"{values.mean():.4f} ± {error:.4f}",
                abs(values.mean() - true) <= PULL * error,
            )
        )
        scatter = pulls.std()
        rows.append(
            (
                f"width of its pulls, {direction}",
                1,
                f"{scatter:.2f}",
                abs(scatter - 1) <= PULL / (2 * len(runs)) ** 0.5,
            )
        )
    for name, disks in zip(
        ("irf", "irf, gradient: true"),
        zip(*(disks for _, disks in fields), strict=True),
        strict=True,
    ):
        (mean, width), ok = moments(Disks.together(disks))
        ok = ok if "gradient" in name else "not corrected"
        rows.append((f"{name}: mean, width / expected", "", f"{mean}, {width}", ok))
    return rows


def section(n_fields=100):
    """The sections of the page."""
    columns = ["", "expected", "found", "ok"]
    return f"""\
### 2.5 A run far from its model

{n_fields} fields of {N_RUNS_OF_TABLE} runs, one of them with {NORM_OF_BAD_RUN:g} times the background of its file, the others between 0.8 and 1.2 times.

{table(columns, bad_run(n_fields))}

### 2.6 A gradient that is not in the model

{n_fields} fields of {tilted_experiment().n_runs} runs whose background grows by {EXTRA_GRADIENT:g} per deg (in its logarithm) to the north beyond the one in their files.

{table(columns, gradient(n_fields))}

Tolerances of 2.4 to 2.6: {PULL:g} errors; for mean and width of S {MEAN} and {WIDTH:.0%} beyond that.
"""
