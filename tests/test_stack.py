from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from gammastack.runs.run import RunImages
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.norm import fit_bkg_norm
from gammastack.stacking.run_table import bkg_norm_table
from gammastack.stacking.stack import Stack, none_used, stack_runs

GEOMETRY = ImageGeometry.create((10.0, 0.0), "icrs", "TAN", (2, 2), 0.1)
MASK = np.ones(GEOMETRY.shape, dtype=bool)
MASK[8:12, 8:12] = False


def make_run(obs_id=1, counts=4, bkg=2.0, geometry=GEOMETRY, **options):
    shape = geometry.shape
    return RunImages(
        **{
            "obs_id": obs_id,
            "start": f"2020-01-0{obs_id}T00:00:00.000",
            "stop": f"2020-01-0{obs_id}T00:28:00.000",
            "livetime": 90.0,
            "ontime": 100.0,
            "geometry": geometry,
            "n_events": int(np.sum(np.broadcast_to(counts, shape))),
            "n_pixels": int(np.prod(shape)),
            "ra": 10.0,
            "dec": 0.0,
            "exposure_on_axis": 10.0,
            "counts": np.broadcast_to(counts, shape).copy(),
            "bkg": np.broadcast_to(bkg, shape).copy(),
            "exposure": np.full(shape, 7.0),
            **options,
        }
    )


def test_norm_is_counts_over_model_outside_the_exclusions():
    counts = np.full(GEOMETRY.shape, 3)
    counts[~MASK] = 1000
    norm = fit_bkg_norm(counts, np.full(GEOMETRY.shape, 2.0), MASK)
    n_pixels = 400 - 16
    assert (norm.n_counts, norm.n_bkg) == (3 * n_pixels, 2 * n_pixels)
    assert_allclose(norm.scale, 1.5)
    assert_allclose(norm.error, 1.5 / np.sqrt(3 * n_pixels))


def test_sums():
    stack, records = stack_runs(GEOMETRY, [make_run(1), make_run(2, counts=6)], MASK)
    assert_allclose(stack.images["counts"], 10)
    assert_allclose(stack.images["bkg"], 4 + 6)
    assert_allclose(stack.images["exposure"], 14)
    assert (stack.livetime, stack.ontime, stack.n_obs) == (180, 200, 2)
    assert (stack.start, stack.stop) == (make_run(1).start, make_run(2).stop)
    assert [record["bkg_scale"] for record in records] == [2, 3]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_names_of_telescopes_do_not_depend_on_the_order(order):
    names = ["HESS", "CTA, North", "", "HESS"]
    runs = [
        make_run(number + 1, telescope=names[number], instrument="camera")
        for number in order
    ]
    whole, _ = stack_runs(GEOMETRY, runs)
    assert (whole.telescope, whole.instrument) == ("CTA, HESS, North", "camera")
    groups = Stack.empty(GEOMETRY)
    for part in (runs[:1], runs[1:]):
        groups.add(stack_runs(GEOMETRY, part)[0])
    assert groups.telescope == whole.telescope


def test_cutouts_land_on_their_pixels():
    cutout = GEOMETRY.cutout(10.5, 0.4, 0.3)
    stack, _ = stack_runs(GEOMETRY, [make_run(geometry=cutout)], bkg_norm=False)
    covered = np.zeros(GEOMETRY.shape, dtype=bool)
    covered[GEOMETRY.placement(cutout)] = True
    assert_allclose(stack.images["counts"], np.where(covered, 4, 0))
    assert_allclose(stack.images["bkg"], np.where(covered, 2, 0))


def test_without_norm_the_background_stays():
    stack, (record,) = stack_runs(GEOMETRY, [make_run()], MASK, bkg_norm=False)
    assert_allclose(stack.images["bkg"], 2)
    assert (record["bkg_scale"], record["n_counts"]) == (1, 4 * MASK.sum())


def test_without_mask_all_pixels_are_used():
    _, (record,) = stack_runs(GEOMETRY, [make_run()])
    assert record["n_counts"] == 4 * 400


@pytest.mark.parametrize(
    "bad, status, reason",
    [
        (
            make_run(2, counts=0, n_events=1),
            "dropped",
            "bkg_scale is not positive: 0 counts",
        ),
        (
            make_run(2, bkg=0.0),
            "failed",
            "its background model is 0 in all pixels",
        ),
        (
            replace(make_run(2), exposure=np.zeros(GEOMETRY.shape)),
            "failed",
            "its exposure is 0 in all pixels",
        ),
        (make_run(2, livetime=0.0), "failed", "its livetime is 0"),
        (
            RunImages.unused(2, GEOMETRY, 83.0, 22.0, "failed", "run.fits: truncated"),
            "failed",
            "run.fits: truncated",
        ),
        (make_run(2, counts=0), "dropped", "0 selected events, ncounts_min is 0"),
        (make_run(2, n_pixels=0), "dropped", "does not touch the image"),
    ],
)
def test_bad_run_does_not_poison_the_stack(bad, status, reason):
    alone, _ = stack_runs(GEOMETRY, [make_run(1)], MASK)
    stack, records = stack_runs(GEOMETRY, [make_run(1), bad], MASK)
    assert_allclose(stack.images["bkg"], alone.images["bkg"])
    assert_allclose(stack.images["exposure"], alone.images["exposure"])
    assert records[0]["status"] == "used"
    assert records[1]["status"] == status
    assert (stack.n_obs, stack.n_failed) == (1, status == "failed")
    assert reason in records[1]["reason"]


def test_ncounts_min_must_be_exceeded():
    """As in gammapy 0.6, a run with exactly ncounts_min events is dropped."""
    runs = [make_run(1, n_events=5), make_run(2, n_events=6)]
    _, records = stack_runs(GEOMETRY, runs, ncounts_min=5)
    assert [record["status"] for record in records] == ["dropped", "used"]


def test_stack_of_bad_runs_alone_is_empty():
    bad = make_run(1, counts=0)
    stack, records = stack_runs(GEOMETRY, [bad])
    assert not any(image.any() for image in stack.images.values())
    assert none_used(records).startswith(
        "none of the 1 runs can be used. 1: 0 selected"
    )
    _, records = stack_runs(GEOMETRY, [make_run(2), bad])
    assert none_used(records) == ""


def test_counts_only():
    run = replace(make_run(), bkg=None, exposure=None)
    stack, records = stack_runs(GEOMETRY, [run], background=None)
    assert_allclose(stack.images["counts"], 4)
    assert records[0]["status"] == "used"


def test_norm_table_holds_the_used_runs():
    _, records = stack_runs(GEOMETRY, [make_run(1), make_run(2, counts=0)], MASK)
    table = bkg_norm_table(pd.DataFrame(records))
    assert table["OBS_ID"].tolist() == [1]
    assert table["OBS_ID"].dtype == "int64"
    assert list(table.columns[:3]) == ["OBS_ID", "bkg_scale", "bkg_scale_err"]


@pytest.mark.parametrize("kind", ["bkg", "exposure"])
@pytest.mark.parametrize("method", ["irf", "ring"])
@pytest.mark.parametrize("bkg_norm", [True, False])
def test_pixels_without_model_or_exposure_are_left_out(kind, method, bkg_norm):
    """Images and norm leave them out, because their counts would be a false excess."""
    half = np.zeros(GEOMETRY.shape, dtype=bool)
    half[:, :10] = True
    whole = make_run()
    blind = replace(whole, **{kind: np.where(half, 0.0, getattr(whole, kind))})
    background = {"method": method}
    if method == "ring":
        background |= {"r_in": 0.2, "width": 0.1}
    stack, (record,) = stack_runs(
        GEOMETRY, [blind], MASK, bkg_norm=bkg_norm, background=background
    )
    assert record["bkg_scale"] == (2 if bkg_norm else 1)
    assert record["n_pixels_left_out"] == half.sum()
    for image in stack.images.values():
        assert (image[half] == 0).all()
    assert (stack.images["n_runs"] == ~half).all()
    assert (stack.images["counts"] == 4 * ~half).all()


def test_odd_norm_is_a_warning():
    """The norm of 40 counts over a model of 2 is 20."""
    runs = [make_run(1), make_run(2, counts=40)]
    settings = {"bkg_scale_band": (0.2, 5)}
    stack, records = stack_runs(GEOMETRY, runs, MASK, **settings)
    text = "bkg_scale 20 is outside bkg_scale_band, 0.2 to 5"
    assert [record["status"] for record in records] == ["used", "used"]
    assert [record["warning"] for record in records] == ["", text]
    settings["on_bad_bkg_scale"] = "drop"
    stack, records = stack_runs(GEOMETRY, runs, MASK, **settings)
    assert [record["status"] for record in records] == ["used", "dropped"]
    assert records[1]["reason"] == text
    alone, _ = stack_runs(GEOMETRY, runs[:1], MASK)
    assert_allclose(stack.images["bkg"], alone.images["bkg"])


def test_runs_without_effective_areas():
    """Counts and background are as with them."""
    runs = [make_run(1), make_run(2, counts=6)]
    without = [replace(run, exposure=None) for run in runs]
    stack, _ = stack_runs(GEOMETRY, runs, MASK)
    other, _ = stack_runs(GEOMETRY, without, MASK, has_exposure=False)
    assert stack.images.keys() - other.images.keys() == {"exposure", "livetime"}
    for kind, image in other.images.items():
        assert_allclose(image, stack.images[kind])
    assert other.livetime == stack.livetime
