"""Index files of a DL3 store: which observations there are and where their HDUs lie.

Formats: GADF v0.3, "Observation index table" and "HDU index table",
DOI 10.5281/zenodo.7304668.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.table import Table

HDU_INDEX = "hdu-index.fits.gz"
OBS_INDEX = "obs-index.fits.gz"
# What a HDU of each type is called in the index, the preferred class first
HDU_CLASSES = {
    "events": ("events",),
    "gti": ("gti",),
    "aeff": ("aeff_2d",),
    "bkg": ("bkg_3d", "bkg_2d"),
}


class DataStoreError(ValueError):
    """A store, or a selection from it, that cannot be used."""


@dataclass(frozen=True)
class HDULocation:
    """Where an HDU is: file, name of the HDU, and its GADF class (such as ``bkg_3d``)."""

    path: str
    hdu_name: str
    hdu_class: str


@dataclass(frozen=True)
class DataStore:
    """A folder with an observation index and an HDU index.

    Attributes
    ----------
    folder : pathlib.Path
    """

    folder: Path

    @classmethod
    def from_dir(cls, folder):
        """Store in a folder.

        Raises
        ------
        DataStoreError
            If the folder or one of its index files is missing.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise DataStoreError(
                f"datastore: the folder '{folder}' does not exist. Check the path, and"
                " the environment variable in it if it has one (GAMMAPY_DATA is the"
                " folder that holds hess-dl3-dr1)."
            )
        store = cls(folder)
        for name in (HDU_INDEX, OBS_INDEX):
            store._index_file(name)
        return store

    def _index_file(self, name):
        for candidate in (name, name.removesuffix(".gz")):
            if (self.folder / candidate).is_file():
                return self.folder / candidate
        raise DataStoreError(
            f"datastore: '{self.folder}' has no {name}. A DL3 store needs both"
            f" {OBS_INDEX} and {HDU_INDEX}."
        )

    def _read_index(self, name, columns):
        path = self._index_file(name)
        try:
            with fits.open(path) as hdus:
                header, table = hdus[1].header, Table(hdus[1].data)
        except (OSError, EOFError, IndexError, TypeError) as error:
            raise DataStoreError(f"{path}: not a readable FITS table ({error})") from error
        if missing := [column for column in columns if column not in table.colnames]:
            raise DataStoreError(f"{path}: the table has no column {', '.join(missing)}")
        flat = [column for column in table.colnames if table[column].ndim == 1]
        frame = table[flat].to_pandas()
        for column in frame.select_dtypes([object, "string"]):
            frame[column] = frame[column].str.decode("utf-8").str.strip() if isinstance(
                frame[column].iloc[0] if len(frame) else "", bytes
            ) else frame[column].str.strip()
        return header, frame

    @cached_property
    def observations(self):
        """The observation index: a `pandas.DataFrame` sorted by and indexed with OBS_ID.

        Raises
        ------
        DataStoreError
            If an OBS_ID occurs twice.
        """
        _, table = self._read_index(OBS_INDEX, ["OBS_ID", "RA_PNT", "DEC_PNT"])
        table = table.sort_values("OBS_ID", kind="stable")
        if (twice := table["OBS_ID"].duplicated()).any():
            raise DataStoreError(
                f"{self._index_file(OBS_INDEX)}: OBS_ID {listing(table['OBS_ID'][twice])}"
                " occurs more than once; every observation needs one row."
            )
        return table.set_index("OBS_ID", drop=False)

    @cached_property
    def _hdus(self):
        columns = ["OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME"]
        header, table = self._read_index(HDU_INDEX, columns)
        table = table[columns].sort_values("OBS_ID", kind="stable")
        return Path(header.get("BASE_DIR", "") or self.folder), table

    def hdus(self, obs_id, types=tuple(HDU_CLASSES)):
        """Locations of the HDUs of an observation.

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
        DataStoreError
            If the index lists no HDU of a type that is asked for.
        """
        base, table = self._hdus
        first, last = np.searchsorted(table["OBS_ID"], [obs_id, obs_id + 1])
        rows = table.iloc[first:last]
        return {kind: self._location(base, rows, obs_id, kind) for kind in types}

    def _location(self, base, rows, obs_id, kind):
        rows = rows[rows["HDU_TYPE"].str.lower() == kind]
        classes = rows["HDU_CLASS"].str.lower()
        for hdu_class in HDU_CLASSES[kind]:
            found = rows[classes == hdu_class]
            if len(found) > 1:
                raise DataStoreError(
                    f"{self._index_file(HDU_INDEX)}: observation {obs_id} has"
                    f" {len(found)} rows with HDU_CLASS {hdu_class}; one is needed."
                )
            if len(found):
                row = found.iloc[0]
                path = base / PurePosixPath(row["FILE_DIR"]) / row["FILE_NAME"]
                return HDULocation(str(path), row["HDU_NAME"], hdu_class)
        known = f" (it lists {', '.join(classes)})" if len(classes) else ""
        remedy = {
            "bkg": "Use a store with background models, set make_background_image:"
            " false to get counts only, or leave the run out with observations: exclude.",
        }.get(kind, "Leave the run out with observations: exclude.")
        raise DataStoreError(
            f"{self._index_file(HDU_INDEX)}: observation {obs_id} has no HDU of type"
            f" {kind} and class {' or '.join(HDU_CLASSES[kind])}{known}. {remedy}"
        )


def listing(values, limit=5):
    """The first few of many values as text."""
    values = [str(value) for value in values]
    rest = f" and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(values[:limit]) + rest
