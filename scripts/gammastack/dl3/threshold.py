"""Energies above which a run can be trusted, from its responses.

The methods are those of the SafeMaskMaker of gammapy 2.1 (DOI 10.5281/zenodo.4701488) with
``irfs="DL3"``, but thresholds are interpolated between the nodes of the responses.
"""

import numpy as np

from gammastack.dl3.interpolation import centers, interpolation_matrix, log_centers
from gammastack.errors import NotCoveredError
from gammastack.sky.sphere import separation, unit_vectors

METHODS = ("aeff-max", "edisp-bias", "bkg-peak")


def energy_threshold(
    observation, offset, methods=(), aeff_percent=10, bias_percent=10, min=0.0
):
    """Return the largest of the thresholds in TeV that some methods find.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation
        With the responses that the methods need.
    offset : float
        In deg, at which effective area and energy dispersion are taken.
    methods : sequence of str
        Any of `METHODS`.
    aeff_percent, bias_percent : float
        For ``aeff-max``, the least effective area relative to its maximum; for
        ``edisp-bias``, the largest mean difference of reconstructed and true energy, relative
        to the true energy.
    min : float
        Fixed threshold in TeV.

    Raises
    ------
    gammastack.errors.NotCoveredError
        If the run lacks a response.
    """
    found = {"fixed": min}
    for method in methods:
        kind = method.partition("-")[0]
        response = getattr(observation, kind)
        if response is None:
            raise NotCoveredError(f"safe_energy: {method} needs a response {kind}")
        if method == "aeff-max":
            found[method] = aeff_threshold(response, aeff_percent / 100, offset)
        elif method == "edisp-bias":
            found[method] = bias_threshold(response, bias_percent / 100, offset)
        else:
            found[method] = background_peak(response)
    return float(max(found.values()))


def offset_of_center(geometry, pointing, offset_max):
    """Return the offset of the centre of an image in deg, or the largest one if that is smaller.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    pointing : gammastack.dl3.observation.Pointing
    offset_max : float
        In deg.
    """
    pointed = unit_vectors(pointing.ra, pointing.dec)
    offset = separation(geometry.center_vector(), pointed)
    return min(float(offset), offset_max)


def aeff_threshold(aeff, fraction, offset):
    """Return the energy in TeV above which the area is more than a fraction of its maximum.

    0 if it is at all energies.

    Parameters
    ----------
    aeff : gammastack.dl3.irf.EffectiveArea2D
    fraction, offset : float
        Offset in deg.
    """
    energy = np.exp(log_centers(aeff.energy))
    area = aeff.evaluate(energy, np.array([offset]))[:, 0]
    peak = np.argmax(area)
    below = np.flatnonzero(area[:peak] < fraction * area.max())
    return _crossing(energy, area, fraction * area.max(), below)


def bias_threshold(edisp, bias, offset):
    """Return the reconstructed energy in TeV above which the mean bias is smaller than a limit.

    Beginning at the true energy of the largest bias; 0 if it is smaller at all energies.

    Parameters
    ----------
    edisp : gammastack.dl3.dispersion.EnergyDispersion2D
    bias, offset : float
        Limit, relative to the true energy, and offset in deg.
    """
    energy, migra = np.exp(log_centers(edisp.energy)), centers(edisp.migra)
    (in_offset,) = interpolation_matrix(centers(edisp.offset), np.array([offset]))
    density = np.clip(np.tensordot(in_offset, edisp.matrix, 1), 0, None)
    density *= np.subtract(*edisp.migra[::-1])[:, None]
    total = density.sum(axis=0)
    energy, density, total = energy[total > 0], density[:, total > 0], total[total > 0]
    biases = migra @ density / total - 1
    above = np.arange(np.argmax(biases), len(biases))
    above = above[biases[above] > bias]
    # The first energies of a bias that is too large
    above = above[above - above[:1] == np.arange(len(above))]
    return _crossing(energy, -biases, -bias, above) * (1 + bias)


def background_peak(bkg):
    """Return the lower edge in TeV of the energy bin of a model that has the most background.

    Parameters
    ----------
    bkg : gammastack.dl3.irf.Background2D or gammastack.dl3.irf.Background3D
    """
    low, high = bkg.energy
    rate = bkg.rate * bkg.solid_angles
    rate = rate.reshape(len(rate), -1).sum(axis=1) * (high - low)
    return low[np.argmax(rate)]


def _crossing(energy, values, limit, below):
    """Return where values exceed a limit, linearly in log E, after the last energy below it."""
    if not len(below) or below[-1] + 1 == len(energy):
        return 0.0
    pair = slice(below[-1], below[-1] + 2)
    return np.exp(np.interp(limit, values[pair], np.log(energy[pair])))
