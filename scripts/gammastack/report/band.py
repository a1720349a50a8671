"""What a page says about an energy band: numbers, pictures and data of its charts."""

import numpy as np

from gammastack.files.layout import IMAGES
from gammastack.maps.position import counts_at, disk_pixels, growth
from gammastack.report.candidates import candidates_context
from gammastack.report.images import pictures, thumbnails, viewer
from gammastack.report.page import fixed, general
from gammastack.report.quantised import rounded
from gammastack.sky.sphere import separation, unit_vectors
from gammastack.stacking.run_table import background_of


def band_context(results, band):
    """Return what the page says about a band.

    Parameters
    ----------
    results : gammastack.report.results.Results
    band : gammastack.report.results.Band
    """
    n_bands = len(results.bands)
    shown = pictures(band, n_bands)
    units = {name: band.units.get(name) or IMAGES[name].unit for name in shown}
    context = {
        "name": band.name,
        "n_used": len(band.used),
        "n_counts": int(band.header["SUMCOUNT"]),
        "n_bkg": band.header.get("SUMBKG"),
        "peak": band.peak,
        "target": band.at(results.target),
        "units": band.units,
        "off": band.off_row,
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
        "candidates": None,
    }
    if "significance" in band.images:
        runs = results.images_of_runs(band.name)
        context |= {
            "viewer": results.overlay and viewer(band, n_bands),
            "histogram": band.histogram(results.mask),
            "growth": growth_at(band, runs, results.target, results.disk),
            "thumbnails": thumbnails(band, runs, results.disk),
        }
    if path := band.paths.get("candidates"):
        context["candidates"] = candidates_context(
            path, band.units.get("flux_corr"), results.geometry, results.disk
        )
    context["summaries"] = _summaries(context)
    return context


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


def _runs_near(band, position, pixels):
    """Return the used runs that may see a disk: most of a survey do not, and are not read."""
    center, (rows, columns) = unit_vectors(*position), pixels
    if not len(rows):
        return band.used[:0]
    disk = separation(band.geometry.vectors(columns, rows), center)
    pointings = unit_vectors(*(band.used[key] for key in ("RA_PNT", "DEC_PNT")))
    reach = band.config["offset_band"][1] + np.nanmax(disk)
    # The position is anywhere in its pixel.
    margin = 2 / min(band.geometry.in_pixels(1))
    return band.used[separation(pointings, center) < reach + margin]


def growth_at(band, runs, position, radius):
    """Return excess and significance at a position as the runs were added, and each run's.

    Parameters
    ----------
    band : gammastack.report.results.Band
    runs : callable
        Returns the `gammastack.runs.run.RunImages` of an OBS_ID.
    position : tuple of float
        ICRS in deg.
    radius : tuple of float
        In pixels along x and y.

    Returns
    -------
    dict of str to list, or None
        None if no run sees the position.
    """
    pixels = disk_pixels(band.geometry, position, radius)
    rows = []
    for row in _runs_near(band, position, pixels).to_dict("records"):
        run = runs(row["OBS_ID"])
        n, mu = counts_at(run, background_of(run, row), pixels, band.geometry)
        if mu > 0:
            rows.append((row["OBS_ID"], row["livetime"], n, mu))
    if not rows:
        return None
    obs_ids, livetime, n, mu = zip(*rows, strict=True)
    curves = {name: rounded(of) for name, of in growth(livetime, n, mu).items()}
    return {"obs_id": list(obs_ids), "n": list(n), "mu": rounded(mu), **curves}
