"""Counts, background and exposure of simulated runs against their truth."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose

from gammastack.dl3.irf import Background3D
from gammastack.dl3.observation import (
    EventList,
    GoodTimeIntervals,
    Pointing,
    read_observation,
)
from gammastack.dl3.simulate import DEADC, ONTIME, effective_area
from gammastack.dl3.spectrum import power_law_integral
from gammastack.errors import InputError
from gammastack.runs.background import background_cube, zenith_angles
from gammastack.runs.counts import counts_cube, select_events
from gammastack.runs.exposure import exposure_image
from gammastack.runs.images import run_images
from gammastack.sky.geometry import ImageGeometry, field_of_view
from gammastack.sky.sphere import lonlat, separation, unit_vectors

GEOMETRY = ImageGeometry.create((83.63, 22.01), "icrs", "TAN", (6, 6), 0.05)
BAND = 1.0, 10.0
GTI = GoodTimeIntervals(np.array([0.0, 20.0]), np.array([10.0, 30.0]))
POINTING = Pointing(83.63, 22.01)


def events(**columns):
    n = max(np.size(values) for values in columns.values())
    defaults = {"time": 5.0, "ra": 83.63, "dec": 22.01, "energy": 2.0}
    return EventList(
        **{
            name: np.broadcast_to(np.asarray(columns.get(name, value), float), n).copy()
            for name, value in defaults.items()
        }
    )


@pytest.fixture
def run(simulated_store):
    store, runs, model = simulated_store
    observation = read_observation(runs[0].obs_id, store.hdus(runs[0].obs_id))
    return observation, runs[0], model


def test_gti_edges_belong_to_the_interval():
    time = np.array([-0.1, 0, 10, 10.1, 19.9, 20, 30, 30.1])
    expected = [False, True, True, False, False, True, True, False]
    assert GTI.contains(time).tolist() == expected


def test_overlapping_intervals_in_any_order():
    gti = GoodTimeIntervals(np.array([20.0, 0.0, 2.0]), np.array([30.0, 12.0, 4.0]))
    assert gti.contains(np.array([3, 11, 13, 25])).tolist() == [True, True, False, True]


def test_event_selection_includes_lower_edges_only():
    energy = events(energy=[0.999, 1.0, 9.999, 10.0])
    selected = select_events(energy, GTI, POINTING, BAND, (0, 2))
    assert selected.tolist() == [False, True, True, False]
    offset = events(dec=22.01 + np.array([0.49, 0.51, 1.99, 2.01]))
    selected = select_events(offset, GTI, POINTING, BAND, (0.5, 2))
    assert selected.tolist() == [False, True, True, False]
    time = events(time=[5, 15, 25])
    assert select_events(time, GTI, POINTING, BAND, (0, 2)).tolist() == [
        True,
        False,
        True,
    ]


def test_counts_fall_with_their_pixel():
    """An event inside the offset band whose pixel centre is outside it is not counted."""
    view = field_of_view(GEOMETRY, 83.63, 22.01, (0, 2))
    row, column = np.argwhere(~view.selected & (view.offset < 2.01))[0]
    middle = np.array(view.geometry.shape) / 2
    # Towards the pointing, but still in this pixel
    y, x = (row, column) + 0.45 * np.sign(middle - (row, column))
    vector = view.geometry.vectors(x, y)
    assert separation(vector, unit_vectors(83.63, 22.01)) < 2
    ra, dec = lonlat(vector)
    assert counts_cube(events(ra=ra, dec=dec), GTI, view, [BAND])[0].sum() == 0
    center = events(ra=[83.63, 83.63, 12.0], dec=[22.01, 22.01, -60.0])
    counts = counts_cube(center, GTI, view, [BAND])[0]
    assert counts.sum() == 2 and counts.max() == 2


def test_expected_background_is_the_model(run):
    """It is the closed formula of the simulation: a power law times a Gaussian."""
    observation, _, model = run
    pointing = observation.pointing
    view = field_of_view(GEOMETRY, pointing.ra, pointing.dec, (0, 2))
    image = background_cube(observation.bkg, observation, view, [BAND])[0]
    shape = model.rate(1.0, -view.lon, view.lat)
    integral = power_law_integral(BAND, model.index, 1.0)
    expected = shape * integral * ONTIME * view.solid_angle
    # Between the file's nodes, 0.1 deg apart, a Gaussian is off by 0.1^2 / (8 w^2)
    assert_allclose(
        image[view.selected], expected, rtol=2 * 0.1**2 / (8 * 1.7**2) + 1e-6
    )


def test_counts_follow_the_true_norm(simulated_store):
    """Counts / model of each run is the simulated norm within its Poisson error."""
    store, runs, _ = simulated_store
    pulls = []
    for truth in runs:
        observation = read_observation(truth.obs_id, store.hdus(truth.obs_id))
        (images,) = run_images(observation, GEOMETRY, [(0.5, 50.0)], (0, 2.5))
        n, mu = images.counts.sum(), images.bkg.sum()
        pulls.append((n / mu - truth.norm) / (np.sqrt(n) / mu))
    assert np.abs(pulls).max() < 3.5
    assert_allclose(np.mean(pulls), 0, atol=3.5 / np.sqrt(len(pulls)))


def test_background_gradient_points_north(run):
    observation, _, _ = run
    (images,) = run_images(observation, GEOMETRY, [(0.5, 50.0)], (0, 2))
    pointing = observation.pointing
    view = field_of_view(GEOMETRY, pointing.ra, pointing.dec, (0, 2))
    north = np.zeros(view.geometry.shape, dtype=bool)
    north[view.selected] = view.lat > 0
    south = view.selected & ~north
    ratio = images.bkg[north].sum() / images.bkg[south].sum()
    assert ratio > 1.15
    counts = images.counts[north].sum(), images.counts[south].sum()
    error = ratio * np.sqrt(1 / counts[0] + 1 / counts[1])
    assert_allclose(counts[0] / counts[1], ratio, atol=3.5 * error)


@pytest.mark.parametrize("index", [1.0, 2.3])
def test_exposure_is_livetime_times_area(run, index):
    observation, _, _ = run
    pointing = observation.pointing
    view = field_of_view(GEOMETRY, pointing.ra, pointing.dec, (0, 2))
    args = observation.aeff, observation.livetime, view, BAND, index
    integral, differential = (exposure_image(*args, flag)[0] for flag in (True, False))
    e_ref = np.sqrt(10.0)
    spectrum = power_law_integral(BAND, index, e_ref)
    assert_allclose(differential, integral * spectrum)
    energy = np.geomspace(*BAND, 20001)
    middle = np.sqrt(energy[:-1] * energy[1:])
    weight = np.diff(energy) * (middle / e_ref) ** -index
    offset = view.offset[view.selected]
    nearest = np.argmin(offset)
    area = np.sum(weight * effective_area(middle, offset[nearest])) / spectrum
    assert_allclose(integral[view.selected][nearest], ONTIME * DEADC * area, rtol=2e-3)


def test_several_bands_in_one_pass_add_up(run):
    observation, _, _ = run
    bands = [(1.0, 3.0), (3.0, 10.0), BAND]
    low, high, both = run_images(observation, GEOMETRY, bands, (0, 2))
    assert_allclose(low.counts + high.counts, both.counts)
    assert low.n_events + high.n_events == both.n_events
    assert_allclose(low.bkg + high.bkg, both.bkg, rtol=1e-12)


def test_run_far_away_has_no_pixels(run):
    observation, _, _ = run
    far = replace(observation, pointing=Pointing(83.63, -40.0))
    (images,) = run_images(far, GEOMETRY, [BAND], (0, 2))
    assert images.n_pixels == 0 and images.counts.size == 0


SITE = -17.89, 28.76, 2200.0


def horizon_fixed(observation, site=SITE):
    """Return an observation whose background grows with altitude and longitude."""
    fov = np.linspace(-3, 3, 31)
    x = (fov[:-1] + fov[1:]) / 2
    axis = fov[:-1], fov[1:]
    energy = np.array([0.1, 1, 100.0])
    rate = np.ones((2, 1, 1)) * np.exp(0.2 * x[:, None] + 0.3 * x)
    bkg = Background3D((energy[:-1], energy[1:]), axis, axis, rate, alignment="ALTAZ")
    return replace(
        observation, bkg=bkg, pointing=replace(observation.pointing, site=site)
    )


def test_altaz_background_follows_the_zenith(run):
    """It agrees with astropy's horizontal position of each pixel in mid-run."""
    observation = horizon_fixed(run[0])
    middle = observation.start + 0.5 * (observation.stop - observation.start)
    short = GoodTimeIntervals(
        *(
            np.array([(middle - observation.time_ref).to_value("s") + edge])
            for edge in (0, 1)
        )
    )
    observation = replace(observation, gti=short)
    pointing = observation.pointing
    view = field_of_view(GEOMETRY, pointing.ra, pointing.dec, (0, 2))
    image = background_cube(observation.bkg, observation, view, [BAND])[0]
    lon, lat, height = SITE
    site = EarthLocation(lon=lon * u.deg, lat=lat * u.deg, height=height * u.m)
    frame = AltAz(obstime=middle, location=site)
    pixels = SkyCoord(*lonlat(view.geometry.pixel_vectors()), unit="deg")
    center = SkyCoord(pointing.ra, pointing.dec, unit="deg").transform_to(frame)
    offset = pixels.transform_to(frame).transform_to(center.skyoffset_frame())
    lon, lat = offset.lon.wrap_at("180d").deg, offset.lat.deg
    # In GADF the longitude grows against the azimuth. The rate is 1 per TeV and sr
    expected = 9 * np.exp(-0.2 * lon + 0.3 * lat)[view.selected]
    assert_allclose(image[view.selected] / view.solid_angle, expected, rtol=5e-4)


def test_zenith_turns_in_steps_below_one_degree(run):
    gti = GoodTimeIntervals(run[0].gti.start[:1], run[0].gti.start[:1] + 1800.0)
    angles = zenith_angles(replace(horizon_fixed(run[0]), gti=gti))
    steps = np.abs(np.diff(np.unwrap(angles, period=360)))
    assert 0.5 < steps.max() <= 1.0


def test_good_time_counts_for_the_zenith():
    """Elapsed good time skips the gap between the intervals."""
    assert_allclose(GTI.after(np.array([0.0, 9.0, 10.0, 15.0])), [0, 9, 20, 25])


def test_altaz_background_without_site_is_refused(run):
    observation = horizon_fixed(run[0], site=None)
    with pytest.raises(InputError, match="GEOLON"):
        run_images(observation, GEOMETRY, [BAND], (0, 2))


@pytest.mark.parametrize(
    "alignment, sign",
    [("RADEC", -1), ("REVERSE_LON_RADEC", 1), ("REVERSED_LON_LAT", 1)],
)
def test_longitude_of_the_field_of_view(run, alignment, sign):
    """In GADF, with FOVALIGN = RADEC the longitude grows to the west."""
    observation = horizon_fixed(run[0])
    bkg = replace(observation.bkg, alignment=alignment)
    pointing = observation.pointing
    view = field_of_view(GEOMETRY, pointing.ra, pointing.dec, (0, 2))
    image = background_cube(bkg, observation, view, [BAND])[0]
    expected = 9 * np.exp(0.2 * sign * view.lon + 0.3 * view.lat) * observation.ontime
    assert_allclose(image[view.selected] / view.solid_angle, expected, rtol=1e-9)


def test_times_of_the_images(run):
    observation, truth, _ = run
    (images,) = run_images(observation, GEOMETRY, [BAND], (0, 2))
    start = Time(59000, format="mjd", scale="tt") + truth.start * u.s
    assert images.start == start.utc.isot
    assert_allclose([images.ontime, images.livetime], [ONTIME, ONTIME * DEADC])


def test_band_that_the_response_does_not_cover(run):
    """The run is dropped in this band only: the simulated areas are those up to 100 TeV."""
    observation, *_ = run
    bands = [BAND, (50, 200)]
    covered, beyond = run_images(observation, GEOMETRY, bands, (0, 2))
    (alone,) = run_images(observation, GEOMETRY, [BAND], (0, 2))
    assert covered.status == "used"
    assert_allclose(covered.bkg, alone.bkg)
    assert (beyond.status, beyond.counts.size) == ("dropped", 0)
    assert "energy_bands: 50 TeV to 200 TeV is not inside" in beyond.reason
