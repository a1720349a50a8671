"""The table of candidates of a band on a page."""

from math import prod, sqrt
from pathlib import Path

from gammastack.files.candidates import read_candidates
from gammastack.report.page import fixed, with_errors

# So many candidates are listed and marked; the file has all.
MAX_ROWS = 50
# Height of a name on a picture, as part of the mean of the sides of the image
NAME_HEIGHT = 0.025


def candidates_context(path, flux_unit, geometry, radius):
    """Return what a page shows of the candidates of a band.

    Parameters
    ----------
    path : path
        ECSV file.
    flux_unit : str, or None
        None without fluxes.
    geometry : gammastack.sky.geometry.ImageGeometry
    radius : tuple of float
        Of the disk, in pixels along x and y.

    Returns
    -------
    dict
        ``columns``, ``rows`` of texts, ``note``, and ``file``; for the picture ``marks``:
        ``name``, and ``x`` and ``y`` in pixels from the upper left corner; ``shape`` of the
        image, ``radius`` and ``font_size`` in pixels.
    """
    table, meta = read_candidates(path)
    columns = [
        *("name", "RA (deg)", "Dec (deg)", "68 % radius (deg)"),
        *("significance", "after trials", "excess"),
    ]
    if flux_unit:
        columns.append(f"flux ({flux_unit})")
    columns += ["width (deg)", "nearest known source", "excluded"]
    rows, listed = [], table.head(MAX_ROWS)
    for row in listed.to_dict("records"):
        values = [
            *(row["name"], fixed(row["ra"], 4), fixed(row["dec"], 4, "+")),
            *(fixed(row["pos_err"], 4), fixed(row["significance"], 1)),
            fixed(row["significance_post"], 1),
            with_errors(row, "excess"),
        ]
        if flux_unit:
            values.append(with_errors(row, "flux"))
        width = f"{fixed(row['sigma'], 3)} ± {fixed(row['sigma_err'], 3)}"
        if row["fit"] != "ok":
            width = str(row["fit"])
        source = f"{row['source']}, {fixed(row['source_sep'], 2)} deg"
        values += [width, source, "yes" if row["excluded"] else "no"]
        rows.append(values)
    return {
        "columns": columns,
        "rows": rows,
        "note": _note(meta, len(table)),
        "file": Path(path).name,
        "marks": _marks(listed, geometry),
        "shape": geometry.shape,
        "radius": radius,
        "font_size": NAME_HEIGHT * sqrt(prod(geometry.shape)),
    }


def _marks(table, geometry):
    x, y = geometry.pixel_coordinates(table["ra"], table["dec"])
    x, y = x + 0.5, geometry.shape[0] - 0.5 - y
    return [
        {"name": name, "x": round(float(right), 2), "y": round(float(down), 2)}
        for name, right, down in zip(table["name"], x, y, strict=True)
    ]


def _note(meta, n_found):
    """Return what is to be known of the search."""
    note = (
        f"Peaks of at least {meta['threshold']:g} sigma in disks of {meta['radius']};"
        f" {meta['n_disks']:.0f} disks are independent. The width is that of a fitted"
        " Gaussian, with the point spread; where the fit has not converged, the source is"
        " in the disk around the peak."
    )
    if n_found > MAX_ROWS:
        note += f" The {MAX_ROWS} most significant ones of {n_found}."
    return note
