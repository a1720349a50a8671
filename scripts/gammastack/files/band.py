"""What the maps of an energy band are made from, and what their headers say of it."""

from dataclasses import replace

from gammastack.files.header import read_data, read_product


def read_band(paths, origin):
    """Images of an energy band by kind, their geometry, and the provenance of a map.

    Parameters
    ----------
    paths : dict of str to path
        ``counts`` and others.
    origin : gammastack.provenance.origin.Origin
        Of the step that makes the map.
    """
    counts, geometry, provenance = read_product(paths["counts"], origin)
    others = {
        kind: read_data(path)[0] for kind, path in paths.items() if kind != "counts"
    }
    return {"counts": counts, **others}, geometry, provenance


def with_radius(provenance, radius, cards=()):
    """Provenance of a map with a correlation radius: pixels or None, deg or None."""
    pixels, angle = radius
    card = ("RADIUS", *((pixels, "[pix]") if angle is None else (angle, "[deg]")))
    config = {**provenance.config, "radius": label_of_radius(radius)}
    return replace(provenance, config=config, cards=(card, *cards))


def label_of_radius(radius):
    """Text of a correlation radius."""
    pixels, angle = radius
    return f"{pixels:g} pix" if angle is None else f"{angle:g} deg"
