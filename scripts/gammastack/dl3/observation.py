"""Reader of GADF DL3 files, which turns HDUs into small immutable objects in fixed units.

Units inside: s, deg, TeV, m2. They are converted only here.
Format: GADF v0.3, DOI 10.5281/zenodo.7304668.
"""

import gzip
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.time import ScaleValueError, Time

from gammastack.checksum import is_intact
from gammastack.dl3.irf import Background2D, Background3D, EffectiveArea2D
from gammastack.errors import InputError
from gammastack.sky.sphere import separation, unit_vectors

# TFORM of a column of numbers
NUMBERS = "BIJKED"
GZIP_MAGIC = b"\x1f\x8b"
# Modes in which the pointing stays fixed on the sky; absent means POINTING
FIXED_POINTING_MODES = {"", "POINTING", "WOBBLE", "ON", "OFF"}
# Files of this writer declare FOVALIGN = RADEC, but their field-of-view longitude
# grows to the east, and DETX and DETY are exchanged with respect to TDIM.
HESS_DR1 = {"CREATOR": "SASH FITS::EventListWriter", "HDUVERS": "0.2"}

# Float32 columns and rounding explain such differences between index and header.
POINTING_TOLERANCE = 1e-4  # deg
JOINT_TOLERANCE = 1e-5  # relative
TIME_TOLERANCE = 1e-5  # relative


@dataclass(frozen=True)
class EventList:
    """Events as float64 arrays of shape (n,): time in s, ICRS ra and dec in deg, energy in TeV."""

    time: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    energy: np.ndarray


@dataclass(frozen=True)
class GoodTimeIntervals:
    """Intervals in s since the reference time of the events, both edges included."""

    start: np.ndarray
    stop: np.ndarray

    @property
    def ontime(self):
        """Return the total length in s."""
        return float(np.sum(self.stop - self.start))

    def after(self, elapsed):
        """Return the time in s at which the given amount of good time in s has passed."""
        begin = np.cumsum(self.stop - self.start) - (self.stop - self.start)
        interval = np.searchsorted(begin, elapsed, side="right") - 1
        return self.start[interval] + elapsed - begin[interval]

    def contains(self, time):
        """Return whether each time lies in one of the intervals."""
        order = np.argsort(self.start)
        start, stop = self.start[order], np.maximum.accumulate(self.stop[order])
        interval = np.searchsorted(start, time, side="right") - 1
        return (interval >= 0) & (time <= stop[interval])


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
    """

    obs_id: int
    pointing: Pointing
    deadc: float
    time_ref: Time
    events: EventList
    gti: GoodTimeIntervals
    aeff: EffectiveArea2D | None = None
    bkg: Background2D | Background3D | None = None

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
        ``events`` and ``gti``; ``aeff`` and ``bkg`` may be left out.

    Raises
    ------
    InputError
        The message names the file, the HDU and the column or key at fault.
    """
    with ExitStack() as stack:
        paths = {location.path for location in hdus.values()}
        files = {path: stack.enter_context(_open(path)) for path in sorted(paths)}
        tables = {
            kind: _Table(files[location.path], location)
            for kind, location in hdus.items()
        }
    events_table, gti_table = tables["events"], tables["gti"]
    header = events_table.header
    time_ref = events_table.time_reference()
    gti_shift = gti_table.time_reference() - time_ref
    return Observation(
        obs_id=obs_id,
        pointing=_pointing(events_table),
        deadc=_deadc(events_table),
        time_ref=time_ref,
        events=_events(events_table),
        gti=_gti(gti_table, gti_shift.to_value("s")),
        aeff=_effective_area(tables["aeff"]) if "aeff" in tables else None,
        bkg=_background(tables["bkg"], header) if "bkg" in tables else None,
    )


def oddities(observation, index_row):
    """Describe what is odd about an observation, but does not prevent its use.

    Parameters
    ----------
    observation : Observation
    index_row : dict
        Any of RA_PNT, DEC_PNT, ONTIME, LIVETIME, DEADC of the observation index; where
        they differ from the EVENTS header beyond rounding, the header is used.

    Returns
    -------
    list of str
    """
    pointing = observation.pointing
    center = unit_vectors(pointing.ra, pointing.dec)
    notes = []
    if observation.aeff is not None and (n_negative := observation.aeff.n_negative):
        notes.append(f"EFFAREA has {n_negative} negative values, taken as 0")
    if {"RA_PNT", "DEC_PNT"} <= index_row.keys():
        ra, dec = index_row["RA_PNT"], index_row["DEC_PNT"]
        if separation(unit_vectors(ra, dec), center) > POINTING_TOLERANCE:
            notes.append(
                f"pointing {ra:g} {dec:g} in the observation index, {pointing.ra:g}"
                f" {pointing.dec:g} in the EVENTS header"
            )
    ours = {
        "ONTIME": observation.ontime,
        "LIVETIME": observation.livetime,
        "DEADC": observation.deadc,
    }
    for key, value in ours.items():
        theirs = index_row.get(key, value)
        if abs(theirs - value) > TIME_TOLERANCE * value:
            notes.append(
                f"{key} {theirs:g} in the observation index, {value:g} from the GTIs"
                " and the EVENTS header"
            )
    return notes


class _Table:
    """Binary table HDU whose error messages name the file and the HDU."""

    def __init__(self, hdus, location):
        self.where = f"{location.path}[{location.hdu_name}]"
        self.hdu_class = location.hdu_class
        hdu = hdus.by_name.get(location.hdu_name.upper())
        if hdu is None:
            self.fail(
                f"the file has no such HDU (it has {', '.join(list(hdus.by_name)[1:])});"
                " the HDU index of the store does not fit the file"
            )
        if not isinstance(hdu, fits.BinTableHDU):
            self.fail("not a binary table")
        with _naming_the_file(location.path):
            self.header, self.columns = hdu.header, hdu.columns
            place = hdu.fileinfo()
            # With `hdu.data` astropy would build an object for each column once more, which
            # takes as long as all else that is read.
            self._rows = np.frombuffer(
                hdus.content,
                self.columns.dtype.newbyteorder(">"),
                count=self.header["NAXIS2"],
                offset=place["datLoc"],
            )
            whole = slice(place["hdrLoc"], place["datLoc"] + place["datSpan"])
            start = place["datLoc"] - place["hdrLoc"]
            intact = is_intact(self.header, memoryview(hdus.content)[whole], start)
        if not intact:
            self.fail(
                "its content does not fit its CHECKSUM or DATASUM: it is damaged, or was"
                " edited by a program that did not update them (fitscheck --write does)"
            )
        if self._rows.itemsize != self.header["NAXIS1"]:
            self.fail(
                f"its columns take {self._rows.itemsize} bytes of a row (TFORM), which has"
                f" {self.header['NAXIS1']} (NAXIS1)"
            )

    def fail(self, text):
        raise InputError(f"{self.where}: {text}")

    def number(self, name):
        """Return a header value as float."""
        value = self.header.get(name)
        if value is None:
            self.fail(f"the header has no {name}")
        try:
            return float(value)
        except (TypeError, ValueError):
            self.fail(f"{name} = {value!r} is not a number")

    def column(self, name, unit, default_unit=None):
        """Return a column as float64 in `unit`."""
        if name not in self.columns.names:
            self.fail(f"no column {name} (it has {', '.join(self.columns.names)})")
        column = self.columns[name]
        if column.format.lstrip("0123456789")[0] not in NUMBERS:
            self.fail(f"column {name} has no numbers (TFORM {column.format})")
        text = column.unit or default_unit
        if text is None:
            self.fail(
                f"column {name} has no unit (TUNIT); {unit} or the like is needed"
            )
        try:
            factor = _factor(text, unit)
        except (ValueError, TypeError):
            self.fail(f"column {name} has unit '{text}', which is not {unit}")
        values = self._rows[name].astype(float)
        if column.bscale not in ("", None, 1):
            values *= column.bscale
        if column.bzero not in ("", None, 0):
            values += column.bzero
        return values * factor

    def axis(self, name, unit):
        """Return the lower and upper bin edges of an IRF axis."""
        low, high = (self.column(f"{name}_{end}", unit).ravel() for end in ("LO", "HI"))
        if not (np.all(np.diff(low) > 0) and np.all(high >= low)):
            self.fail(f"the axis {name} does not grow, or is not finite")
        # The nodes of some axes are points.
        joined = np.allclose(high[:-1], low[1:], rtol=JOINT_TOLERANCE, atol=1e-9)
        if not (joined or np.array_equal(low, high)):
            self.fail(
                f"the bins of the axis {name} overlap, or there are gaps between them"
            )
        return low, high

    def array(self, name, unit, axes):
        """Return an IRF array with its axes in the order `axes`, such as ("ENERG", "THETA").

        FITS stores the axis that is named first among the columns as the
        fastest one. Some writers do the opposite, which shows in the shape.
        """
        if not len(self._rows):
            self.fail("the table has no row")
        order = sorted(axes, key=lambda axis: self.columns.names.index(f"{axis}_LO"))
        sizes = {axis: self._rows[f"{axis}_LO"].shape[-1] for axis in axes}
        values = self.column(name, unit)[0]
        for candidate in (order[::-1], order):
            if values.shape == tuple(sizes[axis] for axis in candidate):
                return values.transpose([candidate.index(axis) for axis in axes])
        self.fail(
            f"column {name} has the shape {values.shape} (TDIM), its axes have"
            f" {', '.join(f'{axis} {size}' for axis, size in sizes.items())} bins"
        )

    def time_reference(self):
        """Return the zero of the times in this HDU."""
        scale = str(self.header.get("TIMESYS", "TT")).strip().lower()
        if scale == "local":
            self.fail("no usable time reference (TIMESYS = local; TT or UTC is needed)")
        try:
            return (
                Time(
                    self.number("MJDREFI"),
                    self.number("MJDREFF"),
                    format="mjd",
                    scale=scale,
                )
                + self.header.get("TIMEZERO", 0.0) * u.s
            )
        except (ValueError, ScaleValueError) as error:
            self.fail(f"no usable time reference ({error})")

    def refuse_point_like(self):
        if str(self.header.get("HDUCLAS3", "")).strip().upper() == "POINT-LIKE":
            self.fail(
                "POINT-LIKE response: it holds for one position behind a directional cut"
                " and cannot give a sky image. Use full-enclosure responses."
            )


class _File(NamedTuple):
    """Content of a file, and its HDUs by name; the first one if a name is repeated."""

    content: bytes
    by_name: dict


@contextmanager
def _open(path):
    """Open a DL3 file as a `_File`."""
    if not Path(path).is_file():
        raise InputError(
            f"{path}: no such file. It is listed in the HDU index of the store; restore it"
        )
    with _naming_the_file(path):
        content = Path(path).read_bytes()
        if content.startswith(GZIP_MAGIC):
            # All is read at once: seeking in a compressed file starts over each time.
            content = gzip.decompress(content)
        hdulist = fits.open(BytesIO(content))
    with hdulist:
        with _naming_the_file(path):
            by_name = {}
            for hdu in hdulist:
                by_name.setdefault(hdu.name, hdu)
        yield _File(content, by_name)


@contextmanager
def _naming_the_file(path):
    try:
        yield
    except (InputError, MemoryError):
        raise
    # The errors that astropy raises on a damaged file are not documented.
    except Exception as error:
        raise InputError(
            f"{path}: truncated, or not a FITS file ({error}). Fetch it again"
        ) from error


# The files of a store have the same few units.
@lru_cache(maxsize=128)
def _factor(text, unit):
    """Convert the unit in a text to `unit`, and return the factor.

    Any number of divisions is allowed: astropy refuses "1/s/MeV/sr".
    """
    first, *divisors = text.split("/")
    found = u.Unit(first)
    for divisor in divisors:
        found = found / u.Unit(divisor)
    return found.to(unit)


def _events(table):
    events = EventList(
        time=table.column("TIME", "s", "s"),
        ra=table.column("RA", "deg", "deg"),
        dec=table.column("DEC", "deg", "deg"),
        energy=table.column("ENERGY", "TeV"),
    )
    possible = (
        np.isfinite(events.time) & np.isfinite(events.energy) & (events.energy > 0)
    )
    possible &= (events.ra >= 0) & (events.ra <= 360) & (np.abs(events.dec) <= 90)
    if not possible.all():
        table.fail(
            f"{np.sum(~possible)} of {len(possible)} events cannot be: TIME, RA, DEC and"
            " ENERGY must be finite, RA within 0 to 360 deg, DEC within -90 to 90 deg, and"
            f" ENERGY positive; the first one is in row {np.argmin(possible) + 1}"
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


def _gti(table, shift):
    start, stop = table.column("START", "s", "s"), table.column("STOP", "s", "s")
    if not len(start) or not np.all(stop >= start):
        table.fail("no good time interval, or one that stops before it starts")
    if not np.all(np.isfinite(start + stop)):
        table.fail("a good time interval is not finite")
    return GoodTimeIntervals(start + shift, stop + shift)


def _pointing(table):
    mode = str(table.header.get("OBS_MODE", "")).strip().upper()
    if mode not in FIXED_POINTING_MODES:
        table.fail(
            f"OBS_MODE = {mode}: only runs with a fixed pointing on the sky can be used"
        )
    site = None
    if "GEOLON" in table.header and "GEOLAT" in table.header:
        height = float(table.header.get("ALTITUDE", 0.0))
        site = (table.number("GEOLON"), table.number("GEOLAT"), height)
    return Pointing(table.number("RA_PNT"), table.number("DEC_PNT"), site)


def _deadc(table):
    deadc = table.number("DEADC")
    if not 0 < deadc <= 1:
        table.fail(f"DEADC = {deadc}, but livetime / ontime lies between 0 and 1")
    return deadc


def _effective_area(table):
    table.refuse_point_like()
    energy = table.axis("ENERG", "TeV")
    offset = table.axis("THETA", "deg")
    area = table.array("EFFAREA", "m2", ("THETA", "ENERG"))
    return EffectiveArea2D(energy, offset, area, where=table.where)


def _background(table, events_header):
    table.refuse_point_like()
    name = "BKG" if "BKG" in table.columns.names else "BGD"
    unit = "s-1 TeV-1 sr-1"
    energy = table.axis("ENERG", "TeV")
    if table.hdu_class == "bkg_2d":
        offset = table.axis("THETA", "deg")
        rate = table.array(name, unit, ("ENERG", "THETA"))
        return Background2D(energy, offset, rate, where=table.where)
    axes, alignment = ("ENERG", "DETX", "DETY"), table.header.get("FOVALIGN", "RADEC")
    written_by_hess = all(
        str(events_header.get(key)).strip() == value for key, value in HESS_DR1.items()
    )
    # A model that was made from these events has a later version.
    version = HESS_DR1["HDUVERS"]
    if written_by_hess and table.header.get("HDUVERS", version) == version:
        axes, alignment = ("ENERG", "DETY", "DETX"), "REVERSE_LON_RADEC"
    return Background3D(
        energy,
        table.axis("DETX", "deg"),
        table.axis("DETY", "deg"),
        table.array(name, unit, axes),
        alignment=str(alignment).strip().upper(),
        where=table.where,
    )
