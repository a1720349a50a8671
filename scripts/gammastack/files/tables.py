"""Tables as text: CSV, and beside it ECSV, which has units and types, too.

Format: ECSV 1.0, https://github.com/astropy/astropy-APEs/blob/main/APE6.rst.
Its body is the CSV. `astropy.table` would take 15 ms for each table, and a while to be imported.
"""

import json
from pathlib import Path

# Units of columns, in all tables that have them
UNITS = {
    "RA_PNT": "deg",
    "DEC_PNT": "deg",
    "ZENITH": "deg",
    "ontime": "s",
    "livetime": "s",
    "bkg_gradient_lon": "deg-1",
    "bkg_gradient_lon_err": "deg-1",
    "bkg_gradient_lat": "deg-1",
    "bkg_gradient_lat_err": "deg-1",
    "peak_ra": "deg",
    "peak_dec": "deg",
}
TYPES = {"b": "bool", "i": "int64", "f": "float64"}


def write_table(table, csv, ecsv, units=UNITS):
    """Write a `pandas.DataFrame` as CSV and as ECSV.

    Parameters
    ----------
    table : pandas.DataFrame
    csv, ecsv : path
    units : dict of str to str
        By column; those of others are ignored. A column with a unit is one of numbers, in
        which empty texts are missing.
    """
    text = table.to_csv(index=False)
    Path(csv).write_text(text, encoding="utf-8")
    Path(ecsv).write_text(header(table, units) + text, encoding="utf-8")


def header(table, units, descriptions=None, meta=""):
    """Return the header that makes the CSV of a table ECSV.

    Parameters
    ----------
    table : pandas.DataFrame
    units, descriptions : dict of str to str
        By column, see `write_table`.
    meta : str, optional
        What is to be known besides: a mapping on one line of YAML.
    """
    lines = ["%ECSV 1.0", "---", "delimiter: ','", "datatype:"]
    for name, values in table.items():
        unit, text = units.get(name), (descriptions or {}).get(name)
        datatype = TYPES["f"] if unit else TYPES.get(values.dtype.kind, "string")
        known = {"name": name, "datatype": datatype, "unit": unit, "description": text}
        known = {key: value for key, value in known.items() if value}
        # Texts in JSON are YAML; some numbers are not.
        lines.append(f"- {json.dumps(known)}")
    if meta:
        lines.append(f"meta: {meta}")
    return "".join(f"# {line}\n" for line in lines)
