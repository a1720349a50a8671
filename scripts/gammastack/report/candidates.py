"""The table of candidates of a band on a page."""

from pathlib import Path

from astropy.table import Table

from gammastack.report.page import MINUS, fixed, general

# So many candidates are listed; the file has all.
MAX_ROWS = 50


def candidates_context(path):
    """Return what a page shows of the candidates of a band.

    Parameters
    ----------
    path : path
        ECSV file.

    Returns
    -------
    dict
        ``columns``, ``rows`` of texts, ``note``, and ``file``.
    """
    table = Table.read(path, format="ascii.ecsv")
    with_flux = "flux" in table.colnames
    columns = [
        *("name", "RA (deg)", "Dec (deg)", "68 % radius (deg)"),
        *("significance", "after trials", "excess"),
    ]
    if with_flux:
        columns.append(f"flux ({table['flux'].unit})")
    columns += ["width (deg)", "nearest known source", "excluded"]
    rows = []
    for row in table[:MAX_ROWS]:
        values = [
            *(row["name"], fixed(row["ra"], 4), fixed(row["dec"], 4, "+")),
            *(fixed(row["pos_err"], 4), fixed(row["significance"], 1)),
            fixed(row["significance_post"], 1),
            _with_errors(row, "excess", lambda value: fixed(value, 1)),
        ]
        if with_flux:
            values.append(_with_errors(row, "flux", general))
        width = f"{fixed(row['sigma'], 3)} ± {fixed(row['sigma_err'], 3)}"
        if row["fit"] != "ok":
            width = str(row["fit"])
        source = f"{row['source']}, {fixed(row['source_sep'], 2)} deg"
        values += [width, source, "yes" if row["excluded"] else "no"]
        rows.append(values)
    return {
        "columns": columns,
        "rows": rows,
        "note": _note(table),
        "file": Path(path).name,
    }


def _with_errors(row, name, shown):
    value, low, high = (row[key] for key in (name, f"{name}_errn", f"{name}_errp"))
    return f"{shown(value)} +{shown(high)} {MINUS}{shown(low)}"


def _note(table):
    """Return what is to be known of the search."""
    meta = table.meta
    note = (
        f"Peaks of at least {meta['threshold']:g} sigma in disks of {meta['radius']};"
        f" {meta['n_disks']:.0f} disks are independent. The width is that of a fitted"
        " Gaussian, with the point spread; where the fit has not converged, the source is"
        " in the disk around the peak."
    )
    if len(table) > MAX_ROWS:
        note += f" The {MAX_ROWS} most significant ones of {len(table)}."
    return note
