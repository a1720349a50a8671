"""Add up the datasets of a group of runs, with the norms of their backgrounds."""

from gammastack.datasets.axes import DatasetAxes
from gammastack.datasets.pixels import DatasetPixels
from gammastack.datasets.stack import contribution, merged_times, total
from gammastack.files.dataset import CUBES, DatasetFile, write_dataset
from gammastack.files.fits import read
from gammastack.files.header import Provenance, read_config, runs_table
from gammastack.provenance.origin import Origin
from gammastack.sky.strips import positive
from gammastack.stacking.judge import judge
from gammastack.stacking.run_table import run_table
from gammastack.stacking.stack import Stack


def run(
    inputs,
    outputs,
    origin,
    *,
    field,
    image,
    dataset,
    ncounts_min,
    bkg_norm,
    bkg_scale_band,
    on_bad_bkg_scale,
    gradient,
):
    pixels = DatasetPixels.create(image, dataset["binsz_irf"])
    geometry = pixels.image
    settings = {
        "ncounts_min": ncounts_min,
        "bkg_norm": bkg_norm,
        "gradient": gradient,
        "bkg_scale_band": bkg_scale_band,
        "on_bad_bkg_scale": on_bad_bkg_scale,
    }
    mask = read(inputs["mask"])
    config = settings | {
        "exclusion_mask": read_config(mask["PRIMARY"].header)["exclusion_mask"]
    }
    use = positive(mask["PRIMARY"].rows, geometry.shape)
    files = [DatasetFile(path, pixels) for path in inputs["runs"]]
    mask_origin = Origin.from_hdu(mask["INPUTS"])
    origin = origin.after([mask_origin, *(file.origin for file in files)])
    summary, records, used = Stack.empty(geometry, kinds=()), [], []
    for file in files:
        image = file.image()
        of_run = use[geometry.placement(image.geometry)] & image.covered
        verdict = judge(image, of_run, **settings)
        if verdict.is_used:
            used.append((file, verdict))
            summary.add(image, {})
        summary.n_failed += verdict.status == "failed"
        n_left_out = image.n_pixels - int(image.covered.sum())
        record = verdict.record(image, n_left_out if verdict.is_used else 0)
        records.append(record | {"energy_threshold": file.header["E_SAFE"]})
    table = run_table(records, [file.header for file in files], "dataset")
    axes = DatasetAxes.create(**dataset["axes"])
    provenance = Provenance.of(
        summary,
        read_config(files[0].header) | config,
        axes.span,
        field_name=field,
        origin=origin,
        runs=runs_table(table.drop(columns="band")),
    )
    write_dataset(
        outputs["dataset"],
        provenance,
        _sums(used, pixels),
        axes,
        merged_times([file.good_times for file, _ in used]),
        dtype=float,
    )


def _sums(used, pixels):
    """Yield name, sum and pixels of each cube."""
    for name in CUBES:
        parts = [(file, verdict) for file, verdict in used if file.has(name)]
        part = pixels.of(name).around([file.geometry(name) for file, _ in parts])
        cubes = (
            (contribution(name, file, verdict), file.geometry(name))
            for file, verdict in parts
        )
        yield name, total(name, part, cubes), part
