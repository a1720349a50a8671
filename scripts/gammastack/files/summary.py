"""What there is to say of the bands of fields, from the headers of their images."""

import csv
from pathlib import Path

from gammastack.files.fits import read


def rows_of(images, runs):
    """Return what there is to say of some bands, as dictionaries.

    Parameters
    ----------
    images : list of path
        The one that tells most of each band: significance, or counts.
    runs : list of path
        The table of the runs of each band.
    """
    return [
        _row(Path(image), _statuses(table))
        for image, table in zip(images, runs, strict=True)
    ]


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
