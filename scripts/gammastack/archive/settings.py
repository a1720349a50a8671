"""Changes of settings in words, with units, from the values that records hold."""

import json

from gammastack.sky.radius import Radius

# Angles in deg, by the last part of their key
IN_DEG = {
    *("center", "width", "binsz", "offset_band", "radius", "margin", "zenith_bins"),
    *("r_in", "r_out_max", "stepsize", "theta"),
}


def setting_changes(key, old, new):
    """Yield what has changed in a setting, such as ``radius 0.1 deg -> 0.2 deg``.

    Parameters
    ----------
    key : str
    old, new : object
        Values, in the units of the program.
    """
    if old == new:
        return
    if key == "radii":
        old, new = (
            _listed(Radius(*one).label for one in of.values()) for of in (old, new)
        )
        yield f"radius {old} -> {new}"
    elif key == "energy_bands":
        yield f"energy_bands {_listed(old)} -> {_listed(new)}"
    elif key == "exclusion_mask":
        yield from _items(key, old, new)
    else:
        old, new = flat(old, key), flat(new, key)
        for name in sorted(old.keys() | new.keys()):
            before, after = (_text(name, of.get(name)) for of in (old, new))
            if before != after:
                yield f"{name} {before} -> {after}"


def flat(value, key=""):
    """Return settings by key; nested ones as ``outer.inner``."""
    if not isinstance(value, dict):
        return {key: value}
    parts = (flat(part, f"{key}.{name}".lstrip(".")) for name, part in value.items())
    return {name: part for table in parts for name, part in table.items()}


def _items(key, old, new):
    """Yield what was removed from a list, and what was added to it."""
    for verb, these, others in (("removed", old, new), ("added", new, old)):
        for item in these:
            if item not in others:
                yield f"{key} {item if isinstance(item, str) else json.dumps(item)} {verb}"
    if all(item in new for item in old) and all(item in old for item in new):
        yield f"{key} in another order"


def _text(key, value):
    if value is None:
        return "none"
    if key.rpartition(".")[2] in IN_DEG:
        values = value if isinstance(value, list) else [value]
        return f"{_listed(f'{one:g}' for one in values)} deg"
    return value if isinstance(value, str) else json.dumps(value)


def _listed(values):
    values = list(values)
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"
