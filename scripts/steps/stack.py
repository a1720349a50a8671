"""Add up the groups of runs of a field in one energy band."""

import pandas as pd
from astropy.table import Table

from gammastack.cutouts import read_group
from gammastack.geometry import ImageGeometry
from gammastack.images import image_units
from gammastack.products import (
    Provenance,
    image_hdu,
    read_config,
    read_runs_and_origin,
    runs_hdu,
    table_hdu,
    write_hdus,
)
from gammastack.stack import Stack, bkg_norm_table, require_used


def run(inputs, outputs, params, origin):
    geometry = ImageGeometry.create(**params["image"])
    stack = Stack.empty(geometry)
    for paths in zip(*inputs.values(), strict=True):
        files = dict(zip(inputs, paths, strict=True))
        group, header = read_group(files, params["band"])
        stack.add(group)
    tables, origins = zip(*map(read_runs_and_origin, inputs["counts"]), strict=True)
    runs = pd.concat(tables)
    runs = runs[runs["band"] == params["band"]].drop(columns="band")
    runs = runs.sort_values("OBS_ID", ignore_index=True)
    require_used(runs.to_dict("records"))
    provenance = Provenance.of(
        stack,
        read_config(header),
        params["energy_band"],
        cards=(("SUMCOUNT", int(stack.counts.sum()), "sum of the counts image"),),
        origin=origin.after(origins),
        runs=runs_hdu(runs),
    )
    tables = provenance.tables()
    units = image_units(params["for_integral_flux"])
    for kind in inputs:
        image = image_hdu(getattr(stack, kind), geometry, units[kind], provenance)
        write_hdus(outputs[kind], [image, *tables])
    runs.to_csv(outputs["runs"], index=False)
    if "norms_csv" in outputs:
        norms = bkg_norm_table(runs)
        norms.to_csv(outputs["norms_csv"], index=False)
        columns = Table.from_pandas(norms, units={"livetime": "s"})
        norms = table_hdu(columns, "BKG_NORM", provenance)
        write_hdus(outputs["norms_fits"], [norms, *tables])
