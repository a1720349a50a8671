"""Point spread functions: values and integrals against closed forms, and their files."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gammastack.dl3.hdus import hdu_types
from gammastack.dl3.observation import read_observation
from gammastack.dl3.point_spread import PSF3Gauss, PSFKing, PSFTable
from gammastack.dl3.simulate import PSF_SIGMA
from gammastack.errors import InputError, NotCoveredError

ENERGY = np.geomspace(0.1, 100, 4)
AXES = (ENERGY[:-1], ENERGY[1:]), (np.array([0.0, 1.0]), np.array([1.0, 2.0]))
CENTERS = np.sqrt(ENERGY[:-1] * ENERGY[1:])
FLAT = np.ones((2, 3))
RAD = np.linspace(0, 1.5, 3001)
RINGS = np.pi * np.diff(np.radians(RAD) ** 2)
MIDDLE = (RAD[:-1] + RAD[1:]) / 2


def three(**changed):
    parameters = dict.fromkeys(("ampl_2", "ampl_3", "sigma_2", "sigma_3"), 0 * FLAT)
    parameters |= {"scale": 1e5 * FLAT, "sigma_1": 0.05 * FLAT, **changed}
    return PSF3Gauss(*AXES, parameters)


def test_sum_of_gaussians():
    """Its contained part is 1 - exp(-R^2 / 2 sigma^2), weighted with amplitude sigma^2."""
    psf = three(ampl_2=0.1 * FLAT, sigma_2=0.2 * FLAT)
    density = psf.evaluate(CENTERS, np.array([0.3]), MIDDLE)[0, :, 0]
    contained = np.cumsum(density * RINGS)
    weights, sigmas = np.array([0.05**2, 0.1 * 0.2**2]), np.array([0.05, 0.2])
    expected = 1 - np.exp(-0.5 * (RAD[1:, None] / sigmas) ** 2)
    assert_allclose(contained, expected @ weights / weights.sum(), atol=1e-5)


def test_scale_does_not_count_but_is_compared_with_the_integral():
    """The peak of a Gaussian is 1 / (2 pi sigma^2), sigma in radian."""
    scale = FLAT / (2 * np.pi * np.radians(0.05) ** 2)
    right, wrong = three(scale=scale), three(scale=2 * scale)
    assert_allclose(right.integral, 1)
    assert_allclose(wrong.integral, 2)
    place = CENTERS, np.array([0.3]), np.array([0.0])
    for psf in (right, wrong):
        assert_allclose(psf.evaluate(*place).ravel(), scale[0], rtol=1e-12)


def test_width_between_nodes():
    """The parameters are linear in log E and in the offset."""
    sigma = np.array([[0.1, 0.08, 0.06], [0.2, 0.16, 0.12]])
    psf = three(sigma_1=sigma)
    energy, offset = np.sqrt(CENTERS[:1] * CENTERS[1:2]), np.array([1.0])
    peak = psf.evaluate(energy, offset, np.zeros(1))
    width = (0.1 + 0.08 + 0.2 + 0.16) / 4
    assert_allclose(peak.ravel(), 1 / (2 * np.pi * np.radians(width) ** 2))


def test_energies_without_parameters_have_those_of_the_nearest_ones():
    sigma = np.array([[0.0, 0.08, 0.06], [0.0, 0.0, 0.0]])
    psf = three(sigma_1=sigma)
    peak = psf.evaluate(CENTERS, np.array([0.5, 1.5]), np.zeros(1))[:, 0]
    expected = 1 / (2 * np.pi * np.radians([0.08, 0.08, 0.06]) ** 2)
    assert_allclose(peak[:, 0], expected)
    assert_allclose(peak[:, 1], 0)


def test_king_profile():
    """Its contained part is 1 - (1 + R^2 / 2 gamma sigma^2)^(1 - gamma)."""
    psf = PSFKing(*AXES, {"sigma": 0.05 * FLAT, "gamma": 1.8 * FLAT})
    density = psf.evaluate(CENTERS, np.array([0.3]), MIDDLE)[0, :, 0]
    expected = 1 - (1 + RAD[1:] ** 2 / (2 * 1.8 * 0.05**2)) ** (1 - 1.8)
    assert_allclose(np.cumsum(density * RINGS), expected, atol=2e-5)


def test_king_profile_without_an_integral():
    with pytest.raises(InputError, match="GAMMA is not above 1"):
        PSFKing(*AXES, {"sigma": 0.05 * FLAT, "gamma": 0.9 * FLAT})


def table(density):
    edges = np.linspace(0, 0.3, 4)
    return PSFTable(*AXES, (edges[:-1], edges[1:]), density)


def test_table_is_linear_between_its_nodes():
    rad, offset, energy = np.ogrid[1:4, 1:3, 1:4]
    psf = table(1.0 * rad * offset * energy)
    log_middle = np.sqrt(CENTERS[:1] * CENTERS[1:2])
    density = psf.evaluate(log_middle, np.array([1.25]), np.array([0.1, 0.15]))
    assert_allclose(density.ravel(), [1.5 * 1.75 * 1.5, 1.5 * 1.75 * 2])


def test_table_is_zero_beyond_its_axes_and_never_negative():
    psf = table(np.full((3, 2, 3), -1.0))
    assert not psf.evaluate(CENTERS, np.array([0.5]), np.array([0.1])).any()
    psf = table(np.ones((3, 2, 3)))
    energy, offset = np.array([0.05, 1.0]), np.array([0.5, 2.5])
    density = psf.evaluate(energy, offset, np.array([0.1, 0.31]))
    assert density[1, 0, 0] == 1 and density.sum() == 1


def test_integral_of_a_table():
    assert_allclose(
        table(np.ones((3, 2, 3))).integral, np.pi * np.radians(0.3) ** 2, 1e-5
    )


@pytest.mark.parametrize("make", [table, lambda bad: three(sigma_1=bad[0])])
def test_values_that_are_not_finite(make):
    with pytest.raises(InputError, match="not finite"):
        make(np.full((3, 2, 3), np.nan))


def test_what_is_not_covered():
    with pytest.raises(NotCoveredError, match=r"dataset: energy_true: 0\.05 TeV"):
        three().require((0.05, 1.0), 1.0, "dataset: energy_true")
    with pytest.raises(NotCoveredError, match="ends at 2 deg"):
        three().require((1.0, 10.0), 2.5)


def test_simulated_run(simulated_store):
    """A Gaussian of 0.06 deg."""
    store, *_ = simulated_store
    types = hdu_types(("aeff", "psf"))
    psf = read_observation(1001, store.available(1001, types)).psf
    contained = psf.evaluate(np.array([1.0]), np.array([0.7]), MIDDLE)[0, :, 0] * RINGS
    expected = 1 - np.exp(-0.5 * (RAD[1:] / PSF_SIGMA) ** 2)
    assert_allclose(np.cumsum(contained), expected, atol=1e-5)
    assert_allclose(psf.integral, 1, rtol=1e-6)
