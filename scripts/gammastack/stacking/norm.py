"""Norm of the background model of a run: counts over model outside the exclusions."""

from dataclasses import dataclass

import numpy as np

from gammastack.regression import fit_log_rate

# A norm that is further from the others than this, in standard deviations, is an outlier
OUTLIER = 5.0

# This is the median absolute deviation of a normal distribution of width 1.
MAD_PER_SIGMA = 0.6744897501960817

# The fit of a gradient has converged when the log of the norm changes by less.
CONVERGED = 1e-10


@dataclass(frozen=True)
class BkgNorm:
    """Norm of a background model.

    Attributes
    ----------
    scale, error : float
        Counts / model, and its Poisson error; NaN without model.
    n_counts : int
        Counts outside the exclusions.
    n_bkg : float
        Model counts outside the exclusions.
    gradient, gradient_error : tuple of float
        Growth of the log of the norm per deg to the east and to the north of the
        pointing, see `fit_bkg_gradient`.
    """

    scale: float
    error: float
    n_counts: int
    n_bkg: float
    gradient: tuple = (0.0, 0.0)
    gradient_error: tuple = (0.0, 0.0)

    @property
    def usable(self):
        """Return whether the scale is finite and positive."""
        return bool(np.isfinite(self.scale) and self.scale > 0)

    def apply(self, bkg, position=None):
        """Return the normalised background of pixels; a gradient needs their position in deg."""
        if position is None:
            return self.scale * bkg
        (east, north), (lon, lat) = self.gradient, position
        return self.scale * np.exp(east * lon + north * lat) * bkg


NO_NORM = BkgNorm(np.nan, np.nan, 0, np.nan)


def fit_bkg_norm(counts, bkg, mask):
    """Scale the background model of a run to its counts outside the exclusions.

    Parameters
    ----------
    counts, bkg : ndarray, shape (ny, nx)
        Zero in pixels that the run does not cover.
    mask : ndarray of bool, shape (ny, nx)
        True = use.

    Returns
    -------
    BkgNorm
    """
    n_counts, n_bkg = int(np.sum(counts[mask])), float(np.sum(bkg[mask]))
    if not n_bkg > 0:
        return BkgNorm(np.nan, np.nan, n_counts, n_bkg)
    return BkgNorm(n_counts / n_bkg, np.sqrt(n_counts) / n_bkg, n_counts, n_bkg)


def fit_bkg_gradient(counts, bkg, mask, lon, lat):
    """Scale the model, and tilt it linearly across the field of view.

    Maximum of the Poisson likelihood of ``scale exp(east lon + north lat) bkg``. The
    fitted counts outside the exclusions are those observed.

    Parameters
    ----------
    counts, bkg, mask
        As in `fit_bkg_norm`.
    lon, lat : ndarray, shape (ny, nx)
        Field-of-view position in deg, to the east and to the north.

    Returns
    -------
    BkgNorm
        NaN if there are too few counts for a fit.
    """
    norm = fit_bkg_norm(counts, bkg, mask)
    use = mask & (bkg > 0)
    basis = np.stack([np.ones(np.count_nonzero(use)), lon[use], lat[use]], axis=1)
    try:
        (parameters,), (information,) = fit_log_rate(
            counts[use][None], bkg[use], basis, CONVERGED
        )
        error = np.sqrt(np.diag(np.linalg.inv(information)))
    except np.linalg.LinAlgError:
        return BkgNorm(np.nan, np.nan, norm.n_counts, norm.n_bkg)
    scale = float(np.exp(parameters[0]))
    return BkgNorm(
        scale,
        float(scale * error[0]),
        norm.n_counts,
        norm.n_bkg,
        tuple(parameters[1:].tolist()),
        tuple(error[1:].tolist()),
    )


def norm_pulls(scale, error):
    """Return how far each norm is from the median of all, and which ones are outliers.

    Parameters
    ----------
    scale, error : ndarray, shape (n_runs,)

    Returns
    -------
    pull : ndarray, shape (n_runs,)
        Distance to the median over the error and the scatter of the norms (1.4826 times
        the median absolute deviation) together.
    outlier : ndarray of bool, shape (n_runs,)
    """
    if not len(scale):
        return np.zeros(0), np.zeros(0, bool)
    distance = scale - np.median(scale)
    scatter = np.median(np.abs(distance)) / MAD_PER_SIGMA
    spread = np.hypot(error, scatter)
    pull = np.divide(distance, spread, out=np.zeros(len(scale)), where=spread > 0)
    return pull, np.abs(pull) > OUTLIER
