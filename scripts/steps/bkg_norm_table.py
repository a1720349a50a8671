"""Write the table of the background norms of a field in one energy band."""

from astropy.table import Table

from gammastack.files.header import read_product, runs_table, table_hdu, write_hdus
from gammastack.stacking.stack import bkg_norm_table


def run(inputs, outputs, params, origin):
    _, _, provenance = read_product(inputs["counts"], origin)
    norms = bkg_norm_table(runs_table(provenance.runs))
    norms.to_csv(outputs["norms_csv"], index=False)
    columns = Table.from_pandas(norms, units={"livetime": "s", "ZENITH": "deg"})
    hdu = table_hdu(columns, "BKG_NORM", provenance)
    write_hdus(outputs["norms_fits"], [hdu, *provenance.tables()])
    outliers = norms.loc[norms["outlier"], "OBS_ID"].tolist()
    if outliers:
        return [
            f"{params['band']}: bkg_scale of run {', '.join(map(str, outliers))} is far"
            " from that of the others, see table_bkg_norm.csv"
        ]
