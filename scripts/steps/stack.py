"""Stack the run images of a field in one energy band."""

import json

import pandas as pd
from astropy.table import Table

from gammastack.geometry import ImageGeometry
from gammastack.images import image_units
from gammastack.products import (
    Provenance,
    image_hdu,
    read_data,
    table_hdu,
    write_hdus,
)
from gammastack.run_files import read_run_images
from gammastack.stack import bkg_norm_table, stack_runs

# Header keys of a run's images that go into the run table
ORIGIN = ("RA_PNT", "DEC_PNT", "FILENAME", "NOTE")


def run(inputs, outputs, params):
    geometry = ImageGeometry.create(**params["image"])
    config = {
        key: value
        for key, value in params.items()
        if key not in ("band", "energy_band")
    }
    mask = None
    if "mask" in inputs:
        mask, header = read_data(inputs["mask"])
        mask = mask > 0
        config["exclusion_mask"] = json.loads(header["CONFIG"])["exclusion_mask"]
    kinds = [kind for kind in ("counts", "bkg", "exposure") if kind in inputs]
    origins = []

    def runs():
        for paths in zip(*(inputs[kind] for kind in kinds), strict=True):
            images, header = read_run_images(
                dict(zip(kinds, paths, strict=True)), params["band"]
            )
            origins.append({key: header.get(key, "") for key in ("OBS_ID", *ORIGIN)})
            yield images

    stack, records = stack_runs(
        geometry,
        runs(),
        mask,
        ncounts_min=params["ncounts_min"],
        bkg_norm=params["bkg_norm"],
    )
    total = ("SUMCOUNT", int(stack.counts.sum()), "sum of the counts image")
    provenance = Provenance.of(stack, config, params["energy_band"], (total,))
    units = image_units(params["for_integral_flux"])
    for kind in kinds:
        hdu = image_hdu(getattr(stack, kind), geometry, units[kind], provenance)
        write_hdus(outputs[kind], [hdu])
    table = pd.DataFrame(records).merge(pd.DataFrame(origins), validate="1:1")
    table.to_csv(outputs["runs"], index=False)
    if "norms_csv" in outputs:
        norms = bkg_norm_table(table)
        norms.to_csv(outputs["norms_csv"], index=False)
        columns = Table.from_pandas(norms, units={"livetime": "s"})
        write_hdus(outputs["norms_fits"], [table_hdu(columns, "BKG_NORM", provenance)])
