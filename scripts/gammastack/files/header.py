"""Origin of a product in its header, and the tables that follow the images.

Identical inputs give identical files: no path and no time of writing is stored.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import pandas as pd
from astropy.io import fits
from astropy.time import Time

from gammastack.files.fits import Image, Table, card_text, read
from gammastack.files.tables import UNITS
from gammastack.provenance.origin import Origin
from gammastack.sky.geometry import ImageGeometry
from gammastack.version import __version__

# Attribute of `Provenance`, key and comment of the cards on the runs: their times,
TIMES = (
    ("start", "DATE-OBS", "start of the first good time"),
    ("stop", "DATE-END", "end of the last good time"),
    ("livetime", "LIVETIME", "[s] dead-time corrected"),
    ("ontime", "ONTIME", "[s] sum of the good time intervals"),
    ("n_obs", "N_OBS", "number of observations"),
    ("n_failed", "N_FAILED", "observations that could not be used"),
)
# and what made them, if it is known.
MADE_BY = (("telescope", "TELESCOP", ""), ("instrument", "INSTRUME", ""))
# Those on what it shows
IDENTITY = (("field_name", "FIELD", ""), ("band", "BAND", "energy band"))
# These values stand for no run.
NO_RUN = {
    "start": "",
    "stop": "",
    "livetime": 0.0,
    "ontime": 0.0,
    "n_obs": 0,
    "n_failed": 0,
    "telescope": "",
    "instrument": "",
}


def of_runs(header):
    """Return what a header says of its runs, by attribute of `Provenance`."""
    cards = (*TIMES, *MADE_BY)
    return {name: header.get(key, NO_RUN[name]) for name, key, _ in cards}


@dataclass(frozen=True)
class Provenance:
    """What the header of a product says about its origin.

    Attributes
    ----------
    config : dict
        The settings that made it.
    start, stop : str
        UTC of the first and the last good time, ISO 8601; empty if no run is in it.
    livetime, ontime : float
        In s.
    n_obs : int
    n_failed : int
        Observations that could not be used, because of their data.
    telescope, instrument : str
        Names of those of the runs; empty if they are not known.
    field_name, band : str
        Empty if it belongs to no field or to several bands.
    energy_band : tuple of float, optional
        In TeV.
    cards : tuple of (key, value, comment)
        Additional header cards.
    origin : gammastack.provenance.origin.Origin
    runs : gammastack.files.fits.Table, optional
        What became of each run that was selected, see `runs_table`.
    """

    config: dict
    start: str = ""
    stop: str = ""
    livetime: float = 0.0
    ontime: float = 0.0
    n_obs: int = 0
    n_failed: int = 0
    telescope: str = ""
    instrument: str = ""
    field_name: str = ""
    band: str = ""
    energy_band: tuple | None = None
    cards: tuple = ()
    origin: Origin = field(default_factory=Origin)
    runs: Table | None = None

    @classmethod
    def of(cls, images, config, energy_band, **more):
        """Return the provenance of a run's images or of a stack, which know their times."""
        known = {name: getattr(images, name) for name in NO_RUN}
        return cls(config, energy_band=energy_band, **known, **more)

    @classmethod
    def from_header(cls, header, **more):
        """Return the provenance in a header, without the cards that belong to that product alone."""
        band = header["E_MIN"], header["E_MAX"]
        names = {name: header.get(key, "") for name, key, _ in IDENTITY}
        return cls(
            config=read_config(header),
            energy_band=band,
            **of_runs(header),
            **names,
            **more,
        )

    @cached_property
    def text(self):
        """Return the cards as FITS text, which all images that share them have in their headers."""
        cards = [
            (key, getattr(self, name), text)
            for name, key, text in (*IDENTITY, *MADE_BY)
            if getattr(self, name)
        ]
        if self.field_name:
            cards.insert(0, ("OBJECT", self.field_name, "name of the field"))
        if self.start:
            cards.append(("TIMESYS", "UTC", "scale of the times below"))
            cards += [(key, getattr(self, name), text) for name, key, text in TIMES]
            for key, time in (("MJD-OBS", self.start), ("MJD-END", self.stop)):
                cards.append((key, float(Time(time).mjd), "the same as MJD"))
        if self.energy_band is not None:
            low, high = self.energy_band
            cards.append(("E_MIN", low, "[TeV] lower edge, included"))
            cards.append(("E_MAX", high, "[TeV] upper edge"))
        cards += self.cards
        cards.append(("CREATOR", f"gammastack {__version__}"))
        cards.append(("CONFIG", json.dumps(self.config, sort_keys=True)))
        return card_text([*cards, *self.origin.cards()])

    def tables(self):
        """Return the tables that follow the images: RUNS if they are known, and INPUTS."""
        runs = [] if self.runs is None else [self.runs]
        return [*runs, self.inputs]

    @cached_property
    def inputs(self):
        """Return the table of the files that the product was made from."""
        return Table(self.origin.columns(), card_text(self.origin.cards()), "INPUTS")

    def image(self, data, geometry, unit="", name=None):
        """Return an image HDU with WCS and provenance.

        Parameters
        ----------
        data : ndarray, shape (ny, nx)
        geometry : gammastack.sky.geometry.ImageGeometry
        unit : str
            BUNIT.
        name : str, optional
            EXTNAME.
        """
        return Image(data, self.image_text(geometry, unit), name)

    def image_text(self, geometry, unit=""):
        """Return the cards of an image with WCS, unit and provenance."""
        unit_card = card_text([("BUNIT", unit, "unit of the pixel values")])
        return wcs_text(geometry) + unit_card + self.text

    def table(self, columns, name, units=None):
        """Return a table HDU with provenance."""
        return Table(columns, self.text, name, units)

    def header(self, geometry, unit=""):
        """Return an astropy header with the same content, for images that are not written."""
        return fits.Header.fromstring(self.image_text(geometry, unit))


# A job writes its images on one geometry, or on the geometry of each run in turn.
@lru_cache(maxsize=1)
def wcs_text(geometry):
    """Return the cards of the WCS of a `gammastack.sky.geometry.ImageGeometry`."""
    cards = geometry.header().cards
    return card_text((card.keyword, card.value, card.comment) for card in cards)


def runs_table(runs):
    """Return the table HDU of what became of each run, a `pandas.DataFrame`."""
    columns = {name: values.to_numpy() for name, values in runs.items()}
    return Table(columns, b"", "RUNS", UNITS)


def runs_frame(hdu):
    """Return the `pandas.DataFrame` that `runs_table` was made from."""
    columns = hdu.table
    texts = {
        name: values.astype(object)
        for name, values in columns.items()
        if values.dtype.kind == "U"
    }
    return pd.DataFrame({**columns, **texts})


def read_config(header):
    """Return the settings in the header of a product."""
    return json.loads(header["CONFIG"])


def read_image(path, name="PRIMARY"):
    """Read an image HDU: data in the byte order of the machine, geometry and header.

    Raises
    ------
    gammastack.errors.DamagedResult
        If the file is not what was written.
    """
    hdu = read(path)[name]
    return hdu.image, ImageGeometry.from_header(hdu.header), hdu.header
