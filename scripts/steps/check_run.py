"""Examine a run without making its images."""

import json
from pathlib import Path

from gammastack.dl3.examination import examine
from gammastack.sky.geometry import ImageGeometry, field_of_view


def run(
    inputs,
    outputs,
    origin,
    *,
    obs_id,
    hdus,
    failure,
    index,
    image,
    energy_bands,
    offset_band,
):
    locations = {kind: hdu.among(inputs.get("dl3", [])) for kind, hdu in hdus.items()}
    result = {"error": failure, "warning": "", "note": ""}
    if not failure:
        bands = energy_bands.values()
        result = examine(obs_id, locations, index, bands, offset_band[1])
        geometry = ImageGeometry.create(**image)
        # Images are made from the header of the events, whatever the index says.
        pointing = [{**index, **result}[key] for key in ("RA_PNT", "DEC_PNT")]
        if not field_of_view(geometry, *pointing, offset_band).selected.any():
            texts = result["warning"], "its field of view does not touch the image"
            result["warning"] = "; ".join(filter(None, texts))
    files = {kind: Path(location.path).name for kind, location in locations.items()}
    row = {"OBS_ID": obs_id, **result, "ZENITH": index.get("ZENITH"), "files": files}
    Path(outputs["check"]).write_text(json.dumps(row, indent=1) + "\n")
