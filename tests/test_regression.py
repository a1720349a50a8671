import numpy as np
import pytest
from numpy.testing import assert_allclose

from gammastack.regression import fit_log_rate

# The terms are a constant, and whether a bin is in the second of two groups
GROUPS = np.array([[1.0, 0], [1, 0], [1, 1], [1, 1], [1, 1]])
EXPOSURE = np.array([2.0, 3, 1, 4, 5])


def test_two_groups_in_closed_form():
    """Rates are counts over exposure, and their logs have the variance 1 / counts."""
    counts = np.array([[7, 3, 40, 0, 60], [1, 0, 2000, 3000, 0]])
    first, second = counts[:, :2].sum(axis=1), counts[:, 2:].sum(axis=1)
    coefficients, information = fit_log_rate(counts, EXPOSURE, GROUPS, 1e-10)
    log_rates = np.log(first / 5), np.log(second / 10)
    assert_allclose(coefficients.T, [log_rates[0], log_rates[1] - log_rates[0]])
    variance = np.diagonal(np.linalg.inv(information), axis1=1, axis2=2)
    assert_allclose(variance.T, [1 / first, 1 / first + 1 / second])


@pytest.mark.parametrize(
    "counts, basis",
    [
        ([0, 0, 0, 0, 0], GROUPS),
        # The rate of the second group has no lower limit
        ([4, 2, 0, 0, 0], GROUPS),
        # Both terms are the same
        ([4, 2, 1, 0, 3], np.ones((5, 2))),
    ],
)
def test_no_maximum(counts, basis):
    with pytest.raises(np.linalg.LinAlgError):
        fit_log_rate(np.array([counts]), EXPOSURE, basis, 1e-10)


def test_no_bins():
    with pytest.raises(np.linalg.LinAlgError, match="no counts"):
        fit_log_rate(np.zeros((1, 0)), np.zeros(0), np.zeros((0, 2)), 1e-10)
