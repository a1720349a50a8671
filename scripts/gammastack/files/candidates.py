"""Files of the candidates of a band: a table with units, and regions for DS9."""

import json
from io import StringIO
from itertools import takewhile
from math import inf
from pathlib import Path

import pandas as pd
import yaml

from gammastack.files.tables import header

YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Unit and meaning of each column; NaN stands for what is not known.
COLUMNS = {
    "name": ("", "by significance"),
    "ra": (
        "deg",
        "ICRS position of the fit; that of the peak if it has not converged",
    ),
    "dec": ("deg", ""),
    "pos_err": ("deg", "68 % radius, statistical"),
    "ra_err": ("deg", "true angle, not difference of RA"),
    "dec_err": ("deg", ""),
    "fit": ("", "ok, or not converged: the source is in the disk around the peak"),
    "sigma": ("deg", "width of the fitted Gaussian, with the point spread"),
    "sigma_err": ("deg", ""),
    "significance": ("", "at the peak, before trials"),
    "significance_post": ("", "after trials"),
    "n_expected": (
        "",
        "peaks of this significance or more in a map of empty sky",
    ),
    "counts": ("", "in the disk around the peak"),
    "bkg": ("", ""),
    "excess": ("", ""),
    "excess_errn": ("", ""),
    "excess_errp": ("", ""),
    "flux": ("", "in the disk around the peak"),
    "flux_errn": ("", ""),
    "flux_errp": ("", ""),
    "flux_ul": ("", "upper limit"),
    "excluded": ("", "whether it is in the exclusion mask"),
    "exclusion_sep": ("deg", "to the edge of the nearest excluded pixel"),
    "source": ("", "nearest known source"),
    "source_sep": ("deg", ""),
}
FLUXES = ("flux", "flux_errn", "flux_errp", "flux_ul")
# All others are numbers.
DTYPES = {"name": str, "fit": str, "source": str, "counts": int, "excluded": bool}
# Significances with the radii follow this column.
WITH_RADII = "n_expected"


def write_candidates(path, columns, flux_unit, meta):
    """Write candidates as ECSV, which `astropy.table.QTable.read` reads.

    Parameters
    ----------
    path : path
    columns : dict of str to array_like
        See `gammastack.maps.candidates.find_candidates`.
    flux_unit : str
    meta : dict
        What else is to be known, of numbers and text.
    """
    names = list(_order(columns))
    known = {name: COLUMNS.get(name, ("", "at the same position")) for name in names}
    units = {name: unit for name, (unit, _) in known.items()}
    units |= dict.fromkeys(FLUXES, flux_unit)
    descriptions = {name: text for name, (_, text) in known.items()}
    table = pd.DataFrame({name: columns[name] for name in names})
    table = table.astype({name: DTYPES.get(name, float) for name in names})
    # Plain numbers in place of those of numpy, and lists in place of tuples
    plain = json.loads(json.dumps(meta))
    line = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=inf)
    text = header(table, units, descriptions, line.strip())
    text += table.to_csv(index=False, na_rep="nan")
    Path(path).write_text(text, encoding="utf-8")


def read_candidates(path):
    """Read what `write_candidates` has written; `astropy.table` would take 40 ms.

    Returns
    -------
    table : pandas.DataFrame
    meta : dict
    """
    text = Path(path).read_text(encoding="utf-8")
    lines = list(takewhile(lambda line: line.startswith("# "), text.splitlines()))
    # The first line of the header, %ECSV 1.0, is none of YAML.
    known = yaml.load("\n".join(line[2:] for line in lines[1:]), YAML)
    table = pd.read_csv(
        StringIO(text), skiprows=len(lines), keep_default_na=False, na_values=["nan"]
    )
    return table, known["meta"]


def _order(columns):
    """Yield the names of the columns in the order of `COLUMNS`."""
    others = [name for name in columns if name not in COLUMNS]
    for name in COLUMNS:
        if name in columns:
            yield name
        if name == WITH_RADII:
            yield from others


def write_regions(path, columns, radius):
    """Write candidates as DS9 regions: the disk around each position, and its name.

    Parameters
    ----------
    path : path
    columns : dict of str to array_like
    radius : float
        Of the disks in deg.
    """
    lines = ["# Region file format: DS9 version 4.1", "icrs"]
    names = "name", "ra", "dec", "excluded"
    for name, ra, dec, excluded in zip(*(columns[key] for key in names), strict=True):
        # Known sources have another colour.
        color = "cyan" if excluded else "green"
        text = f"color={color} text={{{name}}}"
        lines.append(f"circle({ra:.6f},{dec:.6f},{radius:.6f}) # {text}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
