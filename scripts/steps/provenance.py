"""Export the records of a field as W3C PROV-JSON."""

import gc
from pathlib import Path

from gammastack.archive.w3c_prov import prov_json
from gammastack.errors import InputError
from gammastack.provenance.records import contradictions, history, read_folder


def run(inputs, outputs, origin):
    path = Path(outputs["prov"])
    field = path.parents[1]
    activities, systems = read_folder(field)
    products = [Path(path).relative_to(field).as_posix() for path in inputs["products"]]
    activities = history(activities, products)
    for _, text in contradictions(activities):
        raise InputError(f"{field}: {text}. Start again with --forceall")
    # Thousands of records are no garbage: looking for it would take a third of the time.
    gc.disable()
    try:
        text = prov_json(activities, systems)
    finally:
        gc.enable()
    path.write_text(text, encoding="utf-8")
