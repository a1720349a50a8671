"""Significance in disks that do not overlap, and whether it is what it should be."""

from dataclasses import dataclass

import numpy as np

from gammastack.maps.disks import counts_in_disk
from gammastack.maps.empty_sky import (
    expected_moments,
    independent,
    off_significance,
    off_statistics,
)
from validation.simulation import RADIUS, in_pixels, stacked

# Largest difference of a mean, and relative difference of a width
MEAN, WIDTH = 0.02, 0.02
# The same in errors, for what has large ones
PULL = 3.0


@dataclass(frozen=True)
class Disks:
    """Disks that do not overlap, of any number of fields.

    Attributes
    ----------
    significance, background : ndarray, shape (n,)
    measured : gammastack.maps.counting.KnownBackground or gammastack.maps.counting.OnOff
    """

    significance: np.ndarray
    background: np.ndarray
    measured: object

    @classmethod
    def together(cls, parts):
        """The disks of several fields."""
        counts = zip(*(vars(part.measured).values() for part in parts), strict=True)
        return cls(
            np.concatenate([part.significance for part in parts]),
            np.concatenate([part.background for part in parts]),
            type(parts[0].measured)(*map(np.concatenate, counts)),
        )


def disks_of_field(runs, method, bkg_norm):
    """Statistics of `gammastack.maps.empty_sky`, and disks that do not overlap."""
    images, _ = stacked(runs, background=method, bkg_norm=bkg_norm)
    radius = in_pixels(RADIUS)
    everywhere = np.ones(images["counts"].shape, bool)
    values, background = off_significance(images, everywhere, radius)
    measured = counts_in_disk(images, radius)
    known = np.isfinite(values)
    disks = Disks(
        independent(values, radius),
        independent(background, radius),
        type(measured)(
            *(
                independent(np.where(known, image, np.nan), radius)
                for image in vars(measured).values()
            )
        ),
    )
    return off_statistics(values, background, radius), disks


def moments(disks):
    """Mean and width of the significance in disks, expected ones, and their agreement."""
    mean, width = disks.significance.mean(), disks.significance.std()
    expected_mean, expected_width = expected_moments(disks.background)
    n = len(disks.significance)
    # Few fields: the tolerances of many, and the errors
    ok = abs(mean - expected_mean) <= MEAN + PULL * width / n**0.5
    ok &= abs(width / expected_width - 1) <= WIDTH + PULL / (2 * n) ** 0.5
    cells = (
        f"{mean:+.3f} ± {width / n**0.5:.3f} / {expected_mean:+.3f}",
        f"{width:.3f} ± {width / (2 * n) ** 0.5:.3f} / {expected_width:.3f}",
    )
    return cells, ok
