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
from scipy.special import exprel

from gammastack.dl3.spectrum import exponential_integral
from gammastack.errors import InputError, NotCoveredError

FOV_ALIGNMENTS = ("RADEC", "ALTAZ", "REVERSE_LON_RADEC", "REVERSED_LON_LAT")
# A log interpolation needs a value for empty bins: the smallest normal float32.
SMALLEST_RATE = float(np.finfo(np.float32).tiny)
# The rate in s-1 sr-1 of a band that has only empty bins is below this.
NO_RATE = 1e-15
# This is the limit in ln(rate) for half a bin.
LARGEST_STEP = 3.0
# Edges in files are often float32.
EDGE_TOLERANCE = 1e-6
# Positions are computed in blocks that stay in the processor's cache.
BLOCK = 4096


def _line(nodes, x):
    """Return lower nodes, and weights of the upper nodes, for lines between and beyond nodes."""
    lower = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    return lower, (x - nodes[lower]) / (nodes[lower + 1] - nodes[lower])


def _interpolation_matrix(nodes, x):
    """Return the matrix (len(x), len(nodes)) of a piecewise linear interpolation."""
    matrix = np.zeros((len(x), len(nodes)))
    if len(nodes) == 1:
        matrix[:] = 1
        return matrix
    lower, weight = _line(nodes, x)
    rows = np.arange(len(x))
    matrix[rows, lower] = 1 - weight
    matrix[rows, lower + 1] = weight
    return matrix


def _log_centers(axis):
    low, high = axis
    return np.log(np.sqrt(low * high))


def _centers(axis):
    low, high = axis
    return (low + high) / 2


def _band_nodes(log_centers, band):
    """Return the logarithms of the band's edges and of the nodes between them."""
    low, high = np.log(band)
    inside = log_centers[(log_centers > low) & (log_centers < high)]
    return np.concatenate([[low], inside, [high]])


def _require_band(axis, band, where):
    low, high = axis[0][0], axis[1][-1]
    if band[0] < low * (1 - EDGE_TOLERANCE) or band[1] > high * (1 + EDGE_TOLERANCE):
        raise NotCoveredError(
            f"{where}: energy_bands: {band[0]:g} TeV to {band[1]:g} TeV is not inside the"
            f" energy axis of the response, {low:g} TeV to {high:g} TeV"
        )


def _require_offset(largest, offset_max, where):
    if offset_max > largest * (1 + EDGE_TOLERANCE):
        raise NotCoveredError(
            f"{where}: offset_band: {offset_max:g} deg is beyond the response, which ends"
            f" at {largest:g} deg"
        )


@dataclass(frozen=True)
class EffectiveArea2D:
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

    @property
    def offset_max(self):
        """Return the largest offset in deg that it covers."""
        return float(self.offset[1][-1])

    def require(self, band, offset_max):
        """Raise `NotCoveredError` if a band in TeV or an offset in deg is not covered."""
        _require_band(self.energy, band, self.where)
        _require_offset(self.offset_max, offset_max, self.where)

    def _at_offset(self, by_offset, offset):
        """Interpolate values (n_offset, ...) at the offset nodes to `offset` (n,)."""
        nodes = _centers(self.offset)
        if len(nodes) == 1:
            return np.broadcast_to(by_offset[0], offset.shape)
        lower, weight = _line(nodes, offset)
        values = (1 - weight) * by_offset[lower] + weight * by_offset[lower + 1]
        return np.clip(values, 0, None)

    def evaluate(self, energy, offset):
        """Return the area in m2 at one energy in TeV and offsets (n,) in deg."""
        weights = _interpolation_matrix(_log_centers(self.energy), np.log([energy]))[0]
        return self._at_offset(self._area @ weights, offset)

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
        centers = _log_centers(self.energy)
        u = _band_nodes(centers, band) - np.log(np.sqrt(band[0] * band[1]))
        e_ref = np.sqrt(band[0] * band[1])
        low, high = u[:-1], u[1:]
        # On a segment A = A_low + (A_high - A_low) t, t = (u - low) / (high - low).
        total = exponential_integral(1 - index, low, high)
        upper = _first_moment(1 - index, low, high)
        weights = np.zeros(len(u))
        weights[:-1] += total - upper
        weights[1:] += upper
        at_nodes = _interpolation_matrix(centers, u + np.log(e_ref))
        return self._at_offset(e_ref * (self._area @ (weights @ at_nodes)), offset)


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
    lower, weight = _line(nodes, x)
    weight = weight.reshape(-1, *[1] * (log_rate.ndim - 1))
    return _on_line(log_rate[lower], log_rate[lower + 1], weight)


def _on_line(low, high, weight):
    value = (1 - weight) * low
    value += weight * high
    # The limit is needed only beyond the nodes.
    if np.any((weight < 0) | (weight > 1)):
        np.minimum(value, np.maximum(low, high) + LARGEST_STEP, out=value)
    return value


def _integrate_log_log(log_rate, u):
    """Integrate power-law segments over E; log_rate (n, m) at log energies u (n,).

    With y = E * rate, a segment is y_low ln(E_high / E_low) exprel(ln(y_high / y_low)).
    """
    y = log_rate + u[:, None]
    segments = np.exp(y[:-1])
    segments *= np.diff(u)[:, None]
    segments *= exprel(np.diff(y, axis=0))
    # Numpy adds contiguous values in pairs, which rounds less.
    rate = np.ascontiguousarray(segments.T).sum(axis=-1)
    return np.where(rate > NO_RATE, rate, 0.0)


class _Background:
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

    def band_rate(self, band, lon, lat):
        """Return the rate in s-1 sr-1 in a band (TeV) at positions (n,) in deg."""
        centers = _log_centers(self.energy)
        u = _band_nodes(centers, band)
        at_nodes = _interpolate(centers, self._log_rate, u)
        rate = np.empty(len(lon))
        for start in range(0, len(lon), BLOCK):
            block = slice(start, start + BLOCK)
            log_rate = self._at_position(at_nodes, lon[block], lat[block])
            rate[block] = _integrate_log_log(log_rate, u)
        return rate


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
    def offset_max(self):
        """Return the largest offset in deg that it covers."""
        return float(self.offset[1][-1])

    def require(self, band, offset_max):
        """Raise `NotCoveredError` if a band in TeV or an offset in deg is not covered."""
        _require_band(self.energy, band, self.where)
        _require_offset(self.offset_max, offset_max, self.where)

    def _at_position(self, log_rate, lon, lat):
        """Interpolate the log rate (n, n_offset) to positions (m,)."""
        offset = np.degrees(
            np.arccos(np.cos(np.radians(lon)) * np.cos(np.radians(lat)))
        )
        return _interpolate(_centers(self.offset), log_rate.T, offset).T


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

    def require(self, band, offset_max):
        """Raise `NotCoveredError` if a band in TeV or an offset in deg is not covered."""
        _require_band(self.energy, band, self.where)
        _require_offset(self.offset_max, offset_max, self.where)

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

    def _at_position(self, log_rate, lon, lat):
        """Interpolate the log rate (n, n_lon, n_lat) to positions (m,)."""
        i, wx = _line(_centers(self.lon), lon)
        j, wy = _line(_centers(self.lat), lat)
        flat, n_lat = log_rate.reshape(len(log_rate), -1), log_rate.shape[-1]
        corner = i * n_lat + j
        low, high = (
            _on_line(flat.take(first, axis=1), flat.take(first + 1, axis=1), wy)
            for first in (corner, corner + n_lat)
        )
        return _on_line(low, high, wx)
