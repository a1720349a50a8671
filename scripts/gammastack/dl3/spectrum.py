"""Integrals of power laws."""

import numpy as np
from scipy.special import exprel


def power_law_integral(band, index, e_ref):
    """Integrate (E / e_ref)^-index dE over a band, in the unit of e_ref."""
    low, high = np.log(np.asarray(band) / e_ref)
    return e_ref * exponential_integral(1 - index, low, high)


def exponential_integral(slope, low, high):
    """Integrate exp(slope u) du; exprel(x) = (exp(x) - 1) / x also holds at slope 0."""
    return np.exp(slope * low) * (high - low) * exprel(slope * (high - low))
