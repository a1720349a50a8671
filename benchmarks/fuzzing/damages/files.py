"""Damages of the HDUs of a file, and of the index files."""

from functools import partial

import numpy as np

from fuzzing.damages.cards import retype
from fuzzing.damages.values import VALUES
from fuzzing.sources import KINDS

INDICES = ("obs", "hdu")


def repeat_hdu(rng, draft):
    kind = rng.choice(KINDS)
    hdus, hdu = draft.hdus(draft.path(kind)), draft.hdu(kind)
    copy = type(hdu)(list(hdu.cards), bytearray(hdu.data))
    if kind in VALUES:
        copy.rows = copy.rows[: len(copy.rows) // 2]
    else:
        rows = copy.rows
        rows[rows.dtype.names[-1]] *= 2
    place = next(n for n, other in enumerate(hdus) if other is hdu)
    hdus.insert(place + rng.integers(2), copy)


def rename_hdu(rng, draft):
    hdu = draft.any(rng)
    hdu.set("EXTNAME", rng.choice([hdu.name.lower(), f"{hdu.name}2", "X", ""]))


def exchange_names(rng, draft):
    first, second = (draft.hdu(kind) for kind in rng.permutation(KINDS)[:2])
    names = first.name, second.name
    first.set("EXTNAME", names[1])
    second.set("EXTNAME", names[0])


def reorder_hdus(rng, draft):
    hdus = draft.hdus(draft.path(rng.choice(KINDS)))
    hdus[1:] = [hdus[1 + n] for n in rng.permutation(len(hdus) - 1)]


def remove_hdu(rng, draft):
    kind = rng.choice(KINDS)
    hdu = draft.hdu(kind)
    hdus = draft.hdus(draft.path(kind))
    hdus[:] = [other for other in hdus if other is not hdu]


def rows_of_run(draft, name):
    """Return the index, all rows, and the numbers of the rows of the run."""
    index = draft.index(name)
    rows = index.rows
    return index, rows, np.flatnonzero(rows["OBS_ID"] == draft.source.obs_id)


def repeat_index_row(name, rng, draft):
    index, rows, own = rows_of_run(draft, name)
    index.rows = rows[np.append(np.arange(len(rows)), rng.choice(own))]


def remove_index_row(name, rng, draft):
    index, rows, own = rows_of_run(draft, name)
    index.rows = np.delete(rows, rng.choice(own))


def set_index(name, columns, values, rng, draft):
    index, rows, own = rows_of_run(draft, name)
    known = [column for column in columns if column in index.columns]
    row = rng.choice(own)
    # A store may have none of these columns: the mutant is the same as its source then.
    if known:
        rows[rng.choice(known)][row] = rng.choice(np.array(values))


def scale_index(columns, factors, rng, draft):
    index, rows, own = rows_of_run(draft, "obs")
    for column in columns:
        if column in index.columns:
            values = rows[column]
            values[own] = (values[own] * rng.choice(factors)).astype(values.dtype)


def retype_index(rng, draft, **how):
    name = rng.choice(INDICES)
    numbers = {"obs": ("OBS_ID", "RA_PNT", "DEC_PNT", "ZEN_PNT"), "hdu": ("OBS_ID",)}
    retype(rng, draft.index(name), rng.choice(numbers[name]), **how)


def vector_in_index(rng, draft):
    retype_index(rng, draft, repeat=2)


def text_in_index(rng, draft):
    retype_index(rng, draft, text=True)


def other_obs_id(rng, draft):
    obs_id = rng.choice([0, -1, 5, draft.source.obs_id + 10**6])
    for name in INDICES:
        _, rows, own = rows_of_run(draft, name)
        rows["OBS_ID"][own] = obs_id


def file_of_other_run(rng, draft):
    _, rows, own = rows_of_run(draft, "hdu")
    index_of_other = np.flatnonzero(rows["OBS_ID"] == draft.source.other)
    kinds = {str(rows["HDU_TYPE"][n], "ascii").strip(): n for n in index_of_other}
    wanted = [("events",), ("events", "gti"), ("aeff", "bkg"), KINDS][rng.integers(4)]
    for n in own:
        kind = str(rows["HDU_TYPE"][n], "ascii").strip()
        if kind in wanted:
            for column in ("FILE_DIR", "FILE_NAME"):
                rows[column][n] = rows[column][kinds[kind]]


def move_pointing_in_index(rng, draft):
    _, rows, own = rows_of_run(draft, "obs")
    rows["DEC_PNT"][own] += rng.choice([0.001, 0.5, 5, -60])


DAMAGES = {
    "hdus: one twice": repeat_hdu,
    "hdus: renamed": rename_hdu,
    "hdus: names exchanged": exchange_names,
    "hdus: other order": reorder_hdus,
    "hdus: missing": remove_hdu,
    "index: observation twice": partial(repeat_index_row, "obs"),
    "index: HDU twice": partial(repeat_index_row, "hdu"),
    "index: no such observation": partial(remove_index_row, "obs"),
    "index: no such HDU": partial(remove_index_row, "hdu"),
    "index: NaN": partial(
        set_index, "obs", ("RA_PNT", "DEC_PNT", "ZEN_PNT", "ONTIME"), [np.nan, np.inf]
    ),
    "index: numbers as text": text_in_index,
    "index: vectors": vector_in_index,
    "index: HDU_NAME": partial(
        set_index, "hdu", ["HDU_NAME"], [b"GTI", b"AEFF", b"X", b""]
    ),
    "index: HDU_CLASS": partial(
        set_index, "hdu", ["HDU_CLASS"], [b"bkg_2d", b"x", b"\xff"]
    ),
    "index: HDU_TYPE": partial(set_index, "hdu", ["HDU_TYPE"], [b"gti", b"x", b""]),
    "index: FILE_NAME": partial(
        set_index, "hdu", ["FILE_NAME"], [b"x.fits", b"", b".", b"\0"]
    ),
    "index: zenith": partial(set_index, "obs", ["ZEN_PNT"], [200.0, -5.0, 85.0]),
    "index: OBS_ID": other_obs_id,
    "index: pointing": move_pointing_in_index,
    "index: livetime": partial(scale_index, ["ONTIME", "LIVETIME"], [0, 0.5, 60]),
    "index: DEADC": partial(scale_index, ["DEADC"], [0, 0.5, 100]),
    "index: EVENT_COUNT": partial(scale_index, ["EVENT_COUNT"], [0, 0.5, 2]),
    "index: file of the other run": file_of_other_run,
}
