"""Instrument responses: interpolation, and exact integrals over an energy band.

Nodes are the bin centres, geometric in energy. Between nodes the effective
area is linear in log E and in the offset; the background rate is log-linear in
log E and in the field-of-view position, that is, a power law in energy. Both are
integrated in closed form between the nodes and the edges of a band. The straight lines
continue from the outermost nodes to the outer bin edges.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gammastack.dl3.interpolation import (
    Response,
    centers,
    interpolation_matrix,
    line,
    log_centers,
)
from gammastack.dl3.spectrum import exponential_integral
from gammastack.errors import InputError

FOV_ALIGNMENTS = ("RADEC", "ALTAZ", "REVERSE_LON_RADEC", "REVERSED_LON_LAT")
# A log interpolation needs a value for empty bins: the smallest normal float32.
SMALLEST_RATE = float(np.finfo(np.float32).tiny)
# The rate in s-1 sr-1 of a band that has only empty bins is below this.
NO_RATE = 1e-15
# This is the limit in ln(rate) for half a bin.
LARGEST_STEP = 3.0
# Of ln(y), see `_integrals_log_log`: both ways are then right to 1e-12.
FLAT = 1e-3
# Positions are computed in blocks that stay in the processor's cache.
BLOCK = 8192


def _band_nodes(nodes, *bands):
    """Return the logarithms of the edges of bands and of the nodes between them, sorted."""
    edges = np.log(bands).ravel()
    inside = nodes[(nodes > edges.min()) & (nodes < edges.max())]
    return np.unique(np.concatenate([edges, inside]))


@dataclass(frozen=True)
class EffectiveArea2D(Response):
    """Effective area as a function of true energy and offset.

    Attributes
    ----------
    energy, offset : tuple of ndarray
        Lower and upper bin edges in TeV and deg.
    area : ndarray, shape (n_offset, n_energy)
        In m2. Negative values, which smoothing leaves near the threshold, count as 0.
    where : str
        File and HDU, for messages.
    """

    energy: tuple
    offset: tuple
    area: np.ndarray
    where: str = "aeff"

    def __post_init__(self):
        if not np.all(np.isfinite(self.area)):
            raise InputError(f"{self.where}: EFFAREA has values that are not finite")

    @property
    def n_negative(self):
        """Return the number of negative values."""
        return int(np.sum(self.area < 0))

    @cached_property
    def _area(self):
        return np.clip(self.area, 0, None)

    def _at_offset(self, by_offset, offset):
        """Interpolate values (..., n_offset) at the offset nodes to `offset` (n,)."""
        nodes = centers(self.offset)
        if len(nodes) == 1:
            return np.broadcast_to(by_offset, by_offset.shape[:-1] + offset.shape)
        lower, weight = line(nodes, offset)
        values = (1 - weight) * by_offset.take(lower, axis=-1)
        values += weight * by_offset.take(lower + 1, axis=-1)
        return np.maximum(values, 0, out=values)

    def evaluate(self, energy, offset):
        """Return the area (..., n) in m2 at energies (...) in TeV and offsets (n,) in deg."""
        energy = np.asarray(energy)
        weights = interpolation_matrix(log_centers(self.energy), np.log(energy.ravel()))
        area = self._at_offset(weights @ self._area.T, offset)
        return area.reshape(energy.shape + offset.shape)

    def integral(self, band, index, offset):
        """Integrate A(E, offset) (E / e_ref)^-index dE, e_ref the log centre of the band.

        Parameters
        ----------
        band : tuple of float
            Edges in TeV.
        index : float
            Spectral index, positive for a falling spectrum.
        offset : ndarray, shape (n,)
            In deg.

        Returns
        -------
        ndarray, shape (n,)
            In m2 TeV.
        """
        nodes = log_centers(self.energy)
        u = _band_nodes(nodes, band) - np.log(np.sqrt(band[0] * band[1]))
        e_ref = np.sqrt(band[0] * band[1])
        low, high = u[:-1], u[1:]
        # On a segment A = A_low + (A_high - A_low) t, t = (u - low) / (high - low).
        total = exponential_integral(1 - index, low, high)
        upper = _first_moment(1 - index, low, high)
        weights = np.zeros(len(u))
        weights[:-1] += total - upper
        weights[1:] += upper
        at_nodes = interpolation_matrix(nodes, u + np.log(e_ref))
        return self._at_offset(e_ref * (weights @ at_nodes @ self._area.T), offset)


def _first_moment(slope, low, high):
    """Integrate exp(slope u) (u - low) / (high - low) du.

    exp(slope low) (high - low) times the integral of t exp(z t) over [0, 1], which
    is (1 + (z - 1) exp(z)) / z^2; near z = 0 its series 1/2 + z/3 + z^2/8 + ...
    """
    z = np.asarray(slope * (high - low))
    small = np.abs(z) < 1e-3
    safe = np.where(small, 1.0, z)
    moment = np.where(
        small,
        1 / 2 + z / 3 + z**2 / 8 + z**3 / 30,
        (1 + (safe - 1) * np.exp(safe)) / safe**2,
    )
    return np.exp(slope * low) * (high - low) * moment


def _log_rate(rate):
    """Return the logarithm of a rate (n_energy, ...), with empty bins bridged in energy.

    The bridge between filled bins is linear in the log of the rate and in the bin number.
    Empty bins beyond the filled ones stay (nearly) empty.
    """
    log_rate = np.log(np.maximum(rate, SMALLEST_RATE))
    filled = rate > 0
    number = np.arange(len(rate)).reshape(-1, *[1] * (rate.ndim - 1))
    number = np.broadcast_to(number, rate.shape)
    below = np.maximum.accumulate(np.where(filled, number, -1))
    above = np.minimum.accumulate(np.where(filled, number, len(rate))[::-1])[::-1]
    hole = ~filled & (below >= 0) & (above < len(rate))
    lower, upper = below[hole], above[hole]
    places = np.nonzero(hole)[1:]
    weight = (number[hole] - lower) / (upper - lower)
    log_rate[hole] = (1 - weight) * log_rate[(lower, *places)] + weight * log_rate[
        (upper, *places)
    ]
    return log_rate


def _interpolate(nodes, log_rate, x):
    """Interpolate the log rate (n, ...) at the nodes to x along the first axis.

    Beyond the outermost nodes it grows by at most `LARGEST_STEP`, because the slope next to
    an empty bin means nothing.
    """
    if len(nodes) == 1:
        return np.broadcast_to(log_rate[0], (len(x), *log_rate.shape[1:]))
    lower, weight = line(nodes, x)
    weight = weight.reshape(-1, *[1] * (log_rate.ndim - 1))
    return _on_line(log_rate[lower], log_rate[lower + 1], weight)


def _on_line(low, high, weight):
    value = (1 - weight) * low
    value += weight * high
    # The limit is needed only beyond the nodes.
    if np.any((weight < 0) | (weight > 1)):
        np.minimum(value, np.maximum(low, high) + LARGEST_STEP, out=value)
    return value


def _integrals_log_log(log_rate, u, bands):
    """Integrate power-law segments over E; log_rate (n, m) at log energies u (n,).

    With y = E * rate, a segment is ln(E_high / E_low) times the logarithmic mean of y at its
    ends, (y_high - y_low) / ln(y_high / y_low).

    Returns
    -------
    ndarray, shape (n_bands, m)
        Integrals over bands, whose edges must be among the energies.
    """
    log_y = log_rate + u[:, None]
    y = np.exp(log_y)
    rise = np.diff(log_y, axis=0)
    # Where y hardly changes, the quotient would round much, and a series does not.
    flat = np.abs(rise) < FLAT
    with np.errstate(invalid="ignore"):
        segments = np.diff(y, axis=0) / rise
    if flat.any():
        z = rise[flat]
        segments[flat] = y[:-1][flat] * (1 + z / 2 + z**2 / 6 + z**3 / 24)
    segments *= np.diff(u)[:, None]
    rates = np.array(
        [
            segments[slice(*np.searchsorted(u, np.log(band)))].sum(axis=0)
            for band in bands
        ]
    )
    return np.where(rates > NO_RATE, rates, 0.0)


class _Background(Response):
    """Treatment of energy that `Background2D` and `Background3D` share."""

    def _require_rate(self):
        if not np.all(np.isfinite(self.rate)) or np.any(self.rate < 0):
            raise InputError(
                f"{self.where}: the background rate has negative values, or values that"
                " are not finite"
            )

    @cached_property
    def _log_rate(self):
        return _log_rate(self.rate)

    def band_rates(self, bands, lon, lat):
        """Return the rates in s-1 sr-1 in several bands at once, at positions (n,).

        Parameters
        ----------
        bands : sequence of tuple of float
            In TeV.
        lon, lat : ndarray, shape (n,)
            In deg.

        Returns
        -------
        ndarray, shape (n_bands, n)
        """
        nodes = log_centers(self.energy)
        u = _band_nodes(nodes, *bands)
        at_nodes = _interpolate(nodes, self._log_rate, u)
        rates = np.empty((len(bands), len(lon)))
        for start in range(0, len(lon), BLOCK):
            block = slice(start, start + BLOCK)
            log_rate = self._at_position(at_nodes, lon[block], lat[block])
            rates[:, block] = _integrals_log_log(log_rate, u, bands)
        return rates

    def band_rate(self, band, lon, lat):
        """Return the rate in s-1 sr-1 in a band (TeV) at positions (n,) in deg."""
        return self.band_rates([band], lon, lat)[0]


@dataclass(frozen=True)
class Background2D(_Background):
    """Background rate as a function of reconstructed energy and offset.

    Attributes
    ----------
    energy, offset : tuple of ndarray
        Lower and upper bin edges in TeV and deg.
    rate : ndarray, shape (n_energy, n_offset)
        Per ontime, in s-1 TeV-1 sr-1.
    where : str
        File and HDU, for messages.
    """

    energy: tuple
    offset: tuple
    rate: np.ndarray
    where: str = "bkg"

    alignment = "RADEC"

    @property
    def is_centred(self):
        """Return whether it begins at the pointing."""
        low, high = self.offset
        return bool(low[0] <= (high[0] - low[0]) / 2)

    def __post_init__(self):
        self._require_rate()

    @property
    def solid_angles(self):
        """Return the solid angles (n_offset,) of the bins in sr."""
        low, high = np.radians(self.offset)
        return 2 * np.pi * (np.cos(low) - np.cos(high))

    def _at_position(self, log_rate, lon, lat):
        """Interpolate the log rate (n, n_offset) to positions (m,)."""
        offset = np.degrees(
            np.arccos(np.cos(np.radians(lon)) * np.cos(np.radians(lat)))
        )
        return _interpolate(centers(self.offset), log_rate.T, offset).T


@dataclass(frozen=True)
class Background3D(_Background):
    """Background rate as a function of reconstructed energy and field-of-view position.

    Attributes
    ----------
    energy, lon, lat : tuple of ndarray
        Lower and upper bin edges in TeV and deg.
    rate : ndarray, shape (n_energy, n_lon, n_lat)
        Per ontime, in s-1 TeV-1 sr-1.
    alignment : str
        One of `FOV_ALIGNMENTS`.
    where : str
        File and HDU, for messages.
    """

    energy: tuple
    lon: tuple
    lat: tuple
    rate: np.ndarray
    alignment: str = "RADEC"
    where: str = "bkg"

    def __post_init__(self):
        self._require_rate()
        if min(self.rate.shape[1:]) < 2:
            raise InputError(f"{self.where}: DETX and DETY need two bins or more")
        if self.alignment not in FOV_ALIGNMENTS:
            raise InputError(
                f"{self.where}: FOVALIGN = {self.alignment} is not known; it must be one"
                f" of {', '.join(FOV_ALIGNMENTS)}"
            )

    @property
    def is_centred(self):
        """Return whether it reaches equally far to opposite sides."""
        return all(
            abs(low[0] + high[-1]) <= (high[0] - low[0]) / 2
            for low, high in (self.lon, self.lat)
        )

    @property
    def offset_max(self):
        """Return the largest offset in deg that it covers in all directions."""
        (west, east), (south, north) = self.lon, self.lat
        return float(min(-west[0], east[-1], -south[0], north[-1]))

    @property
    def solid_angles(self):
        """Return the solid angles (n_lon, n_lat) of the bins in sr."""
        (west, east), (south, north) = np.radians(self.lon), np.radians(self.lat)
        return np.outer(east - west, np.sin(north) - np.sin(south))

    def _at_position(self, log_rate, lon, lat):
        """Interpolate the log rate (n, n_lon, n_lat) to positions (m,)."""
        i, wx = line(centers(self.lon), lon)
        j, wy = line(centers(self.lat), lat)
        flat, n_lat = log_rate.reshape(len(log_rate), -1), log_rate.shape[-1]
        corner = i * n_lat + j
        low, high = (
            _on_line(flat.take(first, axis=1), flat.take(first + 1, axis=1), wy)
            for first in (corner, corner + n_lat)
        )
        return _on_line(low, high, wx)
