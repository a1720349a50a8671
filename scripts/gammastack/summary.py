"""The summary table as text for the terminal."""

import csv

# Column of the file and format of its values, by the heading on the terminal
COLUMNS = {
    "field": ("field", str),
    "band": ("band", str),
    "runs": ("runs_used", str),
    "not used": ("runs_not_used", str),
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


def format_summary(path):
    """Return a summary file as text, one line per field and energy band.

    Parameters
    ----------
    path : path
        CSV file written by ``steps.summary``.

    Returns
    -------
    str
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = [
            [_text(row[name], pattern) for name, pattern in COLUMNS.values()]
            for row in csv.DictReader(file)
        ]
    table = [[*COLUMNS], *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
        for line in table
    )


def _text(value, pattern):
    if pattern is str:
        return value
    return pattern.format(float(value)) if value else "-"
