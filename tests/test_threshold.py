"""Energy thresholds: closed forms, and gammapy's on real runs."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gammastack.dl3.hdus import hdu_types
from gammastack.dl3.irf import Background2D, EffectiveArea2D
from gammastack.dl3.observation import read_observation
from gammastack.dl3.threshold import (
    METHODS,
    aeff_threshold,
    background_peak,
    bias_threshold,
    energy_threshold,
)
from gammastack.errors import NotCoveredError
from test_dispersion import CENTERS, gaussian

EDGES = np.geomspace(0.1, 12.6, 211)
MIDDLES = np.sqrt(EDGES[:-1] * EDGES[1:])
ENERGY, OFFSET = (EDGES[:-1], EDGES[1:]), (np.array([0.0]), np.array([2.0]))


def test_part_of_the_largest_area():
    """The area 100 E^2 up to its maximum at 10 TeV is a fifth of it at sqrt(20) TeV."""
    area = np.minimum(100 * MIDDLES**2, 1e4)
    aeff = EffectiveArea2D(ENERGY, OFFSET, area[None])
    assert_allclose(aeff_threshold(aeff, 0.2, 0.5), np.sqrt(20), rtol=1e-3)


def test_area_that_is_large_everywhere():
    aeff = EffectiveArea2D(ENERGY, OFFSET, np.ones((1, 210)))
    assert aeff_threshold(aeff, 0.1, 0.5) == 0


def test_bias_of_the_energy():
    """It is 0.3, 0.15 and 0 at the nodes: 0.1 a third of the way from the second to the third."""
    edisp = gaussian(np.array([[1.3, 1.15, 1.0]] * 2))
    energy = CENTERS[1] * (CENTERS[2] / CENTERS[1]) ** (1 / 3)
    assert_allclose(bias_threshold(edisp, 0.1, 0.5), 1.1 * energy, rtol=1e-3)


def test_small_bias():
    assert bias_threshold(gaussian(np.ones((2, 3))), 0.1, 0.5) == 0


def test_energy_with_most_background():
    """A rate of E^2 below 1 TeV and E^-2.7 above has its most events in the bin around 1 TeV."""
    rate = np.where(MIDDLES < 1, MIDDLES**2, MIDDLES**-2.7)
    bkg = Background2D(ENERGY, OFFSET, rate[:, None])
    low = background_peak(bkg)
    assert EDGES[0] < low and abs(np.log(low)) < 1.5 * np.log(EDGES[1] / EDGES[0])


def test_the_largest_threshold_counts():
    area = np.minimum(100 * MIDDLES**2, 1e4)
    aeff = EffectiveArea2D(ENERGY, OFFSET, area[None])
    run = SimpleNamespace(aeff=aeff, edisp=None, bkg=None)
    assert energy_threshold(run, 0.5, ["aeff-max"], min=1.0) > 3
    assert energy_threshold(run, 0.5, ["aeff-max"], min=5.0) == 5
    assert energy_threshold(run, 0.5) == 0
    with pytest.raises(NotCoveredError, match="edisp-bias needs a response edisp"):
        energy_threshold(run, 0.5, ["edisp-bias"])


# By SafeMaskMaker of gammapy 2.1 at an offset of 0.5 deg, on axes of 0.6 % in energy; the
# effective area with irfs="DL4", which interpolates, the others with "DL3"
GAMMAPY = {
    23523: (0.5546, 0.9151, 0.5642),
    20136: (0.2685, 0.4183, 0.3995),
    33787: (0.6553, 1.1129, 0.7970),
    47802: (0.4018, 0.6295, 0.3995),
}


@pytest.mark.parametrize("obs_id", GAMMAPY)
def test_thresholds_of_gammapy(hess_store, obs_id):
    types = hdu_types(("aeff", "bkg", "edisp"))
    observation = read_observation(obs_id, hess_store.available(obs_id, types))
    ours = [energy_threshold(observation, 0.5, [method]) for method in METHODS]
    assert_allclose(ours, GAMMAPY[obs_id], rtol=0.01)
