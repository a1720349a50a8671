"""Write the table of background norms of a field in one energy band."""

import pandas as pd
from astropy.table import Table

from gammastack.products import Provenance, read_image, table_hdu, write_hdus
from gammastack.stack import bkg_norm_table


def run(inputs, outputs, params):
    table = bkg_norm_table(pd.read_csv(inputs["runs"]))
    table.to_csv(outputs["csv"], index=False)
    _, _, header = read_image(inputs["bkg"])
    columns = Table.from_pandas(table)
    columns["livetime"].unit = "s"
    hdu = table_hdu(columns, "BKG_NORM", Provenance.from_header(header))
    write_hdus(outputs["fits"], [hdu])
