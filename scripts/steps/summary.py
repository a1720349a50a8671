"""Write the summary: one line per field and energy band."""

import csv
from pathlib import Path

from gammastack.files.fits import read


def run(inputs, outputs, origin):
    rows = [
        _row(Path(image), _statuses(runs))
        for image, runs in zip(inputs["images"], inputs["runs"], strict=True)
    ]
    with open(outputs["summary"], "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _statuses(runs):
    with open(runs, encoding="utf-8", newline="") as file:
        return [row["status"] for row in csv.DictReader(file)]


def _row(image, statuses):
    header = read(image)["PRIMARY"].header
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
