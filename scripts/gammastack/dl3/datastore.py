"""Index files of a DL3 store: which observations there are and where their HDUs are.

Formats: GADF v0.3, "Observation index table" and "HDU index table",
DOI 10.5281/zenodo.7304668.
"""

import os
from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property
from os.path import isfile
from pathlib import Path

import numpy as np
from astropy.io import fits

from gammastack.dl3.folder_index import (
    find_files,
    index_folder,
    number_of,
    obs_id_of,
    zenith_of,
)
from gammastack.dl3.hdus import (
    HDU_CLASSES,
    HDU_INDEX,
    OBS_INDEX,
    OF_IMAGES,
    HDULocation,
    index_names,
)
from gammastack.dl3.headers import read_headers
from gammastack.errors import InputError
from gammastack.memory import Memory
from gammastack.remote.address import is_remote
from gammastack.words import counted, listing

REMEDIES = {
    "bkg": ". Use a store with background models, or have one made from the runs with"
    " background: acceptance, or set make_background_image: false to get counts only, or"
    " leave the run out with observations: exclude.",
}


@dataclass(frozen=True)
class DataStore:
    """A folder with DL3 files, an observation index and an HDU index.

    Attributes
    ----------
    folder : pathlib.Path
    index : dict of str to astropy.io.fits.BinTableHDU, optional
        The index by file name, in place of index files.
    is_planned : bool
        Whether the DL3 files are still to be made, so that nobody looks for them.
    note : str
        What to tell the user about an index that was made from the headers of the files;
        empty if it was not.
    left_out : dict of str to str, optional
        Why a file is not in such an index, by its path in the folder.
    cache : path, optional
        JSON file that remembers the headers of DL3 files.
    """

    _join = staticmethod(os.path.join)

    folder: Path
    index: dict | None = None
    is_planned: bool = False
    note: str = ""
    left_out: dict | None = None
    cache: Path | None = None

    @classmethod
    def from_dir(cls, folder, cache=None):
        """Open the store in a folder; without index files one is made in memory.

        Parameters
        ----------
        folder : path
        cache : path, optional
            JSON file that remembers the headers of DL3 files, so that only new or changed
            files are read again.

        Raises
        ------
        InputError
            If the folder is missing, or one of its index files, or there is no run in it.
        """
        if is_remote(folder):
            raise InputError(
                f"datastore: '{folder}' is on a server, where only the workflow,"
                " scripts/init.py and scripts/doctor.py look. Give a folder with a copy."
            )
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(
                f"datastore: the folder '{folder}' does not exist. Check the path, and"
                " the environment variable in it if it has one (GAMMAPY_DATA is the"
                " folder that holds hess-dl3-dr1)."
            )
        store = cls(folder, cache=cache)
        missing = [
            name for name in (OBS_INDEX, HDU_INDEX) if not store.index_file(name)
        ]
        if len(missing) == 1:
            raise InputError(
                f"datastore: '{folder}' has no {missing[0]}, but the other index file."
                f" Restore it, or have both made with 'scripts/index.py {folder}"
                " --overwrite'."
            )
        return cls._without_index(folder, cache) if missing else store

    @classmethod
    def _without_index(cls, folder, cache):
        """Open a store whose index is made from the headers of its files."""
        found = index_folder(folder, cache)
        reasons = [f"{name} ({reason})" for name, reason in found.left_out.items()]
        if not found.observations:
            raise InputError(
                f"datastore: '{folder}' has neither {OBS_INDEX} and {HDU_INDEX} nor"
                f" a run among its {found.n_files} FITS files"
                + (f": {listing(reasons, 3)}" if reasons else "")
            )
        note = [
            f"datastore: '{folder}' has no index; {counted(found.n_runs, 'run')} found in"
            f" {counted(found.n_files, 'file')}"
        ]
        for hdu_class, name in found.shared.items():
            note.append(f"{name} is the {hdu_class} of runs without one")
        if reasons:
            note.append(f"left out: {listing(reasons, 3)}")
        return cls(
            folder,
            found.tables(),
            note="; ".join(note),
            left_out=found.left_out,
            cache=cache,
        )

    @property
    def place(self):
        """Return the absolute path of the folder."""
        return str(self.folder.resolve())

    @cached_property
    def _index_files(self):
        """Return the names of the index files by their name in small letters.

        Of names that differ only in capitals, that in small letters is taken.
        """
        known = {*index_names(OBS_INDEX), *index_names(HDU_INDEX)}
        names = sorted(
            name for name in os.listdir(self.folder) if name.lower() in known
        )
        return {name.lower(): name for name in names}

    def index_file(self, name):
        """Return the path of an index file, with or without ``.gz``; None if it is missing."""
        found = filter(None, map(self._index_files.get, index_names(name)))
        return next((self.folder / one for one in found), None)

    def _where(self, name):
        """Return how errors name an index."""
        return "headers of the files" if self.note else name

    def _read_index(self, name, needed, texts=()):
        path = f"{self.folder}/{name}" if self.index else self.index_file(name)
        try:
            with ExitStack() as stack:
                hdu = (
                    self.index[name]
                    if self.index
                    else stack.enter_context(fits.open(path))[1]
                )
                header, names = hdu.header, hdu.columns.names
                columns = {name: np.array(hdu.data[name]) for name in names}
        # The errors that astropy raises on a damaged file are not documented.
        except Exception as error:
            raise InputError(
                f"{path}: not a readable FITS table ({error}). Fetch it again."
            ) from error
        columns = {
            name: _plain(values) for name, values in columns.items() if values.ndim == 1
        }
        if missing := [name for name in needed if name not in columns]:
            raise InputError(
                f"{path}: the table has no column {', '.join(missing)} with one value in"
                " each row"
            )
        if wrong := [name for name in texts if columns[name].dtype != object]:
            raise InputError(
                f"{path}: column {', '.join(wrong)} has no text; correct the index, or have"
                " it made from the headers with scripts/index.py"
            )
        columns["OBS_ID"] = _obs_ids(columns["OBS_ID"], path)
        return header, columns

    @cached_property
    def _observation_index(self):
        """Return the header and the columns of the observation index."""
        header, columns = self._read_index(OBS_INDEX, ["OBS_ID", "RA_PNT", "DEC_PNT"])
        for name in ("RA_PNT", "DEC_PNT"):
            columns[name] = np.array([*map(number_of, columns[name].tolist())])
        return header, columns

    @property
    def _observation_rows(self):
        """Return the columns of the observation index as they are in the file."""
        _, table = self._observation_index
        return table

    @cached_property
    def observations(self):
        """Return the columns of the observation index: arrays by name, sorted by OBS_ID.

        Of an OBS_ID that occurs more than once, only the first row is kept.
        """
        table = self._observation_rows
        _, first = np.unique(table["OBS_ID"], return_index=True)
        return {name: column[first] for name, column in table.items()}

    @cached_property
    def _n_rows(self):
        """Return the number of rows in the observation index by OBS_ID."""
        return Counter(self._observation_rows["OBS_ID"].tolist())

    @cached_property
    def _rows(self):
        """Return the row of each OBS_ID in `observations`."""
        return {
            obs_id: row
            for row, obs_id in enumerate(self.observations["OBS_ID"].tolist())
        }

    @property
    def obs_ids(self):
        """Return the OBS_IDs of all observations, in ascending order."""
        return [*self._rows]

    def unlisted(self):
        """Return the OBS_IDs in the HDU index that the observation index lacks, in order."""
        return sorted({obs_id for obs_id, _ in self._hdus}.difference(self._rows))

    def pointings(self, obs_ids):
        """Return RA and DEC of the pointings of some observations, in deg; NaN if not known."""
        rows = [self._rows[obs_id] for obs_id in obs_ids]
        return self.observations["RA_PNT"][rows], self.observations["DEC_PNT"][rows]

    @cached_property
    def _hdus(self):
        """Return the listed classes and their HDUs by OBS_ID and type."""
        texts = ["HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME"]
        columns = ["OBS_ID", *texts]
        header, table = self._read_index(HDU_INDEX, columns, texts)
        # Without a value it is no text.
        base, join = self._base(str(header.get("BASE_DIR") or "").strip()), self._join
        hdus = {}
        for obs_id, kind, hdu_class, folder, name, hdu_name in zip(
            *(table[column].tolist() for column in columns), strict=True
        ):
            location = (hdu_class.lower(), join(base, folder, name), hdu_name)
            hdus.setdefault((obs_id, kind.lower()), []).append(location)
        return hdus

    def _base(self, name):
        """Return the folder from which the HDU index gives its files."""
        return os.path.join(self.folder, os.path.expandvars(name))

    def index_row(self, obs_id):
        """Return the index entries of an observation, by key, to compare with its header.

        ``ZENITH`` in deg is that of the pointing, from ZEN_PNT or ALT_PNT. What the index
        does not know is left out.
        """
        row, table = self._rows[obs_id], self.observations
        keys = ("RA_PNT", "DEC_PNT", "ONTIME", "LIVETIME", "DEADC", "EVENT_COUNT")
        known = {key: number_of(table[key][row]) for key in keys if key in table}
        known["ZENITH"] = self.zenith(obs_id)
        return {key: value for key, value in known.items() if not np.isnan(value)}

    def zenith(self, obs_id):
        """Return the zenith angle of the pointing in deg; NaN if it is not in the index."""
        row, table = self._rows[obs_id], self.observations
        if "ZEN_PNT" in table:
            return number_of(table["ZEN_PNT"][row])
        if "ALT_PNT" in table:
            return 90.0 - number_of(table["ALT_PNT"][row])
        return np.nan

    def zeniths(self, obs_ids):
        """Return the zenith angles of some observations in deg, even if the index has none.

        They are then those of pointing, time and site, which the index may have; otherwise
        they are in the headers of the events, which are read only for this.

        Returns
        -------
        dict of int to float
            NaN if neither knows.
        """
        known = {obs_id: self.zenith(obs_id) for obs_id in obs_ids}
        # An angle that cannot be is as good as none.
        known = {
            obs_id: zenith if 0 <= zenith <= 90 else np.nan
            for obs_id, zenith in known.items()
        }
        for cards_of in (self._cards_in_index, self._cards_in_files):
            unknown = [obs_id for obs_id in obs_ids if np.isnan(known[obs_id])]
            zenith = zenith_of(cards_of(unknown)) if unknown else []
            known.update(zip(unknown, map(float, zenith), strict=True))
        return known

    def _cards_in_index(self, obs_ids):
        """Return what the index says about observations, as their headers would."""
        header, _ = self._observation_index
        return [
            {
                key: values[self._rows[obs_id]]
                for key, values in self.observations.items()
            }
            | {
                key: value
                for key, value in header.items()
                if key not in self.observations
            }
            for obs_id in obs_ids
        ]

    def _cards_in_files(self, obs_ids):
        """Return what the headers of the events of observations say."""
        places = {
            obs_id: self._hdus.get((obs_id, "events"), [("", "", "")])[0]
            for obs_id in obs_ids
        }
        paths = sorted({path for _, path, _ in places.values() if path})
        headers = self._headers(paths)
        return [
            {
                key: value
                for hdu in (headers[path].hdus if path else ())
                if hdu.name.upper() == name.upper()
                for key, value in hdu.cards.items()
            }
            for _, path, name in places.values()
        ]

    def _headers(self, paths):
        return read_headers(paths, Memory(self.cache))

    def hdus(self, obs_id, types=OF_IMAGES):
        """Return the locations of the HDUs of an observation.

        Parameters
        ----------
        obs_id : int
        types : sequence of str
            Keys of ``gammastack.dl3.hdus.HDU_CLASSES``.

        Returns
        -------
        dict of str to HDULocation

        Raises
        ------
        InputError
            If the index lists no HDU of a requested type.
        """
        return {kind: self._location(obs_id, kind) for kind in types}

    def lists(self, obs_id, kind):
        """Return whether the index lists an HDU of a type for an observation."""
        return (obs_id, kind) in self._hdus

    def available(self, obs_id, types=OF_IMAGES):
        """Return the HDUs of an observation as `hdus` does, if it can be read.

        Raises
        ------
        InputError
            Also if the observation index has several rows for it, or a file is missing.
        """
        if (n_rows := self._n_rows[obs_id]) > 1:
            events = self._hdus.get((obs_id, "events"), [])
            files = [os.path.basename(path) for _, path, _ in events]
            raise InputError(
                f"{self._where(OBS_INDEX)}: observation {obs_id} has {n_rows} rows; one is"
                f" needed{f' (its events are in {listing(files)})' if files else ''}"
            )
        if np.isnan(self.pointings([obs_id])).any():
            raise InputError(
                f"{self._where(OBS_INDEX)}: observation {obs_id} has no pointing on the sky"
                " (RA_PNT, DEC_PNT)"
            )
        hdus = self.hdus(obs_id, types)
        paths = {hdu.path for hdu in hdus.values()} if not self.is_planned else ()
        for path in sorted(paths):
            if problem := self._problem(path):
                raise InputError(f"{os.path.basename(path)}: {problem}")
        return hdus

    def _problem(self, path):
        """Return why a file cannot be read, or nothing."""
        if not isfile(path):
            return "no such file, but the HDU index lists it"
        if not os.access(path, os.R_OK):
            return "you have no permission to read it"
        return ""

    def at_hand(self, hdus):
        """Provide HDUs in files that can be opened, as long as the context, by type."""
        return nullcontext(hdus)

    def unknown_files(self):
        """Return why FITS files in the folder are not in the index, by their path in it."""
        if self.left_out is not None:
            return self.left_out
        if self.is_planned:
            return {}
        listed = {
            os.path.realpath(path)
            for rows in self._hdus.values()
            for _, path, _ in rows
        }
        found, closed = find_files(self.folder)
        unknown = [
            name for name in found if os.path.realpath(self.folder / name) not in listed
        ]
        return closed | dict.fromkeys(unknown, "not in the index")

    def _location(self, obs_id, kind):
        listed = self._hdus.get((obs_id, kind), [])
        for hdu_class in HDU_CLASSES[kind]:
            found = [entry for entry in listed if entry[0] == hdu_class]
            if len(found) > 1:
                raise InputError(
                    f"{self._where(HDU_INDEX)}: observation {obs_id} has {len(found)} rows with"
                    f" HDU_CLASS {hdu_class}; one is needed"
                )
            if found:
                _, path, hdu_name = found[0]
                return HDULocation(path, hdu_name, hdu_class)
        for _, path, _ in self._hdus.get((obs_id, "events"), []):
            name = os.path.relpath(path, self.folder)
            if reason := (self.left_out or {}).get(name):
                raise InputError(f"{os.path.basename(name)}: {reason}")
        known = ", ".join(hdu_class for hdu_class, *_ in listed)
        raise InputError(
            f"{self._where(HDU_INDEX)}: observation {obs_id} has no HDU of type {kind} and class"
            f" {' or '.join(HDU_CLASSES[kind])}{f' (only {known})' if known else ''}"
            f"{REMEDIES.get(kind, '')}"
        )


def _obs_ids(column, path):
    """Return OBS_IDs, which may be texts, as whole numbers."""
    values = column.tolist()
    numbers = [*map(obs_id_of, values)]
    if None in numbers:
        wrong = values[numbers.index(None)]
        raise InputError(
            f"{path}: OBS_ID {wrong!r} is not a whole number, 0 or more; correct the index,"
            " or have it made from the headers with scripts/index.py"
        )
    return np.array(numbers, np.int64)


def _plain(column):
    """Return text without surrounding blanks, or numbers in the byte order of the machine."""
    if column.dtype.kind in "SU":
        texts = column.tolist()
        # Text beyond ASCII stays bytes in astropy.
        texts = [
            text.decode("latin-1") if isinstance(text, bytes) else text
            for text in texts
        ]
        return np.array([text.strip() for text in texts], object)
    return column.astype(column.dtype.newbyteorder("="))
