"""Damages by class: functions of a random generator and a `fuzzing.draft.Draft`.

Each one changes the draft in place. A class is named by what is damaged and how.
"""

import gzip
from functools import partial

import numpy as np

from fuzzing.raw import BLOCK
from fuzzing.sources import KINDS

RESPONSES = ("aeff", "bkg")
INDICES = ("obs", "hdu")
VALUES = {"events": ("TIME", "RA", "DEC", "ENERGY"), "gti": ("START", "STOP")}
NUMBERS = (0, -1, 1, 7, 1e-30, 1e30, -999, 90.5, 400)
TEXTS = ("'NaN'", "'inf'", "'n/a'", "''", "NaN", "inf", "1,5", "'1.5.2'", "T", "")
SIZES = (0, 1, 3, -5, 10**5, 10**9, 2**31, 10**15, 10**30)
UNITS = (
    "",
    "deg",
    "rad",
    "s",
    "d",
    "TeV",
    "GeV",
    "m2",
    "cm2",
    "furlong",
    "(",
    "1e3 m2",
)
KEYS = {
    "events": (
        "RA_PNT",
        "DEC_PNT",
        "DEADC",
        "OBS_ID",
        "OBS_MODE",
        "MJDREFI",
        "MJDREFF",
        "TIMESYS",
    ),
    "gti": ("MJDREFI", "MJDREFF", "TIMESYS", "EXTNAME", "TFIELDS", "NAXIS1", "NAXIS2"),
    "aeff": ("HDUCLAS3", "HDUCLAS4", "EXTNAME", "TFIELDS", "NAXIS1", "NAXIS2", "TDIM5"),
    "bkg": ("HDUCLAS3", "HDUCLAS4", "EXTNAME", "FOVALIGN", "NAXIS1", "NAXIS2", "TDIM7"),
}


# Bytes


def parts(rng, draft):
    """Return path and content of a file, and where in it the header or data of an HDU are."""
    path, name = draft.source.hdus[rng.choice(KINDS)]
    start = 0
    for hdu in draft.hdus(path):
        size = len(hdu.encoded(sums=False))
        stop, data = start + size, start + size - len(hdu.data) - -len(hdu.data) % BLOCK
        if hdu.name == name.upper():
            break
        start = stop
    content = bytearray(draft.content(path))
    return path, content, *((start, data) if rng.random() < 0.5 else (data, stop))


def flip_bits(rng, draft):
    path, content, start, stop = parts(rng, draft)
    for place in rng.integers(start, stop, rng.choice([1, 1, 4, 50])):
        content[place] ^= 1 << int(rng.integers(8))
    draft.write(path, content)


def zero_block(rng, draft):
    path, content, start, stop = parts(rng, draft)
    size = int(rng.choice([16, 512, BLOCK]))
    start = int(rng.integers(start, stop))
    content[start : start + size] = bytes(len(content[start : start + size]))
    draft.write(path, content)


def repeat_block(rng, draft):
    path, content, *_ = parts(rng, draft)
    start = int(rng.integers(len(content) // BLOCK)) * BLOCK
    content[start:start] = content[start : start + BLOCK]
    draft.write(path, content)


def truncate(rng, draft):
    path, content, start, stop = parts(rng, draft)
    draft.write(path, content[: rng.integers(start, stop)])


def append_garbage(rng, draft):
    path, content, *_ = parts(rng, draft)
    size = int(rng.choice([1, 80, BLOCK, 100_000]))
    garbage = (bytes(size), rng.bytes(size), b" " * size)
    draft.write(path, content + garbage[rng.integers(3)])


def replace(new, rng, draft):
    draft.written[draft.path(rng.choice(KINDS))] = new


def compressed(rng, draft):
    path = draft.path(rng.choice(KINDS))
    content = gzip.compress(draft.content(path), 1, mtime=0)
    return path, bytearray(content)


def flip_compressed(rng, draft):
    path, content = compressed(rng, draft)
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    draft.written[path] = bytes(content)


def truncate_compressed(rng, draft):
    path, content = compressed(rng, draft)
    draft.written[path] = bytes(content[: rng.integers(2, len(content))])


def append_to_compressed(rng, draft):
    path, content = compressed(rng, draft)
    more = rng.bytes(100), bytes(100), gzip.compress(b"more")
    draft.written[path] = bytes(content) + more[rng.integers(3)]


def compress_twice(rng, draft):
    path, content = compressed(rng, draft)
    draft.written[path] = gzip.compress(content, 1)


# Header cards


def key_of(rng, kind, hdu):
    keys = [key for key in KEYS[kind] if hdu.index(key) is not None]
    return rng.choice(keys)


def remove_card(rng, draft):
    kind = rng.choice(KINDS)
    draft.hdu(kind).remove(key_of(rng, kind, draft.hdu(kind)))


def remove_any_card(rng, draft):
    hdu = draft.any(rng)
    del hdu.cards[rng.integers(len(hdu.cards))]


def replace_card(texts, rng, draft):
    kind = rng.choice(KINDS)
    hdu = draft.hdu(kind)
    hdu.set_text(key_of(rng, kind, hdu), rng.choice(texts))


def unparsable_card(rng, draft):
    hdu = draft.any(rng)
    card = rng.choice(
        ["KEY     = 'open", "\xff" * 9, "A=1", "= 3", "KEY     = 1 2 / x"]
    )
    hdu.cards.insert(rng.integers(1, len(hdu.cards)), card.ljust(80))


def repeat_card(rng, draft):
    kind = rng.choice(KINDS)
    hdu = draft.hdu(kind)
    copy = hdu.cards[hdu.index(key_of(rng, kind, hdu))]
    hdu.cards.append(f"{copy[:10]}{rng.choice(TEXTS[:6]):70}")


def set_card(kinds, key, values, rng, draft):
    draft.any(rng, kinds).set(key, rng.choice(np.array(values, object)))


def set_column_card(kinds, key, values, rng, draft):
    hdu = draft.any(rng, kinds)
    number = rng.integers(1, hdu.get("TFIELDS") + 1)
    hdu.set(f"{key}{number}", rng.choice(np.array(values, object)))


def shift(kinds, key, steps, rng, draft):
    hdu = draft.any(rng, kinds)
    hdu.set(key, (hdu.get(key) or 0) + float(rng.choice(steps)))


def scale_column(rng, draft):
    _, hdu, number, _ = column_of(rng, draft)
    hdu.set(f"TSCAL{number}", float(rng.choice([2, 1e3, -1, 0, np.pi])))


def zero_of_column(rng, draft):
    _, hdu, number, _ = column_of(rng, draft)
    hdu.set(f"TZERO{number}", float(rng.choice([1, -5, 1e6, 0.5])))


# Columns


def column_of(rng, draft):
    """Return kind, HDU, number and name of a column that is read."""
    kind = rng.choice(KINDS)
    hdu = draft.hdu(kind)
    names = VALUES.get(kind, [*hdu.columns])
    name = str(rng.choice(names))
    return kind, hdu, hdu.columns[name], name


def remove_column(rng, draft):
    _, hdu, _, name = column_of(rng, draft)
    rows = hdu.rows
    names = [other for other in rows.dtype.names if other != name]
    units = {other: hdu.get(f"TUNIT{hdu.columns[other]}") for other in names}
    forms = {other: hdu.get(f"TFORM{hdu.columns[other]}") for other in names}
    dims = {other: hdu.get(f"TDIM{hdu.columns[other]}") for other in names}
    n = hdu.get("TFIELDS")
    hdu.remove(
        *(
            f"{key}{m + 1}"
            for key in ("TTYPE", "TFORM", "TUNIT", "TDIM")
            for m in range(n)
        )
    )
    hdu.set("TFIELDS", len(names))
    for number, other in enumerate(names, 1):
        hdu.set(f"TTYPE{number}", other)
        hdu.set(f"TFORM{number}", forms[other])
        for key, values in (("TUNIT", units), ("TDIM", dims)):
            if values[other] is not None:
                hdu.set(f"{key}{number}", values[other])
    packed = np.empty(len(rows), [(other, rows.dtype[other]) for other in names])
    for other in names:
        packed[other] = rows[other]
    hdu.rows = packed


def rename_column(rng, draft):
    _, hdu, number, name = column_of(rng, draft)
    hdu.set(f"TTYPE{number}", rng.choice([name.lower(), f"{name}2", "", name[:-1]]))


def exchange_columns(rng, draft):
    _, hdu, number, name = column_of(rng, draft)
    other = rng.choice([other for other in hdu.columns if other != name])
    second = hdu.columns[other]
    hdu.set(f"TTYPE{number}", other)
    hdu.set(f"TTYPE{second}", name)


def change_unit(rng, draft):
    _, hdu, number, _ = column_of(rng, draft)
    hdu.set(f"TUNIT{number}", rng.choice(UNITS))


def remove_unit(rng, draft):
    _, hdu, number, _ = column_of(rng, draft)
    hdu.remove(f"TUNIT{number}")


def vector_column(rng, draft):
    kind = rng.choice([*VALUES])
    retype(rng, draft.hdu(kind), rng.choice(VALUES[kind]), repeat=2)


def text_column(rng, draft):
    kind = rng.choice([*VALUES])
    retype(rng, draft.hdu(kind), rng.choice(VALUES[kind]), text=True)


def retype(rng, hdu, name, repeat=1, *, text=False):
    """Write a column as vectors or as text, so that the table stays valid."""
    rows, number = hdu.rows, hdu.columns[name]
    old = rows.dtype
    new = "S12" if text else (old[name].base, (repeat,))
    wide = np.empty(
        len(rows), [(key, new if key == name else old[key]) for key in old.names]
    )
    for key in old.names:
        values = rows[key]
        if key == name:
            values = values.astype("S12") if text else values[:, None]
        wide[key] = values
    code = hdu.get(f"TFORM{number}")[-1]
    hdu.set(f"TFORM{number}", "12A" if text else f"{repeat}{code}")
    hdu.rows = wide


# Values of events and good time intervals


def some(rng, rows):
    """Return the numbers of one, of a few or of many rows."""
    size = max(1, int(len(rows) * rng.choice([0, 0.01, 0.3])))
    return rng.choice(len(rows), min(size, len(rows)), replace=False)


def set_values(kind, names, values, rng, draft):
    rows = draft.hdu(kind).rows
    rows[rng.choice(names)][some(rng, rows)] = rng.choice(values)


def set_all(kind, name, function, rng, draft):
    rows = draft.hdu(kind).rows
    rows[name] = function(rows[name])


def choose_rows(kind, choose, rng, draft):
    hdu = draft.hdu(kind)
    rows = hdu.rows
    hdu.rows = rows[choose(rng, len(rows))]


def duplicated(rng, n):
    return np.sort(np.append(np.arange(n), rng.integers(n, size=max(1, n // 3))))


def half(rng, n):
    return np.sort(rng.choice(n, n // 2, replace=False))


def first_half(rng, n):
    return np.arange(n // 2)


def shuffled(rng, n):
    return rng.permutation(n)


def none(rng, n):
    return np.arange(0)


def twice(rng, n):
    return np.arange(2 * n) % n


def gti_from(change):
    """Return a damage that replaces the intervals (n, 2) by others."""

    def damage(rng, draft):
        hdu = draft.hdu("gti")
        rows = hdu.rows
        new = np.array(change(rng, np.stack([rows["START"], rows["STOP"]], axis=1)))
        changed = np.zeros(len(new), rows.dtype)
        changed["START"], changed["STOP"] = new.T
        hdu.rows = changed

    return damage


def overlapping(rng, gti):
    middle = gti.mean()
    return [[gti.min(), middle + 100], [middle - 100, gti.max()]]


def outside(rng, gti):
    return gti + rng.choice([1e4, -1e4, 1e8])


def half_outside(rng, gti):
    return gti + (gti.max() - gti.min()) / 2


# Responses


def response(rng, draft, kinds=RESPONSES):
    """Return a response HDU and its column of values."""
    hdu = draft.any(rng, kinds)
    return hdu, next(name for name in hdu.columns if not name.endswith(("_LO", "_HI")))


def axis(rng, draft):
    """Return a response HDU, and the lower and upper edges of an axis in place."""
    hdu = draft.any(rng, RESPONSES)
    name = rng.choice([name[:-3] for name in hdu.columns if name.endswith("_LO")])
    rows = hdu.rows
    return hdu, rows[f"{name}_LO"][0], rows[f"{name}_HI"][0]


def reverse_axis(rng, draft):
    for edges in axis(rng, draft)[1:]:
        edges[:] = edges[::-1].copy()


def gap_in_axis(rng, draft):
    _, low, high = axis(rng, draft)
    n = rng.integers(len(high))
    high[n] = low[n] + 0.3 * (high[n] - low[n])


def overlap_in_axis(rng, draft):
    _, low, high = axis(rng, draft)
    n = rng.integers(len(high))
    high[n] += 2 * (high[n] - low[n])


def shift_axis(rng, draft):
    _, low, high = axis(rng, draft)
    step = high[0] - low[0] or 0.5
    low += step
    high += step


def scale_axis(rng, draft):
    _, low, high = axis(rng, draft)
    factor = rng.choice([1e-3, 1e3, 60, 2])
    low *= factor
    high *= factor


def wrong_unit_of_edges(rng, draft):
    hdu = draft.any(rng, RESPONSES)
    names = [name for name in hdu.columns if name.endswith(("_LO", "_HI"))]
    name = rng.choice(names)
    unit = "arcmin" if hdu.get(f"TUNIT{hdu.columns[name]}") == "deg" else "GeV"
    hdu.set(f"TUNIT{hdu.columns[name]}", unit)


def edge_value(values, rng, draft):
    _, low, high = axis(rng, draft)
    edges = low if rng.random() < 0.5 else high
    edges[rng.integers(len(edges))] = rng.choice(values)


def transposed_dims(rng, draft):
    hdu, name = response(rng, draft)
    key = f"TDIM{hdu.columns[name]}"
    dims = hdu.get(key).strip("()").split(",")
    hdu.set(key, f"({','.join(rng.permutation(dims))})")


def response_values(function, rng, draft):
    hdu, name = response(rng, draft)
    values = hdu.rows[name][0]
    values[:] = function(rng, values)


def some_values(new):
    def change(rng, values):
        changed = values.copy()
        places = some(rng, np.flatnonzero(values))
        changed[np.flatnonzero(values)[places]] = new
        return changed

    return change


def spike(rng, values):
    changed = values.copy()
    changed[rng.choice(np.flatnonzero(values))] *= 1e6
    return changed


def factor(number):
    return lambda rng, values: values * number


def zero_part(rng, values):
    changed = values.copy()
    changed[: len(values) // 2] = 0
    return changed


def empty_response(rng, draft):
    hdu = draft.any(rng, RESPONSES)
    hdu.rows = hdu.rows[:0]


def set_written_by(rng, draft):
    key = rng.choice(["CREATOR", "HDUVERS"])
    hdu = draft.hdu("events") if key == "CREATOR" else draft.any(rng, ("events", "bkg"))
    hdu.set(key, rng.choice(["SASH FITS::EventListWriter", "other", "0.2", "0.3"]))


# HDUs of a file


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


# Index files


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


def damage_index_bytes(rng, draft):
    path = rng.choice([path for path in draft.source.files if "index" in path])
    content = bytearray(draft.content(path))
    for place in rng.integers(len(content), size=rng.choice([1, 5, 50])):
        content[place] ^= 1 << int(rng.integers(8))
    draft.write(path, content)


# The checksums in the file stay as they are: they belong to the undamaged file.
BYTES = {
    "bytes: bits flipped": flip_bits,
    "bytes: block of zeros": zero_block,
    "bytes: block repeated": repeat_block,
    "bytes: truncated": truncate,
    "bytes: garbage appended": append_garbage,
    "bytes: HTML": partial(
        replace, b"<!DOCTYPE html>\n<html>404 Not Found</html>\n" * 99
    ),
    "bytes: empty": partial(replace, b""),
    "bytes: index, bits flipped": damage_index_bytes,
    "gzip: bit flipped": flip_compressed,
    "gzip: truncated": truncate_compressed,
    "gzip: more appended": append_to_compressed,
    "gzip: compressed twice": compress_twice,
}
ENERGIES = (0.0, -1.0, -999.0)
TIMES = ("MJDREFI", "MJDREFF", "TIMEZERO")
EVENTS = ("events",)
CARDS = {
    "header: card missing": remove_card,
    "header: any card missing": remove_any_card,
    "header: not a number": partial(replace_card, TEXTS),
    "header: other number": partial(replace_card, [str(number) for number in NUMBERS]),
    "header: unparsable card": unparsable_card,
    "header: card repeated": repeat_card,
    **{
        f"header: {key}": partial(set_card, KINDS, key, SIZES[:8])
        for key in ("NAXIS1", "NAXIS2", "TFIELDS", "PCOUNT", "GCOUNT", "NAXIS")
    },
    "header: BITPIX": partial(set_card, KINDS, "BITPIX", (16, -32, 7, 0)),
    "header: TFORM": partial(
        set_column_card,
        KINDS,
        "TFORM",
        ("1E", "D", "1000000000D", "5A", "PE(3)", "Z", ""),
    ),
    "header: TDIM": partial(
        set_column_card, KINDS, "TDIM", ("(3,4)", "(0)", "(99999,99999)", "x", "(-1,2)")
    ),
    "header: TSCAL": scale_column,
    "header: TZERO": zero_of_column,
    "header: MJDREF of an HDU": partial(
        shift, ("events", "gti"), "MJDREFI", (1, -100, 0.01)
    ),
    "header: TIMESYS of an HDU": partial(
        set_card,
        ("events", "gti"),
        "TIMESYS",
        ("UTC", "TAI", "TDB", "TT", "LOCAL", "X"),
    ),
    "header: TIMEZERO of an HDU": partial(
        shift, ("events", "gti"), "TIMEZERO", (0.5, 600, 1e6, -1e9)
    ),
    "header: TIMEUNIT of an HDU": partial(
        set_card, ("events", "gti"), "TIMEUNIT", ("d", "ms")
    ),
    "header: RA_PNT, DEC_PNT": partial(shift, EVENTS, "DEC_PNT", (1e-3, 0.5, -5, 100)),
    "header: DEADC": partial(
        set_card, EVENTS, "DEADC", (0.0, 1.0, 0.5, 95.0, -1.0, 0.05)
    ),
    "header: OBS_ID": partial(set_card, EVENTS, "OBS_ID", (0, 5, -1, 1002, "x", 1.5)),
    "header: OBJECT": partial(set_card, EVENTS, "OBJECT", ("other", 5, "", "a" * 60)),
    "header: OBS_MODE": partial(
        set_card, EVENTS, "OBS_MODE", ("SCAN", "ON", 1, "slew")
    ),
    "header: RADECSYS, EQUINOX": partial(
        set_card, EVENTS, "RADECSYS", ("FK4", "GALACTIC")
    ),
    "header: site": partial(set_card, EVENTS, "GEOLAT", (95.0, "N", -30.0, 1e9)),
    "column: missing": remove_column,
    "column: renamed": rename_column,
    "column: exchanged": exchange_columns,
    "column: other unit": change_unit,
    "column: no unit": remove_unit,
    "column: vectors": vector_column,
    "column: text": text_column,
}
set_events = partial(set_values, "events")
all_events = partial(set_all, "events")
EVENT_VALUES = {
    "events: NaN": partial(set_events, VALUES["events"], [np.nan]),
    "events: inf": partial(set_events, VALUES["events"], [np.inf, -np.inf]),
    "events: DEC impossible": partial(set_events, ["DEC"], [-999.0, 400.0, 1e30]),
    "events: RA beyond 360 deg": partial(set_events, ["RA"], [-999.0, 400.0, 1e30]),
    "events: ENERGY impossible": partial(set_events, ["ENERGY"], ENERGIES),
    "events: ENERGY huge": partial(set_events, ["ENERGY"], [1e6, 1e30]),
    "events: TIME far away": partial(set_events, ["TIME"], [-1.0, 1e12, 5e4]),
    "events: 0": partial(set_events, VALUES["events"], [0.0]),
    "events: log10 of ENERGY": partial(all_events, "ENERGY", np.log10),
    "events: ENERGY in GeV": partial(all_events, "ENERGY", lambda values: values * 1e3),
    "events: RA in hours": partial(all_events, "RA", lambda values: values / 15),
    "events: RA in rad": partial(all_events, "RA", np.radians),
    "events: DEC mirrored": partial(all_events, "DEC", np.negative),
    "events: TIME in days": partial(all_events, "TIME", lambda values: values / 86400),
    "events: duplicated": partial(choose_rows, "events", duplicated),
    "events: all twice": partial(choose_rows, "events", twice),
    "events: half gone at random": partial(choose_rows, "events", half),
    "events: second half gone": partial(choose_rows, "events", first_half),
    "events: none": partial(choose_rows, "events", none),
    "events: shuffled": partial(choose_rows, "events", shuffled),
    "gti: NaN": partial(set_values, "gti", VALUES["gti"], [np.nan]),
    "gti: inf": partial(set_values, "gti", VALUES["gti"], [np.inf, -np.inf]),
    "gti: row (0, 0)": gti_from(lambda rng, gti: [[0, 0], *gti]),
    "gti: all (0, 0)": gti_from(lambda rng, gti: gti * 0),
    "gti: overlapping": gti_from(overlapping),
    "gti: repeated": gti_from(lambda rng, gti: [*gti, *gti]),
    "gti: reversed": gti_from(lambda rng, gti: gti[:, ::-1]),
    "gti: outside": gti_from(outside),
    "gti: half outside": gti_from(half_outside),
    "gti: 1000 times as long": gti_from(
        lambda rng, gti: (gti - gti.min()) * 1000 + gti.min()
    ),
    "gti: half as long": gti_from(lambda rng, gti: (gti - gti.min()) / 2 + gti.min()),
    "gti: none": partial(choose_rows, "gti", none),
}
RESPONSE_VALUES = {
    "axis: reversed": reverse_axis,
    "axis: gap": gap_in_axis,
    "axis: overlap": overlap_in_axis,
    "axis: shifted": shift_axis,
    "axis: scaled": scale_axis,
    "axis: wrong unit of LO or HI": wrong_unit_of_edges,
    "axis: not finite": partial(edge_value, [np.nan, np.inf, -np.inf]),
    "axis: other value": partial(edge_value, [0.0, -1.0, 1e30]),
    "response: transposed": transposed_dims,
    **{
        f"response: {name}": partial(response_values, function)
        for name, function in {
            "NaN": some_values(np.nan),
            "inf": some_values(np.inf),
            "negative": some_values(-1.0),
            "0 at some": some_values(0.0),
            "0 in half of it": zero_part,
            "all 0": factor(0),
            "x 1e4": factor(1e4),
            "x 1e-4": factor(1e-4),
            "x 2": factor(2),
            "one x 1e6": spike,
            "turned around": lambda rng, values: values[::-1].copy(),
        }.items()
    },
    "response: empty": empty_response,
    "response: POINT-LIKE": partial(set_card, RESPONSES, "HDUCLAS3", ("POINT-LIKE",)),
    "response: HDUCLAS4": partial(
        set_card, RESPONSES, "HDUCLAS4", ("BKG_2D", "EDISP_2D")
    ),
    "response: FOVALIGN": partial(
        set_card, ("bkg",), "FOVALIGN", ("ALTAZ", "RADEC", "REVERSED_LON_LAT", "X", 1)
    ),
    "response: CREATOR, HDUVERS": set_written_by,
}
FILES = {
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
# Of each class: the function, and what becomes of the checksums of the changed files
DAMAGES = [(name, damage, "kept") for name, damage in BYTES.items()]
DAMAGES += [
    (name, damage, checksums)
    for name, damage in (CARDS | EVENT_VALUES | RESPONSE_VALUES | FILES).items()
    for checksums in ("updated", "removed")
]
