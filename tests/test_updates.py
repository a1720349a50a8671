"""Runs added, removed and replaced: results are those of a build from scratch.

``pytest tests/test_updates.py --hypothesis-profile thorough`` tries many more sequences.
"""

import filecmp
import shutil
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from astropy import units as u
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX
from gammastack.dl3.simulate import (
    BackgroundModel,
    SimulatedRun,
    index_hdus,
    observation_hdus,
)
from gammastack.files.gadf import write_hdus
from gammastack.files.header import read_image
from gammastack.maker import StackedObsImageMaker
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.groups import stable_groups
from project import BAND, Project

CAPACITY = 3
# Around a corner of the cells of the groups, so that they split by position; six runs
# at one place, which split by hashes; and one whose field of view is not in the image
PLACES = {
    **dict.fromkeys(range(1001, 1007), (90.3, 0.3)),
    **dict.fromkeys(range(1007, 1010), (89.7, 0.4)),
    **dict.fromkeys(range(1010, 1012), (90.2, -0.3)),
    1012: (95.0, 10.0),
}
# Seed of the events and shift of the pointing in RA, by the version of a run
VERSIONS = {"a": (1, 0.0), "b": (2, 0.0), "moved": (1, -0.8)}
SETTINGS = {
    "datastore": "store",
    "center": [90.0, 0.0],
    "width": "2 deg",
    "binsz": "0.2 deg",
    "energy_bands": [["1 TeV", "10 TeV"]],
    "radius": "0.4 deg",
    "exclusion_mask": [{"center": [90.0, 0.0], "radius": "0.3 deg"}],
    "dataset": {
        "energy": {"min": "1 TeV", "max": "10 TeV", "bins": 2},
        "energy_true": {"min": "0.5 TeV", "max": "20 TeV", "bins": 4},
        "rad": {"bins": 10},
    },
    "fields": {"sky": {}},
}
# By OBS_ID the new version, None to remove the run; and the number of cores
EDITS = st.dictionaries(
    st.sampled_from(list(PLACES)),
    st.sampled_from([*VERSIONS, None]),
    min_size=1,
    max_size=9,
)
STEPS = st.lists(st.tuples(EDITS, st.integers(1, 3)), min_size=2, max_size=4)


class Pool:
    """Files of the runs in all versions, simulated when they are needed."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, obs_id, version):
        path = self.folder / f"{obs_id}-{version}.fits"
        if not path.exists():
            model, seed = BackgroundModel(gradient=0.15), VERSIONS[version][0]
            run = self.truth(obs_id, version)
            write_hdus(path, observation_hdus(run, model, [], seed))
        return path

    def truth(self, obs_id, version):
        ra, dec = PLACES[obs_id]
        start = 1e6 + 2000 * (obs_id - 1001)
        return SimulatedRun(obs_id, ra + VERSIONS[version][1], dec, start, 1.1)

    def write_store(self, folder, versions):
        """A store with these runs; files that stay the same are not touched."""
        folder.mkdir(exist_ok=True)
        names = {obs_id: f"run_{obs_id}.fits" for obs_id in sorted(versions)}
        for path in folder.glob("run_*.fits"):
            if path.name not in names.values():
                path.unlink()
        for obs_id, name in names.items():
            path = self.path(obs_id, versions[obs_id])
            same = (folder / name).exists() and filecmp.cmp(path, folder / name, False)
            if not same:
                shutil.copy(path, folder / name)
        runs = [self.truth(obs_id, versions[obs_id]) for obs_id in names]
        hdus = index_hdus(runs, list(names.values()))
        for name, hdu in zip((OBS_INDEX, HDU_INDEX), hdus, strict=True):
            write_hdus(folder / name, [hdu])


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return Pool(tmp_path_factory.mktemp("pool"))


def new_project(folder):
    """A project with small groups."""
    project = Project(folder, SETTINGS)
    groups = "scripts/gammastack/stacking/groups.py"
    project.replace(groups, "\nCAPACITY = 64\n", f"\nCAPACITY = {CAPACITY}\n")
    return project


@pytest.mark.slow
@settings(
    # The usual number is 100
    max_examples=settings.default.max_examples // 100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(steps=STEPS)
@example(
    steps=[
        ({1001: "a", 1002: "a", 1003: "a", 1012: "a"}, 1),
        ({1001: "b", 1004: "a", 1007: "a"}, 3),
        ({1012: None}, 2),
        ({1001: "a", 1003: None, 1004: None, 1007: "moved"}, 2),
        ({1002: None}, 1),
    ]
)
def test_updates_leave_the_results_of_a_build_from_scratch(pool, steps):
    with TemporaryDirectory() as folder:
        project, fresh = (new_project(Path(folder, name)) for name in ("old", "new"))
        store, made = {}, {}
        for edits, cores in steps:
            edited = {**store, **edits}
            edited = {one: version for one, version in edited.items() if version}
            if not edited.keys() - {1012}:
                # No run would be in the image
                continue
            changed, store = edited != store, edited
            pool.write_store(project.folder / "store", store)
            done = project.snakemake(cores=cores)
            assert done.code == 0, done.text
            new = sorted(one for one in store if store[one] != made.get(one))
            made |= store
            run_images = [job for job in done.jobs if job.startswith("run_images")]
            assert run_images == [f"run_images sky {obs_id}" for obs_id in new]
            assert ("stack sky" in done.jobs) == changed
            datasets = [job for job in done.jobs if job.startswith("run_dataset")]
            assert datasets == [f"run_dataset sky {obs_id}" for obs_id in new]
            assert ("dataset sky" in done.jobs) == changed
        if not store:
            return
        pool.write_store(fresh.folder / "store", store)
        done = fresh.snakemake()
        assert done.code == 0, done.text
        ours, theirs = project.products(), fresh.products()
    assert [name for name in theirs if ours.get(name) != theirs[name]] == []
    others = [name.split("/")[1] for name in ours.keys() - theirs.keys()]
    assert set(others) <= {"runs", "groups", "dataset_runs", "dataset_groups"}


@pytest.mark.slow
def test_the_python_class_adds_up_the_same_groups(pool, tmp_path, monkeypatch):
    """Bit by bit; in one go the sums are the same but for the rounding."""
    project = new_project(tmp_path / "project")
    store = project.folder / "store"
    pool.write_store(store, dict.fromkeys(PLACES, "a"))
    assert project.snakemake().code == 0
    assert len(list((project.folder / "results/sky/groups").iterdir())) > 3
    maker = StackedObsImageMaker(
        ImageGeometry.create((90.0, 0.0), "icrs", "TAN", (2, 2), 0.2),
        [1, 10] * u.TeV,
        [0, 2] * u.deg,
        store,
        list(PLACES),
        [{"center": (90.0, 0.0), "radius": 0.3}],
    )
    maker.make_images(True, radius=0.4 * u.deg)
    in_one_go = maker.images
    small = partial(stable_groups, capacity=CAPACITY)
    monkeypatch.setattr("gammastack.maker.stable_groups", small)
    maker.make_images(True, radius=0.4 * u.deg)
    for kind in ("counts", "bkg", "exposure", "excess", "significance"):
        path = project.folder / "results" / "sky" / BAND / f"{kind}.fits"
        data, _, _ = read_image(path)
        assert np.array_equal(data, maker.images[kind].data, equal_nan=True)
        if kind in ("counts", "bkg", "exposure"):
            assert_allclose(data, in_one_go[kind].data, rtol=1e-12)
            if kind != "counts":
                assert not np.array_equal(data, in_one_go[kind].data)
