"""Reader of the binary tables of DL3 files.

The content of a file is not trusted: each table is checked before it is used, and error
messages name the file and the HDU. What is odd but usable is collected as findings.
"""

import gzip
import re
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.time import ScaleValueError, Time

from gammastack.checksum import is_intact
from gammastack.dl3.finding import NOTE, WARNING, Finding
from gammastack.dl3.headers import GZIP_MAGIC, LARGEST_UNPACKED
from gammastack.errors import InputError, NotCoveredError

# TFORM of a column of numbers
NUMBERS = "BIJKED"
NEGATIVE_SIZE = re.compile(rb"\w+ *= +-\d")
# FITS standard 4.0, section 7.3.1
LARGEST_TFIELDS = 999
# Rounding explains such differences between the edges of bins.
JOINT_TOLERANCE = 1e-5  # relative
# A response that is rougher by this factor than with its axes exchanged has a wrong TDIM:
# in the right order those of H.E.S.S. are smoother by 1.38 at least.
ROUGHER = 1.2


class Table:
    """Binary table HDU of a DL3 file.

    Parameters
    ----------
    file : File
    location : gammastack.dl3.datastore.HDULocation

    Attributes
    ----------
    name, where : str
        Name of the HDU, and with its file, for messages.
    header : astropy.io.fits.Header
    columns : astropy.io.fits.ColDefs
    findings : list of Finding
        What is odd about it; reading its columns adds to them.
    """

    def __init__(self, file, location):
        self.name = location.hdu_name
        self.where = f"{location.path}[{self.name}]"
        self.hdu_class = location.hdu_class
        self.findings = []
        hdu = self._find(file, location)
        if not isinstance(hdu, fits.BinTableHDU):
            self.fail("not a binary table")
        if not 0 < hdu.header.get("TFIELDS", 0) <= LARGEST_TFIELDS:
            self.fail(f"TFIELDS = {hdu.header.get('TFIELDS')} is no number of columns")
        self.header, self.columns = hdu.header, hdu.columns
        place = hdu.fileinfo()
        # With `hdu.data` astropy would build an object for each column once more, which
        # takes as long as all else that is read.
        self._rows = np.frombuffer(
            file.content,
            self.columns.dtype.newbyteorder(">"),
            count=self.header["NAXIS2"],
            offset=place["datLoc"],
        )
        whole = slice(place["hdrLoc"], place["datLoc"] + place["datSpan"])
        start = place["datLoc"] - place["hdrLoc"]
        intact = is_intact(self.header, memoryview(file.content)[whole], start)
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

    def _find(self, file, location):
        """Return the HDU at a location, or the only one of its class if none has the name."""
        named = [hdu for hdu in file.hdus if hdu.name == location.hdu_name.upper()]
        if len(named) > 1:
            self.warn(f"the file has {len(named)} HDUs of this name; the first is used")
        if named:
            return named[0]
        of_class = [hdu for hdu in file.hdus if class_of(hdu) == location.hdu_class]
        if len(of_class) == 1:
            (hdu,) = of_class
            self.note(f"the HDU of class {location.hdu_class} has the name {hdu.name}")
            return hdu
        names = ", ".join(hdu.name for hdu in file.hdus[1:])
        self.fail(
            f"the file has no such HDU (it has {names}); the HDU index of the store does"
            " not fit the file"
        )

    def warn(self, text):
        """Keep a warning."""
        self.findings.append(Finding(WARNING, f"{self.name}: {text}"))

    def note(self, text):
        """Keep a note."""
        self.findings.append(Finding(NOTE, f"{self.name}: {text}"))

    def fail(self, text):
        """Raise `InputError` with a text that names the file and the HDU."""
        raise InputError(f"{self.where}: {text}")

    def number(self, name):
        """Return a header value as float."""
        value = self.header.get(name)
        if value is None:
            self.fail(f"the header has no {name}")
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number):
            self.fail(f"{name} = {value!r} is not a number")
        return number

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
        scale, zero = column.bscale or 1, column.bzero or 0
        if (scale, zero) != (1, 0):
            if column.format.lstrip("0123456789")[0] in "ED":
                self.warn(f"column {name} is scaled by TSCAL {scale}, TZERO {zero}")
            values = values * scale + zero
        return values * factor

    def axis(self, name, unit, default_unit=None):
        """Return the lower and upper bin edges of an IRF axis."""
        low, high = (
            self.column(f"{name}_{end}", unit, default_unit).ravel()
            for end in ("LO", "HI")
        )
        if not (np.all(np.diff(low) > 0) and np.all(high >= low)):
            self.fail(f"the axis {name} does not grow, or is not finite")
        # The nodes of some axes are points.
        joined = np.allclose(high[:-1], low[1:], rtol=JOINT_TOLERANCE, atol=1e-9)
        if not (joined or np.array_equal(low, high)):
            self.fail(
                f"the bins of the axis {name} overlap, or there are gaps between them"
            )
        return low, high

    def array(self, name, unit, axes, default_unit=None):
        """Return an IRF array with its axes in the order `axes`, such as ("ENERG", "THETA").

        FITS stores the axis that is named first among the columns as the
        fastest one. Some writers do the opposite, which shows in the shape.
        """
        if not len(self._rows):
            self.fail("the table has no row")
        order = sorted(axes, key=lambda axis: self.columns.names.index(f"{axis}_LO"))
        sizes = {axis: self._rows[f"{axis}_LO"].shape[-1] for axis in axes}
        values = self.column(name, unit, default_unit)[0]
        for candidate, other in ((order[::-1], order), (order, order[::-1])):
            if values.shape == tuple(sizes[axis] for axis in candidate):
                exchanged = values.reshape([sizes[axis] for axis in other])
                if _roughness(values) > ROUGHER * _roughness(exchanged):
                    self.warn(
                        f"{name} is less smooth than with its axes exchanged, its TDIM"
                        f" {self.columns[name].dim} may be wrong"
                    )
                return values.transpose([candidate.index(axis) for axis in axes])
        self.fail(
            f"column {name} has the shape {values.shape} (TDIM), its axes have"
            f" {', '.join(f'{axis} {size}' for axis, size in sizes.items())} bins"
        )

    @property
    def time_zero(self):
        """Return what is added to all times, in s; GADF has no such key, but OGIP has."""
        return self.number("TIMEZERO") if "TIMEZERO" in self.header else 0.0

    def time_reference(self):
        """Return the zero of the times in this HDU."""
        scale = str(self.header.get("TIMESYS", "TT")).strip().lower()
        if scale == "local":
            self.fail(
                "no usable time reference (TIMESYS = local; TT, TAI or UTC is needed)"
            )
        try:
            return (
                Time(
                    self.number("MJDREFI"),
                    self.number("MJDREFF"),
                    format="mjd",
                    scale=scale,
                )
                + self.time_zero * u.s
            )
        except (ValueError, ScaleValueError) as error:
            self.fail(f"no usable time reference ({error})")

    @property
    def is_point_like(self):
        """Return whether it is a response behind a directional cut."""
        return str(self.header.get("HDUCLAS3", "")).strip().upper() == "POINT-LIKE"

    def refuse_point_like(self):
        """Raise `NotCoveredError` if it is a response behind a directional cut."""
        if self.is_point_like:
            raise NotCoveredError(
                f"{self.where}: POINT-LIKE response: it holds for one position behind a"
                " directional cut and gives no image of exposure or background. Use"
                " full-enclosure responses, or background: acceptance (or a ring method"
                " with model: acceptance), which makes all maps that need no exposure"
            )


class File(NamedTuple):
    """Content of a file, and its HDUs."""

    content: bytes
    hdus: list


@contextmanager
def open_file(path):
    """Open a DL3 file as a `File`.

    Raises
    ------
    InputError
        If there is none, or it cannot be read.
    """
    if not Path(path).is_file():
        raise InputError(
            f"{path}: no such file. It is listed in the HDU index of the store; restore it"
        )
    with naming_the_file(path):
        content = Path(path).read_bytes()
        if content.startswith(GZIP_MAGIC):
            # All is read at once: seeking in a compressed file starts over each time.
            content = _unpacked(content, path)
        if _has_negative_size(content):
            raise ValueError("a size in a header is negative")
        hdulist = fits.open(BytesIO(content))
    with hdulist:
        with naming_the_file(path):
            hdus = list(hdulist)
        yield File(content, hdus)


def _has_negative_size(content):
    """Return whether a header has a negative size: astropy would read on for ever."""
    for key in (b"NAXIS", b"PCOUNT", b"GCOUNT"):
        place = content.find(key)
        while place >= 0:
            if NEGATIVE_SIZE.match(content, place):
                return True
            place = content.find(key, place + 1)
    return False


def _unpacked(content, path):
    """Return what is in the content of a gzip file."""
    with gzip.GzipFile(fileobj=BytesIO(content)) as file:
        # One call with a limit takes half of the time that a read to the end does.
        unpacked = file.read(LARGEST_UNPACKED + 1)
    if len(unpacked) > LARGEST_UNPACKED:
        raise InputError(
            f"{path}: unpacks to more than {LARGEST_UNPACKED >> 20} MB, which no DL3 file"
            " has; unpack it yourself if it is right"
        )
    return unpacked


@contextmanager
def naming_the_file(path):
    """Turn any error in the content of a file into an `InputError` that names it.

    An error of the system when it reads the file is none: it only gets the name.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    # The errors that astropy raises on a damaged file are not documented.
    except Exception as error:
        # Only the system gives a number; it may read the same file the next time.
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or str(path)
            raise
        raise InputError(
            f"{path}: truncated, or not a FITS file ({error}). Fetch it again"
        ) from error


def class_of(hdu):
    """Return the GADF class of an astropy HDU as the HDU index names it, such as ``aeff_2d``."""
    first, fourth = (
        str(hdu.header.get(key, "")).strip().lower() for key in ("HDUCLAS1", "HDUCLAS4")
    )
    return fourth if first == "response" else first


def _roughness(values):
    """Return the mean difference of the square roots of neighbours, summed over the axes."""
    roots = np.sqrt(np.abs(values))
    return sum(
        np.abs(np.diff(roots, axis=axis)).mean()
        for axis in range(values.ndim)
        if values.shape[axis] > 1
    )


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
