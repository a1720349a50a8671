"""Files of the candidates of a band: a table with units, and regions for DS9."""

from pathlib import Path

from astropy.table import Column, Table

# Unit, format and meaning of each column; NaN stands for what is not known.
COLUMNS = {
    "name": ("", "", "by significance"),
    "ra": (
        "deg",
        ".6f",
        "ICRS position of the fit; that of the peak if it has not converged",
    ),
    "dec": ("deg", ".6f", ""),
    "pos_err": ("deg", ".6f", "68 % radius, statistical"),
    "ra_err": ("deg", ".6f", "true angle, not difference of RA"),
    "dec_err": ("deg", ".6f", ""),
    "fit": ("", "", "ok, or not converged: the source is in the disk around the peak"),
    "sigma": ("deg", ".5f", "width of the fitted Gaussian, with the point spread"),
    "sigma_err": ("deg", ".5f", ""),
    "significance": ("", ".4f", "at the peak, before trials"),
    "significance_post": ("", ".4f", "after trials"),
    "n_expected": (
        "",
        ".4g",
        "peaks of this significance or more in a map of empty sky",
    ),
    "counts": ("", "", "in the disk around the peak"),
    "bkg": ("", ".6g", ""),
    "excess": ("", ".6g", ""),
    "excess_errn": ("", ".6g", ""),
    "excess_errp": ("", ".6g", ""),
    "flux": ("", ".6g", "in the disk around the peak"),
    "flux_errn": ("", ".6g", ""),
    "flux_errp": ("", ".6g", ""),
    "flux_ul": ("", ".6g", "upper limit"),
    "excluded": ("", "", "whether it is in the exclusion mask"),
    "exclusion_sep": ("deg", ".5f", "to the edge of the nearest excluded pixel"),
    "source": ("", "", "nearest known source"),
    "source_sep": ("deg", ".5f", ""),
}
FLUXES = ("flux", "flux_errn", "flux_errp", "flux_ul")
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
    table = Table(meta=meta)
    for name in _order(columns):
        unit, form, text = COLUMNS.get(name, ("", ".4f", "at the same position"))
        unit = flux_unit if name in FLUXES else unit
        dtype = {"counts": int, "excluded": bool}.get(name, str if not form else float)
        table[name] = Column(
            columns[name],
            dtype=dtype,
            unit=unit or None,
            format=form or None,
            description=text or None,
        )
    table.write(path, format="ascii.ecsv", overwrite=True)


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
