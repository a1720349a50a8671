"""Tables of what happened to each run."""

from dataclasses import replace

import pandas as pd

from gammastack.sky.sphere import offset_coordinates
from gammastack.stacking.norm import NO_NORM, norm_pulls

# These header keys of a run's images go into the table, with the values for missing keys.
HEADER = {
    "RA_PNT": "",
    "DEC_PNT": "",
    "ZENITH": float("nan"),
    "FILENAME": "",
    "WARNING": "",
    "NOTE": "",
}
# The outcomes of a run are ordered from the best to the worst.
STATUS = ["used", "dropped", "failed", "excluded"]
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


def background_of(run, row):
    """Return the normalised background of a run.

    Parameters
    ----------
    run : gammastack.runs.run.RunImages
    row : dict
        Of the table of the runs: its norm, and its gradient if there is one.

    Returns
    -------
    ndarray, shape (ny, nx)
    """
    gradient, position = (0.0, 0.0), None
    if "bkg_gradient_lon" in row:
        gradient = float(row["bkg_gradient_lon"]), float(row["bkg_gradient_lat"])
        position = offset_coordinates(run.geometry.pixel_vectors(), run.ra, run.dec)
    norm = replace(NO_NORM, scale=float(row["bkg_scale"]), gradient=gradient)
    return norm.apply(run.bkg, position)


def failed_runs(runs):
    """Return the reasons of the runs that failed, by OBS_ID."""
    failed = runs[runs["status"] == "failed"]
    return dict(zip(failed["OBS_ID"].tolist(), failed["reason"], strict=True))


def with_excluded(runs, obs_ids):
    """Return a table of runs, by OBS_ID, with rows for those that the user has excluded."""
    if obs_ids:
        none = {name: _nothing(values) for name, values in runs.items()}
        rows = pd.DataFrame([{**none, "OBS_ID": obs_id} for obs_id in obs_ids])
        rows = rows.assign(status="excluded", reason="observations: exclude")
        runs = pd.concat([runs, rows.astype(runs.dtypes)])
    return runs.sort_values("OBS_ID", ignore_index=True)


def _reason(by_band):
    """Return a text on a run, with the bands that it holds for if it is not all of them."""
    texts = {*by_band.values()}
    if len(texts) == 1:
        return texts.pop()
    return "; ".join(f"{band}: {text}" for band, text in by_band.items() if text)


def _nothing(column):
    """Return what stands for no value in a column."""
    return {"f": float("nan"), "i": 0, "b": False}.get(column.dtype.kind, "")


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
        _reason(dict(zip(by_band, texts, strict=True))) for texts in reasons
    ]
    table["file"] = first["FILENAME"]
    for column in COMMON:
        table[column] = first[column]
    for band, runs in by_band.items():
        table[f"n_events_{band}"] = runs["n_events"]
        table[f"status_{band}"] = runs["status"]
    warnings = zip(*(runs["warning"] for runs in by_band.values()), strict=True)
    of_norms = [_reason(dict(zip(by_band, texts, strict=True))) for texts in warnings]
    table["warning"] = [
        "; ".join(filter(None, texts))
        for texts in zip(first["WARNING"], of_norms, strict=True)
    ]
    table["note"] = first["NOTE"]
    return table
