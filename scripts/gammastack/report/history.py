"""What changed since the previous update of a field.

Each update leaves a state of its results, from which the next one can tell what is new.
A state is data for JSON:

``time`` (UTC), ``version``; ``settings``, those in the headers; ``runs``: by OBS_ID, status,
digest of its files, and its norm by band; ``bands``: by name, ``peak``, ``target`` (values
by product), and the significance map as text, with its shape.
"""

import json
from dataclasses import dataclass, field

import numpy as np

from gammastack.report.quantised import decode

# Pixels that moved by more than this are counted.
MOVED = 1.0  # sigma
# A norm that moved by more than this part of its error is listed.
NORM_MOVED = 0.1
N_LISTED = 10


def read_states(path):
    """Return the states in a history, the latest one last; none if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            states = json.load(file)["states"]
        return [state for state in states if {"time", "runs", "bands"} <= state.keys()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def with_state(states, state):
    """Return the last two distinct states: that before, and the given one."""
    earlier = [known for known in states if not _is_same(known, state)]
    # A page that is only drawn again still tells what the last change was.
    same = [known for known in states[-1:] if _is_same(known, state)]
    return [*earlier[-1:], *(same or [state])]


def _is_same(first, second):
    return {**first, "time": ""} == {**second, "time": ""}


@dataclass(frozen=True)
class BandChanges:
    """What changed in an energy band.

    Attributes
    ----------
    band : str
    peak, target : dict of str to tuple
        Value before and now, by name.
    norms : list of (obs_id, before, now)
        Those that moved most.
    n_norms : int
        How many moved.
    n_moved, n_pixels : int or None
        Pixels that moved by more than `MOVED`, and all; None if maps cannot be compared.
    largest : tuple of (x, y, value) or None
        Place of the largest change, in pixels of the map of the state.
    difference : ndarray or None, shape (ny, nx)
    """

    band: str
    peak: dict
    target: dict
    norms: list
    n_norms: int
    n_moved: int | None = None
    n_pixels: int | None = None
    largest: tuple | None = None
    difference: np.ndarray | None = None


@dataclass(frozen=True)
class Changes:
    """What changed between two states.

    Attributes
    ----------
    since : str
        Time of the previous state.
    added, removed, changed : list of int
        OBS_IDs.
    statuses : list of (obs_id, before, now)
    settings : list of (key, before, now)
    version : tuple of str, or None
        Before and now, if it is another one.
    bands : list of BandChanges
    """

    since: str
    added: list = field(default_factory=list)
    removed: list = field(default_factory=list)
    changed: list = field(default_factory=list)
    statuses: list = field(default_factory=list)
    settings: list = field(default_factory=list)
    version: tuple | None = None
    bands: list = field(default_factory=list)


def compare_states(before, now):
    """Return the `Changes` from one state to another."""
    old, new = before["runs"], now["runs"]
    both = [obs_id for obs_id in new if obs_id in old]
    return Changes(
        since=before["time"],
        added=_numbers(new.keys() - old.keys()),
        removed=_numbers(old.keys() - new.keys()),
        changed=_numbers(
            obs_id for obs_id in both if _has_other_data(old[obs_id], new[obs_id])
        ),
        statuses=[
            (int(obs_id), old[obs_id]["status"], new[obs_id]["status"])
            for obs_id in both
            if old[obs_id]["status"] != new[obs_id]["status"]
        ],
        settings=_moved(before["settings"], now["settings"]),
        version=_pair(before["version"], now["version"]),
        bands=[
            _compare_band(band, before, now)
            for band in now["bands"]
            if band in before["bands"]
        ],
    )


def _has_other_data(old, new):
    """Return whether a run has other files; those of runs that are not used are unknown."""
    return bool(old["digest"] and new["digest"]) and old["digest"] != new["digest"]


def _numbers(obs_ids):
    return sorted(map(int, obs_ids))


def _pair(old, new):
    return None if old == new else (old, new)


def _moved(old, new):
    """Return key, old and new value of what differs in two dictionaries."""
    keys = [*old, *(key for key in new if key not in old)]
    return [
        (key, old.get(key), new.get(key))
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _compare_band(band, before, now):
    old, new = before["bands"][band], now["bands"][band]
    norms = []
    for obs_id, run in now["runs"].items():
        then = before["runs"].get(obs_id, {}).get("norms", {}).get(band)
        value = run["norms"].get(band)
        if then and value and abs(value[0] - then[0]) > NORM_MOVED * value[1]:
            norms.append((int(obs_id), then[0], value[0]))
    norms.sort(key=lambda moved: -abs(moved[2] - moved[1]))
    changes = {
        "band": band,
        "peak": _both(old["peak"], new["peak"]),
        "target": _both(old["target"], new["target"]),
        "norms": norms[:N_LISTED],
        "n_norms": len(norms),
    }
    same_sky = before["settings"].get("image") == now["settings"].get("image")
    if "map" not in old or not same_sky or old.get("shape") != new.get("shape"):
        return BandChanges(**changes)
    then, today = (decode(state["map"], state["shape"]) for state in (old, new))
    difference = today - then
    known = np.isfinite(difference)
    if not known.any():
        return BandChanges(**changes, n_moved=0, n_pixels=0)
    size = np.where(known, np.abs(difference), 0)
    y, x = np.unravel_index(size.argmax(), size.shape)
    return BandChanges(
        **changes,
        n_moved=int(np.sum(size > MOVED)),
        n_pixels=int(known.sum()),
        largest=(int(x), int(y), float(difference[y, x])),
        difference=np.where(known, difference, np.nan),
    )


def _both(old, new):
    return {
        name: (old[name], value)
        for name, value in new.items()
        if name in old and None not in (old[name], value)
    }


def state_of(results, maps, time, version):
    """Return the state of the results of a field.

    Parameters
    ----------
    results : gammastack.report.results.Results
    maps : dict of str to dict
        Significance as text (``map``) and its ``shape``, of the bands that have one.
    time, version : str
    """
    digests = {}
    for kind, obs_id, _, digest in results.bands[0].origin.inputs:
        if kind == "dl3":
            digests[obs_id] = digests.get(obs_id, "") + digest
    statuses = zip(results.runs["OBS_ID"], results.runs["status"], strict=True)
    runs = {
        str(obs_id): {"status": status, "digest": digests.get(obs_id, ""), "norms": {}}
        for obs_id, status in statuses
    }
    for band in results.bands:
        columns = (band.used[key] for key in ("OBS_ID", "bkg_scale", "bkg_scale_err"))
        for obs_id, *norm in zip(*columns, strict=True):
            runs[str(obs_id)]["norms"][band.name] = norm
    return {
        "time": time,
        "version": version,
        "settings": results.bands[0].config,
        "runs": runs,
        "bands": {
            band.name: {
                "peak": band.peak,
                "target": band.at(results.target),
                **maps.get(band.name, {}),
            }
            for band in results.bands
        },
    }
