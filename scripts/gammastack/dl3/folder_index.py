"""The two index tables of a folder of DL3 files, made from the headers of the files.

Formats: GADF v0.3, "Observation index table" and "HDU index table",
DOI 10.5281/zenodo.7304668.
"""

import os
import re
import stat
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np
from astropy.io import fits

from gammastack.dl3.hdus import GADF, HDU_INDEX, OBS_INDEX, index_names
from gammastack.dl3.headers import (
    COUNTS,
    NUMBERS,
    REFERENCE,
    TEXTS,
    TIMES,
    ZERO,
    Headers,
    read_headers,
)
from gammastack.dl3.zenith import SECONDS_PER_DAY, listed_zenith, zenith_angle
from gammastack.memory import Memory

ENDINGS = (".fits", ".fits.gz", ".fit", ".fit.gz")
INDEX_FILES = {*index_names(OBS_INDEX), *index_names(HDU_INDEX)}
# In the order in which the index lists them
TYPES = ("events", "gti", "aeff", "edisp", "psf", "bkg", "rad_max")
LARGEST_OBS_ID = 2**63 - 1


@dataclass
class FolderIndex:
    """What the headers of the files in a folder say.

    Attributes
    ----------
    observations : list of dict
        Cards of the EVENTS HDU of each run, with OBS_ID as a number; in the order of OBS_ID.
    hdus : list of tuple
        OBS_ID, type, class, path in the folder, name and size of each HDU.
    n_files : int
        How many DL3 files there are.
    left_out : dict of str to str
        Why a file, or something in it, is not in the index, by its path in the folder.
    shared : dict of str to str
        Path of the file that serves all runs without a response of that class, by class.
    """

    observations: list = field(default_factory=list)
    hdus: list = field(default_factory=list)
    n_files: int = 0
    left_out: dict = field(default_factory=dict)
    shared: dict = field(default_factory=dict)

    @property
    def n_runs(self):
        """Return the number of runs, each counted once."""
        return len({cards["OBS_ID"] for cards in self.observations})

    def tables(self, base="."):
        """Return the index as HDUs, by the names of the index files.

        Parameters
        ----------
        base : str
            The folder, seen from the one that the index belongs to.
        """
        return {
            OBS_INDEX: _observation_table(self.observations),
            HDU_INDEX: _hdu_table(self.hdus, base),
        }


def index_folder(folder, cache=None):
    """Make the index of a folder of DL3 files.

    Parameters
    ----------
    folder : path
        Is searched with all that is below it, but for hidden files and folders.
    cache : path, optional
        JSON file that remembers the headers of files that stay the same.

    Returns
    -------
    FolderIndex
        The same for the same files. What is wrong with a file is said there, and raises
        no exception.
    """
    names, closed = find_files(folder)
    memory = Memory(cache)
    root = os.path.join(os.path.abspath(folder), "")
    paths = {root + name: name for name in names}
    memory.forget(
        path for path in memory.paths if path.startswith(root) and path not in paths
    )
    found = {
        paths[path]: headers for path, headers in read_headers([*paths], memory).items()
    }
    files = {name: headers for name, headers in found.items() if not headers.is_ours}
    index = FolderIndex(n_files=len(files), left_out=closed)
    for name, headers in files.items():
        if not name.isascii():
            files[name] = Headers(problem="the index cannot hold a name beyond ASCII")
        elif not headers.hdus and not headers.problem:
            files[name] = Headers(problem="neither events nor responses")
        if problem := files[name].problem:
            index.left_out[name] = problem
    _Files(files, index).fill()
    return index


def find_files(folder):
    """Find the FITS files in a folder, but for index files.

    A file or folder that is reached twice, through links, counts once.

    Returns
    -------
    list of str
        Paths in the folder, in an order that depends on nothing but the names.
    dict of str to str
        Why a file or folder cannot be read, by its path.
    """
    found, closed, seen = [], {}, set()

    def search(directory, prefix):
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            closed[prefix] = f"the folder cannot be read ({error.strerror})"
            return
        for entry in entries:
            name, is_data = prefix + entry.name, _is_data(entry.name.lower())
            if entry.name.startswith("."):
                continue
            try:
                status = entry.stat()
            except OSError as error:
                # A link to nothing, or to itself
                if is_data or entry.is_symlink():
                    closed[name] = f"cannot be read ({error.strerror})"
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            if not is_folder and not (is_data and stat.S_ISREG(status.st_mode)):
                continue
            if (key := (status.st_dev, status.st_ino)) in seen:
                continue
            seen.add(key)
            if is_folder:
                search(entry.path, f"{name}/")
            else:
                found.append(name)

    status = os.stat(folder)
    seen.add((status.st_dev, status.st_ino))
    search(folder, "")
    return found, closed


def _is_data(name):
    return name.endswith(ENDINGS) and name not in INDEX_FILES


def obs_id_of(value):
    """Return an OBS_ID, which may be a text in the header, as a number; None if it is none."""
    if isinstance(value, str):
        is_whole = re.fullmatch(r"\s*\+?[0-9]{1,20}\s*", value)
    else:
        # A logical value is an int in Python.
        is_whole = type(value) in (int, float) and float(value).is_integer()
    number = int(value) if is_whole else -1
    return number if 0 <= number <= LARGEST_OBS_ID else None


class _Files:
    """The files of a folder, from which an index is filled."""

    def __init__(self, files, index):
        self._files, self._index = files, index
        self._rows = defaultdict(list)  # HDUs by OBS_ID and type
        self._events = defaultdict(list)  # files by OBS_ID

    def fill(self):
        """Find the runs, and which HDUs each of them has."""
        without_events = {}
        for name, headers in self._files.items():
            n_events = sum(hdu.hdu_class == "events" for hdu in headers.hdus)
            if not n_events:
                without_events[name] = headers.hdus
                continue
            runs = self._runs_in(name, headers)
            for hdu in headers.hdus:
                self._add(name, hdu, self._owners(name, hdu, runs, n_events))
        in_file = {*self._rows}
        orphans = defaultdict(list)
        for name, hdus in without_events.items():
            for hdu in hdus:
                owner = self._owner_elsewhere(name, hdu)
                if owner is None:
                    orphans[hdu.hdu_class].append((name, hdu))
                elif owner not in self._events:
                    text = f"{hdu.name} is of run {owner}, of which there are no events"
                    self._leave_out(name, text)
                elif (owner, kind := _type(hdu)) in in_file:
                    text = f"{hdu.name} is not used: run {owner} has its own {kind}"
                    self._leave_out(name, text)
                else:
                    self._add(name, hdu, [owner])
        self._share(orphans)
        for obs_id, names in self._events.items():
            for name in names[1:]:
                self._leave_out(name, f"run {obs_id} is in {names[0]}, too; keep one")
        self._index.observations.sort(key=lambda cards: cards["OBS_ID"])
        order = {kind: number for number, kind in enumerate(TYPES)}
        self._index.hdus = sorted(
            (row for rows in self._rows.values() for row in rows),
            key=lambda row: (row[0], order[row[1]], *row[2:]),
        )

    def _runs_in(self, name, headers):
        """Add the runs in a file to the index, and return their OBS_IDs."""
        runs = []
        for hdu in headers.hdus:
            if hdu.hdu_class != "events":
                continue
            obs_id = obs_id_of(hdu.cards.get("OBS_ID"))
            missing = [
                key
                for key in ("RA_PNT", "DEC_PNT")
                if np.isnan(number_of(hdu.cards.get(key)))
            ]
            if obs_id is None:
                given = hdu.cards.get("OBS_ID")
                what = "no OBS_ID" if given is None else f"OBS_ID = {given!r}"
                self._leave_out(
                    name, f"{hdu.name} has {what}; a whole number, 0 or more, is needed"
                )
            elif missing:
                self._leave_out(name, f"{hdu.name} has no {' and no '.join(missing)}")
            else:
                runs.append(obs_id)
                self._events[obs_id].append(name)
                self._index.observations.append({**hdu.cards, "OBS_ID": obs_id})
        return list(dict.fromkeys(runs))

    def _owners(self, name, hdu, runs, n_events):
        """Return which of the runs in its file an HDU belongs to."""
        own = obs_id_of(hdu.cards.get("OBS_ID"))
        if own in runs:
            return [own]
        # It is said already why such events are left out.
        if hdu.hdu_class == "events":
            return []
        # Some writers give 0 to what belongs to no run.
        if not own or n_events == 1:
            return runs
        self._leave_out(
            name, f"{hdu.name} is of run {own}, which is none of those in the file"
        )
        return []

    def _owner_elsewhere(self, name, hdu):
        """Return the OBS_ID that a response carries, in its header or the name of its file."""
        if own := obs_id_of(hdu.cards.get("OBS_ID")):
            return own
        numbers = {int(digits) for digits in re.findall(r"\d+", PurePath(name).name)}
        known = numbers & self._events.keys()
        return known.pop() if len(known) == 1 else None

    def _share(self, orphans):
        """Give responses that belong to no run to all runs that have none of that type."""
        with_own = {*self._rows}
        for hdu_class, found in sorted(orphans.items()):
            needy = [
                obs_id
                for obs_id in self._events
                if (obs_id, _type(found[0][1])) not in with_own
            ]
            if hdu_class == "gti" or len(found) > 1:
                also = "" if hdu_class == "gti" else "; nor is it the only such file"
                for name, hdu in found:
                    self._leave_out(
                        name,
                        f"{hdu.name} ({hdu_class}) belongs to no run: neither its header"
                        f" nor the name of the file has an OBS_ID{also}",
                    )
            elif needy:
                ((name, hdu),) = found
                self._add(name, hdu, needy)
                self._index.shared[hdu_class] = name
            else:
                ((name, hdu),) = found
                self._leave_out(
                    name,
                    f"{hdu.name} ({hdu_class}) belongs to no run, and none needs it",
                )

    def _add(self, name, hdu, runs):
        for obs_id in runs:
            kind = _type(hdu)
            row = (obs_id, kind, hdu.hdu_class, name, hdu.name, hdu.size)
            self._rows[obs_id, kind].append(row)

    def _leave_out(self, name, reason):
        before = self._index.left_out.get(name)
        self._index.left_out[name] = f"{before}; {reason}" if before else reason


def _type(hdu):
    return hdu.hdu_class.rpartition("_")[0] or hdu.hdu_class


def number_of(value):
    """Return a value as a finite number; NaN if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return np.nan
    return number if np.isfinite(number) else np.nan


def numbers(observations, key):
    """Return a card of each observation as numbers, NaN where it is missing."""
    return np.array([number_of(cards.get(key)) for cards in observations])


def zenith_of(observations):
    """Return the zenith angle in deg of each observation, from the cards of its events.

    It is that of ZEN_PNT or ALT_PNT if they are there; else that of the pointing in the
    middle of the observation; NaN if it cannot be known.
    """
    listed = listed_zenith(
        *(numbers(observations, key) for key in ("ZEN_PNT", "ALT_PNT"))
    )
    if np.isfinite(listed).all():
        return listed
    start, stop = (numbers(observations, key) for key in TIMES)
    middle = (start + stop) / 2 / SECONDS_PER_DAY
    mjd = middle + sum(numbers(observations, key) for key in ZERO)
    site = [numbers(observations, key) for key in ("GEOLON", "GEOLAT", "ALTITUDE")]
    # The height changes nothing: it is that of the observer, the sky is far.
    site[2] = np.nan_to_num(site[2])
    computed = zenith_angle(
        numbers(observations, "RA_PNT"),
        numbers(observations, "DEC_PNT"),
        mjd,
        [str(cards.get("TIMESYS") or "TT") for cards in observations],
        site,
    )
    return np.where(np.isfinite(listed), listed, computed)


def _observation_table(observations):
    """Return the observation index; columns that no header has are left out."""
    columns = {"OBS_ID": np.array([cards["OBS_ID"] for cards in observations], int)}
    columns |= {key: numbers(observations, key) for key in NUMBERS}
    columns["ZEN_PNT"] = zenith_of(observations)
    reference = _reference(observations)
    for key in TIMES:
        columns[key] = columns[key] + _shifts(observations, reference)
    columns = {
        key: values
        for key, values in columns.items()
        if key in ("OBS_ID", *TIMES) or np.isfinite(values).any()
    }
    for key in (*COUNTS, "EVENT_COUNT"):
        values = [cards.get(key) for cards in observations]
        if values and all(type(value) is int for value in values):
            columns[key] = np.array(values)
    for key in TEXTS:
        values = [str(cards.get(key) or "").strip() for cards in observations]
        if any(values):
            columns[key] = np.array(values)
    hdu = _table("OBS_INDEX", "OBS", columns, NUMBERS)
    hdu.header.update(
        {key: value for key, value in reference.items() if value is not None}
    )
    return hdu


def _reference(observations):
    """Return the time reference of the first observation, for the whole table."""
    cards = observations[0] if observations else {}
    return {key: cards.get(key) for key in REFERENCE}


def _shifts(observations, reference):
    """Return what is added to the times of each observation, to refer to one zero of time.

    It is NaN for times of another scale or unit: images are not made from the index.
    """
    zeros = [numbers(observations, key) - number_of(reference[key]) for key in ZERO]
    convertible = [
        all(cards.get(key) == reference[key] for key in ("TIMEUNIT", "TIMESYS"))
        for cards in observations
    ]
    return np.where(convertible, sum(zeros) * SECONDS_PER_DAY, np.nan)


def _hdu_table(hdus, base):
    """Return the HDU index, of rows as in `FolderIndex`."""
    keys = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "PATH", "HDU_NAME", "SIZE")
    columns = dict(zip(keys, zip(*hdus, strict=True), strict=False))
    columns = {key: columns.get(key, ()) for key in keys}
    places = [os.path.split(path) for path in columns.pop("PATH")]
    folders = [os.path.normpath(f"{base}/{folder}") for folder, _ in places]
    columns["FILE_DIR"] = ["" if folder == "." else folder for folder in folders]
    columns["FILE_NAME"] = [name for _, name in places]
    types = {"OBS_ID": int, "SIZE": int}
    columns = {
        key: np.array(values, types.get(key, str)) for key, values in columns.items()
    }
    return _table("HDU_INDEX", "HDU", columns, {"SIZE": "byte"})


def _table(name, kind, columns, units):
    fits_columns = []
    for key, values in columns.items():
        code = {"i": "K", "f": "D"}.get(values.dtype.kind)
        if code is None:
            code = f"{max(map(len, values), default=0) or 1}A"
        fits_columns.append(fits.Column(key, code, units.get(key), array=values))
    hdu = fits.BinTableHDU.from_columns(fits_columns, name=name)
    hdu.header.update({**GADF, "HDUCLAS1": "INDEX", "HDUCLAS2": kind})
    return hdu
