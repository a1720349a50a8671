"""The summary table as text for the terminal."""

import pandas as pd


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
    table = pd.read_csv(path)

    def text(column, pattern):
        return [
            "-" if pd.isna(value) else pattern.format(value) for value in table[column]
        ]

    shown = pd.DataFrame(
        {
            "field": table["field"],
            "band": table["band"],
            "runs": table["runs_used"],
            "not used": table["runs_not_used"],
            "counts": table["counts"],
            "bkg": text("bkg", "{:.1f}"),
            "excess": text("excess", "{:.1f}"),
            "peak S": text("peak_significance", "{:.1f}"),
            "at RA": text("peak_ra", "{:.3f}"),
            "Dec": text("peak_dec", "{:+.3f}"),
            "folder": table["folder"],
        }
    )
    return shown.to_string(index=False)
