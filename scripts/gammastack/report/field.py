"""The page of a field: what it says, from its results."""

from math import ceil

import yaml
from markupsafe import Markup

from gammastack.files.layout import product_at, unit_of
from gammastack.report.history import compare_states
from gammastack.report.images import picture, position_grid
from gammastack.report.page import render
from gammastack.report.runs import run_rows, verdicts
from gammastack.version import __version__

DIFFERENCE_PIXELS = 100_000


def field_page(results, contexts, states, provenance, files):
    """Return the text of the page of a field.

    Parameters
    ----------
    results : gammastack.report.results.Results
    contexts : list of dict
        What it says about each band, see `gammastack.report.band.band_context`.
    states : list of dict
        One or two, see `gammastack.report.history.with_state`.
    provenance : dict
        See `gammastack.report.provenance.provenance_of`.
    files : list of str
        Paths of its products, from the folder of the field.
    """
    first, runs = results.bands[0], results.runs
    columns, rows, n_hidden = run_rows(
        runs, {band.name: band.runs for band in results.bands}
    )
    none_of_status = dict.fromkeys(("used", "dropped", "failed", "excluded"), 0)
    points = [band["target"].get("flux_point") for band in contexts]
    knows_point = any(flux is not None for flux in points)
    settings = {**first.config, "energy_bands": results.energy_bands}
    return render(
        "field.html",
        name=results.name,
        version=__version__,
        time=states[-1]["time"],
        target=results.target,
        radius=results.radius.label if "significance" in first.images else "",
        bands=contexts,
        flux="flux_point" if knows_point else "flux_corr",
        overlay=results.overlay,
        grid=position_grid(results.geometry),
        frame=results.overlay and Markup(results.overlay.svg),
        n_runs=len(runs),
        counts_of_status=none_of_status | runs["status"].value_counts().to_dict(),
        start=first.header.get("DATE-OBS", ""),
        stop=first.header.get("DATE-END", ""),
        livetime=first.header.get("LIVETIME", 0),
        verdict=verdicts(contexts, runs),
        run_columns=columns,
        run_rows=rows,
        n_hidden=n_hidden,
        settings=yaml.safe_dump(settings, default_flow_style=None, allow_unicode=True),
        provenance=provenance,
        files=file_rows(files, first.config["for_integral_flux"]),
        **change_context(states, results.geometry),
    )


def file_rows(paths, integral):
    """Return path, description and unit of the files of a field.

    Parameters
    ----------
    paths : list of str
        From the folder of the field.
    integral : bool
        Whether fluxes are integrals over the band.
    """
    rows = []
    for path in paths:
        product = product_at(path)
        unit = unit_of(product, integral)
        rows.append({"path": path, "description": product.description, "unit": unit})
    return rows


def change_context(states, geometry):
    """Return what a page shows of the changes between two states.

    Parameters
    ----------
    states : list of dict
    geometry : gammastack.sky.geometry.ImageGeometry

    Returns
    -------
    dict
        ``changes``, None if there is one state alone; by band, ``positions`` (RA and Dec) of
        the largest change, and ``differences``: pictures where anything moved.
    """
    changes, positions, differences = None, {}, {}
    if len(states) > 1:
        changes = compare_states(*states)
    for band in changes.bands if changes else ():
        if band.largest is None:
            continue
        factor = ceil(geometry.shape[1] / band.difference.shape[1])
        x, y = ((part + 0.5) * factor - 0.5 for part in band.largest[:2])
        positions[band.band] = geometry.position(x, y)
        if band.n_moved:
            picture_of = picture("difference", band.difference, DIFFERENCE_PIXELS)
            differences[band.band] = picture_of
    return {
        "changes": changes,
        "positions": positions,
        "differences": differences,
    }
