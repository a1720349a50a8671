"""Point spread functions.

Densities are per solid angle around the true direction, as a function of true energy, the
offset of the true direction, and the angle to it. A table is linear between its nodes in
log E, offset and angle; of the analytical forms the parameters are linear in log E and offset.

Formats: psf_table, psf_3gauss and psf_king of GADF v0.3, DOI 10.5281/zenodo.7304668.
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


class _PointSpread(Response):
    """What all point spread functions share."""

    def _require_finite(self, values, column):
        if not np.all(np.isfinite(values)):
            raise InputError(f"{self.where}: {column} has values that are not finite")

    def _covered(self, energy, offset):
        """Return which energies (n_energy,) and offsets (n,) lie on the axes."""
        return covers(self.energy, energy)[:, None] & covers(self.offset, offset)

    def _matrices(self, energy, offset):
        """Return the matrices that interpolate in energy and in the offset."""
        return (
            interpolation_matrix(log_centers(self.energy), np.log(energy)),
            interpolation_matrix(centers(self.offset), offset),
        )


@dataclass(frozen=True)
class PSFTable(_PointSpread):
    """Point spread function as a table.

    Attributes
    ----------
    energy, offset, rad : tuple of ndarray
        Lower and upper bin edges in TeV, deg and deg.
    density : ndarray, shape (n_rad, n_offset, n_energy)
        In sr-1. Negative values, which smoothing leaves, count as 0.
    where : str
        File and HDU, for messages.
    """

    energy: tuple
    offset: tuple
    rad: tuple
    density: np.ndarray
    where: str = "psf"

    def __post_init__(self):
        self._require_finite(self.density, "RPSF")

    def evaluate(self, energy, offset, rad):
        """Return the density in sr-1.

        Parameters
        ----------
        energy : ndarray, shape (n_energy,)
            In TeV.
        offset : ndarray, shape (n,)
            In deg.
        rad : ndarray, shape (n_rad,)
            In deg.

        Returns
        -------
        ndarray, shape (n_energy, n_rad, n)
            Zero where the table has no bin.
        """
        in_energy, in_offset = self._matrices(energy, offset)
        in_rad = interpolation_matrix(centers(self.rad), rad)
        density = np.tensordot(in_energy, self.density, (1, 2))
        density = np.einsum("rk,ekj,nj->ern", in_rad, density, in_offset, optimize=True)
        covered = self._covered(energy, offset)[:, None]
        covered = covered & covers(self.rad, rad)[:, None]
        return np.where(covered, np.clip(density, 0, None), 0)

    def containment(self, energy, offset, rad):
        """Return the part of the events within an angle, 1 within the last bin.

        The density is constant in each bin of the angle.

        Parameters
        ----------
        energy, offset, rad
            As in `evaluate`.

        Returns
        -------
        ndarray, shape (n_energy, n_rad, n)
            Zero where the table has no events.
        """
        in_energy, in_offset = self._matrices(energy, offset)
        parts = np.clip(self.density, 0, None) * self._solid_angles[:, None, None]
        below = np.concatenate([np.zeros((1, *parts.shape[1:])), parts.cumsum(axis=0)])
        # Within a bin it grows with the solid angle.
        edges = 1 - np.cos(np.radians(np.append(self.rad[0], self.rad[1][-1])))
        inside = np.minimum(1 - np.cos(np.radians(rad)), edges[-1])
        in_rad = interpolation_matrix(edges, inside)
        at_rad = np.einsum(
            "rk,kje,ie,nj->irn", in_rad, below, in_energy, in_offset, optimize=True
        )
        total = in_energy @ below[-1].T @ in_offset.T
        total = np.where(self._covered(energy, offset), total, 0)[:, None]
        part = np.divide(at_rad, total, out=np.zeros_like(at_rad), where=total > 0)
        return np.clip(part, 0, 1)

    @property
    def _solid_angles(self):
        low, high = np.radians(self.rad)
        return 2 * np.pi * (np.cos(low) - np.cos(high))

    @property
    def integral(self):
        """Return the part (n_offset, n_energy) of the events that it contains, 1 if all."""
        return np.tensordot(self._solid_angles, np.clip(self.density, 0, None), 1)


class _AnalyticPSF(_PointSpread):
    """Point spread function whose ``parameters`` (n_offset, n_energy) are interpolated."""

    def __post_init__(self):
        for name, values in self.parameters.items():
            self._require_finite(values, name.upper())
            if np.any(values < 0):
                raise InputError(f"{self.where}: {name.upper()} has negative values")

    def _at(self, energy, offset):
        """Return the parameters by name, shape (n_energy, 1, n)."""
        in_energy, in_offset = self._matrices(energy, offset)
        return {
            name: np.clip(in_energy @ values.T @ in_offset.T, 0, None)[:, None]
            for name, values in self._filled.items()
        }

    @property
    def _filled(self):
        """Return the parameters; where there are none, those at the nearest node with some.

        That is the nearest energy at the same offset, or else at the nearest offset.
        """
        known = self.is_known
        column = _nearest(known)
        row = _nearest(known.any(axis=1)[None])[0]
        rows = np.arange(len(known))[:, None]
        return {
            name: values[rows, column][row] for name, values in self.parameters.items()
        }

    def evaluate(self, energy, offset, rad):
        """Return the density in sr-1.

        Parameters
        ----------
        energy : ndarray, shape (n_energy,)
            In TeV.
        offset : ndarray, shape (n,)
            In deg.
        rad : ndarray, shape (n_rad,)
            In deg.

        Returns
        -------
        ndarray, shape (n_energy, n_rad, n)
            Zero beyond the axes, and at offsets without parameters.
        """
        density = self._density(rad[:, None], **self._at(energy, offset))
        return np.where(self._known_at(energy, offset), density, 0)

    def containment(self, energy, offset, rad):
        """Return the part of the events within an angle.

        Parameters
        ----------
        energy, offset, rad
            As in `evaluate`.

        Returns
        -------
        ndarray, shape (n_energy, n_rad, n)
            Zero where there are no parameters.
        """
        part = self._contained(rad[:, None], **self._at(energy, offset))
        return np.where(self._known_at(energy, offset), part, 0)

    def _known_at(self, energy, offset):
        nearest = np.abs(centers(self.offset)[:, None] - offset).argmin(axis=0)
        known = self._covered(energy, offset) & self.is_known.any(axis=1)[nearest]
        return known[:, None]


def _nearest(known):
    """Return for each place in rows (m, n) the number of the nearest one that is known."""
    number = np.arange(known.shape[1])
    distance = np.abs(number[:, None] - number)
    return np.where(known[:, None, :], distance, known.size).argmin(axis=-1)


@dataclass(frozen=True)
class PSF3Gauss(_AnalyticPSF):
    """Sum of three Gaussians, normalised to 1.

    Attributes
    ----------
    energy, offset : tuple of ndarray
        Lower and upper bin edges in TeV and deg.
    parameters : dict of str to ndarray, shape (n_offset, n_energy)
        ``scale`` in sr-1, ``ampl_2`` and ``ampl_3`` relative to the first Gaussian,
        ``sigma_1``, ``sigma_2`` and ``sigma_3`` in deg. A width of 0 stands for no Gaussian.
    where : str
        File and HDU, for messages.
    """

    energy: tuple
    offset: tuple
    parameters: dict
    where: str = "psf"

    @property
    def is_known(self):
        """Return where (n_offset, n_energy) there are parameters."""
        return self._weights(**self.parameters)[0].sum(axis=0) > 0

    @staticmethod
    def _weights(sigma_1, sigma_2, sigma_3, ampl_2, ampl_3, scale=None):
        """Return integrals in deg2 of Gaussians relative to the first peak, and their widths."""
        sigmas = np.stack([sigma_1, sigma_2, sigma_3])
        amplitudes = np.stack([np.ones_like(ampl_2), ampl_2, ampl_3])
        return 2 * np.pi * amplitudes * sigmas**2, sigmas

    def _density(self, rad, **parameters):
        weights, sigmas = self._weights(**parameters)
        variance = np.where(sigmas > 0, sigmas, 1) ** 2
        peaks = np.where(sigmas > 0, weights / (2 * np.pi * variance), 0)
        density = np.sum(peaks * np.exp(-0.5 * rad**2 / variance), axis=0)
        total = np.sum(weights, axis=0) * np.radians(1) ** 2
        return np.divide(density, total, out=np.zeros_like(density), where=total > 0)

    def _contained(self, rad, **parameters):
        weights, sigmas = self._weights(**parameters)
        variance = np.where(sigmas > 0, sigmas, 1) ** 2
        inside = -np.sum(weights * np.expm1(-0.5 * rad**2 / variance), axis=0)
        total = np.sum(weights, axis=0)
        return np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)

    @property
    def integral(self):
        """Return the part (n_offset, n_energy) of the events that it contains, 1 if all."""
        weights, _ = self._weights(**self.parameters)
        return self.parameters["scale"] * weights.sum(axis=0) * np.radians(1) ** 2


@dataclass(frozen=True)
class PSFKing(_AnalyticPSF):
    """King profile, which is normalised to 1.

    ``(1 - 1 / gamma) / (2 pi sigma^2) (1 + rad^2 / (2 gamma sigma^2))^-gamma``.

    Attributes
    ----------
    energy, offset : tuple of ndarray
        Lower and upper bin edges in TeV and deg.
    parameters : dict of str to ndarray, shape (n_offset, n_energy)
        ``sigma`` in deg and ``gamma``; 0 stands for none.
    where : str
        File and HDU, for messages.
    """

    energy: tuple
    offset: tuple
    parameters: dict
    where: str = "psf"

    def __post_init__(self):
        super().__post_init__()
        gamma = self.parameters["gamma"]
        if np.any((gamma > 0) & (gamma <= 1)):
            raise InputError(
                f"{self.where}: GAMMA is not above 1: such a profile has no integral"
            )

    @property
    def is_known(self):
        """Return where (n_offset, n_energy) there are parameters."""
        return (self.parameters["sigma"] > 0) & (self.parameters["gamma"] > 1)

    @staticmethod
    def _density(rad, sigma, gamma):
        # Offsets without parameters are set to zero later.
        sigma, gamma = np.where(sigma > 0, sigma, 1), np.where(gamma > 1, gamma, 2)
        peak = (1 - 1 / gamma) / (2 * np.pi * sigma**2) / np.radians(1) ** 2
        return peak * (1 + rad**2 / (2 * gamma * sigma**2)) ** -gamma

    @staticmethod
    def _contained(rad, sigma, gamma):
        sigma, gamma = np.where(sigma > 0, sigma, 1), np.where(gamma > 1, gamma, 2)
        return 1 - (1 + rad**2 / (2 * gamma * sigma**2)) ** (1 - gamma)

    @property
    def integral(self):
        """Return the part (n_offset, n_energy) of the events that it contains, 1 if all."""
        return self.is_known.astype(float)
