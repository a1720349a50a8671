"""Positions on the sky as people write them.

The catalogue of names is the one of `gammastack.sky.known_sources`. The module
astropy.coordinates reads such texts, too, but importing it takes longer than planning does.
"""

import math
import re

from gammastack.config.quantities import quantity
from gammastack.config.schema import examples
from gammastack.errors import InputError
from gammastack.sky.known_sources import known_source, similar_names

# Hours or degrees, minutes and seconds: 05h34m31.9s, 05:34:31.9 or 05 34 31.9
ANGLE = r"""([+-]?)(\d{1,3})\s*([hd°:\s])\s*(\d{1,2})\s*[m':\s]\s*(\d{1,2}(?:\.\d*)?)\s*[s"]?"""
PAIR = re.compile(rf"\s*({ANGLE})[\s,]+({ANGLE})\s*")
ANGLE = re.compile(ANGLE)
HOUR = 15  # deg


def position(value, key):
    """Return right ascension and declination (ICRS) in deg of a position of the configuration.

    Parameters
    ----------
    value : str, list or dict
        Name, or both coordinates in hours, degrees, minutes and seconds; a pair of
        coordinates; or a pair in a frame, ``{"galactic": [0, 0]}``.
    key : str
        Place in the configuration, for messages.

    Returns
    -------
    tuple of float

    Raises
    ------
    InputError
        If it is not on the sky, or nothing of that name is known.
    """
    if isinstance(value, str):
        value = _from_text(value, key)
    (frame, (lon, lat)), *_ = (
        value.items() if isinstance(value, dict) else [("icrs", value)]
    )
    lon = _coordinate(lon, key, HOUR if frame == "icrs" else 1)
    lat = _coordinate(lat, key, 1)
    if abs(lat) > 90:
        raise InputError(f"{key}: the latitude {lat} is not between -90 and 90")
    # Longitudes around 0 may be negative, but the rest of the sky has one value.
    if not -180 <= lon <= 360:
        raise InputError(f"{key}: the longitude {lon} is not between 0 and 360")
    if frame == "icrs":
        return float(lon), float(lat)
    # Importing coordinates is slow, and most configurations do not need it.
    from gammastack.sky.geometry import icrs_position

    return icrs_position(lon, lat, frame)


def _from_text(text, key):
    """Return the coordinates that a text has or names."""
    if pair := PAIR.fullmatch(text.replace("\N{MINUS SIGN}", "-")):
        return pair[1], pair[7]
    if source := known_source(text):
        return source.ra, source.dec
    near = similar_names(text)
    similar = f" (similar: {', '.join(near)})" if near else ""
    raise InputError(
        f"{key}: '{text}' is no position and not the name of a known source{similar}."
        f"{examples('center')}"
    )


def _coordinate(value, key, unit):
    """Return a coordinate in deg; numbers with colons are in hours or in deg."""
    if not isinstance(value, str):
        return value
    parts = ANGLE.fullmatch(value.strip())
    if not parts:
        return quantity(value, "deg", key)
    sign, first, mark, minutes, seconds = parts.groups()
    if max(float(minutes), float(seconds)) >= 60:
        raise InputError(f"{key}: '{value}': minutes and seconds must be below 60")
    if mark == "h" and unit == 1:
        raise InputError(f"{key}: '{value}': only right ascensions can be in hours")
    factor = 1 if mark in "d°" else unit
    angle = int(first) + int(minutes) / 60 + float(seconds) / 3600
    return math.copysign(angle * factor, -1 if sign == "-" else 1)
