"""Significance of an excess over a background."""

import numpy as np
from scipy.special import xlog1py, xlogy


def significance(n, mu):
    """Return the significance of `n` counts where `mu` are expected, mu known without error.

    ``sign(n - mu) sqrt(2 (n ln(n / mu) - n + mu))``: Cash (1979),
    DOI 10.1086/156922; the limit of Li & Ma (1983), DOI 10.1086/161295, equation 17,
    for alpha to 0. For n = 0 it is -sqrt(2 mu).

    Parameters
    ----------
    n, mu : array_like
        Counts and expected background counts.

    Returns
    -------
    ndarray
        NaN where mu is not positive.
    """
    n, mu = np.asarray(n, dtype=float), np.asarray(mu, dtype=float)
    known = np.where(mu > 0, mu, np.nan)
    statistic = 2 * (xlogy(n, n / known) - n + known)
    return np.sign(n - known) * np.sqrt(np.clip(statistic, 0, None))


def li_ma(n_on, n_off, alpha):
    """Return the significance of `n_on` counts over a background of `alpha` times `n_off` counts.

    Li & Ma (1983), DOI 10.1086/161295, equation 17, with the sign of the excess
    ``n_on - alpha n_off``, and its limits for n_on = 0 and n_off = 0.

    Parameters
    ----------
    n_on, n_off : array_like
        Counts of the signal region and of the background region.
    alpha : array_like
        Ratio of the expected background in the two regions.

    Returns
    -------
    ndarray
        NaN where alpha is not positive or counts are negative.
    """
    n_on, n_off, alpha = (np.asarray(v, dtype=float) for v in (n_on, n_off, alpha))
    total = n_on + n_off
    known = (alpha > 0) & (n_on >= 0) & (n_off >= 0) & np.isfinite(alpha + total)
    n_on, n_off, alpha = (np.where(known, v, np.nan) for v in (n_on, n_off, alpha))
    excess = n_on - alpha * n_off
    # Without any counts the excess is 0, so any divisor will do.
    total = np.where(total > 0, total, 1)
    # The ratios of the equation are 1 + x, which is exact even for millions of counts.
    on = xlog1py(n_on, excess / (alpha * total))
    off = xlog1py(n_off, -excess / total)
    return np.sign(excess) * np.sqrt(np.clip(2 * (on + off), 0, None))
