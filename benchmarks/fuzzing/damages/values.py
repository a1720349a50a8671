"""Damages of events and good time intervals."""

from functools import partial

import numpy as np

VALUES = {"events": ("TIME", "RA", "DEC", "ENERGY"), "gti": ("START", "STOP")}
ENERGIES = (0.0, -1.0, -999.0)


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


set_events = partial(set_values, "events")
all_events = partial(set_all, "events")
DAMAGES = {
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
