"""Exposure for point sources that are looked at through a disk."""

import numpy as np

from gammastack.runs.run import RAD, PointExposure

# Steps in offset, in deg
OFFSET_STEP = 0.1
# Logarithmic bins of the energy in a band: the part in the disk is then right to 1e-4.
N_ENERGIES = 40


def point_exposure(observation, offset_max, band, spectral_index, exposure):
    """Return the exposure of a run for a point source within an angle around it.

    ``livetime * integral of A(E, offset) C(E, offset, angle) (E / e_ref)^-index dE``, C the
    part of the point spread within the angle.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation
        With effective area and point spread function.
    offset_max : float
        In deg.
    band : tuple of float
        In TeV.
    spectral_index : float
    exposure : callable
        Returns the exposure with all of the point spread at offsets (n,) in deg.

    Returns
    -------
    gammastack.runs.run.PointExposure
    """
    psf, aeff = observation.psf, observation.aeff
    psf.require(band, offset_max)
    offset = np.linspace(0, offset_max, 1 + int(np.ceil(offset_max / OFFSET_STEP)))
    edges = np.geomspace(*band, N_ENERGIES + 1)
    energy = np.sqrt(edges[:-1] * edges[1:])
    # In equal steps of log E; a little of everything where there is no area
    weights = (energy ** (1 - spectral_index))[:, None]
    area = aeff.evaluate(energy, offset)
    weights = weights * (area + 1e-9 * max(area.max(), 1.0))
    contained = psf.containment(energy, offset, RAD)
    part = np.einsum("en,ern->nr", weights, contained)
    # The last angle has all; energies without a point spread do not count.
    whole = part[:, -1:]
    part = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    part[:, -1] = 1
    return PointExposure(exposure(offset)[:, None] * part, offset_max)
