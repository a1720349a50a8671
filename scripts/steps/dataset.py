"""Add up the groups of datasets of a field, for a fit with gammapy."""

from pathlib import Path

import numpy as np
import pandas as pd

from gammastack.datasets.axes import DatasetAxes
from gammastack.datasets.pixels import DatasetPixels
from gammastack.datasets.stack import AVERAGED, average, merged_times, total
from gammastack.failures import failures_text, require_few_failures
from gammastack.files.dataset import CUBES, DatasetFile, write_dataset
from gammastack.files.header import Provenance, of_runs, read_config, runs_table
from gammastack.stacking.comparison import compare_runs
from gammastack.stacking.run_table import failed_runs, with_excluded
from gammastack.stacking.stack import Stack, none_used


def run(
    inputs,
    outputs,
    origin,
    *,
    field,
    image,
    dataset,
    max_failed,
    excluded,
):
    pixels = DatasetPixels.create(image, dataset["binsz_irf"])
    groups = [DatasetFile(path, pixels) for path in inputs["groups"]]
    runs = pd.concat([group.runs for group in groups])
    runs = compare_runs(with_excluded(runs, excluded))
    where, failures = Path(outputs["dataset"]).parent, failed_runs(runs)
    n_runs = len(runs) - len(excluded)
    require_few_failures(failures, n_runs, max_failed, where)
    warnings = [f"dataset: {failures_text(failures, n_runs)}"] if failures else []
    if text := none_used(runs.to_dict("records")):
        warnings.append(f"dataset: {text}")
    axes = DatasetAxes.create(**dataset["axes"])
    empty = pixels.image.around([])
    summary = Stack.sum(
        empty, [Stack(empty, {}, **of_runs(group.header)) for group in groups]
    )
    provenance = Provenance.of(
        summary,
        read_config(groups[0].header),
        axes.span,
        field_name=field,
        origin=origin.after([group.origin for group in groups]),
        runs=runs_table(runs),
    )
    write_dataset(
        outputs["dataset"],
        provenance,
        _cubes(groups, pixels),
        axes,
        merged_times([group.good_times for group in groups]),
    )
    return warnings


def _cubes(groups, pixels):
    """Yield name, values and pixels of each cube."""

    def sum_of(name):
        parts = [group for group in groups if group.has(name)]
        cubes = ((part.cube(name), part.geometry(name)) for part in parts)
        return total(name, pixels.of(name), cubes)

    for name in CUBES:
        cube = sum_of(name)
        if name in AVERAGED and cube.size:
            cube = average(cube, sum_of(f"{name}_exposure"))
        if name == "counts":
            # gammapy adds to the counts of a dataset as to other numbers.
            cube = cube.astype(np.float32)
        yield name, cube, pixels.of(name)
