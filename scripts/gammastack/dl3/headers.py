"""What the headers of DL3 files say, without reading their data.

Formats: GADF v0.3, DOI 10.5281/zenodo.7304668; FITS standard 4.0.
"""

import gzip
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from math import prod
from typing import NamedTuple

from astropy.io import fits

# To be increased when something else is read: what an earlier reader found is not used.
READER = 3
BLOCK, CARD = 2880, 80
GZIP_MAGIC = b"\x1f\x8b"
# No DL3 file is so large; a small file that unpacks to more is meant to fill the memory.
LARGEST_UNPACKED = 2**29  # bytes
PART = 2**20  # bytes that are unpacked at once
# CREATOR of all that this program makes of observations
OURS = "gammastack "

# What describes an observation: columns of the observation index, and to locate it in time.
ZERO = ("MJDREFI", "MJDREFF")
REFERENCE = (*ZERO, "TIMEUNIT", "TIMESYS", "TIMEREF")
TIMES = ("TSTART", "TSTOP")
NUMBERS = {
    "RA_PNT": "deg",
    "DEC_PNT": "deg",
    "ZEN_PNT": "deg",
    "ALT_PNT": "deg",
    "AZ_PNT": "deg",
    "TSTART": "s",
    "TSTOP": "s",
    "ONTIME": "s",
    "LIVETIME": "s",
    "DEADC": None,
    "RA_OBJ": "deg",
    "DEC_OBJ": "deg",
    "MUONEFF": None,
    "GEOLON": "deg",
    "GEOLAT": "deg",
    "ALTITUDE": "m",
}
TEXTS = (
    *("OBJECT", "OBS_MODE", "TELESCOP", "INSTRUME", "TELLIST"),
    *("DATE-OBS", "TIME-OBS", "DATE-END", "TIME-END"),
)
COUNTS = ("N_TELS", "QUALITY")
OF_OBSERVATION = {"OBS_ID", *REFERENCE, *NUMBERS, *TEXTS, *COUNTS}

STRUCTURE = {
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT"),
    *(f"NAXIS{n}" for n in range(1, 10)),
}
CLASSIFYING = {"EXTNAME", "CREATOR", "HDUCLAS1", "HDUCLAS4"}
WANTED = {key.encode() for key in STRUCTURE | CLASSIFYING | OF_OBSERVATION}

RESPONSES = (
    *("aeff_2d", "edisp_2d", "bkg_2d", "bkg_3d", "rad_max_2d"),
    *("psf_table", "psf_3gauss", "psf_king"),
)
# Where HDUCLAS4 does not say it, the columns of a response do.
TELLING_COLUMNS = {
    "aeff_2d": {"EFFAREA", "THETA_LO"},
    "edisp_2d": {"MATRIX", "MIGRA_LO", "THETA_LO"},
    "psf_table": {"RPSF", "RAD_LO"},
    "psf_3gauss": {"SCALE", "SIGMA_1", "SIGMA_3"},
    "psf_king": {"GAMMA", "SIGMA", "THETA_LO"},
    "bkg_3d": {"BKG", "DETX_LO"},
    "bkg_2d": {"BKG", "THETA_LO"},
}


class HDU(NamedTuple):
    """An HDU of a DL3 file.

    Attributes
    ----------
    hdu_class : str
        As in the HDU index, such as ``bkg_3d``.
    name : str
    size : int
        Of header and data, in bytes.
    cards : dict
        OBS_ID, if the HDU or else the primary header of the file has one, and for events
        all that describes the observation.
    """

    hdu_class: str
    name: str
    size: int
    cards: dict


class Headers(NamedTuple):
    """What the headers of a file say.

    Attributes
    ----------
    hdus : tuple of HDU
        Events, intervals and responses; others are passed over.
    problem : str
        Why some of them, or all, cannot be read; empty if all is well.
    is_ours : bool
        Whether the file is an index or a result of this program.
    """

    hdus: tuple = ()
    problem: str = ""
    is_ours: bool = False


def read_headers(paths, memory):
    """Read the headers of files that are not known yet.

    Parameters
    ----------
    paths : sequence of str
    memory : gammastack.memory.Memory
        Is saved, too.

    Returns
    -------
    dict of str to Headers
        In the order of `paths`.
    """
    found, new = {}, []
    for path in paths:
        try:
            known = memory.recall(path)
        except OSError as error:
            found[path] = _unreadable(error)
            continue
        if known and known["reader"] == READER:
            hdus = tuple(HDU(*hdu) for hdu in known["hdus"])
            found[path] = Headers(hdus, known["problem"], known["is_ours"])
        else:
            new.append(path)
    # Decompression, which takes most of the time, lets other threads go on.
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        try:
            for path, headers in zip(new, executor.map(_read, new), strict=True):
                # What the system refuses now, it may allow while the file stays the same.
                if isinstance(headers, OSError):
                    found[path] = _unreadable(headers)
                    continue
                found[path] = headers
                memory.remember(path, {"reader": READER, **headers._asdict()})
        finally:
            # What was found before an interrupt is kept, and the rest is not waited for.
            executor.shutdown(cancel_futures=True)
            memory.save()
    return {path: found[path] for path in paths}


def _unreadable(error):
    """Return the `Headers` of a file that the system does not read."""
    return Headers(problem=f"cannot be read ({error.strerror})")


def _read(path):
    """Return the `Headers` of a file, errors in it among them, or an error of the system."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(GZIP_MAGIC))
            file.seek(0)
            if start == GZIP_MAGIC:
                file = _unpacked(file)
            return _read_hdus(file)
    except (zlib.error, gzip.BadGzipFile) as error:
        return Headers(problem=f"the compressed file is damaged ({error})")
    except OSError as error:
        return error
    # The errors that astropy raises on a damaged header are not documented.
    except Exception as error:
        return Headers(problem=f"not a readable FITS file ({error})")


def _unpacked(file):
    """Return what is in an open gzip file, as far as it goes, as a file in memory."""
    content = BytesIO()
    with suppress(EOFError), gzip.GzipFile(fileobj=file) as packed:
        while part := packed.read1(PART):
            content.write(part)
            if content.tell() > LARGEST_UNPACKED:
                raise ValueError(f"unpacks to more than {LARGEST_UNPACKED >> 20} MB")
    return content


def _read_hdus(file):
    """Return the `Headers` of an open FITS file."""
    size = file.seek(0, os.SEEK_END)
    hdus, position, problems = {}, 0, [] if size else ["empty"]
    of_file = {}
    while position < size:
        file.seek(position)
        header, columns = _read_header(file)
        if header is None:
            problems.append(
                "truncated within a header" if position else "not a FITS file"
            )
            break
        header_end, data = file.tell(), _data_size(header)
        if header_end + data > size:
            problems.append(f"truncated: {header_end + data - size} bytes are missing")
        start, position = position, header_end + data + -data % BLOCK
        if _is_ours(header):
            return Headers(is_ours=True)
        if start == 0:
            of_file = _cards(header, {"OBS_ID"})
        if not (hdu_class := _hdu_class(header, columns)):
            continue
        name = str(header.get("EXTNAME", "")).strip()
        # HDUs are found by their name.
        if not name or name.upper() in hdus:
            nameless = f"has an HDU of class {hdu_class} without a name (EXTNAME)"
            problems.append(f"has two HDUs named {name}" if name else nameless)
            continue
        keys = OF_OBSERVATION if hdu_class == "events" else {"OBS_ID"}
        cards = of_file | _cards(header, keys)
        if hdu_class == "events":
            cards["EVENT_COUNT"] = header["NAXIS2"]
        hdus[name.upper()] = HDU(hdu_class, name, position - start, cards)
    return Headers(tuple(hdus.values()), "; ".join(dict.fromkeys(problems)))


def _read_header(file):
    """Return the wanted cards of a header, and the names of columns; None at its end."""
    cards, columns, keeps, is_first = [], set(), False, True
    while len(block := file.read(BLOCK)) == BLOCK:
        if is_first and not block.startswith((b"SIMPLE  =", b"XTENSION=")):
            return None, columns
        is_first = False
        for start in range(0, BLOCK, CARD):
            key = block[start : start + 8].rstrip()
            if key == b"END":
                return fits.Header.fromstring(b"".join(cards)), columns
            # A long text goes on in the next card.
            keeps = key in WANTED or (keeps and key == b"CONTINUE")
            if keeps:
                cards.append(block[start : start + CARD])
            elif key.startswith(b"TTYPE"):
                value = block[start + 10 : start + CARD].split(b"'")[1]
                columns.add(value.decode("ascii").strip().upper())
    return None, columns


def _data_size(header):
    """Return the size of the data in bytes, FITS standard 4.0, section 4.4.1.2."""
    axes = [header[f"NAXIS{n + 1}"] for n in range(header["NAXIS"])]
    pcount, gcount = header.get("PCOUNT", 0), header.get("GCOUNT", 1)
    if min(*axes, pcount, gcount) < 0:
        raise ValueError("a size in a header is negative")
    n_values = pcount + prod(axes) if axes else 0
    return abs(header["BITPIX"]) // 8 * gcount * n_values


def _is_ours(header):
    creator = str(header.get("CREATOR", ""))
    return creator.startswith(OURS) or header.get("HDUCLAS1") == "INDEX"


def _hdu_class(header, columns):
    """Return the class of an HDU as in the index; nothing for one that is not needed."""
    if str(header.get("XTENSION", "")).strip() != "BINTABLE":
        return ""
    kind = header.get("HDUCLAS1") or header.get("EXTNAME")
    kind = str(kind).strip().lower()
    if kind in ("events", "gti"):
        return kind
    named = str(header.get("HDUCLAS4", "")).strip().lower()
    if named in RESPONSES:
        return named
    columns = columns | {"BKG"} if "BGD" in columns else columns
    fitting = (name for name, needed in TELLING_COLUMNS.items() if needed <= columns)
    return next(fitting, "")


def _cards(header, keys):
    """Return those of some cards that are there, None for one without a value."""
    values = {key: header[key] for key in sorted(keys) if key in header}
    return {
        key: value if isinstance(value, str | int | float) else None
        for key, value in values.items()
    }
