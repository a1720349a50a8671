"""What is said of all fields on the terminal: the summary, failed runs, and what is left over."""

import csv
from pathlib import Path

from gammastack.failures import failures_text

# Column of the file and format of its values, by the heading on the terminal
COLUMNS = {
    "field": ("field", str),
    "band": ("band", str),
    "used": ("runs_used", str),
    "dropped": ("runs_dropped", str),
    "failed": ("runs_failed", str),
    "counts": ("counts", str),
    "bkg": ("bkg", "{:.1f}"),
    "excess": ("excess", "{:.1f}"),
    "peak S": ("peak_significance", "{:.1f}"),
    "at RA": ("peak_ra", "{:.3f}"),
    "Dec": ("peak_dec", "{:+.3f}"),
    "OFF mean": ("off_mean", "{:.2f}"),
    "width": ("off_width", "{:.2f}"),
    "folder": ("folder", str),
}
# Leftovers are shown in so many folders, each with fewer names than these.
N_FOLDERS, N_NAMES = 3, 4


def format_summary(rows):
    """Return a summary as text, one line per field and energy band.

    Parameters
    ----------
    rows : list of dict
        As ``steps.summary`` makes them, or `read_table` reads them.

    Returns
    -------
    str
    """
    lines = [
        [_text(row[name], pattern) for name, pattern in COLUMNS.values()]
        for row in map(_with_dropped, rows)
    ]
    table = [[*COLUMNS], *lines]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in table
    )


def failed_runs(rows):
    """Return what is said of the failed runs of each field, as when they failed.

    Parameters
    ----------
    rows : list of dict
        As ``steps.summary`` makes them, or `read_table` reads them.

    Returns
    -------
    list of str
    """
    folders = {Path(row["folder"]).parent for row in rows if _failed(row)}
    return [_failures(folder / "runs.csv") for folder in sorted(folders)]


def format_leftovers(paths):
    """Return a few lines on products that another configuration has made.

    Parameters
    ----------
    paths : list of str

    Returns
    -------
    str
    """
    by_folder = {}
    for path in map(Path, paths):
        by_folder.setdefault(path.parent, []).append(path.name)
    lines = [
        f"{folder}: {', '.join(names) if len(names) < N_NAMES else f'{len(names)} files'}"
        for folder, names in by_folder.items()
    ]
    n_more = len(lines) - N_FOLDERS
    more = [f"and {n_more} more folders"] if n_more > 0 else []
    title = "Of another configuration ('scripts/disk.py' removes what none needs):"
    return "\n  ".join([title, *lines[:N_FOLDERS], *more])


def read_table(path):
    """Return the rows of a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _failed(row):
    return int(row["runs_failed"])


def _with_dropped(row):
    return {**row, "runs_dropped": str(int(row["runs_not_used"]) - _failed(row))}


def _failures(path):
    selected = [row for row in read_table(path) if row["status"] != "excluded"]
    failures = {
        row["OBS_ID"]: row["reason"] for row in selected if row["status"] == "failed"
    }
    return f"{path}: {failures_text(failures, len(selected))}"


def _text(value, pattern):
    if pattern is str:
        return str(value)
    return "-" if value in ("", None) else pattern.format(float(value))
