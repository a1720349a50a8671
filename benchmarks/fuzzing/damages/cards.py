"""Damages of header cards and of columns."""

from functools import partial

import numpy as np

from fuzzing.damages.values import VALUES
from fuzzing.sources import KINDS

NUMBERS = (0, -1, 1, 7, 1e-30, 1e30, -999, 90.5, 400)
TEXTS = ("'NaN'", "'inf'", "'n/a'", "''", "NaN", "inf", "1,5", "'1.5.2'", "T", "")
SIZES = (0, 1, 3, -5, 10**5, 10**9, 2**31, 10**15)
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
EVENTS = ("events",)


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


DAMAGES = {
    "header: card missing": remove_card,
    "header: any card missing": remove_any_card,
    "header: not a number": partial(replace_card, TEXTS),
    "header: other number": partial(replace_card, [str(number) for number in NUMBERS]),
    "header: unparsable card": unparsable_card,
    "header: card repeated": repeat_card,
    **{
        f"header: {key}": partial(set_card, KINDS, key, SIZES)
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
