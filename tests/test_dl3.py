import errno
import gzip
import os
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from dl3_files import (
    AREA,
    DEC,
    DETX,
    DETY,
    ENERGIES,
    ENERGY,
    GTI,
    IN_GTI,
    MJDREF,
    OBS_ID,
    POINTING,
    RA,
    RATE,
    RATE_2D,
    THETA,
    TIME,
    aeff_columns,
    axis,
    bkg_2d_columns,
    bkg_columns,
    locations,
    plain_run,
    refused,
    write_run,
)
from gammastack.dl3.hdus import HDUReference
from gammastack.dl3.observation import GoodTimeIntervals, read_observation
from gammastack.errors import InputError
from gammastack.runs.background import background_cube
from gammastack.runs.exposure import exposure_image
from gammastack.sky.geometry import ImageGeometry, field_of_view
from gammastack.sky.sphere import offset_coordinates, unit_vectors
from steps import run_histogram, run_images

TT_MINUS_UTC = 69.184  # s, at MJDREF: 37 leap seconds + 32.184
# In the tests of time references, rounding of a day number is 1e-6 s
SAME = {"rtol": 1e-12, "atol": 1e-5}


def read(tmp_path, run, bkg="bkg_3d"):
    path = write_run(tmp_path / "run.fits", run)
    return read_observation(OBS_ID, locations(path, bkg))


def assert_edges(axis, edges):
    assert_allclose(axis, [edges[:-1], edges[1:]], **SAME)


def assert_truth(observation, rate=RATE):
    """What the file holds, in the units of the program."""
    events = observation.events
    for values, truth in (
        (events.time, TIME),
        (events.ra, RA),
        (events.dec, DEC),
        (events.energy, ENERGIES),
        (observation.gti.start, GTI[:, 0]),
        (observation.gti.stop, GTI[:, 1]),
        (observation.aeff.area, AREA),
        (observation.bkg.rate, rate * 1e6),  # per TeV
    ):
        assert_allclose(values, truth, **SAME)
    assert events.time[observation.gti.contains(events.time)].tolist() == IN_GTI
    assert_edges(observation.aeff.energy, ENERGY)
    assert_edges(observation.aeff.offset, THETA)
    assert_edges(observation.bkg.energy, ENERGY)
    if rate is RATE:
        assert_edges(observation.bkg.lon, DETX)
        assert_edges(observation.bkg.lat, DETY)
    else:
        assert_edges(observation.bkg.offset, THETA)
    assert observation.obs_id == OBS_ID
    assert (observation.pointing.ra, observation.pointing.dec) == POINTING
    assert observation.ontime == pytest.approx(200, rel=1e-12)
    assert observation.livetime == pytest.approx(180, rel=1e-12)
    assert observation.start.tt.mjd == pytest.approx(MJDREF + 100 / 86400, abs=1e-9)
    assert observation.stop.tt.mjd == pytest.approx(MJDREF + 400 / 86400, abs=1e-9)


def test_plain_file(tmp_path):
    assert_truth(read(tmp_path, plain_run()))


def scale(table, factor, unit, *names):
    for name in names:
        table.columns[name].values = table.columns[name].values * factor
        table.columns[name].unit = unit


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("m2", 1), ("m^2", 1), ("m**2", 1), ("cm2", 1e4), ("cm^2", 1e4), ("km2", 1e-6)],
)
def test_units_of_effective_area(tmp_path, unit, factor):
    run = plain_run()
    scale(run["aeff"], factor, unit, "EFFAREA")
    assert_truth(read(tmp_path, run))


@pytest.mark.parametrize("kind", ["bkg_3d", "bkg_2d"])
@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("1/s/MeV/sr", 1),
        ("MeV-1/s/sr", 1),
        ("MeV-1 s-1 sr-1", 1),
        ("s-1 MeV-1 sr-1", 1),
        ("s^-1 MeV^-1 sr^-1", 1),
        ("s**-1 MeV**-1 sr**-1", 1),
        ("1/(s MeV sr)", 1),
        ("1/s/TeV/sr", 1e6),
        ("GeV-1 s-1 sr-1", 1e3),
        ("s-1 MeV-1 deg-2", (np.pi / 180) ** 2),
    ],
)
def test_units_of_background(tmp_path, kind, unit, factor):
    run = plain_run()
    if kind == "bkg_2d":
        run["bkg"].columns = bkg_2d_columns()
    scale(run["bkg"], factor, unit, "BKG")
    rate = RATE if kind == "bkg_3d" else RATE_2D
    assert_truth(read(tmp_path, run, kind), rate)


def test_other_units_of_energy_angle_and_time(tmp_path):
    run = plain_run()
    for kind in ("aeff", "bkg"):
        scale(run[kind], 1e3, "GeV", "ENERG_LO", "ENERG_HI")
    scale(run["aeff"], 60, "arcmin", "THETA_LO", "THETA_HI")
    scale(run["bkg"], np.pi / 180, "rad", "DETX_LO", "DETX_HI")
    scale(run["events"], 1e6, "MeV", "ENERGY")
    scale(run["events"], np.pi / 180, "rad", "RA", "DEC")
    assert_truth(read(tmp_path, run))


@pytest.mark.parametrize("kind", ["bkg_3d", "bkg_2d"])
def test_background_column_bgd(tmp_path, kind):
    run = plain_run()
    columns = bkg_columns() if kind == "bkg_3d" else bkg_2d_columns()
    columns["BGD"] = columns.pop("BKG")
    run["bkg"].columns = columns
    rate = RATE if kind == "bkg_3d" else RATE_2D
    assert_truth(read(tmp_path, run, kind), rate)


@pytest.mark.parametrize("c_order", [False, True])
@pytest.mark.parametrize("order", list(permutations(["ENERG", "DETX", "DETY"])))
def test_order_of_background_axes(tmp_path, order, c_order):
    run = plain_run()
    run["bkg"].columns = bkg_columns(order, c_order=c_order)
    assert_truth(read(tmp_path, run))


@pytest.mark.parametrize("c_order", [False, True])
@pytest.mark.parametrize("order", list(permutations(["ENERG", "THETA"])))
def test_order_of_axes_in_two_dimensions(tmp_path, order, c_order):
    run = plain_run()
    run["aeff"].columns = aeff_columns(order, c_order=c_order)
    run["bkg"].columns = bkg_2d_columns(order, c_order=c_order)
    assert_truth(read(tmp_path, run, "bkg_2d"), RATE_2D)


def test_tdim_of_the_recommended_order(tmp_path):
    """Guards the files themselves: GADF recommends the energy as the fastest axis."""
    path = write_run(tmp_path / "run.fits", plain_run())
    assert fits.getheader(path, "BKG")["TDIM7"] == "(3,4,5)"
    assert fits.getheader(path, "AEFF")["TDIM5"] == "(3,2)"


@pytest.mark.parametrize(
    "order", [("DETX", "DETY", "ENERG"), ("DETX", "ENERG", "DETY")]
)
def test_equal_axes_follow_the_fits_order(tmp_path, order):
    """Where the shape fits both ways, the standard decides."""
    rate = 1e-3 * (1 + np.arange(48.0)).reshape(3, 4, 4)
    run = plain_run()
    run["bkg"].columns = bkg_columns(order, rate=rate)
    assert_allclose(read(tmp_path, run).bkg.rate, rate * 1e6)


def header(kind, **keys):
    def change(run):
        run[kind].header.update(keys)

    return change


def ogip(run):
    for table in run.values():
        table.header["HDUCLASS"] = "OGIP"
    run["bkg"].header["HDUCLAS4"] = "3D"


def without_gti_units(run):
    for column in run["gti"].columns.values():
        column.unit = None


def no_mode(run):
    del run["events"].header["OBS_MODE"]


def float_reference(run):
    for kind in ("events", "gti"):
        run[kind].header["MJDREFI"] = float(MJDREF)


def split_reference(run):
    run["events"].header.update(MJDREFI=MJDREF - 1, MJDREFF=0.5, TIMEZERO=43200.0)


def all_utc(spelling):
    def change(run):
        for kind, names in (("events", ["TIME"]), ("gti", ["START", "STOP"])):
            run[kind].header["TIMESYS"] = spelling
            for name in names:
                values = run[kind].columns[name].values
                run[kind].columns[name].values = values - TT_MINUS_UTC

    return change


def gti_on_another_day(run):
    run["gti"].header["MJDREFI"] = MJDREF - 2
    for name in ("START", "STOP"):
        run["gti"].columns[name].values = run["gti"].columns[name].values + 2 * 86400


def gti_in_utc(run):
    run["gti"].header["TIMESYS"] = "UTC"
    for name in ("START", "STOP"):
        run["gti"].columns[name].values = run["gti"].columns[name].values - TT_MINUS_UTC


@pytest.mark.parametrize(
    "change",
    [
        ogip,
        without_gti_units,
        no_mode,
        *(
            header("events", OBS_MODE=mode)
            for mode in ("POINTING", "WOBBLE", "wobble", "ON", "OFF", "")
        ),
        header("events", TIMESYS="tt"),
        float_reference,
        split_reference,
        gti_on_another_day,
        gti_in_utc,
        header("bkg", FOVALIGN="radec "),
        header("bkg", HDUCLAS4="3D"),
        header("events", HDUVERS="0.2", CREATOR="another"),
    ],
    ids=lambda change: getattr(change, "__name__", ""),
)
def test_harmless_variations(tmp_path, change):
    run = plain_run()
    change(run)
    assert_truth(read(tmp_path, run))


@pytest.mark.parametrize("spelling", ["UTC", "utc"])
def test_times_in_utc(tmp_path, spelling):
    run = plain_run()
    all_utc(spelling)(run)
    observation = read(tmp_path, run)
    inside = observation.gti.contains(observation.events.time)
    assert TIME[inside].tolist() == IN_GTI
    assert observation.start.tt.mjd == pytest.approx(MJDREF + 100 / 86400, abs=1e-9)


def test_edges_of_good_time_intervals():
    gti = GoodTimeIntervals(np.array([300.0, 100]), np.array([400.0, 200]))
    times = np.array([99.9, 100, 200, 200.1, 299.9, 300, 400, 400.1])
    assert gti.contains(times).tolist() == [0, 1, 1, 0, 0, 1, 1, 0]
    assert gti.ontime == 200


def test_interval_inside_another():
    gti = GoodTimeIntervals(np.array([0.0, 10]), np.array([100.0, 20]))
    assert gti.contains(np.array([5.0, 15, 50, 101])).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("alignment", ["RADEC", "ALTAZ", "REVERSED_LON_LAT"])
def test_alignment(tmp_path, alignment):
    run = plain_run()
    run["bkg"].header["FOVALIGN"] = alignment
    assert read(tmp_path, run).bkg.alignment == alignment


def test_missing_alignment_is_radec(tmp_path):
    assert read(tmp_path, plain_run()).bkg.alignment == "RADEC"


HESS = {"CREATOR": "SASH FITS::EventListWriter", "HDUVERS": "0.2"}
SQUARE = np.exp(0.1 * np.arange(48.0)).reshape(3, 4, 4)  # by ENERG, DETX, DETY


def hess_like(keys):
    run = plain_run()
    run["events"].header.update(keys)
    run["bkg"].header["FOVALIGN"] = "RADEC"
    run["bkg"].columns = bkg_columns(["DETX", "DETY", "ENERG"], rate=SQUARE)
    return run


def test_hess_release_exchanges_and_reverses_the_axes(tmp_path):
    bkg = read(tmp_path, hess_like(HESS)).bkg
    assert_allclose(bkg.rate, SQUARE.transpose(0, 2, 1) * 1e6)
    assert bkg.alignment == "REVERSE_LON_RADEC"


@pytest.mark.parametrize("key", HESS)
def test_other_files_are_taken_at_their_word(tmp_path, key):
    bkg = read(tmp_path, hess_like({**HESS, key: "0.3"})).bkg
    assert_allclose(bkg.rate, SQUARE * 1e6)
    assert bkg.alignment == "RADEC"


def test_another_background_beside_events_of_the_hess_release(tmp_path):
    """As one that is made from them: it is what its header says."""
    run = hess_like(HESS)
    run["bkg"].header["HDUVERS"] = "0.3"
    bkg = read(tmp_path, run).bkg
    assert_allclose(bkg.rate, SQUARE * 1e6)
    assert bkg.alignment == "RADEC"


@pytest.mark.parametrize(
    ("keys", "steepest"), [({}, "north"), (HESS, "east")], ids=["gadf", "hess"]
)
def test_background_on_the_sky(tmp_path, keys, steepest):
    """SQUARE grows by e^0.4 per bin along DETX, by e^0.1 along DETY.

    GADF: DETX grows to the west. H.E.S.S. release: DETY grows to the east.
    """
    observation = read(tmp_path, hess_like(keys))
    geometry = ImageGeometry.create(POINTING, "icrs", "TAN", (2, 2), 0.5)
    view = field_of_view(geometry, *POINTING, (0, 1.9))
    image = background_cube(observation.bkg, observation, view, [(1, 2)])[0]
    rate = np.log(image / geometry.solid_angle())
    # Image columns grow to the west, rows to the north; bins of DETX and DETY: 1, 1.25 deg
    west, north = rate[1:3, 2] - rate[1:3, 1], rate[2, 1:3] - rate[1, 1:3]
    expected = (0.2, 0.04) if steepest == "north" else (-0.05, 0.16)
    assert_allclose(west, expected[0], rtol=0.01)
    assert_allclose(north, expected[1], rtol=0.01)


def test_negative_effective_area_counts_as_zero(tmp_path):
    run = plain_run()
    run["aeff"].columns["EFFAREA"].values = run["aeff"].columns["EFFAREA"].values * 1.0
    run["aeff"].columns["EFFAREA"].values[0, 0, 0] = -5
    observation = read(tmp_path, run)
    assert observation.aeff.evaluate(np.sqrt(0.5), np.array([0.5]))[0] == 0


def test_response_may_be_left_out(tmp_path):
    path = write_run(tmp_path / "run.fits", plain_run())
    hdus = {kind: locations(path)[kind] for kind in ("events", "gti")}
    observation = read_observation(OBS_ID, hdus)
    assert observation.aeff is None
    assert observation.bkg is None


def test_run_without_events(tmp_path):
    run = plain_run()
    for column in run["events"].columns.values():
        column.values = column.values[:0]
    assert len(read(tmp_path, run).events.time) == 0


@pytest.mark.parametrize("kind", ["aeff", "bkg_2d"])
def test_response_of_one_offset_bin_is_constant(tmp_path, kind):
    run = plain_run()
    if kind == "aeff":
        columns, location = aeff_columns(), "bkg_3d"
    else:
        columns, location = bkg_2d_columns(), "bkg_2d"
    name = list(columns)[-1]
    columns |= axis("THETA", np.array([0.0, 3]), "deg")
    columns[name].values = columns[name].values[:, :1]
    run[kind[:4].rstrip("_")].columns = columns
    observation = read(tmp_path, run, location)
    geometry = ImageGeometry.create(POINTING, "icrs", "TAN", (1, 1), 0.5)
    view = field_of_view(geometry, *POINTING, (0, 1.5))
    if kind == "aeff":
        image, _ = exposure_image(observation.aeff, 1.0, view, (1, 2), 2, True)
    else:
        image = background_cube(observation.bkg, observation, view, [(1, 2)])[0]
        image = image / geometry.solid_angle()
    assert_allclose(image, image[0, 0])
    assert image[0, 0] > 0


def drop_header(kind, key):
    def change(run):
        del run[kind].header[key]

    return change


def unit(kind, name, text):
    def change(run):
        run[kind].columns[name].unit = text

    return change


def drop_column(kind, name):
    def change(run):
        del run[kind].columns[name]

    return change


def value(kind, name, number):
    def change(run):
        column = run[kind].columns[name]
        column.values = np.array(column.values)
        column.values.flat[1] = number

    return change


def other_shape(run):
    columns = run["bkg"].columns
    columns["BKG"].values = columns["BKG"].values[:, :, :, :2]


def no_rows(kind):
    def change(run):
        for column in run[kind].columns.values():
            column.values = column.values[:0]

    return change


def same_event_twice(run):
    for column in run["events"].columns.values():
        column.values = np.array(column.values)
        column.values[3] = column.values[1]


REFUSED = [
    ("AEFF", header("aeff", HDUCLAS3="POINT-LIKE"), ["POINT-LIKE", "full-enclosure"]),
    ("BKG", header("bkg", HDUCLAS3="point-like"), ["POINT-LIKE", "full-enclosure"]),
    ("AEFF", unit("aeff", "EFFAREA", "s"), ["EFFAREA", "'s'", "m2"]),
    ("AEFF", unit("aeff", "EFFAREA", None), ["EFFAREA", "no unit", "m2"]),
    ("AEFF", unit("aeff", "EFFAREA", "furlong2"), ["EFFAREA", "furlong2"]),
    ("AEFF", unit("aeff", "ENERG_LO", None), ["ENERG_LO", "no unit"]),
    ("BKG", unit("bkg", "BKG", "1/s/MeV"), ["BKG", "1/s/MeV", "s-1 TeV-1 sr-1"]),
    ("BKG", unit("bkg", "BKG", None), ["BKG", "no unit"]),
    ("EVENTS", unit("events", "ENERGY", None), ["ENERGY", "no unit", "TeV"]),
    ("EVENTS", unit("events", "RA", "m"), ["RA", "'m'", "deg"]),
    ("EVENTS", drop_column("events", "ENERGY"), ["ENERGY", "TIME, RA, DEC"]),
    ("GTI", drop_column("gti", "STOP"), ["STOP", "START"]),
    ("AEFF", drop_column("aeff", "EFFAREA"), ["EFFAREA", "THETA_LO"]),
    ("BKG", drop_column("bkg", "BKG"), ["BKG", "ENERG_LO"]),
    ("BKG", drop_column("bkg", "DETY_LO"), ["DETY_LO"]),
    ("BKG", other_shape, ["BKG", "(5, 4, 2)", "ENERG 3"]),
    ("EVENTS", drop_header("events", "RA_PNT"), ["RA_PNT"]),
    ("EVENTS", header("events", DEC_PNT="unknown"), ["DEC_PNT", "unknown"]),
    ("EVENTS", drop_header("events", "DEADC"), ["DEADC"]),
    ("EVENTS", header("events", DEADC=0.0), ["DEADC", "0.0"]),
    ("EVENTS", header("events", DEADC=1.01), ["DEADC", "1.01"]),
    ("EVENTS", drop_header("events", "MJDREFI"), ["MJDREFI"]),
    ("GTI", drop_header("gti", "MJDREFF"), ["MJDREFF"]),
    ("EVENTS", header("events", TIMESYS="MARS"), ["time reference", "mars"]),
    ("EVENTS", header("events", TIMESYS="LOCAL"), ["time reference", "local"]),
    ("GTI", header("gti", TIMESYS="LOCAL"), ["time reference", "local"]),
    *(
        ("EVENTS", header("events", OBS_MODE=mode), ["OBS_MODE", mode])
        for mode in ("DRIFT", "SLEW", "SCAN", "RASTER")
    ),
    ("EVENTS", value("events", "TIME", np.nan), ["1 of 9 events", "row 2"]),
    ("EVENTS", value("events", "RA", 720.5), ["1 of 9 events", "RA an angle"]),
    ("EVENTS", value("events", "DEC", -91.0), ["1 of 9 events", "DEC within -90"]),
    ("EVENTS", value("events", "ENERGY", 0.0), ["1 of 9 events", "ENERGY positive"]),
    ("EVENTS", value("events", "ENERGY", np.inf), ["1 of 9 events", "be finite"]),
    ("EVENTS", same_event_twice, ["1 events are there twice"]),
    ("GTI", value("gti", "STOP", np.inf), ["not finite"]),
    ("AEFF", value("aeff", "ENERG_HI", 1.9), ["axis ENERG overlap", "gaps"]),
    ("AEFF", value("aeff", "ENERG_HI", 2.1), ["axis ENERG overlap", "gaps"]),
    ("BKG", value("bkg", "DETX_HI", np.inf), ["axis DETX overlap", "gaps"]),
    ("GTI", no_rows("gti"), ["no good time interval"]),
    ("GTI", value("gti", "STOP", 0.0), ["stops before"]),
    ("GTI", value("gti", "START", np.nan), ["good time interval"]),
    ("AEFF", value("aeff", "EFFAREA", np.nan), ["EFFAREA", "finite"]),
    ("AEFF", value("aeff", "ENERG_LO", 0.1), ["ENERG", "grow"]),
    ("AEFF", no_rows("aeff"), []),
    ("BKG", no_rows("bkg"), []),
    ("BKG", value("bkg", "BKG", -1.0), ["background", "negative"]),
    ("BKG", value("bkg", "BKG", np.nan), ["background", "finite"]),
    ("BKG", value("bkg", "BKG", np.inf), ["background", "finite"]),
    ("BKG", header("bkg", FOVALIGN="DETECTOR"), ["FOVALIGN", "DETECTOR", "RADEC"]),
]


@pytest.mark.parametrize(
    ("hdu", "change", "words"),
    REFUSED,
    ids=["-".join([hdu, *words]) for hdu, _, words in REFUSED],
)
def test_refused_content(tmp_path, hdu, change, words):
    run = plain_run()
    change(run)
    with refused(f"{tmp_path}/run.fits[{hdu}]", *words):
        read(tmp_path, run)


@pytest.mark.parametrize("keep", ["DETX", "THETA"])
def test_index_gives_another_class_of_background_than_the_file(tmp_path, keep):
    run = plain_run()
    run["bkg"].columns = bkg_columns() if keep == "DETX" else bkg_2d_columns()
    missing = "THETA_LO" if keep == "DETX" else "DETX_LO"
    with refused("run.fits[BKG]", missing):
        read(tmp_path, run, "bkg_2d" if keep == "DETX" else "bkg_3d")


@pytest.mark.parametrize("kind", ["events", "gti", "aeff", "bkg"])
def test_hdu_that_is_not_in_the_file(tmp_path, kind):
    run = plain_run()
    run[kind].name = "OTHER"
    with refused(f"run.fits[{kind.upper()}]", "no such HDU", "OTHER", "HDU index"):
        read(tmp_path, run)


def test_hdu_that_is_no_table(tmp_path):
    path = write_run(tmp_path / "run.fits", plain_run())
    with fits.open(path) as hdus:
        fits.HDUList([*hdus[:4], fits.ImageHDU(name="BKG")]).writeto(
            tmp_path / "b.fits"
        )
    with refused("b.fits[BKG]", "not a binary table"):
        read_observation(OBS_ID, locations(tmp_path / "b.fits"))


def write_with_events(path, **column):
    """A run with another ENERGY column, as a keyword argument of `fits.Column`."""
    with fits.open(write_run(path.with_name("plain.fits"), plain_run())) as hdus:
        names = ("TIME", "RA", "DEC")
        columns = [*(hdus["EVENTS"].columns[name] for name in names)]
        columns.append(fits.Column("ENERGY", unit="TeV", **column))
        header = hdus["EVENTS"].header
        events = fits.BinTableHDU.from_columns(columns, name="EVENTS")
        keys = [*plain_run()["events"].header]
        events.header.update({key: header[key] for key in keys})
        fits.HDUList([hdus[0], events, *hdus[2:]]).writeto(path)
    return path


def test_scaled_column(tmp_path):
    stored = np.rint((ENERGIES - 0.5) / 0.01).astype(int)
    path = write_with_events(tmp_path / "run.fits", format="J", array=stored)
    fits.setval(path, "TSCAL4", value=0.01, ext=1)
    fits.setval(path, "TZERO4", value=0.5, ext=1)
    assert fits.getdata(path, 1)["ENERGY"][0] == pytest.approx(ENERGIES[0])
    events = read_observation(OBS_ID, locations(path)).events
    assert_allclose(events.energy, ENERGIES, rtol=1e-15)


@pytest.mark.parametrize("code", ["8A", "PD", "L", "M"])
def test_column_that_holds_no_numbers(tmp_path, code):
    column = {"array": ENERGIES} if code == "M" else {}
    path = write_with_events(tmp_path / "run.fits", format=code, **column)
    with refused("run.fits[EVENTS]", "column ENERGY", f"no numbers (TFORM {code}"):
        read_observation(OBS_ID, locations(path))


def test_columns_that_do_not_fill_a_row(tmp_path):
    data = write_run(tmp_path / "run.fits", plain_run()).read_bytes()
    place = data.index(b"TFORM4  = '1D")
    changed = data[:place] + data[place:].replace(b"'1D", b"'1E", 1)
    (tmp_path / "run.fits").write_bytes(changed)
    with refused("run.fits[EVENTS]", "28 bytes", "32 (NAXIS1)"):
        read_observation(OBS_ID, locations(tmp_path / "run.fits"))


def test_missing_file(tmp_path):
    with refused(tmp_path / "gone.fits", "no such file", "restore it"):
        read_observation(OBS_ID, locations(tmp_path / "gone.fits"))


@pytest.fixture(params=[errno.EIO, errno.EACCES, errno.ESTALE])
def failing_disk(request, monkeypatch):
    """A file system that reads no file, for a reason that may pass; the text of the reason."""
    text = os.strerror(request.param)

    def fail(path):
        raise OSError(request.param, text)

    monkeypatch.setattr(Path, "read_bytes", fail)
    return text


def test_error_of_the_system_is_not_one_of_the_file(tmp_path, failing_disk):
    path = write_run(tmp_path / "run.fits", plain_run())
    with pytest.raises(OSError, match=f"{failing_disk}: '{path}'"):
        read_observation(OBS_ID, locations(path))


def test_run_that_the_system_cannot_read_is_tried_again(tmp_path, failing_disk):
    """The jobs fail, rather than to store that the run has failed."""
    path = write_run(tmp_path / "run.fits", plain_run())
    job = {"obs_id": OBS_ID, "failure": "", "energy_bands": {"band": (1, 2)}}
    job |= {"offset_band": (0, 1), "hdus": {}}
    for kind, hdu in locations(path).items():
        job["hdus"][kind] = HDUReference(0, hdu.hdu_name, hdu.hdu_class)
    image = {"center": POINTING, "frame": "icrs", "projection": "TAN"}
    image |= {"width": (1, 1), "binsz": 0.5}
    spectrum = {"spectral_index": 2, "for_integral_flux": True}
    inputs, outputs = {"dl3": [str(path)]}, {"images": "", "histogram": ""}
    with pytest.raises(OSError, match=failing_disk):
        run_images.run(inputs, outputs, None, **job, index={}, image=image, **spectrum)
    with pytest.raises(OSError, match=failing_disk):
        run_histogram.run(inputs, outputs, None, **job, exclusion_mask=[], binsz=0.1)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", bytes(6000)])
@pytest.mark.parametrize("name", ["run.fits", "run.fits.gz"])
def test_file_that_is_not_fits(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with refused(tmp_path / name, "not a FITS file", "Fetch it again"):
        read_observation(OBS_ID, locations(tmp_path / name))


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.parametrize("zipped", [False, True])
def test_truncated_file(tmp_path, zipped):
    """Cut anywhere: never a traceback, never other values."""
    data = write_run(tmp_path / "run.fits", plain_run()).read_bytes()
    data = gzip.compress(data) if zipped else data
    path = tmp_path / ("cut.fits" + zipped * ".gz")
    step = len(data) // 40 if zipped else 1440
    for size in range(step, len(data) - 9 if zipped else len(data) - 2880, step):
        path.write_bytes(data[:size])
        with refused(path):
            read_observation(OBS_ID, locations(path))


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")
def test_flipped_bits_are_seen_where_there_are_checksums(tmp_path):
    """Anywhere in the four HDUs, but in the name of the checksum itself."""
    path = tmp_path / "run.fits"
    hdus = [fits.PrimaryHDU(), *(table.hdu() for table in plain_run().values())]
    fits.HDUList(hdus).writeto(path, checksum=True)
    data = path.read_bytes()
    assert_truth(read_observation(OBS_ID, locations(path)))
    random, n_refused = np.random.default_rng(1), 0
    for place in random.integers(2880, len(data), 300):
        changed = bytearray(data)
        changed[place] ^= 1 << random.integers(8)
        path.write_bytes(changed)
        try:
            assert_truth(read_observation(OBS_ID, locations(path)))
        except InputError as error:
            assert str(path) in str(error)
            n_refused += 1
    assert n_refused >= 298


def test_sum_of_the_data_alone(tmp_path):
    path = tmp_path / "run.fits"
    hdus = [fits.PrimaryHDU(), *(table.hdu() for table in plain_run().values())]
    hdus[1].add_datasum()
    fits.HDUList(hdus).writeto(path)
    assert_truth(read_observation(OBS_ID, locations(path)))
    with fits.open(path) as hdus:
        assert "CHECKSUM" not in hdus[1].header and "DATASUM" in hdus[1].header
        start = hdus[1].fileinfo()["datLoc"]
    data = bytearray(path.read_bytes())
    data[start + 3] ^= 1
    path.write_bytes(data)
    with refused("run.fits[EVENTS]", "does not fit its CHECKSUM or DATASUM"):
        read_observation(OBS_ID, locations(path))


def test_error_names_the_file_at_fault(tmp_path):
    path = write_run(tmp_path / "run.fits", plain_run())
    (tmp_path / "irf.fits").write_bytes(b"no FITS")
    hdus = {**locations(path), "bkg": locations(tmp_path / "irf.fits")["bkg"]}
    with refused(tmp_path / "irf.fits"):
        read_observation(OBS_ID, hdus)


@pytest.mark.parametrize(
    ("band", "offset_max", "words"),
    [
        ((0.4, 2), 1, ["energy_bands", "0.4 TeV", "0.5 TeV to 4 TeV"]),
        ((1, 4.1), 1, ["energy_bands", "4.1 TeV", "0.5 TeV to 4 TeV"]),
        ((1, 2), 3.1, ["offset_band", "3.1 deg"]),
    ],
)
@pytest.mark.parametrize("kind", ["aeff", "bkg_3d", "bkg_2d"])
def test_beyond_the_response(tmp_path, kind, band, offset_max, words):
    run = plain_run()
    if kind == "bkg_2d":
        run["bkg"].columns = bkg_2d_columns()
    observation = read(tmp_path, run, "bkg_2d" if kind == "bkg_2d" else "bkg_3d")
    response, hdu = (
        (observation.aeff, "AEFF") if kind == "aeff" else (observation.bkg, "BKG")
    )
    response.require((0.5, 4), 2)
    with refused(f"run.fits[{hdu}]", *words):
        response.require(band, offset_max)


def hess_observation(store, obs_id):
    return read_observation(obs_id, store.hdus(obs_id))


def test_hess_release_has_the_values_of_its_headers(hess_store):
    observation = hess_observation(hess_store, 23523)
    assert len(observation.events.time) == 7613
    assert observation.ontime == 1687
    assert observation.livetime == pytest.approx(1581.73681640625, rel=1e-7)
    assert observation.pointing.dec == 21.514444444444
    assert observation.start.tt.iso == "2004-12-04 22:08:10.184"
    assert observation.aeff.area.shape == (6, 96)
    assert observation.bkg.rate.shape == (20, 50, 50)


def test_orientation_of_the_hess_background_is_the_most_likely_one(hess_store):
    """Events pick one of the 8 ways to lay the background onto the sky."""
    obs_ids = (20136, 20151, 20282, 20303, 20322, 20325)
    likelihood = sum(
        orientation_likelihood(hess_observation(hess_store, obs_id))
        for obs_id in obs_ids
    )
    # No exchange, longitude to the east, latitude to the north
    assert np.unravel_index(likelihood.argmax(), (2, 2, 2)) == (0, 0, 0)


def orientation_likelihood(observation):
    """Log likelihood of the event positions, by (exchanged, lon flipped, lat flipped)."""
    events, pointing = observation.events, observation.pointing
    vectors = unit_vectors(events.ra, events.dec)
    lon, lat = offset_coordinates(vectors, pointing.ra, pointing.dec)
    use = (np.hypot(lon, lat) < 2) & (events.energy > 1) & (events.energy < 10)
    result = np.zeros((2, 2, 2))
    for exchange, flip_lon, flip_lat in np.ndindex(2, 2, 2):
        x, y = lon[use] * (1 - 2 * flip_lon), lat[use] * (1 - 2 * flip_lat)
        x, y = (y, x) if exchange else (x, y)
        result[exchange, flip_lon, flip_lat] = np.log(
            observation.bkg.band_rate((1, 10), x, y)
        ).sum()
    return result
