"""Index files of a DL3 store: which observations there are and where their HDUs are.

Formats: GADF v0.3, "Observation index table" and "HDU index table",
DOI 10.5281/zenodo.7304668.
"""

import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from os.path import isfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits

from gammastack.errors import InputError

HDU_INDEX = "hdu-index.fits.gz"
OBS_INDEX = "obs-index.fits.gz"
# These are the names of each type of HDU in the index, the preferred class first.
HDU_CLASSES = {
    "events": ("events",),
    "gti": ("gti",),
    "aeff": ("aeff_2d",),
    "bkg": ("bkg_3d", "bkg_2d"),
}
REMEDIES = {
    "bkg": ". Use a store with background models, or have one made from the runs with"
    " background: acceptance, or set make_background_image: false to get counts only, or"
    " leave the run out with observations: exclude.",
}


@dataclass(frozen=True)
class HDULocation:
    """Location of an HDU: file, name of the HDU, and its GADF class (such as ``bkg_3d``)."""

    path: str
    hdu_name: str
    hdu_class: str


class HDUReference(NamedTuple):
    """HDU of a job: number of its file among the files of the run, name, and GADF class."""

    file: int
    name: str
    hdu_class: str

    def among(self, paths):
        """Return the `HDULocation`, given the files of the run."""
        return HDULocation(paths[self.file], self.name, self.hdu_class)


@dataclass(frozen=True)
class DataStore:
    """A folder with an observation index and an HDU index.

    Attributes
    ----------
    folder : pathlib.Path
    index : dict of str to astropy.io.fits.BinTableHDU, optional
        The index by file name, for a store whose files do not exist yet.
    """

    folder: Path
    index: dict | None = None

    @classmethod
    def from_dir(cls, folder):
        """Open the store in a folder.

        Raises
        ------
        InputError
            If the folder or one of its index files is missing.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(
                f"datastore: the folder '{folder}' does not exist. Check the path, and"
                " the environment variable in it if it has one (GAMMAPY_DATA is the"
                " folder that holds hess-dl3-dr1)."
            )
        store = cls(folder)
        for name in (HDU_INDEX, OBS_INDEX):
            store._index_file(name)
        return store

    def _index_file(self, name):
        if self.index:
            return self.folder / name
        for candidate in (name, name.removesuffix(".gz")):
            if (self.folder / candidate).is_file():
                return self.folder / candidate
        raise InputError(
            f"datastore: '{self.folder}' has no {name}. A DL3 store needs both"
            f" {OBS_INDEX} and {HDU_INDEX}."
        )

    def _read_index(self, name, needed):
        path = self._index_file(name)
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
        if missing := [name for name in needed if name not in columns]:
            raise InputError(f"{path}: the table has no column {', '.join(missing)}")
        return header, {
            name: _plain(values) for name, values in columns.items() if values.ndim == 1
        }

    @cached_property
    def _observation_rows(self):
        """Return the columns of the observation index as they are in the file."""
        _, table = self._read_index(OBS_INDEX, ["OBS_ID", "RA_PNT", "DEC_PNT"])
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

    def pointings(self, obs_ids):
        """Return RA and DEC of the pointings of some observations, in deg."""
        rows = [self._rows[obs_id] for obs_id in obs_ids]
        return self.observations["RA_PNT"][rows], self.observations["DEC_PNT"][rows]

    @cached_property
    def _hdus(self):
        """Return the listed classes and their HDUs by OBS_ID and type."""
        columns = [
            "OBS_ID",
            "HDU_TYPE",
            "HDU_CLASS",
            "FILE_DIR",
            "FILE_NAME",
            "HDU_NAME",
        ]
        header, table = self._read_index(HDU_INDEX, columns)
        base = os.path.expandvars(header.get("BASE_DIR", "").strip())
        base = os.path.join(self.folder, base)
        hdus = {}
        for obs_id, kind, hdu_class, folder, name, hdu_name in zip(
            *(table[column].tolist() for column in columns), strict=True
        ):
            location = (hdu_class.lower(), os.path.join(base, folder, name), hdu_name)
            hdus.setdefault((obs_id, kind.lower()), []).append(location)
        return hdus

    def index_row(self, obs_id):
        """Return the index entries of an observation, by key, to compare with its header.

        ``ZENITH`` in deg is that of the pointing, from ZEN_PNT or ALT_PNT; it is left out
        if the index has neither.
        """
        row, table = self._rows[obs_id], self.observations
        keys = ("RA_PNT", "DEC_PNT", "ONTIME", "LIVETIME", "DEADC", "EVENT_COUNT")
        known = {key: float(table[key][row]) for key in keys if key in table}
        zenith = self.zenith(obs_id)
        return known if np.isnan(zenith) else {**known, "ZENITH": zenith}

    def zenith(self, obs_id):
        """Return the zenith angle of the pointing in deg; NaN if it is not in the index."""
        row, table = self._rows[obs_id], self.observations
        if "ZEN_PNT" in table:
            return float(table["ZEN_PNT"][row])
        return 90.0 - float(table["ALT_PNT"][row]) if "ALT_PNT" in table else np.nan

    def hdus(self, obs_id, types=tuple(HDU_CLASSES)):
        """Return the locations of the HDUs of an observation.

        Parameters
        ----------
        obs_id : int
        types : sequence of str
            Keys of `HDU_CLASSES`.

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

    def available(self, obs_id, types=tuple(HDU_CLASSES)):
        """Return the HDUs of an observation as `hdus` does, if it can be read.

        Raises
        ------
        InputError
            Also if the observation index has several rows for it, or a file is missing.
        """
        if (n_rows := self._n_rows[obs_id]) > 1:
            raise InputError(
                f"{OBS_INDEX}: observation {obs_id} has {n_rows} rows; one is needed"
            )
        hdus = self.hdus(obs_id, types)
        # The files of a store that is not made yet come with it.
        paths = () if self.index else sorted({hdu.path for hdu in hdus.values()})
        for path in paths:
            name = os.path.basename(path)
            if not isfile(path):
                raise InputError(f"{name}: no such file, but the HDU index lists it")
            if not os.access(path, os.R_OK):
                raise InputError(f"{name}: you have no permission to read it")
        return hdus

    def unknown_files(self):
        """Return the FITS files in the folder that the HDU index does not list."""
        listed = {
            os.path.realpath(path)
            for rows in self._hdus.values()
            for _, path, _ in rows
        }
        return [
            str(path.relative_to(self.folder))
            for path in sorted(self.folder.rglob("*.fits*"))
            if not path.name.startswith(("hdu-index", "obs-index"))
            and os.path.realpath(path) not in listed
        ]

    def _location(self, obs_id, kind):
        listed = self._hdus.get((obs_id, kind), [])
        for hdu_class in HDU_CLASSES[kind]:
            found = [entry for entry in listed if entry[0] == hdu_class]
            if len(found) > 1:
                raise InputError(
                    f"{HDU_INDEX}: observation {obs_id} has {len(found)} rows with"
                    f" HDU_CLASS {hdu_class}; one is needed"
                )
            if found:
                _, path, hdu_name = found[0]
                return HDULocation(path, hdu_name, hdu_class)
        known = ", ".join(hdu_class for hdu_class, *_ in listed)
        raise InputError(
            f"{HDU_INDEX}: observation {obs_id} has no HDU of type {kind} and class"
            f" {' or '.join(HDU_CLASSES[kind])}{f' (only {known})' if known else ''}"
            f"{REMEDIES.get(kind, '')}"
        )


def _plain(column):
    """Return text without surrounding blanks, or numbers in the byte order of the machine."""
    if column.dtype.kind == "U":
        return np.char.strip(column).astype(object)
    return column.astype(column.dtype.newbyteorder("="))


def hdu_types(responses=("aeff", "bkg")):
    """Return the types of the HDUs that images are made from."""
    return ("events", "gti", *responses)


def listing(values, limit=5):
    """Return the first few of many values as text."""
    values = [str(value) for value in values]
    rest = f" and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(values[:limit]) + rest
