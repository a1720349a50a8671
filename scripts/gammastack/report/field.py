"""The page of a field: what it says, from its results."""

import numpy as np

from gammastack.files.layout import IMAGES, product_at, unit_of
from gammastack.pictures.overlay import overlay
from gammastack.report.band import (
    growth_at,
    picture,
    pictures,
    thumbnails,
    verdict,
    viewer,
)
from gammastack.report.page import DASH, fixed, general
from gammastack.sky.geometry import rotation_from_icrs

# Longer tables would make the page too large; the files have all rows.
MAX_ROWS = 2000
# Pixels between the positions from which the viewer interpolates; it is exact to 1 arcsec
# for pixels of 0.02 deg.
GRID_STEP = 16
PEAK = ("peak", "peak_ra", "peak_dec")
RUN_COLUMNS = ("OBS_ID", "status", "file", "start", "livetime")


def position_grid(geometry):
    """Return ICRS unit vectors of pixels on a grid, from which a page interpolates positions."""
    ny, nx = geometry.shape
    x, y = (np.arange(0, n - 1 + GRID_STEP, GRID_STEP) for n in (nx, ny))
    vectors = geometry.vectors(*np.meshgrid(x, y)).reshape(3, -1).T
    return {
        "step": GRID_STEP,
        "nx": len(x),
        "ny": len(y),
        "vectors": [
            [round(part, 8) if np.isfinite(part) else None for part in vector]
            for vector in vectors.tolist()
        ],
    }


def state_of(bands, runs, target, time, version):
    """Return the state of the results for the next update, see `gammastack.report.history`.

    Parameters
    ----------
    bands : list of gammastack.report.band.Band
    runs : pandas.DataFrame
        Table of the field.
    target : tuple of float
    time, version : str
    """
    first = bands[0]
    digests = {}
    for kind, obs_id, _, digest in first.origin.inputs:
        if kind == "dl3":
            digests[obs_id] = digests.get(obs_id, "") + digest
    by_run = {
        str(obs_id): {"status": status, "digest": digests.get(obs_id, ""), "norms": {}}
        for obs_id, status in zip(runs["OBS_ID"], runs["status"], strict=True)
    }
    of_bands = {}
    for band in bands:
        if "bkg_scale" in band.used:
            for row in band.used.itertuples():
                norm = [row.bkg_scale, row.bkg_scale_err]
                by_run[str(row.OBS_ID)]["norms"][band.name] = norm
        of_bands[band.name] = {"peak": peak_of(band), "target": band.at(target)}
    return {
        "time": time,
        "version": version,
        "settings": first.config,
        "runs": by_run,
        "bands": of_bands,
    }


def peak_of(band):
    """Return value and position of the largest significance; None where there is none."""
    return {name: band.header.get(name.upper()) for name in PEAK}


def band_context(band, n_bands, mask, target, runs, radius, candidates):
    """Return what the page says about a band.

    Parameters
    ----------
    band : gammastack.report.band.Band
    n_bands : int
    mask : ndarray of bool, shape (ny, nx), or None
    target : tuple of float
    runs : callable
        Returns the `gammastack.runs.run.RunImages` of an OBS_ID.
    radius : tuple of float
        In pixels along x and y.
    candidates : dict or None
        Columns, rows and a note.
    """
    shown = pictures(band, n_bands)
    units = {name: band.units.get(name) or IMAGES[name].unit for name in shown}
    context = {
        "name": band.name,
        "n_used": len(band.used),
        "n_counts": int(band.header["SUMCOUNT"]),
        "n_bkg": band.header.get("SUMBKG"),
        "peak": peak_of(band),
        "target": band.at(target),
        "units": band.units,
        "off": band.off_row(),
        "pictures": shown,
        "shown_units": units,
        "links": {name: f"{band.name}/{name}.fits" for name in shown},
        "descriptions": {name: IMAGES[name].description for name in shown},
        "alt": {
            name: _alternative(name, band.name, image) for name, image in shown.items()
        },
        "viewer": None,
        "histogram": None,
        "growth": None,
        "norms": band.norms(),
        "thumbnails": [],
        "candidates": candidates,
    }
    if "significance" in band.images:
        context |= {
            "histogram": band.histogram(mask),
            "growth": growth_at(band, runs, target, radius),
            "thumbnails": thumbnails(band, runs, radius),
        }
    context["summaries"] = _summaries(context)
    return context


def viewer_data(band, n_bands, grid):
    """Return the data of the viewer of a band."""
    galactic = rotation_from_icrs("galactic").round(10).tolist()
    return {**viewer(band, n_bands), "step": 0.01, "grid": grid, "galactic": galactic}


def _alternative(name, band, image):
    """Return the alternative text of a picture."""
    if image["largest"] is None:
        return f"{name} in {band}: no pixel is known"
    low, high = general(image["smallest"]), general(image["largest"])
    return f"Map of {name} in {band}, with values from {low} to {high}"


def _summaries(context):
    """Return in words what the charts show."""
    texts = {}
    if off := context["off"]:
        texts["histogram"] = (
            f"Outside the exclusions mean {fixed(off['mean'])} and width {fixed(off['width'])};"
            f" Poisson counts would give {fixed(off['mean_expected'])} and"
            f" {fixed(off['width_expected'])}. The outermost bins contain all beyond."
        )
    if growth := context["growth"]:
        texts["growth"] = (
            f"{len(growth['obs_id'])} runs see the target: excess"
            f" {fixed(growth['excess'][-1], 1)}, {fixed(growth['significance'][-1], 1)} sigma"
            f" in {fixed(growth['livetime'][-1], 1)} h, with the norm of each run."
        )
    if norms := context["norms"]:
        odd = [
            str(obs_id)
            for obs_id, flag in zip(norms["obs_id"], norms["outlier"], strict=True)
            if flag
        ]
        texts["norms"] = (
            f"Counts over model outside the exclusions, {fixed(min(norms['norm']))} to"
            f" {fixed(max(norms['norm']))}."
            f" {'Outliers: ' + ', '.join(odd) if odd else 'No run is an outlier'}."
        )
    return texts


def verdicts(bands, runs):
    """Return statements on whether the maps can be trusted: text, and whether it is good.

    Parameters
    ----------
    bands : list of dict
        Results of `band_context`.
    runs : pandas.DataFrame
        Table of the field.
    """
    lines = []
    for band in bands:
        if odd := verdict(band["off"]):
            lines.append({"good": False, "text": f"{band['name']}: {odd}"})
        elif band["off"] and band["off"]["n_pixels"]:
            text = "outside the exclusions the sky looks empty, as it should"
            lines.append({"good": True, "text": f"{band['name']}: {text}"})
        else:
            text = "nothing is known about empty sky: there is no background outside exclusions"
            lines.append({"good": False, "text": f"{band['name']}: {text}"})
        if not band["n_used"]:
            text = f"{band['name']}: no run is used"
            lines.append({"good": False, "text": text})
    for status, word in (("failed", "could not be used"), ("dropped", "dropped")):
        odd = runs[runs["status"] == status]
        if len(odd):
            listed = ", ".join(map(str, odd["OBS_ID"].head(10)))
            more = f" and {len(odd) - 10} more" if len(odd) > 10 else ""
            text = f"{len(odd)} of {len(runs)} runs {word}: {listed}{more}"
            lines.append({"good": False, "text": text})
    odd = runs[runs["warning"] != ""]
    for row in odd.head(10).itertuples():
        lines.append({"good": False, "text": f"run {row.OBS_ID}: {row.warning}"})
    if len(odd) > 10:
        text = f"{len(odd) - 10} more runs have a warning, see below"
        lines.append({"good": False, "text": text})
    if not len(odd):
        lines.append({"good": True, "text": "no run has a warning"})
    return lines


def run_rows(runs, norms):
    """Return the rows of the table of runs, and how many runs are left out of it.

    Parameters
    ----------
    runs : pandas.DataFrame
        Table of the field.
    norms : dict of str to pandas.DataFrame
        Tables of the runs by band.

    Returns
    -------
    columns : list of str
    rows : list of dict
    n_hidden : int
    """
    listed = runs
    if len(runs) > MAX_ROWS:
        listed = runs[(runs["status"] != "used") | (runs["warning"] != "")]
        listed = listed.head(MAX_ROWS)
    columns = ["run", "status", "start (UTC)", "livetime (min)", "zenith (deg)"]
    by_run = {}
    zenith = next(iter(norms.values())).set_index("OBS_ID")["ZENITH"]
    for band, table in norms.items():
        columns += [f"events {band}", f"norm {band}"]
        by_run[band] = table.set_index("OBS_ID")[
            ["n_events", "bkg_scale", "bkg_scale_err"]
        ]
    columns += ["file", "reason, warning or note"]
    rows = []
    for row in listed.itertuples():
        values = [
            *(row.OBS_ID, row.status, str(row.start)[:19].replace("T", " ")),
            *(fixed(row.livetime / 60, 1), fixed(zenith.get(row.OBS_ID), 1)),
        ]
        for table in by_run.values():
            of_run = table.loc[row.OBS_ID]
            error = fixed(of_run["bkg_scale_err"], 3)
            norm = f"{fixed(of_run['bkg_scale'], 3)} ± {error}"
            values += [int(of_run["n_events"]), norm if error != DASH else DASH]
        texts = filter(None, (row.reason, row.warning, row.note))
        values += [row.file, "; ".join(texts)]
        rows.append({"status": row.status, "values": values})
    return columns, rows, len(runs) - len(listed)


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


def sky_overlay(geometry, frame, marks):
    """Return the frame of the pictures; None for an image that is too small to have one."""
    if min(geometry.shape) < 2:
        return None
    return overlay(geometry, frame, marks)


def change_context(changes, geometry, shapes):
    """Return what the page shows of changes beside their numbers.

    Parameters
    ----------
    changes : gammastack.report.history.Changes
    geometry : gammastack.sky.geometry.ImageGeometry
    shapes : dict of str to tuple of int
        Of the maps of the states by band.

    Returns
    -------
    positions : dict of str to tuple of float
        RA and Dec of the largest change by band.
    differences : dict of str to dict
        Pictures of the bands in which anything moved.
    """
    positions, differences = {}, {}
    for band in changes.bands:
        if band.largest is None:
            continue
        factor = geometry.shape[1] / shapes[band.band][1]
        x, y = ((part + 0.5) * factor - 0.5 for part in band.largest[:2])
        positions[band.band] = geometry.position(x, y)
        if band.n_moved:
            differences[band.band] = picture("difference", band.difference, 100_000)
    return positions, differences
