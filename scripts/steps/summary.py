"""Write the summary: one line per field and energy band."""

from pathlib import Path

import pandas as pd
from astropy.io import fits


def run(inputs, outputs, origin):
    rows = [
        _row(Path(image), pd.read_csv(runs)["status"])
        for image, runs in zip(inputs["images"], inputs["runs"], strict=True)
    ]
    pd.DataFrame(rows).to_csv(outputs["summary"], index=False)


def _row(image, status):
    header = fits.getheader(image)
    used = int((status == "used").sum())
    counts, bkg = header["SUMCOUNT"], header.get("SUMBKG")
    return {
        "field": image.parts[-3],
        "band": image.parts[-2],
        "runs_used": used,
        "runs_not_used": len(status) - used,
        "counts": counts,
        "bkg": bkg,
        "excess": None if bkg is None else counts - bkg,
        "peak_significance": header.get("PEAK"),
        "peak_ra": header.get("PEAK_RA"),
        "peak_dec": header.get("PEAK_DEC"),
        "folder": image.parent,
    }
