from decimal import Decimal, localcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.special import gammainc
from scipy.stats import poisson

from gammastack.maps.counting import KnownBackground, OnOff
from gammastack.maps.significance import li_ma, significance
from validation.exact import errors_on_off, li_ma_exact, limit_known, limit_on_off

KNOWN = KnownBackground(n=[0, 1, 3, 40, 7], mu=[2.5, 4, 0.3, 31, 7])
ON_OFF = OnOff(
    n_on=[0, 1, 4, 40, 7], n_off=[5, 20, 0, 300, 14], alpha=[0.2, 1, 1, 0.1, 0.5]
)
BOTH = pytest.mark.parametrize("counting", [KNOWN, ON_OFF], ids=["known", "on-off"])

# n, mu, significance, both errors for 1 sigma, for 2 sigma, sensitivity for 5 sigma:
# gammapy 2.1 printed these numbers (CashCountsStatistic)
GAMMAPY_KNOWN = [
    (0, 2.5, -2.236068, 0, 0.5, 0, 2, 11.430981),
    (1, 0.3, 1.0039649, 0.69829044, 1.3576767, 0.9475309, 3.5052415, 5.7751528),
    (1, 4, -1.7964997, 0.69829044, 1.3576767, 0.9475309, 3.5052415, 13.616032),
    (3, 1.2, 1.3775864, 1.4160257, 2.0802367, 2.2795738, 4.9076582, 8.8458715),
    (5, 1, 2.8450622, 1.9159158, 2.5811058, 3.2504788, 5.8937622, 8.3272761),
    (7, 9, -0.69397262, 2.3234572, 2.9890681, 4.0509213, 6.7008174, 18.752831),
    (11, 9, 0.64401498, 2.9920093, 3.6580035, 5.3724688, 8.0284251, 18.752831),
    (30, 12.5, 4.1866603, 5.1490885, 5.8155084, 9.6637054, 12.32643, 21.478523),
    (100, 23, 11.829421, 9.6694817, 10.336074, 18.689488, 21.354971, 27.857973),
    (1000, 1100, -3.0626199, 31.290325, 31.956985, 61.919307, 64.585855, 169.94756),
]

# n_on, n_off, alpha, and the same results, also of gammapy 2.1 (WStatCountsStatistic)
GAMMAPY_ON_OFF = [
    (0, 5, 0.2, -1.350265, 0.51622116, 0.58839222, 1.1787524, 2.0883922, 11.266704),
    (0, 0, 0.5, 0, 0.25, 0.5, 1, 2, 11.37799),
    (4, 0, 0.5, 2.9646076, 1.6815059, 2.3463282, 2.8027754, 5.4307067, 11.37799),
    (1, 20, 1, -4.5903736, 4.8970181, 4.2990834, 10.463368, 8.1496811, 44.901175),
    (10, 5, 0.3, 3.5853813, 2.9324723, 3.5592598, 5.338566, 7.8125032, 13.872193),
    (10, 20, 0.1, 3.6850322, 2.8783928, 3.5294741, 5.1753405, 7.7647852, 12.038423),
    (11, 27, 1 / 3, 0.55285304, 3.5290757, 4.0017102, 6.7453147, 8.5975986, 24.345472),
    (40, 300, 0.1, 1.6475894, 6.2565444, 6.8715585, 11.940882, 14.395063, 33.546819),
    (3, 90, 0.1, -2.2443513, 1.7630779, 2.2553971, 3.2481005, 5.173321, 20.468051),
    (1000, 4000, 0.2, 6.1698588, 33.782452, 34.338743, 67.019745, 69.244546, 160.7263),
]


def check_all(counting, numbers):
    """Compare significance, errors for 1 and 2 sigma, and sensitivity for 5 sigma."""
    results = [
        counting.significance(),
        *counting.errors(),
        *counting.errors(2),
        counting.sensitivity(5),
    ]
    for result, expected in zip(results, numbers, strict=True):
        assert_allclose(result, expected, rtol=1e-7, atol=1e-7)


def test_gammapy_known_background():
    n, mu, *numbers = np.transpose(GAMMAPY_KNOWN)
    check_all(KnownBackground(n, mu), numbers)


def test_gammapy_on_off():
    n_on, n_off, alpha, *numbers = np.transpose(GAMMAPY_ON_OFF)
    check_all(OnOff(n_on, n_off, alpha), numbers)


@pytest.mark.parametrize(
    "n_on, n_off, alpha, expected, last_digit",
    [
        # These were computed independently for the design, to the digits given
        (10, 20, 0.1, 3.6850322319, 1e-10),
        (11, 27, 1 / 3, 0.5528530398, 1e-10),
        (10, 5, 0.3, 3.58538, 1e-5),
        (1, 20, 1, -4.59037, 1e-5),
        # Limiting cases: no counts in one of the regions, none in both, no excess
        (6, 0, 0.25, np.sqrt(12 * np.log(5)), 1e-14),
        (0, 6, 0.25, -np.sqrt(12 * np.log(1.25)), 1e-14),
        (0, 0, 0.25, 0.0, 1e-14),
        (3, 6, 0.5, 0.0, 1e-14),
    ],
)
def test_li_ma(n_on, n_off, alpha, expected, last_digit):
    assert_allclose(li_ma(n_on, n_off, alpha), expected, rtol=0, atol=last_digit)


@pytest.mark.parametrize(
    "n_on, n_off, alpha",
    [
        (1, 1, 0.01),
        (3, 500, 0.02),
        (120, 160, 0.7),
        (1000, 10, 3.0),
        (10**6 + 50, 10**7, 0.1),
        (10**8 + 9000, 10**8, 1.0),
    ],
)
def test_li_ma_keeps_the_digits(n_on, n_off, alpha):
    assert_allclose(
        li_ma(n_on, n_off, alpha), li_ma_exact(n_on, n_off, alpha), rtol=1e-10
    )


@pytest.mark.parametrize("n_sigma", [0.5, 1, 3, 8])
@pytest.mark.parametrize("n", [0.01, 1, 2.5, 17, 400, 1e8])
def test_errors_of_known_background(n, n_sigma):
    def rise(y):
        return 2 * n * (np.expm1(y) - y) - n_sigma**2

    down, up = KnownBackground(n, 3.0).errors(n_sigma)
    wide = 1 + n_sigma / np.sqrt(n) + n_sigma**2 / n
    for error, y in (
        (down, brentq(rise, -wide, 0, xtol=1e-18)),
        (up, brentq(rise, 0, np.log1p(wide), xtol=1e-18)),
    ):
        assert_allclose(error, n * abs(np.expm1(y)), rtol=1e-9)


@pytest.mark.parametrize("n_sigma", [1, 3])
@pytest.mark.parametrize("alpha", [0.02, 0.4, 1, 5])
@pytest.mark.parametrize(
    "n_on, n_off", [(0, 1), (0, 300), (1, 0), (1, 90), (8, 8), (500, 3)]
)
def test_errors_of_on_off(n_on, n_off, alpha, n_sigma):
    assert_allclose(
        OnOff(n_on, n_off, alpha).errors(n_sigma),
        errors_on_off(n_on, n_off, alpha, n_sigma),
        rtol=1e-7,
    )


def test_errors_without_counts():
    down, up = KnownBackground(0, [0.1, 50]).errors(2)
    assert_array_equal(down, 0)
    assert_allclose(up, 2)
    # The likelihood falls as exp(-s) upwards, and as exp(s / alpha) downwards
    assert_allclose(OnOff(0, 0, 0.3).errors(), (0.3 * 0.5, 0.5))


@pytest.mark.parametrize(
    "confidence, limits",
    [
        # Limits on the mean of a Poisson variable from the Review of Particle Physics
        # (2020), DOI 10.1093/ptep/ptaa104, chapter Statistics
        (0.90, [2.30, 3.89, 5.32, 6.68, 7.99, 9.27, 10.53, 11.77, 12.99, 14.21, 15.41]),
        (
            0.95,
            [3.00, 4.74, 6.30, 7.75, 9.15, 10.51, 11.84, 13.15, 14.43, 15.71, 16.96],
        ),
    ],
)
def test_limits_without_background(confidence, limits):
    n = np.arange(len(limits))
    assert_allclose(
        KnownBackground(n, 1e-9).upper_limit(confidence), limits, rtol=0, atol=0.0051
    )
    assert_allclose(
        OnOff(n, 0, 1e-9).upper_limit(confidence), limits, rtol=0, atol=0.0051
    )


def test_limit_without_counts_does_not_depend_on_the_background():
    mu = [1e-3, 1, 30, 800, 1e6]
    assert_allclose(KnownBackground(0, mu).upper_limit(0.9), np.log(10))
    assert_allclose(OnOff(0, [0, 1, 30, 800, 1e6], 0.5).upper_limit(0.9), np.log(10))


@pytest.mark.parametrize(
    "n, mu",
    [
        (1, 0.2),
        (4, 9.0),
        (300, 250.0),
        # Far tails: the probability is 1e-89, 1e-246, 1e-854, 1e-4327 and 1e-356
        (3, 220.0),
        (50, 750.0),
        (5, 2000.0),
        (0, 9963.0),
        (10_000, 14_600.0),
    ],
)
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.9999])
def test_limit_of_known_background(n, mu, confidence):
    exact = limit_known(n, mu, confidence)
    assert_allclose(
        KnownBackground(n, mu).upper_limit(confidence), exact, rtol=1e-7, atol=1e-8
    )


def log_cdf_decimal(n, x):
    """Return the log of the probability of n or fewer, and minus its derivative."""
    term = total = Decimal(1)
    for k in range(1, n + 1):
        term *= x / k
        total += term
    return total.ln() - x, term / total


@pytest.mark.parametrize("confidence", ["0.5", "0.9", "0.95", "0.999"])
def test_digits_of_limits(confidence):
    rng = np.random.default_rng(4)
    n = rng.poisson(10 ** rng.uniform(-1, 2.5, 50))
    mu = 10 ** rng.uniform(-3, 3, n.size)
    limits = KnownBackground(n, mu).upper_limit(float(confidence))
    with localcontext(prec=50):
        for count, background, limit in zip(n.tolist(), mu, limits, strict=True):
            background, s = Decimal(float(background)), Decimal(float(limit))
            wanted = log_cdf_decimal(count, background)[0]
            wanted += (1 - Decimal(confidence)).ln()
            for _ in range(4):
                log_p, hazard = log_cdf_decimal(count, background + s)
                s -= (wanted - log_p) / hazard
            assert_allclose(limit, float(s), rtol=4e-11)


@pytest.mark.parametrize("confidence", [0.68, 0.9, 0.95])
@pytest.mark.parametrize("mu", [0.3, 2.5, 14])
def test_coverage_of_limits(mu, confidence):
    """Limits are at or above the signal with at least the probability `confidence`."""
    n = np.arange(120)
    limits = KnownBackground(n, mu).upper_limit(confidence)
    for signal in np.linspace(0, 25, 101):
        coverage = poisson.pmf(n, mu + signal)[limits >= signal].sum()
        assert coverage >= confidence - 1e-12


@pytest.mark.parametrize(
    "alpha, confidence, rtol",
    [
        (0.05, 0.95, 1e-4),
        (0.3, 0.9, 1e-3),
        (1, 0.95, 3e-3),
        (1, 0.5, 3e-3),
        (5, 0.9, 0.012),
    ],
)
@pytest.mark.parametrize(
    "n_on, n_off",
    [(1, 0), (9, 0), (0, 5), (2, 5), (30, 5), (10, 30), (60, 30), (50, 100)],
)
def test_limit_of_on_off(n_on, n_off, alpha, confidence, rtol):
    exact = limit_on_off(n_on, n_off, alpha, confidence)
    assert_allclose(OnOff(n_on, n_off, alpha).upper_limit(confidence), exact, rtol=rtol)


def test_no_limit_where_it_would_be_wrong():
    assert_array_equal(
        np.isnan(OnOff(3, 4, [0.1, 5, 6, 1000]).upper_limit(0.9)), [0, 0, 1, 1]
    )


def test_on_off_tends_to_known_background():
    n, mu = np.array([0, 1, 3, 12, 5, 200]), np.array([2, 0.7, 5, 4, 60, 150])
    known, on_off = KnownBackground(n, mu), OnOff(n, mu / 1e-6, 1e-6)
    assert_allclose(on_off.background, known.background)
    assert_allclose(on_off.excess, known.excess)
    assert_allclose(on_off.significance(), known.significance(), rtol=1e-4)
    assert_allclose(on_off.upper_limit(0.95), known.upper_limit(0.95), rtol=1e-4)
    assert_allclose(on_off.sensitivity(5), known.sensitivity(5), rtol=1e-4)
    # For n = 0 the negative error is only the uncertainty of the background
    assert_allclose(on_off.errors(), known.errors(), rtol=1e-4, atol=2e-3)


def test_round_trip_of_sensitivity():
    mu = np.logspace(-6, 8, 15)
    for n_sigma in (0.1, 1, 5, 30):
        s = KnownBackground(0, mu).sensitivity(n_sigma)
        assert_allclose(significance(mu + s, mu), n_sigma, rtol=1e-5)
        n_off, alpha = np.array([0, 1, 30, 1e4, 1e8]), np.array([[0.01], [0.5], [4]])
        s = OnOff(0, n_off, alpha).sensitivity(n_sigma)
        assert_allclose(li_ma(alpha * n_off + s, n_off, alpha), n_sigma, rtol=1e-9)


def everything(counting):
    """Return all results of a counting, along the first axis."""
    return np.array(
        [
            counting.excess,
            counting.background,
            counting.significance(),
            *counting.errors(),
            counting.upper_limit(0.95),
            counting.sensitivity(5),
        ]
    )


@pytest.mark.parametrize(
    "counting",
    [
        *(KnownBackground(3, mu) for mu in (0, -1, np.nan, np.inf)),
        *(KnownBackground(n, 2) for n in (-1, np.nan, np.inf)),
        *(OnOff(3, 4, alpha) for alpha in (0, -1, np.nan, np.inf)),
        *(OnOff(n, 4, 0.5) for n in (-1, np.nan, np.inf)),
        *(OnOff(4, n, 0.5) for n in (-1, np.nan, np.inf)),
    ],
    ids=repr,
)
def test_unknown_is_nan(counting):
    assert np.isnan(everything(counting)).all()


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan, np.inf])
def test_li_ma_of_what_is_unknown(alpha):
    assert np.isnan(li_ma(3, [4, 0], alpha)).all()
    assert np.isnan(li_ma([-1, np.inf, 3, 0], [4, 4, -4, np.inf], 0.5)).all()


def test_unknown_pixels_leave_the_others_alone():
    mixed = everything(KnownBackground([3, 3, 0], [[1.5], [np.nan]]))
    assert_allclose(mixed[:, 0, 0], everything(KnownBackground(3, 1.5)))
    assert_allclose(mixed[:, 0, 2], everything(KnownBackground(0, 1.5)))
    assert np.isnan(mixed[:, 1]).all()


@BOTH
def test_pixels_do_not_depend_on_each_other(counting):
    values = [np.asarray(v) for v in vars(counting).values()]
    one_by_one = [everything(type(counting)(*v)) for v in zip(*values, strict=True)]
    assert_array_equal(everything(counting), np.transpose(one_by_one))
    image = type(counting)(*(np.tile(v, (3, 1)) for v in values))
    assert_array_equal(everything(image)[:, 1], everything(counting))


@BOTH
def test_what_is_asked_for_must_make_sense(counting):
    for confidence in (0, 1, 95, np.nan):
        with pytest.raises(ValueError, match="confidence"):
            counting.upper_limit(confidence)
    for n_sigma in (0, -1, np.nan):
        with pytest.raises(ValueError, match="n_sigma"):
            counting.errors(n_sigma)
        with pytest.raises(ValueError, match="n_sigma"):
            counting.sensitivity(n_sigma)


def test_shapes_and_types():
    n, mu = np.zeros((2, 1), dtype=np.int32), np.ones(3, dtype=np.float32)
    assert everything(KnownBackground(n, mu)).shape == (7, 2, 3)
    assert everything(OnOff(n, mu, 0.5)).shape == (7, 2, 3)
    assert everything(KnownBackground(n[:0], mu)).shape == (7, 0, 3)
    assert np.ndim(KnownBackground(3, 1).upper_limit(0.9)) == 0


def test_more_pixels_than_are_worked_on_at_a_time():
    n = np.arange(150_000) % 7
    down, up = KnownBackground(n, 2.0).errors()
    assert_array_equal(down, np.resize(down[:7], n.shape))
    assert_array_equal(up, np.resize(up[:7], n.shape))
    # Without background, the limit is a quantile of the gamma distribution
    limit = KnownBackground(n, 1e-9).upper_limit(0.9)
    assert_allclose(gammainc(n + 1, limit), 0.9, rtol=1e-8)
