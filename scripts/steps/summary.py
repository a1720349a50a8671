"""Write the summary, one line per field and energy band, and the page of all fields."""

import csv
from pathlib import Path

import pandas as pd

from gammastack.files.fits import read
from gammastack.files.tables import write_table
from gammastack.report.index import index_page, thumbnail


def run(inputs, outputs, origin):
    rows, thumbnails = [], {}
    for path, runs in zip(map(Path, inputs["images"]), inputs["runs"], strict=True):
        image = read(path)["PRIMARY"]
        rows.append(_row(path, image.header, _statuses(runs)))
        if (field := path.parts[-3]) not in thumbnails:
            thumbnails[field] = thumbnail(path.stem, image.image)
    text = index_page(rows, thumbnails)
    Path(outputs["index"]).write_text(text, encoding="utf-8")
    write_table(pd.DataFrame(rows), outputs["summary"], outputs["summary_ecsv"])


def _statuses(runs):
    with open(runs, encoding="utf-8", newline="") as file:
        return [row["status"] for row in csv.DictReader(file)]


def _row(image, header, statuses):
    used, excluded = statuses.count("used"), statuses.count("excluded")
    counts, bkg = header["SUMCOUNT"], header.get("SUMBKG")
    return {
        "field": image.parts[-3],
        "band": image.parts[-2],
        "runs_used": used,
        "runs_not_used": len(statuses) - used - excluded,
        "runs_failed": statuses.count("failed"),
        "counts": counts,
        "bkg": bkg,
        "excess": None if bkg is None else counts - bkg,
        "peak_significance": header.get("PEAK"),
        "peak_ra": header.get("PEAK_RA"),
        "peak_dec": header.get("PEAK_DEC"),
        "off_mean": header.get("OFFMEAN"),
        "off_width": header.get("OFFWIDTH"),
        "folder": image.parent,
    }
