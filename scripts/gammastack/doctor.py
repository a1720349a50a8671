"""The doctor's table as text for the terminal."""

import csv
from collections import Counter
from pathlib import Path

from gammastack.failures import reasons

# From the worst to the least
SEVERITIES = ("error", "warning", "note")
TRUNCATED = "truncated"
# So many findings of each severity are shown.
N_SHOWN = 10


def read_table(path):
    """Return the rows of the doctor's table, a CSV file."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def worst(rows):
    """Return the worst severity in the rows of a table, or ``ok``."""
    return next((name for name in SEVERITIES if any(row[name] for row in rows)), "ok")


def format_doctor(paths):
    """Return what the doctor found as text: how many runs are well, and what the others have.

    Parameters
    ----------
    paths : list of path
        CSV files written by ``steps.doctor``, each in the folder of its field. Fields may
        share runs, so that each has a text of its own.
    """
    several = len(paths) > 1
    return "\n".join(
        (f"{Path(path).parent.name}: " if several else "") + _format_table(path)
        for path in paths
    )


def _format_table(path):
    rows = read_table(path)
    runs = [row for row in rows if row["OBS_ID"]]
    # The errors of runs say this already.
    truncated = {row["file"] for row in runs if TRUNCATED in row["error"]}
    rows = [
        row
        for row in rows
        if row["OBS_ID"]
        or not row["warning"].startswith(TRUNCATED)
        or Path(row["file"]).name not in truncated
    ]
    n_by_result = Counter(row["result"] for row in runs)
    lines = [
        f"{len(runs)} run{'' if len(runs) == 1 else 's'}: {n_by_result['error']} with errors,"
        f" {n_by_result['warning']} with warnings, {n_by_result['note']} with notes,"
        f" {n_by_result['ok']} without. All of them are in {path}",
        *_totals(runs),
    ]
    for severity in SEVERITIES:
        found = {
            row["OBS_ID"] or row["file"]: row[severity] for row in rows if row[severity]
        }
        texts = reasons(found)
        lines += [f"{severity.upper()} {text}" for text in texts[:N_SHOWN]]
        if len(texts) > N_SHOWN:
            lines.append(f"{severity.upper()} and {len(texts) - N_SHOWN} more")
    if bad := [row["OBS_ID"] for row in runs if row["error"]]:
        lines.append(
            "To leave out the runs with errors: observations: {exclude:"
            f" [{', '.join(bad)}]}}"
        )
    return "\n".join(lines)


def _totals(runs):
    hours = sum(_numbers(runs, "livetime")) / 3600
    parts = [f"livetime {hours:.1f} h", f"{sum(_numbers(runs, 'n_events')):.0f} events"]
    for name, unit in (("ZENITH", "deg"), ("energy_threshold", "TeV")):
        if values := _numbers(runs, name):
            label = name.lower().replace("_", " ")
            parts.append(f"{label} {min(values):.3g} to {max(values):.3g} {unit}")
    yield ", ".join(parts)


def _numbers(rows, name):
    return [float(row[name]) for row in rows if row.get(name)]
