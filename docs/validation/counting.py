"""Section 1: statistics of counts against numbers that were computed in other ways."""

from decimal import Decimal, localcontext

import numpy as np
from scipy.optimize import brentq
from scipy.special import xlogy
from scipy.stats import gamma, poisson

from gammastack.maps.counting import KnownBackground, OnOff
from gammastack.maps.disks import counts_in_disk
from gammastack.maps.significance import li_ma, significance
from validation.report import table

# Computed independently for the design of the program, to the digits that are given
KNOWN = [
    ((11, 9), "0.6440149844"),
    ((7, 9), "-0.6939726249"),
    ((5, 1), "2.84506"),
    ((100, 23), "11.82942"),
]
ON_OFF = [
    ((10, 20, 0.1), "3.6850322319"),
    ((11, 27, 1 / 3), "0.5528530398"),
    ((10, 5, 0.3), "3.58538"),
    ((1, 20, 1), "-4.59037"),
]
FLAT_MAP = {"counts": "162", "excess": "81", "significance": "7.910732"}
# Review of Particle Physics (2020), DOI 10.1093/ptep/ptaa104, chapter Statistics
PDG = {
    0.90: ["2.30", "3.89", "5.32", "6.68", "7.99", "9.27"],
    0.95: ["3.00", "4.74", "6.30", "7.75", "9.15", "10.51"],
}
PAIRS = [
    *[(n, 20, alpha) for n in (1, 3, 10, 40) for alpha in (0.01, 0.1, 1.0)],
    *[(5, n, alpha) for n in (1, 7, 90) for alpha in (0.05, 0.5, 3.0)],
    *[(1000, 10, 3.0), (120, 160, 0.7), (3, 500, 0.02)],
    *[(10**6 + 50, 10**7, 0.1), (10**8 + 9000, 10**8, 1.0)],
]
COUNTS = np.array([0, 1, 2, 3, 5, 8, 20, 100])
BACKGROUNDS = np.array([0.3, 1.0, 4.0, 25.0])
RINGS = [(0, 3, 0.5), (1, 20, 0.1), (3, 90, 0.1), (8, 8, 0.4), (20, 0, 0.2)]
RINGS += [(11, 27, 1 / 3), (40, 300, 0.1), (100, 90, 1.0)]
CONFIDENCES = 0.9, 0.95
# Largest differences, relative to the value or, below 1, absolute; for limits with a
# ring what `gammastack.maps.counting.OnOff.upper_limit` states for alpha up to 1
TOLERANCES = {
    "significance (Li & Ma, eq. 17), 60 digits": 1e-10,
    "errors, known background": 1e-8,
    "errors, ON and OFF": 1e-7,
    "upper limits, known background": 1e-8,
    "upper limits, ON and OFF": 3e-3,
    "sensitivity, known background": 1e-8,
    "sensitivity, ON and OFF": 1e-8,
}


def given_numbers():
    """Rows of the numbers that must be met to all their digits."""
    found = [
        *(
            (f"n = {n}, mu = {mu}", float(significance(n, mu)), text)
            for (n, mu), text in KNOWN
        ),
        *(
            (
                f"n_on = {n_on}, n_off = {n_off}, alpha = {alpha:.4g}",
                float(li_ma(n_on, n_off, alpha)),
                text,
            )
            for (n_on, n_off, alpha), text in ON_OFF
        ),
        *(
            (f"flat map, disk of 0.1 deg: {name}", flat_map()[name], text)
            for name, text in FLAT_MAP.items()
        ),
        *(
            (
                f"upper limit {confidence:.0%}, n = {n}, no background",
                float(KnownBackground(n, 1e-12).upper_limit(confidence)),
                text,
            )
            for confidence, texts in PDG.items()
            for n, text in enumerate(texts)
        ),
    ]
    return [row(name, value, text) for name, value, text in found]


def row(name, value, text):
    """Name, expected and found value, and whether all digits agree."""
    digits = len(text.partition(".")[2])
    found = f"{value:.{digits}f}"
    return name, text, found, found == text


def flat_map():
    """Counts, excess and significance in the middle of a map of 20 x 20 equal pixels."""
    flat = np.ones((20, 20))
    measured = counts_in_disk({"counts": 2 * flat, "bkg": flat}, 5)
    of_disk = {
        "counts": measured.n,
        "excess": measured.excess,
        "significance": measured.significance(),
    }
    return {name: float(image[10, 10]) for name, image in of_disk.items()}


def li_ma_exact(n_on, n_off, alpha):
    """Equation 17 of Li & Ma (1983), DOI 10.1086/161295, with 60 digits."""
    with localcontext(prec=60):
        on, off, alpha = Decimal(n_on), Decimal(n_off), Decimal(alpha)
        ratio_on = (1 + alpha) / alpha * on / (on + off)
        ratio_off = (1 + alpha) * off / (on + off)
        value = (2 * (on * ratio_on.ln() + off * ratio_off.ln())).sqrt()
        return float(value.copy_sign(on - alpha * off))


def profile(s, n_on, n_off, alpha):
    """-2 ln of the likelihood of a signal, with the background that fits best."""
    a = 1 + 1 / alpha
    half = n_on + n_off - a * s
    b = (half + np.sqrt(max(half**2 + 4 * a * n_off * s, 0))) / (2 * a)
    b = max(b, -s, 0.0)
    on, off = s + b, b / alpha
    return 2 * (on - xlogy(n_on, on) + off - xlogy(n_off, off))


def crossings(statistic, best, wide, lowest=-np.inf):
    """Distances from the best value to where a statistic has risen by 1."""

    def rise(s):
        return statistic(s) - statistic(best) - 1

    low = max(best - wide, lowest)
    down = best - (brentq(rise, low, best, xtol=1e-13) if rise(low) > 0 else low)
    return down, brentq(rise, best, best + wide, xtol=1e-13) - best


def errors_known(n):
    """Errors of the mean of n counts, from the likelihood."""
    return crossings(lambda x: 2 * (x - xlogy(n, x)), n, 3 * np.sqrt(n) + 3, 1e-12)


def errors_on_off(n_on, n_off, alpha):
    """Errors of the excess, from the profile likelihood."""
    wide = 9 * (1 + alpha) * np.sqrt(n_on + n_off + 1)
    excess = n_on - alpha * n_off
    return crossings(lambda s: profile(s, n_on, n_off, alpha), excess, wide)


def limit_exact(probability, confidence, n):
    """Signal at which a probability has dropped to 1 - confidence times that without."""
    wanted = (1 - confidence) * probability(0.0)
    return brentq(lambda s: probability(s) / wanted - 1, 0, 20 + 5 * n, xtol=1e-12)


def limit_known(n, mu, confidence):
    """Upper limit from the sum over all counts up to n."""
    k = np.arange(n + 1)
    return limit_exact(lambda s: poisson.pmf(k, s + mu).sum(), confidence, n)


def limit_on_off(n_on, n_off, alpha, confidence):
    """The same, averaged over the posterior of the background at 400 nodes."""
    posterior = gamma(n_off + 1, scale=alpha)
    low, high = posterior.ppf(1e-15), posterior.isf(1e-15)
    x, weight = np.polynomial.legendre.leggauss(400)
    b = low + (high - low) * (x + 1) / 2
    weight = weight * posterior.pdf(b)
    return limit_exact(
        lambda s: weight @ poisson.cdf(n_on, s + b), confidence, n_on + alpha * n_off
    )


def differences():
    """Largest difference to each independent computation, and the number of cases."""
    pairs = [(n, mu) for n in COUNTS.tolist() for mu in BACKGROUNDS.tolist()]
    known, rings = KnownBackground(*np.transpose(pairs)), OnOff(*np.transpose(RINGS))
    mu = BACKGROUNDS
    n_off, alpha = np.transpose(RINGS)[1:]
    found = [
        (li_ma(*np.transpose(PAIRS)), [li_ma_exact(*pair) for pair in PAIRS]),
        (known.errors(), np.transpose([errors_known(n) for n, _ in pairs])),
        (rings.errors(), np.transpose([errors_on_off(*ring) for ring in RINGS])),
        (
            [known.upper_limit(one) for one in CONFIDENCES],
            [[limit_known(*pair, one) for pair in pairs] for one in CONFIDENCES],
        ),
        (
            [rings.upper_limit(one) for one in CONFIDENCES],
            [[limit_on_off(*ring, one) for ring in RINGS] for one in CONFIDENCES],
        ),
        (significance(mu + KnownBackground(0, mu).sensitivity(5), mu), np.full(4, 5.0)),
        (li_ma(rings.background + rings.sensitivity(5), n_off, alpha), np.full(8, 5.0)),
    ]
    return {
        name: largest_difference(ours, np.asarray(exact))
        for name, (ours, exact) in zip(TOLERANCES, found, strict=True)
    }


def largest_difference(ours, exact):
    """Relative to the exact value or, below 1, absolute; and the number of values."""
    difference = np.abs(ours - exact) / np.maximum(np.abs(exact), 1)
    return float(difference.max()), exact.size


def section():
    """The section of the page."""
    rows = [
        (
            name,
            n,
            f"{difference:.1e}",
            f"{TOLERANCES[name]:.0e}",
            difference <= TOLERANCES[name],
        )
        for name, (difference, n) in differences().items()
    ]
    given = given_numbers()
    return f"""\
## 1. Statistics

{len(given)} numbers that were computed elsewhere, to all digits that are given there: significances for a known
background and for ON and OFF counts, a map of 20 x 20 pixels of 0.02 deg with 2 counts over a background of 1 in each, and
upper limits of the Review of Particle Physics ([DOI 10.1093/ptep/ptaa104](https://doi.org/10.1093/ptep/ptaa104)).

{table(("case", "expected", "found", "ok"), given)}

Against other ways of computing the same: Li & Ma's equation with 60 digits, errors as crossings of the (profile) likelihood,
limits from sums over all counts and integrals over the background. The significance of the sensitivity must be 5.
Differences are relative, and absolute for values below 1.

{table(("quantity", "values", "largest difference", "tolerance", "ok"), rows)}
"""
