"""Regression of Poisson counts with logarithmic link."""

import numpy as np

# A step of Newton's method changes the log of the rate by no more than this.
LARGEST_STEP = 2.0
NEWTON_STEPS = 100


def fit_log_rate(counts, exposure, basis, tolerance):
    """Fit the log of the rate as a sum of terms, to one or more sets of counts.

    Newton's method for the likelihood of Poisson counts with mean
    exposure * exp(basis @ coefficients), which is concave: a generalised linear model,
    McCullagh & Nelder (1989), DOI 10.1007/978-1-4899-3242-6. The fitted counts of a set
    sum up to the observed ones.

    Parameters
    ----------
    counts : ndarray, shape (n_sets, n_bins)
    exposure : ndarray, shape (n_bins,)
    basis : ndarray, shape (n_bins, n_terms)
        The constant first.
    tolerance : float
        A step that changes no log of a rate by more counts as none.

    Returns
    -------
    coefficients : ndarray, shape (n_sets, n_terms)
    information : ndarray, shape (n_sets, n_terms, n_terms)
        Inverse of their covariance.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a set has no counts, or the likelihood no maximum.
    """
    if not (total := counts.sum(axis=1)).all():
        raise np.linalg.LinAlgError("no counts")
    if np.linalg.matrix_rank(basis) < basis.shape[1]:
        raise np.linalg.LinAlgError("terms that are not independent")
    coefficients = np.zeros((len(counts), basis.shape[1]))
    coefficients[:, 0] = np.log(total / exposure.sum())
    for _ in range(NEWTON_STEPS):
        mean = exposure * np.exp(coefficients @ basis.T)
        gradient = (counts - mean) @ basis
        information = basis.T @ (mean[:, :, None] * basis)
        step = np.linalg.solve(information, gradient[..., None])[..., 0]
        largest = np.abs(step @ basis.T).max(axis=1)
        if largest.max() < tolerance:
            return coefficients, information
        # Far from the maximum a whole step may lead beyond it
        shorter = LARGEST_STEP / np.maximum(largest, LARGEST_STEP)
        coefficients += step * shorter[:, None]
    raise np.linalg.LinAlgError("no convergence")
