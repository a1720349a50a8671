"""Axes of the cubes of a dataset."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class DatasetAxes:
    """Bin edges of a dataset.

    Attributes
    ----------
    energy, energy_true : ndarray
        In TeV.
    rad : ndarray
        Of the angle in the point spread function, in deg.
    """

    energy: np.ndarray
    energy_true: np.ndarray
    rad: np.ndarray

    @classmethod
    def create(cls, energy, energy_true, rad):
        """Return axes with edges that are given as lists."""
        return cls(*map(np.asarray, (energy, energy_true, rad)))

    @property
    def bands(self):
        """Return the bins in reconstructed energy, as pairs of edges in TeV."""
        return [*pairwise(self.energy.tolist())]

    @property
    def span(self):
        """Return the range of reconstructed energies in TeV."""
        return float(self.energy[0]), float(self.energy[-1])

    @property
    def true_centers(self):
        """Return the centres of the bins in true energy, geometric, in TeV."""
        return np.sqrt(self.energy_true[:-1] * self.energy_true[1:])

    @property
    def rad_centers(self):
        """Return the centres of the bins of the angle, in deg."""
        return (self.rad[:-1] + self.rad[1:]) / 2

    @property
    def rad_solid_angles(self):
        """Return the solid angles of the rings of the angle, in sr, on a flat sky."""
        rad, width = np.radians(self.rad_centers), np.radians(np.diff(self.rad))
        return 2 * np.pi * rad * width
