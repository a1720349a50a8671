"""Background models made from the runs themselves, for stores without responses.

Runs of similar zenith angles are put into one histogram in energy and in the field of
view, without known sources. In each energy bin the logarithm of the rate is a
polynomial, fitted by maximum likelihood: in offset^2, as the radial acceptance of
H.E.S.S. (Aharonian et al. 2006, DOI 10.1051/0004-6361:20065351; Berge, Funk & Hinton
2007, DOI 10.1051/0004-6361:20066674), or in both field-of-view coordinates. The
logarithm is fitted so that no rate is negative.
"""

from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise

import numpy as np
from astropy.io import fits
from numpy.polynomial.legendre import legvander, legvander2d

from gammastack.dl3.irf import Background2D, Background3D
from gammastack.errors import InputError
from gammastack.regression import fit_log_rate
from gammastack.sky.sphere import lonlat, offset_coordinates, separation, unit_vectors

BINS_PER_DECADE = 8
# Points at this distance in deg sample which part of a bin is excluded.
POINT_DISTANCE = 0.02
# The fit has converged when ln(rate) changes by less than this.
CONVERGED = 1e-8
# Integrals over an energy bin have this relative accuracy.
INTEGRAL_TOLERANCE = 1e-6
INTEGRAL_STEPS = 200
MEV_PER_TEV = 1e6


@dataclass(frozen=True)
class FieldOfViewHistogram:
    """Events of one or more runs in energy and in the field of view, without sources.

    The longitude grows to the west and the latitude to the north, as with
    FOVALIGN = RADEC of GADF.

    Attributes
    ----------
    energy : ndarray, shape (n_energy + 1,)
        Edges in TeV.
    fov : ndarray, shape (n_fov + 1,)
        Edges of longitude and of latitude in deg, symmetric.
    offset_max : float
        In deg: only events and sky closer to the pointing count.
    counts : ndarray of int, shape (n_energy, n_fov, n_fov)
        By energy, longitude and latitude.
    exposure : ndarray, shape (n_fov, n_fov)
        Ontime times solid angle that is not excluded, in s sr.
    moments : ndarray, shape (2, n_fov, n_fov)
        Exposure times mean longitude and mean latitude of that sky, in s sr deg.
    ontime : float
        In s.
    n_obs : int
    """

    energy: np.ndarray
    fov: np.ndarray
    offset_max: float
    counts: np.ndarray
    exposure: np.ndarray
    moments: np.ndarray
    ontime: float
    n_obs: int

    def __add__(self, other):
        axes = (self.energy, self.fov), (other.energy, other.fov)
        if self.offset_max != other.offset_max or not all(map(np.array_equal, *axes)):
            raise InputError(
                "acceptance: histograms with different axes cannot be added"
            )
        keys = ("counts", "exposure", "moments", "ontime", "n_obs")
        sums = {key: getattr(self, key) + getattr(other, key) for key in keys}
        return replace(self, **sums)

    @classmethod
    def empty(cls, energy, offset_max, binsz=0.1):
        """Return the histogram of no run, see `run_histogram`."""
        fov = _fov_edges(offset_max, binsz)
        shape = len(fov) - 1, len(fov) - 1
        counts = np.zeros((len(energy) - 1, *shape), int)
        exposure, moments = np.zeros(shape), np.zeros((2, *shape))
        return cls(energy, fov, offset_max, counts, exposure, moments, 0.0, 0)

    @property
    def filled(self):
        """Return which bins (n_fov, n_fov) have exposure."""
        return self.exposure > 0

    @property
    def positions(self):
        """Return the mean longitude and latitude in deg in the filled bins, (2, n_filled)."""
        return self.moments[:, self.filled] / self.exposure[self.filled]


def sum_histograms(histograms):
    """Sum the histograms of one or more runs."""
    return reduce(FieldOfViewHistogram.__add__, histograms)


def energy_edges(bands, per_decade=BINS_PER_DECADE):
    """Return energy bins, as edges in TeV, that include all edges of the bands.

    Parameters
    ----------
    bands : sequence of tuple of float
        In TeV.
    per_decade : float
        Approximate number of bins per decade, equal in log E between the edges of the bands.
    """
    corners = np.unique(bands)
    pieces = [
        np.geomspace(low, high, 1 + max(1, round(per_decade * np.log10(high / low))))
        for low, high in pairwise(corners)
    ]
    return np.unique(np.concatenate(pieces))


def run_histogram(observation, geometry, mask, energy, offset_max, binsz=0.1):
    """Count the events of a run in good time that are not on excluded pixels.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation
    geometry : gammastack.sky.geometry.ImageGeometry
    mask : ndarray of bool, shape geometry.shape
        True = use. Sky beyond the image is used.
    energy : ndarray, shape (n_energy + 1,)
        Edges in TeV.
    offset_max : float
        In deg.
    binsz : float
        Width of the bins in the field of view in deg.

    Returns
    -------
    FieldOfViewHistogram
    """
    ra, dec = observation.pointing.ra, observation.pointing.dec
    fov = _fov_edges(offset_max, binsz)
    exposure, moments = _exposure(fov, ra, dec, geometry, mask, offset_max)

    events = observation.events
    vectors = unit_vectors(events.ra, events.dec)
    use = observation.gti.contains(events.time)
    use &= separation(vectors, unit_vectors(ra, dec)) < offset_max
    use &= (events.energy >= energy[0]) & (events.energy < energy[-1])
    use[use] = _usable(geometry, mask, events.ra[use], events.dec[use])
    east, north = offset_coordinates(vectors[:, use], ra, dec)
    sample = ((energy, events.energy[use]), (fov, -east), (fov, north))
    shape = tuple(len(edges) - 1 for edges, _ in sample)
    places = [np.searchsorted(edges, x, side="right") - 1 for edges, x in sample]
    places = np.ravel_multi_index(places, shape, mode="clip")
    counts = np.bincount(places, minlength=np.prod(shape)).reshape(shape)
    # The part of a bin that is not excluded may lie between the points.
    counts = np.where(exposure > 0, counts, 0)

    ontime = observation.ontime
    return FieldOfViewHistogram(
        energy, fov, offset_max, counts, ontime * exposure, ontime * moments, ontime, 1
    )


def _fov_edges(offset_max, binsz):
    """Return the edges of the bins along longitude and latitude in deg."""
    half = int(np.ceil(offset_max / binsz - 1e-9))
    return binsz * np.arange(-half, half + 1)


def _usable(geometry, mask, ra, dec):
    """Return whether positions (n,) are on pixels with mask = True, or beyond the image."""
    rows, columns, inside = geometry.pixel_index(ra, dec)
    usable = np.ones(len(ra), dtype=bool)
    usable[inside] = mask[rows, columns]
    return usable


def _exposure(fov, ra, dec, geometry, mask, offset_max):
    """Return the usable solid angle in sr per bin, alone and times its mean position in deg."""
    n, per_bin = len(fov) - 1, int(np.ceil((fov[1] - fov[0]) / POINT_DISTANCE - 1e-9))
    edges = np.linspace(fov[0], fov[-1], n * per_bin + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    width = np.radians(edges[1] - edges[0])
    lon, lat = (axis.ravel() for axis in np.meshgrid(middle, middle, indexing="ij"))
    solid_angle = np.tile(width * np.diff(np.sin(np.radians(edges))), len(middle))

    center, to_east, to_north = (
        unit_vectors(ra, dec),
        unit_vectors(ra + 90, 0.0),
        unit_vectors(ra, dec + 90),
    )
    axes = np.stack([center, to_east, to_north], axis=1)
    near = _offset(lon, lat) < offset_max
    vectors = axes @ unit_vectors(-lon[near], lat[near])
    use = near.copy()
    use[near] = _usable(geometry, mask, *lonlat(vectors))
    points = np.where(use, solid_angle, 0.0) * np.stack([np.ones(len(lon)), lon, lat])
    exposure, *moments = points.reshape(3, n, per_bin, n, per_bin).sum(axis=(2, 4))
    return exposure, np.stack(moments)


def _offset(lon, lat):
    """Return the angle in deg to the centre of the field of view."""
    return np.degrees(np.arccos(np.cos(np.radians(lon)) * np.cos(np.radians(lat))))


def n_events_needed(shape, degree):
    """Return how many events a fit needs per energy bin: ten per polynomial term."""
    n_terms = degree + 1 if shape == "radial" else (degree + 1) * (degree + 2) // 2
    return 10 * n_terms


def merge_energy_bins(histogram, bands, n_min=100):
    """Merge neighbouring energy bins until each has enough events.

    The poorest bin is merged with the poorer of its neighbours, and across the edge of a
    band only if there is no other neighbour.

    Parameters
    ----------
    histogram : FieldOfViewHistogram
    bands : sequence of tuple of float
        In TeV; their edges are among the edges of the histogram.
    n_min : int
        Number of events that each bin needs.

    Raises
    ------
    InputError
        If a band has fewer events, or no sky is left.
    """
    _require_exposure(histogram)
    edges, counts = histogram.energy, histogram.counts.sum(axis=(1, 2))
    for low, high in bands:
        in_band = (edges[:-1] >= low) & (edges[1:] <= high)
        if (n := counts[in_band].sum()) < n_min:
            raise InputError(
                f"acceptance: {n} events from {low:g} TeV to {high:g} TeV outside the"
                f" exclusions in {histogram.n_obs} runs, {n_min} are needed. Use wider"
                " zenith_bins, more runs or a wider band, or a lower degree."
            )
    corners = np.unique(bands)
    starts, counts = list(range(len(counts))), counts.tolist()
    while len(counts) > 1 and min(counts) < n_min:
        poorest = int(np.argmin(counts))
        # A join has: whether it crosses an edge, the events of its partner, its place.
        joins = [
            (edges[starts[upper]] in corners, counts[partner], upper)
            for upper, partner in ((poorest, poorest - 1), (poorest + 1, poorest + 1))
            if 0 < upper < len(counts)
        ]
        *_, upper = min(joins)
        counts[upper - 1] += counts.pop(upper)
        del starts[upper]
    return replace(
        histogram,
        energy=edges[[*starts, -1]],
        counts=np.add.reduceat(histogram.counts, starts, axis=0),
    )


def _require_exposure(histogram):
    if not histogram.filled.any():
        raise InputError(
            "acceptance: the exclusions leave no sky in the field of view of any of"
            f" {histogram.n_obs} runs; make them smaller, or add runs that point elsewhere"
        )


def _radial_basis(offset, degree):
    """Return polynomials (n, n_terms) in offset^2, the constant first; offset_max is 1.

    They are Legendre polynomials, because high powers would be nearly the same.
    """
    return legvander(2 * offset**2 - 1, degree)


def _plane_basis(lon, lat, degree):
    """Return polynomials (..., n_terms) in both coordinates, like `_radial_basis`."""
    orders = np.add.outer(np.arange(degree + 1), np.arange(degree + 1)).ravel()
    return legvander2d(lon, lat, [degree, degree])[..., orders <= degree]


def fit_acceptance(histogram, shape, degree):
    """Fit a background model: a polynomial for the logarithm of the rate in each energy bin.

    Parameters
    ----------
    histogram : FieldOfViewHistogram
        Each energy bin should have many more events than the polynomial has terms, see
        `merge_energy_bins`.
    shape : {"radial", "2d"}
    degree : int
        Highest power of offset^2, or of both field-of-view coordinates together.

    Returns
    -------
    gammastack.dl3.irf.Background2D or gammastack.dl3.irf.Background3D
        Its integral over each energy bin of the histogram gives the counts there.
        Beyond `offset_max` (in two dimensions, one cell further out) the rate is constant.

    Raises
    ------
    InputError
        If there is no sky or no event to fit, or the fit has no solution.
    """
    _require_exposure(histogram)
    model_of = {"radial": _radial_model, "2d": _plane_model}
    if shape not in model_of:
        raise InputError(f"acceptance: shape '{shape}' is not one of radial, 2d")
    return _with_integrals(model_of[shape](histogram, degree), histogram)


def _radial_model(histogram, degree):
    rim, n = histogram.offset_max, len(histogram.fov) // 2
    basis = _radial_basis(_offset(*histogram.positions) / rim, degree)
    # The last node but one is on the rim: the model needs no value beyond it.
    edges = rim / (n - 0.5) * np.arange(n + 2)
    nodes = np.minimum((edges[:-1] + edges[1:]) / 2, rim)
    rate = np.exp(_poisson_fit(basis, histogram) @ _radial_basis(nodes / rim, degree).T)
    width = np.diff(histogram.energy)[:, None]
    return Background2D(_axis(histogram.energy), _axis(edges), rate / width)


def _plane_model(histogram, degree):
    rim, n = histogram.offset_max, len(histogram.fov) // 2
    basis = _plane_basis(*histogram.positions / rim, degree)
    edges = rim / n * (np.arange(2 * n + 2) - n - 0.5)
    x, y = np.meshgrid(*2 * [np.arange(-n, n + 1) / n], indexing="ij")
    # Cells that the rim cuts are also interpolated from nodes beyond it, up to a diagonal.
    shrink = np.maximum(np.hypot(x, y) / (1 + np.sqrt(2) / n), 1)
    at_nodes = _plane_basis(x / shrink, y / shrink, degree)
    rate = np.exp(np.tensordot(_poisson_fit(basis, histogram), at_nodes, (1, 2)))
    width = np.diff(histogram.energy)[:, None, None]
    fov = _axis(edges)
    return Background3D(_axis(histogram.energy), fov, fov, rate / width)


def _axis(edges):
    """Return the lower and upper edges."""
    return edges[:-1], edges[1:]


def _poisson_fit(basis, histogram):
    """Fit the coefficients (n_energy, n_terms) of the log rate per energy bin, in s-1 sr-1.

    Parameters
    ----------
    basis : ndarray, shape (n_filled, n_terms)
        Terms at the filled bins, the constant first.
    histogram : FieldOfViewHistogram
    """
    exposure = histogram.exposure[histogram.filled]
    counts = histogram.counts[:, histogram.filled]
    if not counts.any(axis=1).all():
        raise InputError(
            "acceptance: an energy bin without events; merge it with others"
        )
    try:
        return fit_log_rate(counts, exposure, basis, CONVERGED)[0]
    except np.linalg.LinAlgError:
        raise InputError(
            f"acceptance: the fit of a polynomial with {basis.shape[1]} terms has no"
            " solution: too few events, or too much of the field of view is excluded."
            " Lower the degree, or use wider zenith bins."
        ) from None


def expected_counts(model, histogram):
    """Predict the counts (n_energy, n_fov, n_fov) in the bins of a histogram with a model."""
    lon, lat = histogram.positions
    counts = np.zeros(histogram.counts.shape)
    counts[:, histogram.filled] = histogram.exposure[histogram.filled] * [
        model.band_rate(band, lon, lat) for band in pairwise(histogram.energy)
    ]
    return counts


def _with_integrals(model, histogram):
    """Scale the model in each energy bin so that its integral gives the counts there.

    Counts over bin width is the mean rate, while the model is a power law between
    the geometric centres of the bins: for a steep spectrum in wide bins they differ
    by tens of percent. Because an integral also depends on the neighbouring bins, this is
    repeated until none changes.
    """
    observed = histogram.counts.sum(axis=(1, 2))
    for _ in range(INTEGRAL_STEPS):
        factor = observed / expected_counts(model, histogram).sum(axis=(1, 2))
        if np.abs(factor - 1).max() < INTEGRAL_TOLERANCE:
            return model
        factor = factor.reshape(-1, *[1] * (model.rate.ndim - 1))
        model = replace(model, rate=model.rate * factor)
    raise InputError(
        "acceptance: no spectrum of power laws between the energy bins gives their counts;"
        " merge bins until each has more events"
    )


def acceptance_hdu(model, cards=()):
    """Return the table HDU of a model in the format of GADF v0.3, DOI 10.5281/zenodo.7304668.

    Parameters
    ----------
    model : gammastack.dl3.irf.Background2D or gammastack.dl3.irf.Background3D
    cards : iterable of (key, value, comment)
        Additional header cards.

    Returns
    -------
    astropy.io.fits.BinTableHDU
    """
    if isinstance(model, Background2D):
        kind, axes = "BKG_2D", {"THETA": model.offset}
    else:
        kind, axes = "BKG_3D", {"DETX": model.lon, "DETY": model.lat}
    units = {"ENERG": "TeV", "THETA": "deg", "DETX": "deg", "DETY": "deg"}
    columns = [
        fits.Column(f"{name}_{end}", f"{len(edges)}D", units[name], array=edges[None])
        for name, low_high in {"ENERG": model.energy, **axes}.items()
        for end, edges in zip(("LO", "HI"), low_high, strict=True)
    ]
    # In FITS the axis named first is the fastest one, in an array the last.
    rate = model.rate.T / MEV_PER_TEV
    columns.append(
        fits.Column(
            "BKG",
            f"{rate.size}D",
            "s-1 MeV-1 sr-1",
            dim=str(rate.shape[::-1]).replace(" ", ""),
            array=rate[None],
        )
    )
    hdu = fits.BinTableHDU.from_columns(columns, name="BKG")
    hdu.header.update(
        {
            "HDUCLASS": "GADF",
            "HDUVERS": "0.3",
            "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
            "HDUCLAS1": "RESPONSE",
            "HDUCLAS2": "BKG",
            "HDUCLAS3": "FULL-ENCLOSURE",
            "HDUCLAS4": kind,
            "FOVALIGN": model.alignment,
        }
    )
    for card in cards:
        hdu.header.set(*card)
    return hdu
