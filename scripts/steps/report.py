"""Make the page of a field, and keep what the next update compares with."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pandas as pd
import yaml
from markupsafe import Markup

from gammastack.files.fits import read
from gammastack.files.layout import of_band
from gammastack.files.run import RunFile
from gammastack.pictures.marks import marks_of
from gammastack.provenance.records import FOLDER
from gammastack.report.band import Band
from gammastack.report.candidates import candidates_context
from gammastack.report.field import (
    band_context,
    change_context,
    file_rows,
    position_grid,
    run_rows,
    sky_overlay,
    state_of,
    verdicts,
    viewer_data,
)
from gammastack.report.history import compare_states, read_states, with_state
from gammastack.report.page import render
from gammastack.report.provenance import provenance_of
from gammastack.sky.geometry import ImageGeometry
from gammastack.version import __version__


def candidates_of(inputs, band):
    path = inputs.get(f"candidates_{band}")
    return path and candidates_context(path)


def run(inputs, outputs, origin, *, field, image, energy_bands, radii, files):
    geometry, target = ImageGeometry.create(**image), tuple(image["center"])
    folder = Path(outputs["report"]).parent
    radius, mask = next(iter(radii.values())), None
    if "mask" in inputs:
        mask = read(inputs["mask"])["PRIMARY"].image > 0
    bands = [Band(name, of_band(inputs, name), geometry) for name in energy_bands]
    run_paths = {int(Path(path).stem): path for path in inputs["runs"]}
    runs = pd.read_csv(
        inputs["runs_table"],
        keep_default_na=False,
        na_values={"livetime": "", "ontime": ""},
    )
    used = runs[runs["status"] == "used"]
    marks = marks_of(geometry, mask, target, used, radius.on(geometry))
    overlay = sky_overlay(geometry, image["frame"], marks)
    grid = position_grid(geometry)
    contexts, viewers = [], {}
    for band in bands:

        @lru_cache(maxsize=1)
        def images(obs_id, band=band.name):
            return RunFile(run_paths[obs_id], geometry).images(band)

        contexts.append(
            band_context(
                *(band, len(bands), mask, target, images, radius.on(geometry)),
                candidates_of(inputs, band.name),
            )
        )
        if "significance" in band.images:
            viewers[band.name] = viewer_data(band, len(bands), grid)
            contexts[-1]["viewer"] = overlay and viewers[band.name]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    state = state_of(bands, runs, target, now, __version__)
    for band, data in viewers.items():
        state["bands"][band] |= {"map": data["map"], "shape": data["shape"]}
    states = with_state(read_states(folder / "history.json"), state)
    changes, positions, differences = None, {}, {}
    if len(states) > 1:
        changes = compare_states(*states)
        shapes = {band: data["shape"] for band, data in viewers.items()}
        positions, differences = change_context(changes, geometry, shapes)
    columns, rows, n_hidden = run_rows(runs, {band.name: band.runs for band in bands})
    settings = {**bands[0].config, "energy_bands": energy_bands}
    text = render(
        "field.html",
        name=field,
        version=__version__,
        time=states[-1]["time"],
        target=target,
        radius=radius.label if "significance" in bands[0].images else "",
        bands=contexts,
        overlay=overlay,
        frame=overlay and Markup(overlay.svg),
        n_runs=len(runs),
        counts_of_status=dict.fromkeys(("used", "dropped", "failed", "excluded"), 0)
        | runs["status"].value_counts().to_dict(),
        start=bands[0].header.get("DATE-OBS", ""),
        stop=bands[0].header.get("DATE-END", ""),
        livetime=bands[0].header.get("LIVETIME", 0),
        verdict=verdicts(contexts, runs),
        changes=changes,
        positions=positions,
        differences=differences,
        run_columns=columns,
        run_rows=rows,
        n_hidden=n_hidden,
        settings=yaml.safe_dump(settings, default_flow_style=None, allow_unicode=True),
        provenance=provenance_of(folder / FOLDER, bands[0].origin),
        files=file_rows(files, bands[0].config["for_integral_flux"]),
    )
    Path(outputs["report"]).write_text(text, encoding="utf-8")
    Path(outputs["history"]).write_text(json.dumps({"states": states}), "utf-8")
