"""Tables of what happened to each run."""

import pandas as pd

from gammastack.stacking.norm import norm_pulls

# These header keys of a run's images go into the table, with the values for missing keys.
HEADER = {
    "RA_PNT": "",
    "DEC_PNT": "",
    "ZENITH": float("nan"),
    "FILENAME": "",
    "NOTE": "",
}
# The outcomes of a run are ordered from the best to the worst.
STATUS = ["used", "dropped", "failed"]
COMMON = ["RA_PNT", "DEC_PNT", "start", "stop", "ontime", "livetime"]


def run_table(records, headers, band):
    """Return the table of some runs in a band.

    Parameters
    ----------
    records : list of dict
        Results of `gammastack.stacking.stack.stack_runs`.
    headers : list of dict-like
        Headers of the images of the same runs.
    band : str

    Returns
    -------
    pandas.DataFrame
    """
    rows = [
        {**record, **{key: header.get(key, none) for key, none in HEADER.items()}}
        for record, header in zip(records, headers, strict=True)
    ]
    table = pd.DataFrame(rows)
    table.insert(1, "band", band)
    return table


def bkg_norm_table(runs):
    """Return the norms of the used runs, and which of them are far from the others.

    Parameters
    ----------
    runs : pandas.DataFrame
        Table of the records of `gammastack.stacking.stack.stack_runs`; a column ZENITH is
        kept.

    Returns
    -------
    pandas.DataFrame
        With `gammastack.stacking.norm.norm_pulls` of each run.
    """
    columns = [
        *("OBS_ID", "bkg_scale", "bkg_scale_err", "n_counts", "n_bkg", "livetime"),
        *(name for name in runs if name == "ZENITH" or name.startswith("bkg_grad")),
    ]
    table = runs.loc[runs["status"] == "used", columns].reset_index(drop=True)
    pull, outlier = norm_pulls(
        table["bkg_scale"].to_numpy(), table["bkg_scale_err"].to_numpy()
    )
    return table.assign(pull=pull, outlier=outlier)


def field_table(by_band):
    """Return the table of the runs of a field: what happened to each one in each band.

    Parameters
    ----------
    by_band : dict of str to pandas.DataFrame
        Tables of `run_table` for the same runs in the same order.

    Returns
    -------
    pandas.DataFrame
        A run is used if it is used in any band.
    """
    first = next(iter(by_band.values()))
    statuses = zip(*(runs["status"] for runs in by_band.values()), strict=True)
    reasons = zip(*(runs["reason"] for runs in by_band.values()), strict=True)
    table = pd.DataFrame({"OBS_ID": first["OBS_ID"]})
    table["status"] = [min(of_run, key=STATUS.index) for of_run in statuses]
    table["reason"] = [
        "; ".join(
            f"{band}: {why}" for band, why in zip(by_band, of_run, strict=True) if why
        )
        for of_run in reasons
    ]
    table["file"] = first["FILENAME"]
    for column in COMMON:
        table[column] = first[column]
    for band, runs in by_band.items():
        table[f"n_events_{band}"] = runs["n_events"]
        table[f"status_{band}"] = runs["status"]
    table["note"] = first["NOTE"]
    return table
