"""Reader of GADF DL3 files, which turns HDUs into small immutable objects in fixed units.

Units inside: s, deg, TeV, m2. They are converted only here.
Format: GADF v0.3, DOI 10.5281/zenodo.7304668.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.time import Time

from gammastack.dl3.checks import require_events_in_field
from gammastack.dl3.dispersion import EnergyDispersion2D
from gammastack.dl3.good_times import GoodTimeIntervals
from gammastack.dl3.irf import Background2D, Background3D, EffectiveArea2D
from gammastack.dl3.point_spread import PSF3Gauss, PSFKing, PSFTable
from gammastack.dl3.responses import RESPONSES, read_response
from gammastack.dl3.table import Table, naming_the_file, open_file
from gammastack.sky.sphere import separation, unit_vectors

# Modes in which the pointing stays fixed on the sky; absent means POINTING
FIXED_POINTING_MODES = {"", "POINTING", "WOBBLE", "ON", "OFF"}
# What the EVENTS header says of a run, to compare with its data
DECLARED = ("TSTART", "TSTOP", "ONTIME", "LIVETIME", "ALT_PNT")
# More than all telescopes together have seen in an event
LARGEST_ENERGY = 1e4  # TeV
# No telescope observes for longer at once.
LONGEST_ONTIME = 1e6  # s
# Times of different HDUs that differ by less are the same.
SAME_TIME = 1e-3  # s


@dataclass(frozen=True)
class EventList:
    """Events as float64 arrays of shape (n,): time in s, ICRS ra and dec in deg, energy in TeV."""

    time: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    energy: np.ndarray


@dataclass(frozen=True)
class Pointing:
    """Fixed ICRS pointing in deg, and the site as (lon deg, lat deg, height m) if known."""

    ra: float
    dec: float
    site: tuple | None = None


@dataclass(frozen=True)
class Observation:
    """One run.

    Attributes
    ----------
    obs_id : int
    pointing : Pointing
    deadc : float
        Livetime per ontime.
    time_ref : astropy.time.Time
        Zero of event times and GTIs.
    events : EventList
    gti : GoodTimeIntervals
    aeff : EffectiveArea2D or None
    bkg : Background2D or Background3D or None
    psf : PSFTable or PSF3Gauss or PSFKing or None
    edisp : EnergyDispersion2D or None
    telescope, instrument : str
        TELESCOP and INSTRUME of the events; empty if they are not known.
    declared : dict of str to float
        What the EVENTS header says besides: any of TSTART, TSTOP, ONTIME, LIVETIME in s,
        ALT_PNT in deg.
    findings : tuple of gammastack.dl3.finding.Finding
        What the reader found odd; see also `gammastack.dl3.checks`.
    """

    obs_id: int
    pointing: Pointing
    deadc: float
    time_ref: Time
    events: EventList
    gti: GoodTimeIntervals
    aeff: EffectiveArea2D | None = None
    bkg: Background2D | Background3D | None = None
    psf: PSFTable | PSF3Gauss | PSFKing | None = None
    edisp: EnergyDispersion2D | None = None
    telescope: str = ""
    instrument: str = ""
    declared: dict = field(default_factory=dict)
    findings: tuple = ()

    @cached_property
    def event_vectors(self):
        """Return the directions of the events as unit vectors, shape (3, n)."""
        return unit_vectors(self.events.ra, self.events.dec)

    @cached_property
    def event_offset(self):
        """Return the angles in deg between events and pointing, shape (n,)."""
        center = unit_vectors(self.pointing.ra, self.pointing.dec)
        return separation(self.event_vectors, center)

    @property
    def ontime(self):
        """Return the total good time in s."""
        return self.gti.ontime

    @property
    def livetime(self):
        """Return the good time in s, corrected for dead time."""
        return self.gti.ontime * self.deadc

    @property
    def start(self):
        """Return the beginning of the first good time interval."""
        return self.time_ref + self.gti.start.min() * u.s

    @property
    def stop(self):
        """Return the end of the last good time interval."""
        return self.time_ref + self.gti.stop.max() * u.s


def read_observation(obs_id, hdus):
    """Read a run.

    Parameters
    ----------
    obs_id : int
    hdus : dict of str to HDULocation
        ``events`` and ``gti``, and any of ``aeff``, ``bkg``, ``psf`` and ``edisp``.

    Raises
    ------
    InputError
        The message names the file, the HDU and the column or key at fault.
    """
    paths = sorted({location.path for location in hdus.values()})
    # A damaged header can cause any error.
    with naming_the_file(", ".join(map(str, paths))):
        return _read_observation(obs_id, hdus, paths)


def _read_observation(obs_id, hdus, paths):
    with ExitStack() as stack:
        files = {path: stack.enter_context(open_file(path)) for path in paths}
        tables = {
            kind: _table(files[location.path], location)
            for kind, location in hdus.items()
        }
    events_table, gti_table = tables["events"], tables["gti"]
    _require_obs_id(events_table, obs_id)
    header = events_table.header
    time_ref = events_table.time_reference()
    events = _events(events_table)
    shift = _shift(gti_table, time_ref, events.time)
    observation = Observation(
        obs_id=obs_id,
        pointing=_pointing(events_table),
        deadc=_deadc(events_table),
        time_ref=time_ref,
        events=events,
        gti=_gti(gti_table, shift),
        **{
            kind: read_response(kind, tables[kind], header)
            for kind in RESPONSES
            if kind in tables
        },
        telescope=_name(header, "TELESCOP"),
        instrument=_name(header, "INSTRUME"),
        declared=_declared(header),
    )
    for kind in RESPONSES:
        if kind in tables:
            _check_owner(tables[kind], obs_id)
    found = [finding for table in tables.values() for finding in table.findings]
    observation = replace(observation, findings=tuple(found))
    require_events_in_field(observation, events_table.where)
    return observation


def _check_owner(table, obs_id):
    """Warn of a response that says it is of another run; shared ones say nothing."""
    text = str(table.header.get("OBS_ID", obs_id)).strip()
    if text.isdecimal() and int(text) not in (0, obs_id):
        table.warn(f"it is the response of observation {text}")


def _table(file, location):
    with naming_the_file(location.path):
        return Table(file, location)


def _require_obs_id(table, obs_id):
    """Refuse the file of another run: its events would be counted twice."""
    text = str(table.header.get("OBS_ID", obs_id)).strip()
    if text.isdecimal() and int(text) != obs_id:
        table.fail(
            f"OBS_ID = {text}, but the index says that the file holds observation {obs_id}"
        )


def _events(table):
    events = EventList(
        time=table.column("TIME", "s", "s"),
        ra=table.column("RA", "deg", "deg"),
        dec=table.column("DEC", "deg", "deg"),
        energy=table.column("ENERGY", "TeV"),
    )
    possible = np.isfinite(events.time)
    possible &= (events.energy > 0) & (events.energy < LARGEST_ENERGY)
    # Some writers do not wrap the right ascension.
    if n_beyond := int(np.sum((events.ra < 0) | (events.ra > 360))):
        table.note(f"RA of {n_beyond} events is not between 0 and 360 deg")
    possible &= (np.abs(events.ra) < 720) & (np.abs(events.dec) <= 90)
    if not possible.all():
        table.fail(
            f"{np.sum(~possible)} of {len(possible)} events cannot be: TIME, RA, DEC and"
            " ENERGY must be finite, RA an angle, DEC within -90 to 90 deg, and ENERGY"
            f" positive and below {LARGEST_ENERGY:g} TeV; the first one is in row {np.argmin(possible) + 1}"
        )
    if (n_twice := _n_twice(events)) > 0:
        table.fail(
            f"{n_twice} events are there twice, with the same TIME, RA, DEC, ENERGY"
        )
    return events


def _n_twice(events):
    """Return how many events are the same as another one."""
    if len(np.unique(events.time)) == len(events.time):
        return 0
    rows = np.stack([events.time, events.ra, events.dec, events.energy], axis=1)
    return len(rows) - len(np.unique(rows, axis=0))


def _shift(table, time_ref, time):
    """Return the time in s from the zero of the events to that of the good time intervals."""
    shift = (table.time_reference() - time_ref).to_value("s")
    start, stop = table.column("START", "s", "s"), table.column("STOP", "s", "s")

    def fits(shift):
        return np.any((time > start.min() + shift) & (time < stop.max() + shift))

    if table.time_zero and len(start) and not fits(shift):
        # Some writers give TIMEZERO although it is in the times already.
        without = shift - table.time_zero
        if fits(without):
            table.note(f"TIMEZERO = {table.time_zero:g} is in the times already")
            return without
    if abs(shift) > SAME_TIME:
        table.note(f"its times begin {shift:g} s after those of the events")
    return shift


def _gti(table, shift):
    start, stop = table.column("START", "s", "s"), table.column("STOP", "s", "s")
    if not len(start) or not np.all(stop >= start):
        table.fail("no good time interval, or one that stops before it starts")
    if not np.all(np.isfinite(start + stop)):
        table.fail("a good time interval is not finite")
    if n_empty := int(np.sum(start == stop)):
        table.warn(f"{n_empty} of {len(start)} intervals are empty")
    gti = GoodTimeIntervals.merged(start + shift, stop + shift)
    if not len(gti.start):
        table.fail("no good time interval is longer than 0 s")
    if gti.ontime > LONGEST_ONTIME:
        table.fail(f"the good time intervals are {gti.ontime:.3g} s long")
    overlap = float(np.sum(stop - start)) - gti.ontime
    if overlap > SAME_TIME:
        table.warn(f"intervals overlap by {overlap:g} s, which count once")
    return gti


def _pointing(table):
    mode = str(table.header.get("OBS_MODE", "")).strip().upper()
    if mode not in FIXED_POINTING_MODES:
        table.fail(
            f"OBS_MODE = {mode}: only runs with a fixed pointing on the sky can be used"
        )
    site = None
    if "GEOLON" in table.header and "GEOLAT" in table.header:
        height = table.number("ALTITUDE") if "ALTITUDE" in table.header else 0.0
        site = (table.number("GEOLON"), table.number("GEOLAT"), height)
    ra, dec = table.number("RA_PNT"), table.number("DEC_PNT")
    if not (abs(ra) < 720 and abs(dec) <= 90):
        table.fail(f"the pointing RA_PNT = {ra:g}, DEC_PNT = {dec:g} is not on the sky")
    return Pointing(ra, dec, site)


def _name(header, key):
    """Return a name in the header; nothing for what no other header can have."""
    name = header.get(key)
    usable = isinstance(name, str) and name.isascii() and name.isprintable()
    return name.strip() if usable else ""


def _declared(header):
    values = {key: header.get(key) for key in DECLARED}
    return {
        key: float(value)
        for key, value in values.items()
        if isinstance(value, int | float)
    }


def _deadc(table):
    deadc = table.number("DEADC")
    if not 0 < deadc <= 1:
        table.fail(f"DEADC = {deadc}, but livetime / ontime lies between 0 and 1")
    return deadc
