"""Selection of the observations of a store for a field."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from gammastack.dl3.query import rows_that_meet
from gammastack.errors import InputError
from gammastack.sky.sphere import separation, unit_vectors
from gammastack.words import listing


def select_observations(store, conditions, center=None):
    """Select the OBS_IDs that meet all conditions.

    Parameters
    ----------
    store : gammastack.dl3.datastore.DataStore
    conditions : dict
        Any of ``obs_ids`` (list of int), ``table`` (CSV file with a column OBS_ID),
        ``query`` (condition on the columns of the observation index, see
        `gammastack.dl3.query`),
        ``cone`` (largest angle in deg between pointing and `center`), ``exclude``
        (list of int). Without any of them all observations are selected.
    center : tuple of float, optional
        ICRS position in deg, for ``cone``.

    Returns
    -------
    list of int
        In ascending order.

    Raises
    ------
    gammastack.errors.InputError
        If a condition names what the index does not have, or no observation is left.
    """
    table, known = store.observations, store.obs_ids
    keep = np.ones(len(known), dtype=bool)
    if "obs_ids" in conditions:
        keep &= _among(known, conditions["obs_ids"], "obs_ids")
    if "table" in conditions:
        keep &= _among(known, _read_obs_ids(conditions["table"]), "table")
    if "query" in conditions:
        keep &= _query(table, conditions["query"])
    if "cone" in conditions:
        pointings = unit_vectors(table["RA_PNT"], table["DEC_PNT"])
        # A run whose pointing is not known is kept: it fails, with the reason.
        keep &= ~(separation(pointings, unit_vectors(*center)) >= conditions["cone"])
    if "exclude" in conditions:
        keep &= ~_among(known, conditions["exclude"], "exclude")
    obs_ids = np.array(known)[keep].tolist()
    if not obs_ids:
        what = ", ".join(f"{key}: {value}" for key, value in conditions.items())
        raise InputError(
            f"observations: none of the {len(known)} runs in '{store.folder}' meets the"
            f" conditions ({what or 'the index is empty'})"
        )
    return obs_ids


def excluded_runs(store, conditions, center=None):
    """Return the OBS_IDs that meet all conditions but are excluded, in ascending order."""
    if "exclude" not in conditions:
        return []
    others = {key: value for key, value in conditions.items() if key != "exclude"}
    return sorted(
        {*select_observations(store, others, center)} & {*conditions["exclude"]}
    )


def _among(known, obs_ids, key):
    if unknown := sorted({*obs_ids}.difference(known)):
        raise InputError(
            f"observations: {key}: OBS_ID {listing(unknown)} not in the observation index;"
            " correct the number, or take it out of the list"
        )
    return np.isin(known, obs_ids)


def _read_obs_ids(path):
    # Importing it is slow, and most configurations do not need it.
    import pandas as pd

    if not Path(path).is_file():
        raise InputError(f"observations: table: no such file '{path}'")
    try:
        table = pd.read_csv(path, comment="#", skipinitialspace=True)
    except ValueError as error:
        raise InputError(
            f"observations: table: '{path}' is not a readable CSV file ({error})"
        ) from error
    if "OBS_ID" not in table or not pd.api.types.is_integer_dtype(table["OBS_ID"]):
        raise InputError(
            f"observations: table: '{path}' needs a column OBS_ID of whole numbers"
            f" (it has {', '.join(map(str, table.columns))})"
        )
    return table["OBS_ID"].tolist()


def _query(table, query):
    try:
        return rows_that_meet(query, table)
    except InputError as error:
        raise InputError(
            f"observations: query: '{query}': {error}. It may compare the columns"
            f" {', '.join(filter(str.isidentifier, table))} with numbers and texts (==, !=, <, <=, >, >=, in), and"
            " join comparisons with and, or, not"
        ) from error


def bins_of_zenith(zenith, edges):
    """Divide runs by zenith angle.

    Parameters
    ----------
    zenith : dict of int to float
        Zenith angle in deg by OBS_ID; one that is not between 0 and 90 deg is not known.
    edges : sequence of float
        In deg, increasing; a bin includes its lower edge.

    Returns
    -------
    dict of int to str
        Name of the bin of each run, such as ``30-45``; runs whose zenith angle is not known
        are left out, unless there is a single bin.

    Raises
    ------
    InputError
        If the zenith angle of a run is in none of the bins, or none is known.
    """
    names = [f"{low:g}-{high:g}" for low, high in pairwise(edges)]
    known = {obs_id: angle for obs_id, angle in zenith.items() if 0 <= angle <= 90}
    is_single = len(names) == 1
    if not known and not is_single:
        raise InputError(
            "background: zenith_bins: the zenith angles are not known: neither the"
            " observation index nor the headers of the events have ZEN_PNT, ALT_PNT, or"
            " time and site; give a single bin for all runs"
        )
    number = np.searchsorted(edges, [*known.values()], side="right") - 1
    bins = dict(zip(known, number.tolist(), strict=True))
    outside = [obs_id for obs_id, n in bins.items() if not 0 <= n < len(names)]
    if outside:
        raise InputError(
            f"background: zenith_bins: run {listing(outside)} is in none of the bins; add"
            " a bin"
        )
    others = dict.fromkeys(zenith, names[0]) if is_single else {}
    return others | {obs_id: names[n] for obs_id, n in bins.items()}
