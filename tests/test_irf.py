import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

from gammastack.dl3.irf import Background2D, Background3D, EffectiveArea2D
from gammastack.dl3.spectrum import exponential_integral, power_law_integral
from gammastack.errors import InputError

ENERGY = np.geomspace(0.1, 100, 13)
ENERGY_AXIS = ENERGY[:-1], ENERGY[1:]
CENTERS = np.sqrt(ENERGY[:-1] * ENERGY[1:])
OFFSET = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
OFFSET_AXIS = OFFSET[:-1], OFFSET[1:]
FOV = np.linspace(-3, 3, 13)
FOV_AXIS = FOV[:-1], FOV[1:]


def aeff(function):
    offset = (OFFSET[:-1] + OFFSET[1:]) / 2
    return EffectiveArea2D(ENERGY_AXIS, OFFSET_AXIS, function(CENTERS, offset[:, None]))


def bkg_3d(function, **options):
    x = (FOV[:-1] + FOV[1:]) / 2
    rate = function(CENTERS[:, None, None], x[:, None], x)
    return Background3D(ENERGY_AXIS, FOV_AXIS, FOV_AXIS, rate, **options)


@pytest.mark.parametrize("index", [0.5, 1.0, 1 + 1e-12, 2.3, 5.0])
def test_power_law_integral(index):
    expected, _ = quad(lambda energy: (energy / 2) ** -index, 0.7, 9)
    assert_allclose(power_law_integral((0.7, 9), index, 2.0), expected, rtol=1e-10)


@pytest.mark.parametrize("slope", [-3.0, -1e-14, 0.0, 2.0])
def test_exponential_integral(slope):
    expected, _ = quad(lambda u: np.exp(slope * u), -0.3, 1.2)
    assert_allclose(exponential_integral(slope, -0.3, 1.2), expected, rtol=1e-12)


@pytest.mark.parametrize("index", [0.5, 1.0, 2.0, 2.3, 4.0])
@pytest.mark.parametrize("band", [(1, 10), (0.9, 1.1), (0.2, 80)])
def test_effective_area_integral_is_exact_for_an_area_linear_in_log_energy(index, band):
    area = aeff(lambda energy, offset: (5 + np.log(energy)) * (1 - 0.1 * offset))
    offset = np.array([0.0, 0.3, 1.7, 3.0])
    e_ref = np.sqrt(band[0] * band[1])
    expected, _ = quad(
        lambda u: np.exp(u) * (5 + u) * np.exp(-index * (u - np.log(e_ref))),
        *np.log(band),
        epsrel=1e-12,
    )
    assert_allclose(
        area.integral(band, index, offset), expected * (1 - 0.1 * offset), rtol=1e-10
    )


def test_effective_area_between_nodes():
    """The integral between nodes with random values agrees with quadrature."""
    rng = np.random.default_rng(1)
    area = EffectiveArea2D(ENERGY_AXIS, OFFSET_AXIS, rng.uniform(1, 2, (4, 12)))
    offset, band = np.array([1.3]), (0.7, 33.0)
    e_ref = np.sqrt(band[0] * band[1])
    nodes = np.log(CENTERS)
    expected, _ = quad(
        lambda u: (
            np.exp(u)
            * area.evaluate(np.exp(u), offset)[0]
            * (np.exp(u) / e_ref) ** -2.3
        ),
        *np.log(band),
        points=nodes[(nodes > np.log(band[0])) & (nodes < np.log(band[1]))],
        epsrel=1e-11,
    )
    assert_allclose(area.integral(band, 2.3, offset), expected, rtol=1e-9)


def test_negative_effective_area_counts_as_zero():
    area = aeff(lambda energy, offset: np.where(energy < 1, -3.0, 1.0) + 0 * offset)
    assert area.n_negative == 4 * np.sum(CENTERS < 1)
    assert_allclose(area.evaluate(0.3, np.array([0.4])), 0)


@pytest.mark.parametrize("index", [1.0, 2.7, 4.0])
@pytest.mark.parametrize("band", [(1, 10), (0.9, 1.1), (0.1, 100)])
def test_background_integral_is_exact_for_a_power_law(index, band):
    bkg = bkg_3d(lambda e, x, y: 7 * e**-index * np.exp(0.2 * x - 0.1 * y))
    lon, lat = np.array([0.1, -2.2, 2.99]), np.array([0.0, 1.3, -2.99])
    expected = 7 * np.exp(0.2 * lon - 0.1 * lat) * power_law_integral(band, index, 1.0)
    assert_allclose(bkg.band_rate(band, lon, lat), expected, rtol=1e-10)


def test_background_integral_is_exact_between_the_nodes():
    """The integral of log-log segments between random nodes agrees with quadrature."""
    rng = np.random.default_rng(2)
    log_rate = rng.uniform(-5, 5, 12)
    bkg = bkg_3d(lambda e, x, y: np.exp(log_rate)[:, None, None] + 0 * x + 0 * y)
    nodes = np.log(CENTERS)
    inside = nodes[(nodes > np.log(0.5)) & (nodes < np.log(60))]
    expected, _ = quad(
        lambda u: np.exp(u + np.interp(u, nodes, log_rate)),
        np.log(0.5),
        np.log(60),
        points=inside,
        epsrel=1e-11,
    )
    assert_allclose(bkg.band_rate((0.5, 60), np.zeros(1), np.zeros(1)), expected)


def test_empty_bins_between_filled_ones_are_bridged():
    rate = 3 * CENTERS**-2.5
    holes = rate.copy()
    holes[4:6] = 0
    args = (2, 20), np.array([0.3]), np.array([0.2])
    full = bkg_3d(lambda e, x, y: rate[:, None, None] + 0 * x + 0 * y)
    bridged = bkg_3d(lambda e, x, y: holes[:, None, None] + 0 * x + 0 * y)
    # Bins are equal in log E, so a bridge that is linear in bin number is a power law
    assert_allclose(bridged.band_rate(*args), full.band_rate(*args), rtol=1e-10)


def test_empty_bins_at_the_end_stay_empty():
    bkg = bkg_3d(lambda e, x, y: np.where(e > 10, 0.0, 1.0) + 0 * x + 0 * y)
    assert bkg.band_rate((30, 100), np.zeros(1), np.zeros(1)) == 0


def test_extrapolation_next_to_an_empty_bin_does_not_explode():
    """The rate grows by e^3 at most, where a straight line in the log is 1e38 steep."""
    bkg = bkg_3d(lambda e, x, y: np.where(np.abs(x) > 2.5, 1.0, 0.0) + 0 * e + 0 * y)
    rate = bkg.band_rate((1, 10), np.array([2.75, 2.99]), np.zeros(2))
    assert_allclose(rate[0], 9.0)
    assert rate[0] <= rate[1] <= rate[0] * np.exp(3.001)


def test_bkg_2d_depends_on_the_offset_alone():
    offset = (OFFSET[:-1] + OFFSET[1:]) / 2
    rate = CENTERS[:, None] ** -2.7 * np.exp(-offset)
    bkg = Background2D(ENERGY_AXIS, OFFSET_AXIS, rate)
    angle = np.radians([0, 70, 200])
    values = bkg.band_rate((1, 10), 1.5 * np.cos(angle), 1.5 * np.sin(angle))
    expected = np.exp(-1.5) * power_law_integral((1, 10), 2.7, 1.0)
    assert_allclose(values, expected, rtol=1e-4)


@pytest.mark.parametrize("band", [(0.05, 10), (1, 200)])
def test_band_outside_the_axis_is_refused(band):
    for response in (
        aeff(lambda e, t: e + t),
        bkg_3d(lambda e, x, y: e + 0 * (x + y), where="run.fits[BKG]"),
    ):
        with pytest.raises(InputError, match=r"energy_bands.*0\.1 TeV to 100 TeV"):
            response.require(band, 1.0)


def test_offset_beyond_the_response_is_refused():
    for response in (aeff(lambda e, t: e + t), bkg_3d(lambda e, x, y: e + 0 * (x + y))):
        response.require((1, 10), 3.0)
        with pytest.raises(InputError, match=r"offset_band: 3\.1 deg is beyond"):
            response.require((1, 10), 3.1)


def test_float32_edges_of_the_axis_are_inside():
    low, high = (edges.astype("f4").astype(float) for edges in ENERGY_AXIS)
    EffectiveArea2D((low, high), OFFSET_AXIS, np.ones((4, 12))).require((0.1, 100), 3)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_impossible_background_is_refused(value):
    with pytest.raises(InputError, match=r"run\.fits\[BKG\].*negative"):
        bkg_3d(lambda e, x, y: value + 0 * (e + x + y), where="run.fits[BKG]")
