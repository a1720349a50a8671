"""Ring background: counts in a ring around each pixel, scaled by the acceptance.

Berge, Funk & Hinton (2007), DOI 10.1051/0004-6361:20066674, section 3.1; the adaptive
ring: H.E.S.S. Galactic plane survey (2018), DOI 10.1051/0004-6361/201732098, section 3.
"""

from dataclasses import dataclass

import numpy as np

from gammastack.sky.kernels import correlate_all, disk_kernel, ring_kernel, sum_in_disk


@dataclass(frozen=True)
class RingBackground:
    """Rings of growing size; each pixel uses the first that is large enough.

    Attributes
    ----------
    kernels : list of ndarray
        A plain ring has one.
    disk : ndarray, optional
        Kernel of the ON region that an adaptive ring is compared with.
    threshold_alpha : float
        Largest acceptance of the ON region over that of an adaptive ring.
    """

    kernels: list
    disk: np.ndarray | None = None
    threshold_alpha: float = np.inf

    @classmethod
    def create(cls, in_pixels, r_in, width, adaptive=None):
        """Create rings with radii in deg.

        Parameters
        ----------
        in_pixels : callable
            Function that converts an angle in deg to pixels along x and y.
        r_in, width : float
            Inner radius of the (first) ring, and width, in deg.
        adaptive : dict, optional
            Largest outer radius ``r_out_max``, growth of the radius ``stepsize`` and
            radius of the ON region ``theta`` in deg, and ``threshold_alpha``.
        """
        if adaptive is None:
            return cls([ring_kernel(in_pixels(r_in), in_pixels(r_in + width))])
        room = adaptive["r_out_max"] - r_in - width
        steps = np.arange(int(room / adaptive["stepsize"] + 1e-6) + 1)
        radii = r_in + steps * adaptive["stepsize"]
        return cls(
            [
                ring_kernel(in_pixels(radius), in_pixels(radius + width))
                for radius in radii
            ],
            disk_kernel(in_pixels(adaptive["theta"])),
            adaptive["threshold_alpha"],
        )

    def estimate(self, counts, acceptance, mask):
        """Sum counts and acceptance in the ring around each pixel, without the exclusions.

        Parameters
        ----------
        counts : ndarray of int, shape (ny, nx)
        acceptance : ndarray, shape (ny, nx)
            Expected background; zero outside the field of view.
        mask : ndarray of bool, shape (ny, nx)
            True = use.

        Returns
        -------
        off : ndarray, shape (ny, nx)
            Counts in the ring, whole numbers.
        acceptance_off : ndarray, shape (ny, nx)
            Acceptance of the ring; zero where no ring is large enough or all of it is
            excluded, and outside the field of view.
        """
        off, acceptance_off = np.zeros((2, *counts.shape))
        missing = acceptance > 0
        usable = mask & missing
        needed = 0.0
        if self.disk is not None:
            needed = sum_in_disk(acceptance, self.disk) / self.threshold_alpha
            # Values that are equal except for rounding must pass.
            needed *= 1 - 1e-9
        images = [usable, acceptance * usable, counts * usable]
        for n_pixels, in_ring, n in correlate_all(images, self.kernels):
            # The transform leaves noise where the sum is zero.
            take = missing & (n_pixels > 0.5) & (in_ring >= needed)
            np.copyto(acceptance_off, in_ring, where=take)
            np.copyto(off, np.rint(n), where=take)
            missing &= ~take
            if not missing.any():
                break
        return off, acceptance_off
