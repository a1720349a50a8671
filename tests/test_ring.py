import numpy as np
import pytest
from numpy.testing import assert_allclose

from gammastack.maps.disks import counts_in_disk
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.kernels import ring_kernel
from gammastack.stacking.ring import RingBackground
from gammastack.stacking.stack import final_images, stack_runs
from test_stack import make_run

GEOMETRY = ImageGeometry.create((10.0, 0.0), "icrs", "TAN", (4, 4), 0.1)
RING = {"method": "ring", "r_in": 0.5, "width": 0.3}
ADAPTIVE = {
    **RING,
    "method": "adaptive ring",
    "adaptive": {
        "r_out_max": 1.6,
        "stepsize": 0.2,
        "theta": 0.1,
        "threshold_alpha": 0.1,
    },
}


def make_ring(settings=RING):
    settings = {key: value for key, value in settings.items() if key != "method"}
    return RingBackground.create(GEOMETRY.in_pixels, **settings)


def test_ring_holds_both_rims():
    """As in gammapy 2.1, a ring of 0.5 to 0.8 deg has 3084 pixels of 0.02 deg."""
    assert ring_kernel((25, 25), (40, 40)).sum() == 3084
    kernel = ring_kernel((0.5 / 0.1,) * 2, (0.8 / 0.1,) * 2)
    y, x = np.mgrid[-8:9, -8:9]
    assert np.array_equal(kernel, (x**2 + y**2 >= 25) & (x**2 + y**2 <= 64))


def test_each_pixel_by_hand():
    """Sums are those of a loop over pixels; the mask and the image edges cut rings."""
    rng = np.random.default_rng(2)
    counts = rng.poisson(2, GEOMETRY.shape)
    acceptance = rng.uniform(1, 3, GEOMETRY.shape)
    acceptance[:5] = counts[:5] = 0
    mask = rng.uniform(size=GEOMETRY.shape) < 0.7
    off, acceptance_off = make_ring().estimate(counts, acceptance, mask)
    rows, columns = np.indices(GEOMETRY.shape)
    for row, column in [(0, 0), (5, 7), (20, 20), (39, 2)]:
        distance = np.hypot(rows - row, columns - column)
        ring = (distance >= 5) & (distance <= 8) & mask & (acceptance > 0)
        inside = acceptance[row, column] > 0
        assert off[row, column] == inside * counts[ring].sum()
        assert_allclose(acceptance_off[row, column], inside * acceptance[ring].sum())


def test_flat_field():
    """With two counts everywhere, alpha is the ratio of areas, and the excess is 0."""
    stack, (record,) = stack_runs(
        GEOMETRY, [make_run(counts=2, geometry=GEOMETRY)], background=RING
    )
    images = final_images(stack.images)
    assert_allclose(images["bkg"], 2)
    assert images["off"][20, 20] == 2 * ring_kernel((5, 5), (8, 8)).sum()
    measured = counts_in_disk(images, 2)
    # There are 13 pixels in the disk and 128 in the ring
    assert ring_kernel((5, 5), (8, 8)).sum() == 128
    assert_allclose(measured.alpha[20, 20], 13 / 128)
    assert_allclose(measured.significance(), 0, atol=1e-6)
    assert record["n_pixels_left_out"] == 0


def test_ring_that_is_excluded():
    """In the middle of a large exclusion, the background is NaN and counts are 0."""
    rows, columns = np.indices(GEOMETRY.shape)
    mask = np.hypot(rows - 20, columns - 20) > 10
    run = make_run(counts=2, geometry=GEOMETRY)
    stack, (record,) = stack_runs(GEOMETRY, [run], mask, background=RING)
    images = final_images(stack.images)
    # A pixel keeps its ring if one of the ring's pixels is beyond the exclusion
    lost = np.isnan(images["bkg"])
    assert lost[20, 20] and not lost[20, 24] and not lost[0, 0]
    assert (
        record["n_pixels_left_out"] == lost.sum() == stack.images["n_without_off"].sum()
    )
    for kind in ("counts", "exposure", "livetime", "n_runs", "off"):
        assert (images[kind][lost] == 0).all()
    measured = counts_in_disk(images, 0)
    for values in (measured.significance(), measured.excess, *measured.errors()):
        assert np.isnan(values[lost]).all()
        assert np.isfinite(values[~lost]).all()


def test_adaptive_ring_grows_until_enough_is_left():
    """Its alpha is within the threshold wherever a ring of an allowed size can be."""
    rows, columns = np.indices(GEOMETRY.shape)
    mask = np.hypot(rows - 20, columns - 20) > 10
    run = make_run(counts=2, geometry=GEOMETRY)
    stack, _ = stack_runs(GEOMETRY, [run], mask, background=ADAPTIVE)
    images = final_images(stack.images)
    assert np.isfinite(images["bkg"]).all()
    # theta is a disk of 5 pixels, cut at the edges, and the acceptance is flat
    enough = 5 * images["acceptance"] <= 0.1 * images["acceptance_off"] + 1e-9
    assert enough[1:-1, 1:-1].all()
    # Far away the first ring is large enough
    plain, _ = make_ring().estimate(run.counts, run.bkg, mask)
    assert images["off"][2, 20] == plain[2, 20]
    # In the middle the ring is the first that reaches far enough beyond the exclusion
    sizes = [
        (
            ring_kernel((r, r), (r + 3, r + 3))
            * mask[20 - r - 3 : 24 + r, 20 - r - 3 : 24 + r]
        ).sum()
        for r in range(5, 14, 2)
    ]
    first = next(size for size in sizes if size >= 5 / 0.1)
    assert images["off"][20, 20] == 2 * first


def test_adaptive_ring_ends_at_its_largest_radius():
    rows, columns = np.indices(GEOMETRY.shape)
    mask = np.hypot(rows - 20, columns - 20) > 18
    run = make_run(counts=2, geometry=GEOMETRY)
    stack, (record,) = stack_runs(GEOMETRY, [run], mask, background=ADAPTIVE)
    assert np.isnan(final_images(stack.images)["bkg"][20, 20])
    assert record["n_pixels_left_out"] > 0


def test_two_runs_are_added_as_gammapy_adds_them():
    """alpha of the stack is the mean of those of the runs, weighted with OFF counts."""
    rng = np.random.default_rng(4)
    counts = [rng.poisson(mean, GEOMETRY.shape) for mean in (2, 5)]
    slope = np.linspace(1, 2, 40)
    runs = [
        make_run(1, geometry=GEOMETRY, counts=counts[0], bkg=np.outer(slope, slope)),
        make_run(
            2, geometry=GEOMETRY, counts=counts[1], bkg=np.outer(slope, slope[::-1])
        ),
    ]
    stack, _ = stack_runs(GEOMETRY, runs, background=RING)
    images = final_images(stack.images)
    single = [
        final_images(stack_runs(GEOMETRY, [run], background=RING)[0].images)
        for run in runs
    ]
    alpha = [one["acceptance"] / one["acceptance_off"] for one in single]
    off = [one["off"] for one in single]
    mean = (alpha[0] * off[0] + alpha[1] * off[1]) / (off[0] + off[1])
    assert_allclose(images["acceptance"] / images["acceptance_off"], mean)
    assert_allclose(images["off"], off[0] + off[1])
    assert_allclose(images["bkg"], mean * images["off"])


def test_alpha_where_no_off_counts_are():
    """alpha is known from the acceptance, because n_off = 0 is a measurement."""
    counts = np.zeros(GEOMETRY.shape, dtype=int)
    counts[0, 0] = 1
    run = make_run(geometry=GEOMETRY, counts=counts, n_events=1)
    stack, _ = stack_runs(GEOMETRY, [run], bkg_norm=False, background=RING)
    measured = counts_in_disk(final_images(stack.images), 0)
    assert measured.n_off[20, 20] == 0
    assert_allclose(measured.alpha[20, 20], 1 / 128)
    assert_allclose(measured.upper_limit(0.95)[20, 20], -np.log(0.05), rtol=1e-4)


@pytest.mark.parametrize("gradient", [False, True])
def test_norm_relative_to_the_model(gradient):
    """For equal models of runs with norms 2 and 3, it is the mean of the two norms."""
    runs = [
        make_run(1, counts=4, geometry=GEOMETRY),
        make_run(2, counts=6, geometry=GEOMETRY),
    ]
    background = {"method": "irf", "gradient": gradient}
    stack, _ = stack_runs(GEOMETRY, runs, background=background)
    assert_allclose(final_images(stack.images)["bkg_norm_relative"], (4 + 6) / (2 + 2))
