"""Damages of effective areas and background models, and of their axes."""

from functools import partial

import numpy as np

from fuzzing.damages.cards import set_card
from fuzzing.damages.values import some

RESPONSES = ("aeff", "bkg")


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


DAMAGES = {
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
