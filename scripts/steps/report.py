"""Make the page of a field, and keep what the next update compares with."""

import json
from datetime import UTC, datetime
from pathlib import Path

from gammastack.provenance.records import FOLDER
from gammastack.report.band import band_context
from gammastack.report.field import field_page
from gammastack.report.history import read_states, state_of, with_state
from gammastack.report.page import compile_templates
from gammastack.report.provenance import provenance_of
from gammastack.report.results import Results
from gammastack.version import __version__

# In the process that the others are forked from: compiling them takes as long as a page.
compile_templates()


def run(inputs, outputs, origin, *, field, image, energy_bands, radii, files):
    folder, radius = Path(outputs["report"]).parent, next(iter(radii.values()))
    results = Results(field, inputs, image, energy_bands, radius)
    contexts = [band_context(results, band) for band in results.bands]
    maps = {
        band["name"]: {key: band["viewer"][key] for key in ("map", "shape")}
        for band in contexts
        if band["viewer"]
    }
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    state = state_of(results, maps, now, __version__)
    states = with_state(read_states(folder / "history.json"), state)
    provenance = provenance_of(folder / FOLDER, results.bands[0].origin)
    text = field_page(results, contexts, states, provenance, files)
    Path(outputs["report"]).write_text(text, encoding="utf-8")
    Path(outputs["history"]).write_text(json.dumps({"states": states}), "utf-8")
