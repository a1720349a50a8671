"""The summary table as text for the terminal."""

import pandas as pd


def format_summary(path):
    """Text of a summary file, one line per field and energy band.

    Parameters
    ----------
    path : path
        CSV file written by ``steps.summary``.

    Returns
    -------
    str
    """
    table = pd.read_csv(path)
    shown = pd.DataFrame(
        {
            "field": table["field"],
            "band": table["band"],
            "runs": table["runs_used"],
            "not used": table["runs_not_used"],
            "counts": table["counts"],
            "bkg": table["bkg"].map("{:.1f}".format, na_action="ignore"),
            "excess": table["excess"].map("{:.1f}".format, na_action="ignore"),
            "peak": table["peak_significance"].map("{:.1f}".format, na_action="ignore"),
            "at RA, Dec": table["peak_ra"].map("{:.3f}".format, na_action="ignore")
            + " "
            + table["peak_dec"].map("{:+.3f}".format, na_action="ignore"),
            "folder": table["folder"],
        }
    )
    return shown.to_string(index=False, na_rep="-")
