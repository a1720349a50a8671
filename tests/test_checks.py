"""What is odd about a run is said, and what cannot be is refused."""

import gzip
import re

import numpy as np
import pytest
from astropy.io import fits

from dl3_files import (
    AREA,
    DEADC,
    GTI,
    OBS_ID,
    POINTING,
    RATE,
    Column,
    aeff_columns,
    bkg_columns,
    locations,
    plain_run,
    refused,
    write_run,
)
from gammastack.dl3.checks import findings
from gammastack.dl3.finding import NOTE, WARNING
from gammastack.dl3.observation import GoodTimeIntervals, read_observation

N_EVENTS = 2000


def run_with_events(center=POINTING, time=None, n_events=N_EVENTS):
    """Return a run with many events around a position, evenly in the good time."""
    run, random = plain_run(), np.random.default_rng(1)
    # The rate of the plain run grows with energy.
    run["bkg"].columns = bkg_columns(rate=RATE[::-1])
    if time is None:
        time = random.uniform(0, 200, n_events)
        time = np.where(time < 100, time, time + 100) + GTI[0, 0]
    ra, dec = center
    values = {
        "TIME": time,
        "RA": ra + random.normal(size=len(time)) / np.cos(np.radians(dec)),
        "DEC": dec + random.normal(size=len(time)),
        "ENERGY": random.uniform(1, 4, len(time)),
    }
    for name, column in run["events"].columns.items():
        column.values = values[name]
    return run


def found(tmp_path, run, **index_row):
    path = write_run(tmp_path / "run.fits", run)
    return findings(read_observation(OBS_ID, locations(path)), index_row)


def index_row(**changes):
    ra, dec = POINTING
    row = {"RA_PNT": ra, "DEC_PNT": dec, "ONTIME": 200, "LIVETIME": 180, "DEADC": DEADC}
    return {**row, "EVENT_COUNT": N_EVENTS, **changes}


def test_plain_runs_are_not_odd(tmp_path, simulated_store):
    assert found(tmp_path, run_with_events(), **index_row()) == []
    store, *_ = simulated_store
    for obs_id in store.obs_ids:
        observation = read_observation(obs_id, store.hdus(obs_id))
        assert findings(observation, store.index_row(obs_id)) == []


def test_real_runs_are_not_odd(hess_store):
    """Of 105 runs, one has no events in its last minutes."""
    warnings = {}
    for obs_id in hess_store.obs_ids:
        observation = read_observation(obs_id, hess_store.hdus(obs_id))
        for severity, text in findings(observation, hess_store.index_row(obs_id)):
            if severity == WARNING:
                warnings.setdefault(obs_id, []).append(text)
    assert warnings == {20283: ["no events during 503 s of good time"]}


ROUNDED = float(np.float32(20.000001))


@pytest.mark.parametrize(
    ("changes", "severity", "words"),
    [
        ({"RA_PNT": ROUNDED, "DEADC": float(np.float32(DEADC))}, None, []),
        ({"DEC_PNT": -30.001}, NOTE, ["pointing 20 -30.001", "20 -30 in the EVENTS"]),
        ({"DEC_PNT": -30.1}, WARNING, ["pointing 20 -30.1", "20 -30 in the EVENTS"]),
        ({"ONTIME": 201.0}, NOTE, ["ONTIME 201", "200"]),
        ({"ONTIME": 210.0}, WARNING, ["ONTIME 210", "200"]),
        ({"ONTIME": np.nan}, WARNING, ["ONTIME nan", "200"]),
        ({"LIVETIME": 170.0}, WARNING, ["LIVETIME 170", "180"]),
        ({"DEADC": 0.95}, WARNING, ["DEADC 0.95", "0.9"]),
        ({"EVENT_COUNT": 4000}, WARNING, ["2000 events", "4000"]),
        ({"ZENITH": 200.0}, WARNING, ["zenith angle 200"]),
    ],
)
def test_index_and_header_that_disagree(tmp_path, changes, severity, words):
    odd = found(tmp_path, run_with_events(), **index_row(**changes))
    assert [finding.severity for finding in odd] == [severity] * bool(severity)
    assert all(word in odd[0].text for word in words)


def header(kind, **keys):
    def change(run):
        run[kind].header |= keys

    return change


def gti(*intervals):
    def change(run):
        start, stop = np.array(intervals, float).T
        columns = run["gti"].columns
        columns["START"], columns["STOP"] = Column(start, "s"), Column(stop, "s")

    return change


def area(values):
    def change(run):
        run["aeff"].columns["EFFAREA"] = Column(values.T[None], "m2")

    return change


def rate(values):
    def change(run):
        run["bkg"].columns = bkg_columns(rate=values)

    return change


def shifted(run):
    for end in ("LO", "HI"):
        column = run["bkg"].columns[f"DETX_{end}"]
        column.values = column.values + 1


def energies(value):
    def change(run):
        run["events"].columns["ENERGY"].values[:] = value

    return change


def wide(run):
    for end in ("LO", "HI"):
        run["aeff"].columns[f"THETA_{end}"].values *= 60


def at_zero(run):
    run["events"].columns["RA"].values[:2] = 0


def hole(run):
    values = AREA.copy()
    values[0, 1] = 0
    area(values.T)(run)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (gti((100, 200), (300, 400), (0, 0)), "GTI: 1 of 3 intervals are empty"),
        (gti((100, 200), (150, 200), (300, 400)), "GTI: intervals overlap by 50 s"),
        (gti((100, 200)), "of the events are outside the good time intervals"),
        (gti((100, 200), (300, 500)), "no events during 100 s of good time"),
        (header("gti", TIMEZERO=60.0), "of the events are outside the good"),
        (header("events", TSTART=100.0, TSTOP=350.0), "beyond TSTART and TSTOP"),
        (header("events", ONTIME=300.0), "ONTIME 300 in the EVENTS header"),
        (header("events", ALT_PNT=100.0), "zenith angle -10 deg in the EVENTS header"),
        (header("events", TSTOP=390.0), "events are not between TSTART and TSTOP"),
        (header("aeff", OBS_ID=7), "AEFF: it is the response of observation 7"),
        (area(AREA.T[::-1]), "the effective area is largest at low energies"),
        (area(AREA.T * [1, 3]), "the effective area grows with the offset"),
        (rate(RATE), "the background rate is largest at high energies"),
        (shifted, "the background model is not centred on the pointing"),
        (energies(0.1), "effective area is empty at the energies of 100% of the"),
        (energies(0.1), "background model is empty at the energies of 100% of"),
        (wide, "the effective area reaches to 180 deg"),
        (at_zero, "RA or DEC of 2 events is exactly 0"),
        (area(AREA.T * 1e4), "the largest effective area is 9e+08 m2"),
        (hole, "EFFAREA is 0 in 1 bins between bins that are not"),
    ],
)
def test_odd_data_are_a_warning(tmp_path, change, text):
    run = run_with_events()
    change(run)
    odd = found(tmp_path, run, **index_row(ZENITH=30.0))
    assert any(text in warning for severity, warning in odd if severity == WARNING), odd


@pytest.mark.parametrize("shift, is_odd", [(0.2, False), (1.0, True)])
def test_centre_of_the_events(tmp_path, shift, is_odd):
    ra, dec = POINTING
    odd = found(tmp_path, run_with_events((ra, dec + shift)))
    assert any("the centre of the events" in text for _, text in odd) == is_odd


def test_events_far_from_the_pointing_are_refused(tmp_path):
    run = run_with_events((200, 10))
    path = write_run(tmp_path / "run.fits", run)
    with refused(path, "EVENTS", "2000 of 2000 events are more than 10 deg"):
        read_observation(OBS_ID, locations(path))


def test_file_of_another_run_is_refused(tmp_path):
    path = write_run(tmp_path / "run.fits", plain_run())
    with refused(path, "EVENTS", f"OBS_ID = {OBS_ID}", "observation 7"):
        read_observation(7, locations(path))


def test_obs_id_may_be_a_text(tmp_path):
    run = run_with_events()
    run["events"].header["OBS_ID"] = f"0{OBS_ID}"
    assert found(tmp_path, run) == []


def test_half_of_the_response_exchanged(tmp_path):
    """The values of a smooth response are rough if TDIM does not fit their order."""
    run = run_with_events()
    energy, offset = np.geomspace(0.5, 50, 41), np.linspace(0, 3, 7)
    values = 1e5 * np.log10(energy[:-1] / 0.4)[None] * (1 - offset[:-1, None] / 6)
    columns = aeff_columns()
    for name, edges in (("ENERG", energy), ("THETA", offset)):
        columns[f"{name}_LO"].values = edges[None, :-1]
        columns[f"{name}_HI"].values = edges[None, 1:]
    columns["EFFAREA"].values = values[None]
    run["aeff"].columns = columns
    path = write_run(tmp_path / "run.fits", run)
    location = locations(path)
    assert findings(read_observation(OBS_ID, location), {}) == []
    with fits.open(path, mode="update") as hdus:
        assert hdus["AEFF"].header["TDIM5"] == "(40,6)"
        hdus["AEFF"].header["TDIM5"] = "(6,40)"
    odd = findings(read_observation(OBS_ID, location), {})
    text = "AEFF: EFFAREA is less smooth than with its axes exchanged"
    assert any(found.text.startswith(text) for found in odd)


def test_hdu_that_is_there_twice(tmp_path):
    run = run_with_events()
    path = tmp_path / "run.fits"
    hdus = [table.hdu() for table in (*run.values(), run["events"])]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    ((severity, text),) = findings(read_observation(OBS_ID, locations(path)), {})
    assert severity == WARNING
    assert text == "EVENTS: the file has 2 HDUs of this name; the first is used"


def test_hdu_of_another_name_is_found_by_its_class(tmp_path):
    run = run_with_events()
    run["aeff"].name = "EFFECTIVE AREA"
    run["aeff"].header["HDUCLAS1"] = "RESPONSE"
    ((severity, text),) = found(tmp_path, run)
    assert severity == NOTE
    assert text == "AEFF: the HDU of class aeff_2d has the name EFFECTIVE AREA"


@pytest.mark.parametrize(
    "changes", [{"TFIELDS": 10**9}, {"TFIELDS": 0}, {"NAXIS1": 2**40}]
)
def test_absurd_sizes_take_no_memory(tmp_path, changes):
    path = write_run(tmp_path / "run.fits", plain_run())
    with fits.open(path) as hdus:
        start = hdus["EVENTS"].fileinfo()["hdrLoc"]
    content = bytearray(path.read_bytes())
    for key, value in changes.items():
        place = content.index(f"{key:8}=".encode(), start)
        content[place : place + 30] = f"{key:8}= {value:20d}".encode()
    path.write_bytes(content)
    with refused(path):
        read_observation(OBS_ID, locations(path))


def test_union_of_intervals():
    """Of (0, 10), (5, 7), (10, 12), (20, 20), (15, 16), 13 s are covered."""
    start, stop = np.array([[0.0, 5, 10, 20, 15], [10, 7, 12, 20, 16]])
    gti = GoodTimeIntervals.merged(start, stop)
    assert (gti.start.tolist(), gti.stop.tolist()) == ([0, 15], [12, 16])
    assert gti.ontime == 13


def test_right_ascension_that_is_not_wrapped(tmp_path):
    """As in the public data of MAGIC."""
    run = run_with_events()
    run["events"].columns["RA"].values = run["events"].columns["RA"].values + 360
    ((severity, text),) = found(tmp_path, run)
    assert severity == NOTE
    assert text == "EVENTS: RA of 2000 events is not between 0 and 360 deg"


def test_time_zero_that_is_in_the_times_already(tmp_path):
    """As in the public data of VERITAS."""
    run = run_with_events()
    run["gti"].header["TIMEZERO"] = 1e6
    path = write_run(tmp_path / "run.fits", run)
    observation = read_observation(OBS_ID, locations(path))
    ((severity, text),) = findings(observation, {})
    assert severity == NOTE
    assert text == "GTI: TIMEZERO = 1e+06 is in the times already"
    assert observation.gti.start.tolist() == GTI[:, 0].tolist()


PARIS = {"GEOLON": 2.35, "GEOLAT": 48.86, "ALTITUDE": 35.0}


@pytest.mark.parametrize("zenith, is_odd", [(90.0 - 11.18, False), (60.0, True)])
def test_zenith_angle_from_time_and_site(tmp_path, zenith, is_odd):
    """At 48.86 deg north a source at -30 deg culminates at an altitude of 11.1 deg.

    It does so when its right ascension, 20 deg, is the sidereal time. On MJD 59000.0 the
    Greenwich mean sidereal time is 249.1 deg, and it grows by 360.9856 deg a day.
    """
    run = run_with_events()
    at_transit = (20 - PARIS["GEOLON"] - 249.1) % 360 / 360.9856 * 86400
    run["gti"].header["MJDREFF"] = run["events"].header["MJDREFF"] = (
        at_transit - 250 + 69.2
    ) / 86400
    run["events"].header |= {**PARIS, "ALT_PNT": 90 - zenith}
    texts = [text for _, text in found(tmp_path, run)]
    assert len(texts) == is_odd, texts
    if is_odd:
        assert re.search("60.0 deg in the EVENTS header, 78.[89] deg from", texts[0])


def test_few_events_far_away(tmp_path):
    run = run_with_events()
    run["events"].columns["DEC"].values[:200] = 40
    ((severity, text),) = found(tmp_path, run)
    assert severity == WARNING
    assert text == "10% of the events are more than 10 deg from the pointing"


def test_right_ascension_that_cannot_be(tmp_path):
    run = run_with_events()
    run["events"].columns["RA"].values[:3] = 361
    path = write_run(tmp_path / "run.fits", run)
    with refused(path, "EVENTS", "3 of 2000 events cannot be: RA is not between"):
        read_observation(OBS_ID, locations(path))


def test_compressed_file(tmp_path):
    """In several members, cut, and one that unpacks to more than any DL3 file."""
    content = write_run(tmp_path / "run.fits", run_with_events()).read_bytes()
    path, half = tmp_path / "run.fits.gz", len(content) // 2
    path.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]))
    assert len(read_observation(OBS_ID, locations(path)).events.time) == N_EVENTS
    path.write_bytes(gzip.compress(content)[:-100])
    with refused(path, "truncated"):
        read_observation(OBS_ID, locations(path))
    path.write_bytes(gzip.compress(bytes(2**20), 1) * 513)
    with refused(path, "unpacks to more than 512 MB"):
        read_observation(OBS_ID, locations(path))


def test_no_positive_effective_area(tmp_path):
    """It has no mean bin, but the run is examined to its end."""
    run = run_with_events()
    area(np.full_like(AREA.T, -1))(run)
    texts = [text for _, text in found(tmp_path, run, **index_row())]
    assert "the largest effective area is -1 m2: is the unit right?" in texts
