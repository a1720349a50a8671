"""Statistics of counts, computed in other ways than the program does: slow and exact."""

from decimal import Decimal, localcontext

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp, xlogy
from scipy.stats import gamma, poisson


def li_ma_exact(n_on, n_off, alpha):
    """Equation 17 of Li & Ma (1983), DOI 10.1086/161295, with 60 digits."""
    with localcontext(prec=60):
        on, off, alpha = Decimal(n_on), Decimal(n_off), Decimal(alpha)
        ratio_on = (1 + alpha) / alpha * on / (on + off)
        ratio_off = (1 + alpha) * off / (on + off)
        value = (2 * (on * ratio_on.ln() + off * ratio_off.ln())).sqrt()
        return float(value.copy_sign(on - alpha * off))


def profile(s, n_on, n_off, alpha):
    """-2 ln of the likelihood of a signal, its background fitted: Rolke et al. (2005)."""
    a = 1 + 1 / alpha
    half = n_on + n_off - a * s
    b = (half + np.sqrt(max(half**2 + 4 * a * n_off * s, 0))) / (2 * a)
    b = max(b, -s, 0.0)
    on, off = s + b, b / alpha
    return 2 * (on - xlogy(n_on, on) + off - xlogy(n_off, off))


def crossings(statistic, best, wide, lowest=-np.inf, by=1):
    """Distances from the best value to where a statistic has risen."""

    def rise(s):
        return statistic(s) - statistic(best) - by

    low = max(best - wide, lowest)
    down = best - (brentq(rise, low, best, xtol=1e-13) if rise(low) > 0 else low)
    return down, brentq(rise, best, best + wide, xtol=1e-13) - best


def errors_known(n):
    """Errors of the mean of n counts, from the likelihood."""
    return crossings(lambda x: 2 * (x - xlogy(n, x)), n, 3 * np.sqrt(n) + 3, 1e-12)


def errors_on_off(n_on, n_off, alpha, n_sigma=1):
    """Errors of the excess, from the profile likelihood."""
    wide = 9 * n_sigma * (1 + alpha) * np.sqrt(n_on + n_off + n_sigma**2)
    excess = n_on - alpha * n_off
    return crossings(
        lambda s: profile(s, n_on, n_off, alpha), excess, wide, by=n_sigma**2
    )


def log_cdf(n, x):
    """Logarithm of the probability of n or fewer counts, from the sum of its terms."""
    k = np.arange(n + 1)
    return logsumexp(k * np.log(x) - gammaln(k + 1)) - x


def limit_known(n, mu, confidence):
    """Signal at which `log_cdf` has dropped by the log of 1 - confidence."""
    wanted = log_cdf(n, mu) + np.log1p(-confidence)
    return brentq(lambda s: log_cdf(n, mu + s) - wanted, 0, 20 + 5 * n, xtol=1e-12)


def limit_on_off(n_on, n_off, alpha, confidence):
    """The same, with the probability averaged over the background at 400 nodes."""
    posterior = gamma(n_off + 1, scale=alpha)
    # From 0: for n_on far below the background its lowest values count
    half = posterior.isf(1e-18) / 2
    x, weight = np.polynomial.legendre.leggauss(400)
    b = half * (x + 1)
    weight = weight * posterior.pdf(b)

    def probability(s):
        return weight @ poisson.cdf(n_on, s + b)

    wanted = (1 - confidence) * probability(0.0)
    largest = 20 + 5 * (n_on + alpha * n_off)
    return brentq(lambda s: probability(s) / wanted - 1, 0, largest, xtol=1e-12)
