"""Fixtures: simulated store, project with results, places of real data and references."""

import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import settings

from gammastack.dl3.datastore import HDU_INDEX, OBS_INDEX, DataStore
from gammastack.dl3.simulate import (
    BackgroundModel,
    index_hdus,
    observation_hdus,
    simulated_runs,
)
from gammastack.files.gadf import write_hdus
from project import SETTINGS, Project

CENTER = 83.63, 22.01
# For --hypothesis-profile: half an hour for the sequences of test_updates.py
settings.register_profile("thorough", max_examples=10_000)


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


@pytest.fixture(scope="session")
def built(tmp_path_factory, simulated_store):
    """A project with all results, made cold."""
    project = Project(tmp_path_factory.mktemp("built") / "project", SETTINGS)
    shutil.copytree(simulated_store[0].folder, project.folder / "store")
    start = time.monotonic()
    project.cold = project.snakemake()
    project.seconds = time.monotonic() - start
    assert project.cold.code == 0, project.cold.text
    return project


@pytest.fixture
def project(built, tmp_path):
    """A copy of the built project, to change things in."""
    return built.copy(tmp_path / "project")


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
