"""Stable groups of runs, and sums by groups."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from gammastack.runs.run import RunImages
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.sphere import unit_vectors
from gammastack.stacking.groups import CAPACITY, stable_groups
from gammastack.stacking.stack import Stack, stack_runs

# Runs at wobble positions of one target, which only hashes can divide, or anywhere
POINTINGS = st.sampled_from([(83.63, 22.71), (83.63, 21.31), (84.39, 22.01)])
POINTINGS |= st.tuples(st.floats(0, 360), st.floats(-90, 90))
OBS_IDS = st.integers(1, 10**12)
RUNS = st.dictionaries(OBS_IDS, POINTINGS, min_size=1, max_size=60)
CAPACITIES = st.integers(1, 8)
MANY = settings(max_examples=300, deadline=None)


def divide(runs, capacity):
    ra, dec = zip(*runs.values(), strict=True)
    return stable_groups(list(runs), ra, dec, capacity)


def members(groups):
    return sorted(obs_id for obs_ids in groups.values() for obs_id in obs_ids)


@MANY
@given(RUNS, CAPACITIES)
def test_each_run_is_in_one_group(runs, capacity):
    groups = divide(runs, capacity)
    assert members(groups) == sorted(runs)
    for name, obs_ids in groups.items():
        assert re.fullmatch("all|[0-3]+", name)
        assert 0 < len(obs_ids) <= capacity
        assert obs_ids == sorted(obs_ids)
    assert list(groups) == (["all"] if len(runs) <= capacity else sorted(groups))


@MANY
@given(RUNS)
def test_groups_are_not_wide(runs):
    """2,500 pixels of 0.004 deg are 10 deg, and pointings in one cell can be divided no more."""
    ra, dec = zip(*runs.values(), strict=True)
    groups = stable_groups(list(runs), ra, dec, binsz=0.004)
    assert members(groups) == sorted(runs)
    for name, obs_ids in groups.items():
        vectors = unit_vectors(*np.transpose([runs[obs_id] for obs_id in obs_ids]))
        apart = np.degrees(np.arccos(np.clip(vectors.T @ vectors, -1, 1)))
        assert apart.max() < 10.1 or len(name) == 6
    assert stable_groups(list(runs), ra, dec, binsz=1.0) == {"all": sorted(runs)}


@MANY
@given(RUNS, CAPACITIES, st.randoms(use_true_random=False))
def test_only_the_set_of_runs_matters(runs, capacity, random):
    order = list(runs)
    random.shuffle(order)
    assert divide({one: runs[one] for one in order}, capacity) == divide(runs, capacity)


@MANY
@given(RUNS, OBS_IDS, POINTINGS, CAPACITIES)
def test_one_more_run_changes_one_group(runs, obs_id, pointing, capacity):
    """The group grows or is replaced by its parts; removing a run is the reverse."""
    without = {one: runs[one] for one in runs if one != obs_id}
    if not without:
        return
    before = divide(without, capacity)
    after = divide(without | {obs_id: pointing}, capacity)
    gone = {name: ids for name, ids in before.items() if after.get(name) != ids}
    come = {name: ids for name, ids in after.items() if before.get(name) != ids}
    assert members(come) == sorted([*members(gone), obs_id])
    if not gone:
        assert list(come.values()) == [[obs_id]]
        return
    (name,) = gone
    parent = "" if name == "all" else name
    assert list(come) == [name] or all(one.startswith(parent) for one in come)


def wobbled(n_runs):
    """Return pointings at four positions around one target."""
    ra, dec = np.array([[83.63, 83.63, 84.39, 82.87], [22.71, 21.31, 22.01, 22.01]])
    return ra[np.arange(n_runs) % 4], dec[np.arange(n_runs) % 4]


def all_sky(n_runs):
    rng = np.random.default_rng(7)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n_runs)))
    return rng.uniform(0, 360, n_runs), dec


@pytest.mark.parametrize("pointings", [wobbled, all_sky])
@pytest.mark.parametrize("n_runs", [100, 126, 300, 1000, 3000, 10_000])
def test_cost_of_a_change(pointings, n_runs):
    """The runs of its group and the sums of all groups are a few times sqrt(N).

    Division into quarters leaves groups of a quarter of the capacity up to all of it,
    so no capacity achieves 4 sqrt(N) for each N from 100 to 10,000.
    """
    groups = stable_groups(range(n_runs), *pointings(n_runs))
    sizes = np.array([len(obs_ids) for obs_ids in groups.values()])
    assert sizes.max() <= CAPACITY
    cost = sizes + len(groups)
    assert cost.max() < 6 * np.sqrt(n_runs)
    assert np.average(cost, weights=sizes) < 4.5 * np.sqrt(n_runs)


def test_the_same_place_at_the_ends_of_the_axes():
    obs_ids = range(100)
    at_zero = stable_groups(obs_ids, [0.0] * 100, [-90.0] * 100, 10)
    assert stable_groups(obs_ids, [360.0] * 100, [-90.0] * 100, 10) == at_zero
    assert stable_groups(obs_ids, [0.0] * 100, [90.0] * 100, 10) != at_zero


def test_sums_by_groups():
    """Sums by groups are those of all runs in one go, except for rounding."""
    rng = np.random.default_rng(7)
    geometry = ImageGeometry.create((83.63, 22.01), "icrs", "TAN", (4, 4), 0.1)
    ra, dec = wobbled(50) + rng.normal(0, 0.5, (2, 50))
    runs = {}
    for obs_id in range(50):
        cutout = geometry.cutout(ra[obs_id], dec[obs_id], 1.0)
        counts = rng.poisson(3, cutout.shape)
        runs[obs_id] = RunImages(
            obs_id=obs_id,
            start=f"2020-01-01T00:{obs_id:02}:00.000",
            stop=f"2020-01-01T00:{obs_id:02}:50.000",
            livetime=rng.uniform(1000, 2000),
            ontime=rng.uniform(1000, 2000),
            geometry=cutout,
            n_events=int(counts.sum()),
            n_pixels=counts.size,
            ra=ra[obs_id],
            dec=dec[obs_id],
            exposure_on_axis=1e12,
            counts=counts,
            bkg=rng.uniform(1, 5, cutout.shape),
            exposure=10 ** rng.uniform(8, 12, cutout.shape),
        )
    in_one_go, _ = stack_runs(geometry, runs.values())
    groups = stable_groups(runs, ra, dec, 10)
    by_groups = Stack.empty(geometry)
    for obs_ids in groups.values():
        by_groups.add(stack_runs(geometry, [runs[one] for one in obs_ids])[0])
    assert len(groups) > 5
    for key in ("n_obs", "start", "stop"):
        assert getattr(by_groups, key) == getattr(in_one_go, key)
    for key in ("livetime", "ontime"):
        assert_allclose(getattr(by_groups, key), getattr(in_one_go, key), rtol=1e-12)
    for kind, image in by_groups.images.items():
        assert_allclose(image, in_one_go.images[kind], rtol=1e-12)
