"""Energy dispersion.

Format: edisp_2d of GADF v0.3, DOI 10.5281/zenodo.7304668.
"""

from dataclasses import dataclass

import numpy as np

from gammastack.dl3.interpolation import (
    Response,
    centers,
    covers,
    interpolation_matrix,
    log_centers,
)
from gammastack.errors import InputError


@dataclass(frozen=True)
class EnergyDispersion2D(Response):
    """Probability density of reconstructed over true energy, at true energy and offset.

    It is linear between its nodes in log E and in the offset.

    Attributes
    ----------
    energy, migra, offset : tuple of ndarray
        Lower and upper bin edges in TeV, of the ratio, and in deg.
    matrix : ndarray, shape (n_offset, n_migra, n_energy)
        Per unit of the ratio. Negative values count as 0.
    where : str
        File and HDU, for messages.
    """

    energy: tuple
    migra: tuple
    offset: tuple
    matrix: np.ndarray
    where: str = "edisp"

    def __post_init__(self):
        if not np.all(np.isfinite(self.matrix)):
            raise InputError(f"{self.where}: MATRIX has values that are not finite")

    @property
    def integral(self):
        """Return the part (n_offset, n_energy) of the events that it contains, 1 if all."""
        low, high = self.migra
        return np.tensordot(high - low, np.clip(self.matrix, 0, None), (0, 1))

    def kernels(self, energy_true, edges, offset):
        """Return the probability that an event is reconstructed in each energy bin.

        The density is normalised to 1, and constant in each of its bins.

        Parameters
        ----------
        energy_true : ndarray, shape (n_true,)
            In TeV.
        edges : ndarray, shape (n_energy + 1,)
            Of the bins in reconstructed energy, in TeV.
        offset : ndarray, shape (n,)
            In deg.

        Returns
        -------
        ndarray, shape (n_true, n_energy, n)
            Zero beyond the axes.
        """
        in_energy = interpolation_matrix(log_centers(self.energy), np.log(energy_true))
        in_offset = interpolation_matrix(centers(self.offset), offset)
        matrix = np.einsum(
            "ek,jmk,nj->enm", in_energy, self.matrix, in_offset, optimize=True
        )
        covered = covers(self.energy, energy_true)[:, None]
        covered = covered & covers(self.offset, offset)
        low, high = self.migra
        parts = np.clip(matrix, 0, None) * covered[..., None] * (high - low)
        total = parts.sum(axis=-1, keepdims=True)
        parts = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0)
        below = np.zeros((*parts.shape[:-1], parts.shape[-1] + 1))
        np.cumsum(parts, axis=-1, out=below[..., 1:])
        bin_edges, ratio = np.append(low, high[-1]), edges / energy_true[:, None]
        at_edges = np.stack(
            [
                below_at @ interpolation_matrix(bin_edges, ratio_at).T
                for below_at, ratio_at in zip(
                    below, np.clip(ratio, low[0], high[-1]), strict=True
                )
            ]
        )
        return np.clip(np.diff(at_edges, axis=-1), 0, None).transpose(0, 2, 1)
