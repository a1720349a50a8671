"""Statistics of counts over a background, for whole images at once.

`KnownBackground` and `OnOff` have the same properties and methods. Their attributes are
arrays of any shapes that broadcast, and so are the results: NaN where the background is
unknown or an input is negative or not finite.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import (
    betainc,
    gammainc,
    gammaincc,
    gammaln,
    log_ndtr,
    ndtr,
    ndtri,
    ndtri_exp,
    xlogy,
)

from gammastack.maps.significance import li_ma, significance

# Blocks of this many pixels bound the memory, and are faster than all pixels at once.
CHUNK = 2**14

# Largest alpha of an upper limit, see `OnOff.upper_limit`
MAX_ALPHA = 5


@dataclass(frozen=True, eq=False)
class KnownBackground:
    """Counts over a background that is known without error.

    Attributes
    ----------
    n : array_like
        Counts.
    mu : array_like
        Expected background counts, unknown where not positive.
    """

    n: np.ndarray
    mu: np.ndarray

    @property
    def _known(self):
        """Return counts and background, NaN where they are unknown."""
        return _nan_unless_known([self.n], [self.mu])

    @property
    def excess(self):
        """Return the counts above the background."""
        n, mu = self._known
        return n - mu

    @property
    def background(self):
        """Return the expected background counts."""
        return self._known[1]

    def significance(self):
        """Return the significance of the excess, see `gammastack.maps.significance.significance`."""
        return _per_pixel(significance, *self._known)

    def with_counts(self, n):
        """Return other counts over the same background."""
        return replace(self, n=n)

    def log_p_value(self):
        """Return the log of the probability of as many counts or more from the background.

        The tail of the Poisson distribution, exact also for few counts, where it is up to
        three times the normal tail of the significance.
        """
        n, mu = self._known
        return _log_tail(gammainc(n, mu), self.significance())

    def errors(self, n_sigma=1):
        """Return the asymmetric errors of the excess.

        They end where twice the logarithm of the likelihood has dropped by n_sigma^2:
        Wilks (1938), DOI 10.1214/aoms/1177732360, with the likelihood of Cash (1979),
        DOI 10.1086/156922. The expected counts cannot be negative: without counts the
        negative error is 0.

        Parameters
        ----------
        n_sigma : float

        Returns
        -------
        negative, positive : ndarray
            Both are >= 0.
        """
        _require_positive(n_sigma)
        n, _ = self._known
        # They depend on the counts alone, and many pixels have the same counts.
        n, pixels = np.unique(n, return_inverse=True)
        return (
            _per_pixel(_poisson_error_down, n, n_sigma=n_sigma)[pixels],
            _per_pixel(_poisson_error_up, n, n_sigma=n_sigma)[pixels],
        )

    def upper_limit(self, confidence):
        """Return the upper limit on the expected signal counts.

        Helene (1983), DOI 10.1016/0167-5087(83)90021-3: Bayesian with a flat prior for
        signals >= 0. The same as CLs, Zech (1989), DOI 10.1016/0168-9002(89)90795-X,
        so that the coverage is never below the confidence.

        Parameters
        ----------
        confidence : float
            Between 0 and 1.

        Returns
        -------
        ndarray
        """
        _require_probability(confidence)
        return _per_pixel(_limit_known, *self._known, confidence=confidence)

    def sensitivity(self, n_sigma):
        """Return the signal counts that reach a significance on top of the background.

        Parameters
        ----------
        n_sigma : float

        Returns
        -------
        ndarray
        """
        _require_positive(n_sigma)
        return _per_pixel(_sensitivity_known, self.background, n_sigma=n_sigma)


@dataclass(frozen=True, eq=False)
class OnOff:
    """Counts over a background that is estimated from other counts.

    Attributes
    ----------
    n_on, n_off : array_like
        Counts of the signal region and of the background region.
    alpha : array_like
        Ratio of the expected background in the two regions, unknown where not positive.
    """

    n_on: np.ndarray
    n_off: np.ndarray
    alpha: np.ndarray

    @property
    def _known(self):
        """Return counts and alpha, NaN where they are unknown."""
        return _nan_unless_known([self.n_on, self.n_off], [self.alpha])

    @property
    def excess(self):
        """Return the counts above the background."""
        n_on, n_off, alpha = self._known
        return n_on - alpha * n_off

    @property
    def background(self):
        """Return the expected background counts."""
        _, n_off, alpha = self._known
        return alpha * n_off

    def significance(self):
        """Return the significance of the excess, see `gammastack.maps.significance.li_ma`."""
        return _per_pixel(li_ma, *self._known)

    def with_counts(self, n):
        """Return other counts of the signal region over the same background."""
        return replace(self, n_on=n)

    def log_p_value(self):
        """Return the log of the probability of as many counts or more from the background.

        Given the sum of the counts, those of the signal region are binomial: Cousins,
        Linnemann & Tucker (2008), DOI 10.1016/j.nima.2008.07.086, equation 14.
        """
        n_on, n_off, alpha = self._known
        tail = betainc(n_on, n_off + 1, alpha / (1 + alpha))
        return _log_tail(tail, self.significance())

    def errors(self, n_sigma=1):
        """Return the asymmetric errors of the excess.

        They end where twice the logarithm of the profile likelihood has dropped by
        n_sigma^2: Rolke, Lopez & Conrad (2005), DOI 10.1016/j.nima.2005.05.068. The
        expected counts of neither region can be negative.

        Parameters
        ----------
        n_sigma : float

        Returns
        -------
        negative, positive : ndarray
            Both are >= 0.
        """
        _require_positive(n_sigma)
        n_on, n_off, alpha = self._known
        # Minus the excess is alpha times the excess of the background region over
        # 1 / alpha times the signal region
        down = _per_pixel(_on_off_error_up, n_off, n_on, 1 / alpha, n_sigma=n_sigma)
        return alpha * down, _per_pixel(
            _on_off_error_up, n_on, n_off, alpha, n_sigma=n_sigma
        )

    def upper_limit(self, confidence):
        """Return the upper limit on the expected signal counts.

        The limit of `KnownBackground.upper_limit` is averaged over the posterior probability
        of the background, alpha times a gamma distribution of shape n_off + 1 (flat
        prior). The average is a sum over a few backgrounds, see `_background_nodes`: for
        confidences of 0.5 to 0.99 it is good to 0.3 % for alpha up to 1 and to 1.2 %
        up to 5, at worst; mostly to 1e-6. It fails for much larger alpha.

        Parameters
        ----------
        confidence : float
            Between 0 and 1.

        Returns
        -------
        ndarray
            Also NaN for alpha > 5.
        """
        _require_probability(confidence)
        n_on, n_off, alpha = self._known
        alpha = np.where(alpha <= MAX_ALPHA, alpha, np.nan)
        return _per_pixel(_limit_on_off, n_on, n_off, alpha, confidence=confidence)

    def sensitivity(self, n_sigma):
        """Return the signal counts that reach a significance on top of the background.

        Parameters
        ----------
        n_sigma : float

        Returns
        -------
        ndarray
        """
        _require_positive(n_sigma)
        _, n_off, alpha = self._known
        return _per_pixel(_sensitivity_on_off, n_off, alpha, n_sigma=n_sigma)


def _nan_unless_known(counts, positive):
    """Return the arrays as float, broadcast, and NaN in all of them where one is unusable."""
    values = [np.asarray(v, dtype=float) for v in (*counts, *positive)]
    known = np.logical_and.reduce(
        np.broadcast_arrays(
            *(np.isfinite(v) for v in values),
            *(v >= 0 for v in values[: len(counts)]),
            *(v > 0 for v in values[len(counts) :]),
        )
    )
    return [np.where(known, v, np.nan)[()] for v in values]


def _log_tail(tail, significance):
    """Return the log of a probability, by that of the significance where it is too small."""
    tiny = np.nan_to_num(tail, nan=1) < 1e-290
    return np.where(tiny, log_ndtr(-significance), np.log(np.where(tiny, 1, tail)))


def _require_positive(n_sigma):
    if not 0 < n_sigma < np.inf:
        raise ValueError(f"n_sigma must be positive, not {n_sigma}")


def _require_probability(confidence):
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")


def _per_pixel(function, *arrays, **numbers):
    """Apply a function of 1-d arrays and numbers; the result is NaN where an array is NaN."""
    shape = np.shape(arrays[0])
    arrays = [np.ravel(a) for a in arrays]
    known = np.flatnonzero(np.logical_and.reduce([np.isfinite(a) for a in arrays]))
    result = np.full(arrays[0].size, np.nan)
    for start in range(0, known.size, CHUNK):
        part = known[start : start + CHUNK]
        result[part] = function(*(a[part] for a in arrays), **numbers)
    return result.reshape(shape)[()]


def _solve(equation, start, *given, enough=1e-5):
    """Find positive roots of increasing functions by Newton's method within a bracket.

    Parameters
    ----------
    equation : callable
        Returns, from x and `given`, the value and the derivative, or a divisor of the value
        that gives a better step than Newton's method.
    start : ndarray, shape (n,)
    *given : ndarray, shape (..., n)
    enough : float
        Relative size of the last step. Newton's method squares the error: a step of 1e-5
        leaves about 1e-10, and less with `_fourth_order`.

    Returns
    -------
    ndarray, shape (n,)
        NaN where it does not converge.
    """
    root, left = np.full(start.size, np.nan), np.arange(start.size)
    x, low, high = start, np.zeros(start.size), np.full(start.size, np.inf)
    for _ in range(200):
        if left.size == 0:
            break
        with np.errstate(all="ignore"):
            value, slope = equation(x, *given)
            new = x - value / slope
        np.copyto(low, x, where=value < 0)
        np.copyto(high, x, where=value > 0)
        # A value that is not a number is outside the bracket, too.
        outside = ~((new >= low) & (new <= high))
        if outside.any():
            middle = np.where(high < np.inf, (low + high) / 2, 2 * x)
            np.copyto(new, middle, where=outside)
        moving = ~(np.abs(new - x) <= enough * x)
        if not moving.all():
            root[left[~moving]] = new[~moving]
            left, new, low, high = (v[moving] for v in (left, new, low, high))
            given = [g[..., moving] for g in given]
        x = new
    return root


def _poisson_error_down(n, n_sigma):
    """Return the negative error of n counts: for n exp(-y) expected, 2 n (exp(-y) - 1 + y)."""
    some = n > 0
    step = n_sigma / np.sqrt(n[some])
    y = _solve(
        lambda y, step: (np.expm1(-y) + y - step**2 / 2, -np.expm1(-y)),
        step + step**2 / 2,
        step,
    )
    error = np.zeros_like(n)
    error[some] = -n[some] * np.expm1(-y)
    return error


def _poisson_error_up(n, n_sigma):
    """Return the positive error of n counts: for n exp(y) expected, 2 n (exp(y) - 1 - y)."""
    some = n > 0
    step = n_sigma / np.sqrt(n[some])
    y = _solve(
        lambda y, step: (np.expm1(y) - y - step**2 / 2, np.expm1(y)),
        np.log1p(step + step**2 / 2),
        step,
    )
    error = np.full_like(n, n_sigma**2 / 2)
    error[some] = n[some] * np.expm1(y)
    return error


def _on_off_error_up(n_on, n_off, alpha, n_sigma):
    """Return the positive error of the excess.

    Where the likelihood is largest for a given signal, the expected counts are
    n_on exp(y) and n_off / (1 + p) with p = alpha (1 - exp(-y)), y = 0 for the excess:
    y instead of the signal needs no square root of differences. Both parts of the
    likelihood have the form of `_poisson_error_up` and `_poisson_error_down`.
    """
    some = n_on > 0
    error = np.empty_like(n_on)
    error[~some] = _on_off_error_up_no_counts(n_off[~some], alpha[~some], n_sigma)
    n_on, n_off, alpha = n_on[some], n_off[some], alpha[some]

    def rise(y, n_on, n_off, alpha):
        p = -alpha * np.expm1(-y)
        on = n_on * (np.expm1(y) - y)
        off = n_off * (np.log1p(p) - p / (1 + p))
        slope = n_on * np.expm1(y) + n_off * alpha * np.exp(-y) * p / (1 + p) ** 2
        return on + off - n_sigma**2 / 2, slope

    # The start is the quadratic sum of both errors.
    step = n_sigma / np.sqrt(n_on + alpha**2 * n_off)
    y = _solve(rise, np.log1p(step + step**2 / 2), n_on, n_off, alpha)
    p = -alpha * np.expm1(-y)
    error[some] = n_on * np.expm1(y) + alpha * n_off * p / (1 + p)
    return error


def _on_off_error_up_no_counts(n_off, alpha, n_sigma):
    """Return the positive error of the excess for n_on = 0.

    The signal first replaces background, down to n_off / (1 + alpha) counts in the
    background region, with no counts expected in the signal region.
    """
    drop = alpha * n_off / (1 + alpha)
    rise = n_off * (np.log1p(alpha) - alpha / (1 + alpha))
    return np.where(
        rise < n_sigma**2 / 2,
        alpha * drop + n_sigma**2 / 2 - rise,
        alpha * _poisson_error_down(n_off, n_sigma),
    )


def _limit_known(n, mu, confidence):
    """Return s for backgrounds mu where P(<= n | s + mu) is 1 - confidence times that at 0."""
    wanted = _log_poisson_cdf(n, mu)[0] + np.log1p(-confidence)
    # The cube root of a gamma variable is nearly normal, see `_background_nodes`.
    shape = 9 * (n + 1)
    root = 1 - 1 / shape - ndtri_exp(wanted) / np.sqrt(shape)
    start = np.maximum((n + 1) * root * root**2 - mu, -np.log1p(-confidence))

    def drop(s, n, mu, wanted):
        x = mu + s
        log_p, hazard = _log_poisson_cdf(n, x)
        ratio = n / x - 1
        second = hazard * (ratio + hazard)
        third = second * (ratio + 2 * hazard) - hazard * n / x**2
        return _fourth_order(wanted - log_p, hazard, second, third)

    # The start is good to 1e-2 or better: one step is mostly enough, and leaves 1e-11.
    return _solve(drop, start, n, mu, wanted, enough=2e-3)


def _limit_on_off(n_on, n_off, alpha, confidence):
    """Return the upper limit for backgrounds alpha n_off."""
    variance = n_on + 1 + alpha**2 * (n_off + 1)
    start = _limit_of_normal(n_on - alpha * n_off, variance, confidence)
    # The same backgrounds serve without signal and with the limit, so they are optimised
    # for half of the limit.
    b, log_weight = _background_nodes(n_on, n_off, alpha, start / 2)
    return _limit(n_on, b, log_weight, start, confidence)


def _limit_of_normal(excess, variance, confidence):
    """Return the upper limit for an excess with a normal distribution, as a start.

    It is not below the limit without counts, which is the smallest of all.
    """
    sigma = np.sqrt(variance)
    probability = ndtr(np.clip(excess / sigma, -8, None))
    limit = excess - sigma * ndtri((1 - confidence) * probability)
    return np.maximum(limit, -np.log1p(-confidence))


def _limit(n, b, log_weight, start, confidence):
    """Return s where the average of P(<= n | s + b) is 1 - confidence times that at 0.

    The equation is in logarithms, which are concave in s and do not vanish for b much above n.

    Parameters
    ----------
    n, start : ndarray, shape (n,)
    b, log_weight : ndarray, shape (n_nodes, n)
        Backgrounds, and their weights in the average.
    confidence : float

    Returns
    -------
    ndarray, shape (n,)
    """

    def average(s, n, b, log_weight):
        log_p, hazard = _log_poisson_cdf(n, b + s)
        log_p += log_weight
        largest = log_p.max(axis=0)
        p = np.exp(log_p - largest)
        total = p.sum(axis=0)
        return largest + np.log(total), (p * hazard).sum(axis=0) / total

    def drop(s, n, b, log_weight, wanted):
        log_p, hazard = average(s, n, b, log_weight)
        return wanted - log_p, hazard

    wanted = average(0.0, n, b, log_weight)[0] + np.log1p(-confidence)
    return _solve(drop, start, n, b, log_weight, wanted)


def _fourth_order(value, first, second, third):
    """Return the value, and a divisor for a step that raises the error to the fourth power.

    The step is the series of the inverse function up to the third order; Newton's
    method is its first order.

    Parameters
    ----------
    value, first, second, third : ndarray
        Value of an equation, and its derivatives.
    """
    step, bend = value / first, second / first
    series = 1 + step * bend / 2 + step**2 * (3 * bend**2 - third / first) / 6
    return value, first / series


def _background_nodes(n_on, n_off, alpha, signal):
    """Return backgrounds b and their weights to integrate P(<= n_on | signal + b) over b.

    The cube root of a gamma variable is nearly normal (Wilson & Hilferty 1931,
    DOI 10.1073/pnas.17.12.684), so a few Gauss-Hermite nodes are enough if they
    are where the integrand is: P is close to b^q exp(-r b), with the same slope and
    curvature, and its product with a gamma distribution is another gamma distribution.

    Parameters
    ----------
    n_on, n_off, alpha, signal : ndarray, shape (n,)

    Returns
    -------
    b, log_weight : ndarray, shape (4, n)
        The weights are known up to a factor.
    """
    # With more than 4 nodes one could be at a negative cube root for n_off = 0.
    z, weight = np.polynomial.hermite_e.hermegauss(4)
    z, weight = z[:, np.newaxis], weight[:, np.newaxis]
    centre = alpha * (n_off + 2 / 3)
    for _ in range(2):
        expected = centre + signal
        _, hazard = _log_poisson_cdf(n_on, expected)
        curvature = hazard * (hazard + n_on / expected - 1)
        q = centre**2 * np.clip(curvature, 0, None)
        shape = n_off + 1 + q
        centre = (shape - 1 / 3) / (1 / alpha + hazard + q / centre)
    root = 1 + z / np.sqrt(9 * shape - 3)
    b = centre * root**3
    log_density = (3 * n_off + 2) * np.log(root) - (b - centre) / alpha
    return b, np.log(weight) + z**2 / 2 + log_density


def _log_poisson_cdf(n, x):
    """Return the logarithm of the probability of n or fewer counts where x are expected.

    Parameters
    ----------
    n, x : ndarray
        Counts >= 0, and x > 0.

    Returns
    -------
    log_p, hazard : ndarray
        The logarithm, and minus its derivative with respect to x.
    """
    p = gammaincc(n + 1, x)
    # Derivative of the probability
    log_density = xlogy(n, x) - x - gammaln(n + 1)
    far = p < 1e-200
    log_p = np.log(np.where(far, 1, p))
    hazard = np.exp(log_density - log_p)
    if far.any():
        n, x = np.broadcast_to(n, x.shape)[far], x[far]
        hazard[far] = _hazard_far(n, x)
        log_p[far] = log_density[far] - np.log(hazard[far])
    return log_p, hazard


def _hazard_far(n, x):
    """Return the derivative of ln P(<= n | x), for x many standard deviations above n.

    Uses the even part of the continued fraction of the incomplete gamma function, DLMF 8.9.2.
    """
    fraction = x - n + 40
    for k in range(20, 0, -1):
        fraction = x - n + 2 * (k - 1) + k * (n + 1 - k) / fraction
    return fraction / x


def _sensitivity_known(mu, n_sigma):
    """Return the signal s with (s + mu) ln(1 + s / mu) - s = n_sigma^2 / 2."""

    def rise(s, mu):
        x, slope = s + mu, np.log1p(s / mu)
        value = x * slope - s - n_sigma**2 / 2
        return _fourth_order(value, slope, 1 / x, -1 / x**2)

    # The start has the first two terms for many counts, and is smaller for few.
    start = n_sigma * np.sqrt(mu)
    start += n_sigma**2 / (6 + 2 * np.log1p(n_sigma**2 / (2 * mu)))
    return _solve(rise, start, mu)


def _sensitivity_on_off(n_off, alpha, n_sigma):
    """Return the signal whose significance after Li & Ma is n_sigma."""

    def rise(s, n_off, alpha):
        b = alpha * n_off
        slope = np.log1p(s / (alpha * (s + n_off * (1 + alpha))))
        off = n_off * np.log1p(s / (np.where(n_off > 0, n_off, 1) * (1 + alpha)))
        return (b + s) * slope - off - n_sigma**2 / 2, slope

    # The start combines the limits for many counts and for n_off = 0.
    start = n_sigma * np.sqrt(alpha * n_off * (1 + alpha))
    start += n_sigma**2 / (2 * np.log1p(1 / alpha))
    return _solve(rise, start, n_off, alpha)
