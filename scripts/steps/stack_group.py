"""Add up the images of a group of runs, in all energy bands of the field."""

import pandas as pd

from gammastack.files.cutouts import read_run_images, write_group
from gammastack.files.header import (
    Provenance,
    read_config,
    read_data_and_origin,
    runs_hdu,
)
from gammastack.runs.images import image_units
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.stack import stack_runs

# Header keys of a run's images that go into the run table, and what stands for none
ORIGIN = {
    "RA_PNT": "",
    "DEC_PNT": "",
    "ZENITH": float("nan"),
    "FILENAME": "",
    "NOTE": "",
}
# Parameters that stand in the header
SETTINGS = (
    "image",
    "offset_band",
    "spectral_index",
    "for_integral_flux",
    "ncounts_min",
    "bkg_norm",
    "background",
    "acceptance",
)


def run(inputs, outputs, params, origin):
    geometry = ImageGeometry.create(**params["image"])
    config = {key: params[key] for key in SETTINGS}
    mask, earlier = None, []
    if "mask" in inputs:
        mask, header, origin_of_mask = read_data_and_origin(inputs["mask"])
        mask = mask > 0
        config["exclusion_mask"] = read_config(header)["exclusion_mask"]
        earlier.append(origin_of_mask)
    stacks = {}
    for name in params["energy_bands"]:
        *stacks[name], of_runs = _stack(run_files(inputs), name, geometry, mask, params)
    origin = origin.after([*earlier, *of_runs])
    runs = pd.concat([runs for _, runs in stacks.values()])
    provenances = {
        name: Provenance.of(
            stack,
            config,
            params["energy_bands"][name],
            origin=origin,
            runs=runs_hdu(runs),
        )
        for name, (stack, _) in stacks.items()
    }
    write_group(
        outputs["sums"],
        {name: (stacks[name][0], provenances[name]) for name in stacks},
        image_units(params["for_integral_flux"]),
        next(iter(provenances.values())).tables(),
    )


def run_files(inputs):
    """Images of each run by kind."""
    kinds = [kind for kind in ("counts", "bkg", "exposure") if kind in inputs]
    return [
        dict(zip(kinds, paths, strict=True))
        for paths in zip(*(inputs[kind] for kind in kinds), strict=True)
    ]


def _stack(files, band, geometry, mask, params):
    """Sums of the runs in one band, the table of the runs, and the origin of each."""
    rows, origins, cutouts = [], [], []

    def runs():
        for paths in files:
            images, header, origin = read_run_images(paths, band)
            of_run = {key: header.get(key, none) for key, none in ORIGIN.items()}
            rows.append({"OBS_ID": images.obs_id, **of_run})
            origins.append(origin)
            cutouts.append(images.geometry)
            yield images

    stack, records = stack_runs(
        geometry,
        runs(),
        mask,
        ncounts_min=params["ncounts_min"],
        bkg_norm=params["bkg_norm"],
        background=params["background"],
    )
    table = pd.DataFrame(records).merge(pd.DataFrame(rows), validate="1:1")
    table.insert(1, "band", band)
    return stack.cutout(geometry.around(cutouts)), table, origins
