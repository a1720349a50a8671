"""Positions as unit vectors, so that poles and the wrap of a longitude need no care."""

import numpy as np


def unit_vectors(lon, lat):
    """Return unit vectors, shape (3, ...), of longitudes and latitudes in deg."""
    lon, lat = np.radians(lon), np.radians(lat)
    vectors = np.empty((3, *np.broadcast(lon, lat).shape))
    # Intermediate images would take as long as the functions.
    x, y, z = (vectors[axis, ...] for axis in range(3))
    cos_lat = np.cos(lat, out=z)
    np.multiply(cos_lat, np.cos(lon), out=x)
    np.multiply(cos_lat, np.sin(lon), out=y)
    np.sin(lat, out=z)
    return vectors


def lonlat(vectors):
    """Return longitude in [0, 360) and latitude, in deg, of vectors of shape (3, ...)."""
    x, y, z = vectors
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def separation(vectors, center):
    """Return the angle in deg between unit vectors (3, ...) and one unit vector (3,).

    The half-chord form keeps full precision for small angles.
    """
    half_chord = 0.5 * np.sqrt(
        sum((v - c) ** 2 for v, c in zip(vectors, center, strict=True))
    )
    return np.degrees(2 * np.arcsin(np.clip(half_chord, None, 1)))


def offset_coordinates(vectors, ra, dec):
    """Return longitude (east positive) and latitude in deg in the frame centred on (ra, dec)."""
    lon, lat = np.radians(ra), np.radians(dec)
    center = unit_vectors(ra, dec)
    east = np.array([-np.sin(lon), np.cos(lon), 0.0])
    north = np.array(
        [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    )
    x, y, z = (np.tensordot(axis, vectors, axes=1) for axis in (center, east, north))
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
