"""Fixtures: a small simulated store, and the places of real data and reference results."""

import os
from pathlib import Path

import pytest

from gammastack.datastore import HDU_INDEX, OBS_INDEX, DataStore
from gammastack.products import write_hdus
from gammastack.simulate import (
    BackgroundModel,
    index_hdus,
    observation_hdus,
    simulated_runs,
)

CENTER = 83.63, 22.01


@pytest.fixture(scope="session")
def simulated_store(tmp_path_factory):
    """A store of four simulated runs without sources, and their truth."""
    folder = tmp_path_factory.mktemp("store")
    runs = simulated_runs(CENTER, 0.7, 4, seed=7)
    model = BackgroundModel(gradient=0.15)
    names = [f"run_{run.obs_id}.fits" for run in runs]
    for run, name in zip(runs, names, strict=True):
        write_hdus(folder / name, observation_hdus(run, model, [], seed=7))
    observations, hdus = index_hdus(runs, names)
    write_hdus(folder / OBS_INDEX, [observations])
    write_hdus(folder / HDU_INDEX, [hdus])
    return DataStore.from_dir(folder), runs, model


def _folder_of(variable, name):
    folder = Path(os.environ.get(variable, "/nowhere")) / name
    if not folder.is_dir():
        pytest.skip(f"needs {name} in ${variable}")
    return folder


@pytest.fixture(scope="session")
def hess_store():
    """The H.E.S.S. DL3 public test data release 1."""
    return DataStore.from_dir(_folder_of("GAMMAPY_DATA", "hess-dl3-dr1"))


@pytest.fixture(scope="session")
def hess_store_bkg2d():
    """The same with the background averaged in rings, and float64 positions."""
    return DataStore.from_dir(_folder_of("GAMMAPY_DATA", "hess-dl3-dr1-bkg2d"))


@pytest.fixture(scope="session")
def reference():
    """Folders of the results of gammapy 2.1 and 0.6."""
    return lambda name: _folder_of("GAMMASTACK_REFERENCE", name)
