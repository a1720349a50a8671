"""How the values of an image become colours."""

from dataclasses import dataclass

import numpy as np

# These images have values on both sides of zero, which gets the middle of the colours.
DIVERGING = ("significance", "excess", "excess_corr", "flux", "flux_corr", "difference")
# Both have monotonic lightness on each side, so they can be read without colour.
DIVERGING_COLORS, SEQUENTIAL_COLORS = "RdBu_r", "viridis"
# Significances are clipped at the peak, but within these values: the structure of the sky
# beside a strong source must be visible, and noise must look like noise.
SIGNIFICANCE_RANGE = 5.0, 10.0
# So many percent of the values are not clipped.
SHOWN = 99.8
SMOOTH = 1.5
# Fluxes are noise where there is less than this part of the largest exposure.
LOW_EXPOSURE = 0.2
# The values of a palette; the first one stands for unknown.
N_COLORS = 255


@dataclass(frozen=True)
class Scale:
    """Range of values, and the colours for it.

    Attributes
    ----------
    low, high : float
        Values beyond are clipped.
    colors : str
        Name of a colormap of matplotlib.
    """

    low: float
    high: float
    colors: str

    def palette_index(self, data):
        """Return the number of the colour of each value, uint8: 0 where it is unknown."""
        width = self.high - self.low or 1.0
        known = np.isfinite(data)
        fraction = np.clip((np.where(known, data, self.low) - self.low) / width, 0, 1)
        index = 1 + np.minimum(fraction * N_COLORS, N_COLORS - 1).astype(np.uint8)
        return np.where(known, index, 0).astype(np.uint8)

    def clipped(self, data):
        """Return how many values are below, and how many are above the range."""
        with np.errstate(invalid="ignore"):
            return int(np.sum(data < self.low)), int(np.sum(data > self.high))


def scale_of(name, data, use=None):
    """Return a scale for an image.

    Parameters
    ----------
    name : str
        Of the product, or ``difference``.
    data : ndarray, shape (ny, nx)
    use : ndarray of bool, shape (ny, nx), optional
        Pixels whose values matter: fluxes at the rim of the exposure are only noise.

    Returns
    -------
    Scale
    """
    values = data[np.isfinite(data) if use is None else np.isfinite(data) & use]
    if not len(values):
        values = np.zeros(1)
    if name == "significance":
        high = float(np.clip(values.max(), *SIGNIFICANCE_RANGE))
        return Scale(-high, high, DIVERGING_COLORS)
    if name in DIVERGING:
        high = _rounded(np.percentile(np.abs(values), SHOWN))
        return Scale(-high, high, DIVERGING_COLORS)
    high, largest = np.percentile(values, SHOWN), values.max()
    # Where there are no peaks beside the rest, nothing needs to be clipped.
    high = _rounded(largest if largest < SMOOTH * high else high)
    return Scale(min(0.0, float(values.min())), high, SEQUENTIAL_COLORS)


def well_exposed(exposure):
    """Return the pixels where fluxes are more than noise; None without any exposure.

    Parameters
    ----------
    exposure : ndarray, shape (ny, nx), or None
    """
    if exposure is None or not (exposure > 0).any():
        return None
    return exposure > LOW_EXPOSURE * np.nanmax(exposure)


def _rounded(value):
    """Return a value rounded up to two digits; 1 instead of 0, so that a range is not empty."""
    step = 10.0 ** (np.floor(np.log10(value)) - 1) if value > 0 else 1.0
    return float(f"{np.ceil(value / step * (1 - 1e-9)) * step:.2g}") or 1.0
