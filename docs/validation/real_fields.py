"""Section 3.1: empty sky and background norms of the H.E.S.S. release."""

import numpy as np
import pandas as pd
from astropy import units as u
from scipy.stats import norm

from validation import workflow
from validation.report import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    new_figure,
    save,
    table,
)

N_HISTOGRAMS = 9


def statistics(method, field):
    """The row of ``off_statistics.csv``."""
    return workflow.table(method, field, "off_statistics").iloc[0]


def pull_of_width(row):
    """Distance of the width of independent disks from the expected one, in errors."""
    return (row["width_independent"] - row["width_expected"]) / row["width_error"]


def field_row(field):
    """Row of a field: measured / expected mean and width for both backgrounds."""
    cells = [field, workflow.runs("irf", field)]
    for method in workflow.MORE:
        row = statistics(method, field)
        cells += [
            f"{row['mean']:+.2f} / {row['mean_expected']:+.2f}",
            f"{row['width']:.2f} / {row['width_expected']:.2f}",
            f"{pull_of_width(row):+.1f}",
        ]
    return cells


def summary():
    """For each background the fields in words of numbers."""
    for method in workflow.MORE:
        rows = pd.DataFrame([statistics(method, field) for field in workflow.fields()])
        weight = rows["n_independent"]
        mean = np.average(
            rows["mean_independent"] - rows["mean_expected"], weights=weight
        )
        variance, expected = (
            np.average(rows[name] ** 2, weights=weight)
            for name in ("width_independent", "width_expected")
        )
        beyond = int((rows.apply(pull_of_width, axis=1).abs() > 3).sum())
        error = 1 / np.sqrt(weight.sum())
        yield (
            *(method, int(weight.sum()), f"{mean:+.3f} ± {error:.3f}"),
            f"{np.sqrt(variance / expected):.3f} ± {error / np.sqrt(2):.3f}",
            f"{beyond} of {len(rows)}",
        )


def norms():
    """The norms of all runs, with the name of their field."""
    tables = [
        workflow.table("irf", field, "table_bkg_norm").assign(field=field)
        for field in workflow.fields()
    ]
    return pd.concat(tables, ignore_index=True)


def draw_norms(runs, folder):
    """Norms against the zenith angle."""
    figure = new_figure(9, 4)
    axes = figure.subplots()
    for flagged, colour, label in (
        (False, BLUE, "runs"),
        (True, RED, "flagged in their field"),
    ):
        part = runs[runs["outlier"] == flagged]
        axes.errorbar(
            part["ZENITH"],
            part["bkg_scale"],
            yerr=part["bkg_scale_err"],
            fmt="s" if flagged else ".",
            color=colour,
            label=f"{label} ({len(part)})",
        )
    axes.axhline(1, color=GREY, lw=0.8)
    axes.set(xlabel="zenith angle (deg)", ylabel="bkg_scale")
    axes.legend()
    caption = f"Background norms of {len(runs)} runs (irf), with their Poisson errors."
    return save(figure, "norms", caption, folder)


def largest_fields():
    """The fields with the most runs."""
    names = sorted(workflow.fields(), key=lambda name: -workflow.runs("irf", name))
    return names[:N_HISTOGRAMS]


def draw_histograms(folder):
    """Significances outside the exclusions, small multiples."""
    figure = new_figure(9, 7)
    panels = figure.subplots(3, 3, sharex=True).ravel()
    for axes, field in zip(panels, largest_fields(), strict=True):
        for method, colour in (("irf", BLUE), ("ring", ORANGE)):
            bins = workflow.table(method, field, "off_histogram")
            edges = np.append(bins["from"], bins["to"].iloc[-1])
            axes.stairs(bins.iloc[:, 2], edges, color=colour, label=method)
        middle, n = (edges[1:] + edges[:-1]) / 2, bins.iloc[:, 2].sum()
        curve = norm.pdf(middle) * n * np.diff(edges)
        axes.plot(middle, curve, "--", color=GREY, label="standard normal")
        axes.set(yscale="log", ylim=(0.5, None), xlim=(-5.5, 5.5))
        axes.set_title(f"{field}, {workflow.runs('irf', field)} runs", fontsize=10)
    panels[0].legend(fontsize=7, loc="lower center")
    figure.supxlabel("significance outside the exclusions")
    figure.supylabel("positions")
    caption = (
        f"Significances of empty sky of the {N_HISTOGRAMS} fields with the most runs."
    )
    return save(figure, "real_histograms", caption, folder)


def excluded_radii():
    """Radii of the circles around known sources, with their units."""
    for field in workflow.settings()["fields"].values():
        yield from (circle["radius"] for circle in field.get("exclusion_mask", []))


def section(folder):
    """The section of the page."""
    for method in workflow.MORE:
        workflow.run_workflow(method)
    ring = workflow.settings("ring")["background"]
    largest = max(map(u.Quantity, excluded_radii()))
    runs = norms()
    flagged = runs[runs["outlier"]]
    named = ", ".join(
        f"{obs_id} ({field})"
        for obs_id, field in zip(flagged["OBS_ID"], flagged["field"], strict=True)
    )
    columns = [
        "field",
        "runs",
        "irf: mean",
        "irf: width",
        "pull",
        "ring: mean",
        "ring: width",
        "pull",
    ]
    of_all = (
        "background|disks|mean - expected|width / expected|fields with a pull beyond 3"
    )
    return f"""\
### 3.1 Empty sky and norms

The workflow with `{workflow.CONFIG}` ({len(workflow.fields())} fields, {len(runs)} runs used, 1 to 10 TeV, disks of 0.1 deg), and again with a ring of {ring["r_in"]}
+ {ring["width"]} for all fields (the largest exclusion has a radius of {largest}). Mean and width of the significance outside the exclusions, measured / expected for Poisson
counts (`off_statistics.csv`). Pull: the width of disks that do not overlap from the expected one, in errors.

{table(columns, map(field_row, workflow.fields()))}

All fields together, disks that do not overlap. What differs from 0 and 1 beyond the errors is what models, norms and lists of sources
leave in real data; there is no truth to compare with, and so no verdict.

{table(of_all.split("|"), summary())}

{draw_norms(runs, folder)}

Norms lie between {runs["bkg_scale"].min():.2f} and {runs["bkg_scale"].max():.2f}, their median is {runs["bkg_scale"].median():.3f}. Flagged as far from the others of their field:
{named or "none"}.

{draw_histograms(folder)}
"""
