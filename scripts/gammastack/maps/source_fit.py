"""Position and width of a source, from the counts around a peak."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, xlogy

from gammastack.sky.kernels import elliptic_distance

# The counts in so many radii around the peak are fitted.
WINDOW = 2.5
# A fit beyond these limits, in radii, describes something else than the peak.
LARGEST_SHIFT = 1.5
WIDTHS = 0.05, 1.5
# A Gaussian that is narrower, in pixels, has its position anywhere in a pixel.
SMALLEST_WIDTH = 0.3
# Of the fit, in errors of the parameters
TOLERANCE = 1e-2
MOST_ITERATIONS = 50
# For numerical derivatives; lengths are in radii, width and counts are logarithms.
STEP = 1e-4
# P(r < RADIUS_68 sigma) = 68.27 % for a circular Gaussian: sqrt(-2 ln(1 - 0.6827))
RADIUS_68 = 1.5151728


class SourceFit(NamedTuple):
    """Result of `fit_source`.

    Attributes
    ----------
    converged : bool
        If it is false, the position is that of the peak, and the source is in the disk around it.
    x, y : float
        Zero-based pixel coordinates.
    covariance : ndarray, shape (2, 2)
        Of x and y.
    width, width_error : float
        Of the Gaussian, in radii of the disk; NaN if the fit has not converged.
    """

    converged: bool
    x: float
    y: float
    covariance: np.ndarray
    width: float
    width_error: float


def fit_source(counts, bkg, use, peak, radius):
    """Fit a Gaussian on top of a known background to the counts around a peak.

    Maximum of the Poisson likelihood of the pixels, Cash (1979), DOI 10.1086/156922. The
    Gaussian is circular in units of the radius, and is integrated over each pixel; position, width
    and number of counts are free. The errors, see `sandwich_covariance`, take the scatter of
    Poisson counts for that of the slopes: with the curvature alone those of weak sources would
    be some percent too small. The exposure counts as constant: this is exact for a point source,
    whose image is the point spread function.

    Parameters
    ----------
    counts, bkg : ndarray, shape (ny, nx)
        Of each pixel, not summed in disks. The background has no error, also that of a ring.
    use : ndarray of bool, shape (ny, nx)
        Pixels that count; those without a background do not.
    peak : tuple of int
        Its column and row.
    radius : tuple of float
        Radius of the correlation disk in pixels along x and y.

    Returns
    -------
    SourceFit
    """
    # It is slow to import, and many fields have no peak to fit.
    from scipy.optimize import minimize

    radius = tuple(max(length, 0.5) for length in radius)
    near = pixels_around(counts.shape, peak, radius)
    n, mu = counts[near].astype(float), bkg[near]
    columns, rows = np.arange(*_edges(near[1])), np.arange(*_edges(near[0]))
    x, y = (columns - peak[0]) / radius[0], (rows - peak[1]) / radius[1]
    use = use[near] & (mu > 0) & (np.hypot(x, y[:, None]) <= WINDOW)
    n, mu = n[use], mu[use]
    halves = 0.5 / radius[0], 0.5 / radius[1]

    def model(parameters):
        along_x, along_y = (
            _in_pixels(axis, center, parameters[2], half)
            for axis, center, half in zip((x, y), parameters, halves, strict=False)
        )
        signal, shift_x, shift_y, widen_x, widen_y = np.exp(parameters[3]) * np.stack(
            [
                np.outer(along_y[0], along_x[0])[use],
                np.outer(along_y[0], along_x[1])[use],
                np.outer(along_y[1], along_x[0])[use],
                np.outer(along_y[0], along_x[2])[use],
                np.outer(along_y[2], along_x[0])[use],
            ]
        )
        return mu + signal, np.stack([shift_x, shift_y, widen_x + widen_y, signal])

    def cash(parameters):
        expected, slopes = model(parameters)
        return np.sum(expected - xlogy(n, expected)), slopes @ (1 - n / expected)

    def information(parameters):
        expected, slopes = model(parameters)
        return (slopes / expected) @ slopes.T

    start = np.array([0, 0, np.log(0.6), np.log(max(1, np.sum(n - mu)))])
    failed = SourceFit(False, *map(float, peak), _somewhere(radius), np.nan, np.nan)
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            found = minimize(
                *(cash, start),
                jac=True,
                hess=information,
                method="trust-exact",
                options={"maxiter": MOST_ITERATIONS},
            )
        covariance = sandwich_covariance(found.x, lambda at: cash(at)[1], information)
    except (np.linalg.LinAlgError, ValueError):
        return failed
    dx, dy, log_width, _ = found.x
    width, errors = np.exp(log_width), np.sqrt(np.diag(covariance))
    distance = found.jac @ covariance @ found.jac
    within = (
        distance < TOLERANCE**2
        and np.hypot(dx, dy) <= LARGEST_SHIFT
        and WIDTHS[0] <= width <= WIDTHS[1]
        and width * min(radius) >= SMALLEST_WIDTH
        and errors[:2].max() < 1
    )
    x, y = peak[0] + dx * radius[0], peak[1] + dy * radius[1]
    ny, nx = counts.shape
    if not (within and -0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        return failed
    scale = np.diag(radius)
    return SourceFit(
        True,
        x,
        y,
        scale @ covariance[:2, :2] @ scale,
        width,
        width * errors[2],
    )


def sandwich_covariance(parameters, slopes, information):
    """Return the covariance of parameters at the maximum of a likelihood.

    White (1982), DOI 10.2307/1912526: the inverse of the curvature, on both sides of the
    covariance of the slopes.

    Parameters
    ----------
    parameters : ndarray, shape (n,)
    slopes : callable
        First derivatives of minus its logarithm, at given parameters.
    information : callable
        Their covariance.

    Raises
    ------
    numpy.linalg.LinAlgError
        If it is no maximum, or the parameters are not determined.
    """
    steps = STEP * np.eye(len(parameters))
    curvature = [
        (slopes(parameters + step) - slopes(parameters - step)) / (2 * STEP)
        for step in steps
    ]
    curvature = (np.array(curvature) + np.transpose(curvature)) / 2
    inverse = np.linalg.inv(curvature)
    covariance = inverse @ information(parameters) @ inverse
    for matrix in (curvature, covariance):
        # It raises the error unless the matrix is positive definite.
        np.linalg.cholesky(matrix)
    return covariance


def pixels_around(shape, peak, radius):
    """Return the slices (y, x) of the pixels around a peak, given as column and row."""
    return tuple(
        slice(max(0, middle - half), max(0, min(size, middle + half + 1)))
        for size, middle, half in (
            (size, middle, int(WINDOW * length))
            for size, middle, length in zip(
                shape, peak[::-1], radius[::-1], strict=True
            )
        )
    )


def _edges(part):
    return part.start, part.stop


def _in_pixels(axis, center, log_width, half):
    """Integrate a Gaussian over pixels; also its derivatives to the centre and the log width."""
    width = np.exp(log_width)
    low, high = (axis - half - center) / width, (axis + half - center) / width
    at_low, at_high = (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) for z in (low, high))
    return (
        ndtr(high) - ndtr(low),
        (at_low - at_high) / width,
        low * at_low - high * at_high,
    )


def _somewhere(radius):
    """Return the covariance of a position with 68 % of its probability in the disk."""
    return np.diag(np.square(radius)) / RADIUS_68**2


def nearest_peak(shape, rows, columns, radius):
    """Return the number of the nearest peak for each pixel that is near any.

    Counts are those of one source alone: where two are near each other, each has the pixels
    that are nearest to it.

    Parameters
    ----------
    shape : tuple of int
    rows, columns : ndarray of int, shape (n_peaks,)
    radius : tuple of float
        In pixels along x and y.

    Returns
    -------
    ndarray of int, shape (ny, nx)
        -1 where no peak is near.
    """
    nearest, smallest = np.full(shape, -1), np.full(shape, np.inf)
    for number, peak in enumerate(zip(columns, rows, strict=True)):
        near = pixels_around(shape, peak, radius)
        y, x = np.ogrid[near]
        distance = elliptic_distance(x - peak[0], y - peak[1], radius)
        closer = distance < smallest[near]
        nearest[near][closer] = number
        smallest[near][closer] = distance[closer]
    return nearest
