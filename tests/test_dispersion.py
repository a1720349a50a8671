"""Energy dispersion: probabilities against closed forms, and its file."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtr

from gammastack.dl3.dispersion import EnergyDispersion2D
from gammastack.dl3.hdus import hdu_types
from gammastack.dl3.observation import read_observation
from gammastack.dl3.simulate import ENERGY_RESOLUTION
from gammastack.errors import InputError

ENERGY = np.geomspace(0.1, 100, 4)
CENTERS = np.sqrt(ENERGY[:-1] * ENERGY[1:])
OFFSET = np.array([0.0, 1.0]), np.array([1.0, 2.0])
MIGRA = np.linspace(0.2, 1.8, 801)


def gaussian(mean, sigma=0.1):
    """Relative energy resolution; ``mean`` (n_offset, n_energy) is the mean ratio."""
    middle = (MIGRA[:-1] + MIGRA[1:]) / 2
    pull = (middle[:, None] - mean[:, None, :]) / sigma
    matrix = np.exp(-0.5 * pull**2) / np.sqrt(2 * np.pi) / sigma
    axes = (ENERGY[:-1], ENERGY[1:]), (MIGRA[:-1], MIGRA[1:]), OFFSET
    return EnergyDispersion2D(*axes, matrix)


def test_kernels_of_a_gaussian():
    edisp = gaussian(np.full((2, 3), 1.05))
    edges = np.geomspace(0.5, 2, 9)
    kernels = edisp.kernels(CENTERS[1:2], edges, np.array([0.3]))
    expected = np.diff(ndtr((edges / CENTERS[1] - 1.05) / 0.1))
    assert_allclose(kernels[0, :, 0], expected, atol=2e-6)


def test_norm_of_the_matrix_does_not_count_but_is_known():
    edisp = gaussian(np.ones((2, 3)))
    twice = EnergyDispersion2D(
        edisp.energy, edisp.migra, edisp.offset, 2 * edisp.matrix
    )
    assert_allclose(edisp.integral, 1, rtol=1e-6)
    assert_allclose(twice.integral, 2, rtol=1e-6)
    edges, offset = np.geomspace(0.01, 1000, 30), np.array([0.3])
    kernels = twice.kernels(CENTERS, edges, offset)
    assert_allclose(kernels, edisp.kernels(CENTERS, edges, offset))
    assert_allclose(kernels.sum(axis=1), 1)


def test_between_nodes_the_densities_are_mixed():
    """Half of the events are as at the one offset, and half as at the other."""
    edisp = gaussian(np.repeat([[0.9], [1.1]], 3, axis=1))
    edges, places = np.geomspace(0.5, 2, 9), np.array([0.5, 1.0, 1.5])
    first, middle, last = edisp.kernels(CENTERS[1:2], edges, places)[0].T
    assert_allclose(middle, (first + last) / 2)


def test_zero_beyond_the_axes():
    edisp = gaussian(np.ones((2, 3)))
    energy, offset = np.array([0.05, 1.0]), np.array([0.5, 2.5])
    kernels = edisp.kernels(energy, np.array([0.001, 1000]), offset)
    assert_allclose(kernels[:, 0], [[0, 0], [1, 0]])


def test_values_that_are_not_finite():
    with pytest.raises(InputError, match="MATRIX has values that are not finite"):
        gaussian(np.full((2, 3), np.nan))


def test_simulated_run(simulated_store):
    store, *_ = simulated_store
    types = hdu_types(("aeff", "edisp"))
    edisp = read_observation(1001, store.available(1001, types)).edisp
    edges = np.array([0.001, 0.9, 1.0, 1000])
    kernels = edisp.kernels(np.array([1.0]), edges, np.array([0.7]))
    expected = np.diff(ndtr((edges - 1) / ENERGY_RESOLUTION))
    assert_allclose(kernels[0, :, 0], expected, atol=1e-3)
