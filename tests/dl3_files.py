"""Small GADF files with known content, described as data that a test can change."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from astropy.io import fits

from gammastack.dl3.hdus import HDULocation
from gammastack.errors import InputError

OBS_ID = 20_000_000_123
MJDREF = 59000
ENERGY = np.array([0.5, 1, 2, 4])
THETA = np.array([0, 1, 3])
# All axes differ in length, so that a wrong order of axes is noticed
DETX = np.linspace(-2, 2, 5)
DETY = np.linspace(-2.5, 2.5, 6)
AREA = np.array([[1e4, 5e4, 9e4], [2e4, 6e4, 7e4]])  # m2, by offset and energy
RATE = 1e-3 * (1 + np.arange(60.0)).reshape(
    3, 4, 5
)  # s-1 MeV-1 sr-1, by ENERG, DETX, DETY
RATE_2D = 1e-3 * (1 + np.arange(6.0)).reshape(3, 2)  # by ENERG, THETA
TIME = np.array([99.0, 101, 150, 199, 201, 299, 301, 399, 401])
GTI = np.array([[100.0, 200], [300, 400]])
IN_GTI = [101, 150, 199, 301, 399]
RA, DEC, ENERGIES = TIME / 10, -TIME / 10, TIME / 100
DEADC = 0.9
POINTING = 20.0, -30.0


@dataclass
class Column:
    """Values in rows, and the unit as it is spelled in the file."""

    values: np.ndarray
    unit: str | None = None


@dataclass
class Table:
    """A binary table: columns by name, and header keys."""

    name: str
    columns: dict
    header: dict = field(default_factory=dict)

    def hdu(self):
        """Return the HDU that is written to the file."""
        columns = []
        for name, column in self.columns.items():
            values = np.asarray(column.values)
            dim = str(values.shape[:0:-1]).replace(" ", "") if values.ndim > 2 else None
            code = {"f": "D", "i": "K"}[values.dtype.kind]
            size = int(np.prod(values.shape[1:]))
            columns.append(
                fits.Column(name, f"{size}{code}", column.unit, dim=dim, array=values)
            )
        hdu = fits.BinTableHDU.from_columns(columns, name=self.name)
        hdu.header.update(self.header)
        return hdu


def axis(name, edges, unit):
    """Return the two columns of an axis of a response."""
    return {
        f"{name}_LO": Column(np.array(edges[None, :-1], float), unit),
        f"{name}_HI": Column(np.array(edges[None, 1:], float), unit),
    }


def response(order, axes, name, values, unit, *, c_order=False):
    """Return the columns of a response whose axis columns come in `order`.

    The axes of `values` have the order of the dictionary `axes`. In FITS the axis named
    first varies fastest, as the last one of a numpy array does; `c_order` breaks this.
    """
    order = list(order)
    numpy_order = order if c_order else order[::-1]
    stored = np.transpose(values, [list(axes).index(axis) for axis in numpy_order])
    columns = {}
    for axis_name in order:
        columns |= axes[axis_name]
    return {**columns, name: Column(stored[None], unit)}


def aeff_columns(order=("ENERG", "THETA"), **options):
    """Return the columns of the effective area."""
    axes = {"THETA": axis("THETA", THETA, "deg"), "ENERG": axis("ENERG", ENERGY, "TeV")}
    return response(order, axes, "EFFAREA", AREA, "m2", **options)


def bkg_columns(order=("ENERG", "DETX", "DETY"), rate=RATE, **options):
    """Return the columns of a background in three dimensions."""
    nx, ny = rate.shape[1:]
    axes = {
        "ENERG": axis("ENERG", ENERGY, "TeV"),
        "DETX": axis("DETX", np.linspace(-2, 2, nx + 1), "deg"),
        "DETY": axis("DETY", np.linspace(-2.5, 2.5, ny + 1), "deg"),
    }
    return response(order, axes, "BKG", rate, "s-1 MeV-1 sr-1", **options)


def bkg_2d_columns(order=("ENERG", "THETA"), **options):
    """Return the columns of a background in two dimensions."""
    axes = {"ENERG": axis("ENERG", ENERGY, "TeV"), "THETA": axis("THETA", THETA, "deg")}
    return response(order, axes, "BKG", RATE_2D, "s-1 MeV-1 sr-1", **options)


def plain_run():
    """Return the tables of a run that conforms to GADF, by kind of HDU."""
    time = {"MJDREFI": MJDREF, "MJDREFF": 0.0, "TIMESYS": "TT", "TIMEUNIT": "s"}
    full = {"HDUCLASS": "GADF", "HDUCLAS3": "FULL-ENCLOSURE"}
    ra, dec = POINTING
    events = {
        "TIME": Column(TIME, "s"),
        "RA": Column(RA, "deg"),
        "DEC": Column(DEC, "deg"),
        "ENERGY": Column(ENERGIES, "TeV"),
    }
    keys = {"OBS_ID": OBS_ID, "OBS_MODE": "POINTING", "DEADC": DEADC}
    keys |= {"RA_PNT": ra, "DEC_PNT": dec, **time}
    gti = {"START": Column(GTI[:, 0], "s"), "STOP": Column(GTI[:, 1], "s")}
    return {
        "events": Table("EVENTS", events, {"HDUCLASS": "GADF", **keys}),
        "gti": Table("GTI", gti, {"HDUCLASS": "GADF", **time}),
        "aeff": Table("AEFF", aeff_columns(), {**full, "HDUCLAS4": "AEFF_2D"}),
        "bkg": Table("BKG", bkg_columns(), {**full, "HDUCLAS4": "BKG_3D"}),
    }


def write_run(path, run):
    """Write the tables of a run, or some of them, into one file."""
    hdus = [fits.PrimaryHDU(), *(table.hdu() for table in run.values())]
    fits.HDUList(hdus).writeto(path)
    return path


def edit(hdu):
    """Return an HDU to be changed, without the checksums that would no longer fit."""
    for key in ("CHECKSUM", "DATASUM"):
        hdu.header.remove(key, ignore_missing=True)
    return hdu


def locations(path, bkg="bkg_3d"):
    """Return where the HDUs of a run in one file are."""
    classes = {"events": "events", "gti": "gti", "aeff": "aeff_2d", "bkg": bkg}
    return {
        kind: HDULocation(str(path), kind.upper(), hdu_class)
        for kind, hdu_class in classes.items()
    }


def text_table(name, rows, names):
    """Return a table HDU of texts and numbers."""
    columns = []
    for key, values in zip(names, zip(*rows, strict=True), strict=True):
        array = np.array(values)
        code = {"U": "250A", "i": "K", "f": "D"}[array.dtype.kind]
        columns.append(fits.Column(key, code, array=array))
    return fits.BinTableHDU.from_columns(columns, name=name)


OBSERVATION_COLUMNS = ("OBS_ID", "OBJECT", "RA_PNT", "DEC_PNT", "ZEN_PNT")
HDU_COLUMNS = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
HDU_CLASSES = {"events": "events", "gti": "gti", "aeff": "aeff_2d", "bkg": "bkg_3d"}


def hdu_rows(obs_id, folder="", name="run.fits", classes=HDU_CLASSES):
    """Return the rows of the HDU index for a run in one file."""
    return [
        (obs_id, kind, hdu_class, folder, name, kind.upper())
        for kind, hdu_class in classes.items()
    ]


def write_index(folder, observations, hdus, *, ending=".fits.gz", base_dir=None):
    """Write the index files of a store from rows."""
    obs_index = text_table("OBS_INDEX", observations, OBSERVATION_COLUMNS)
    hdu_index = text_table("HDU_INDEX", hdus, HDU_COLUMNS)
    if base_dir is not None:
        hdu_index.header["BASE_DIR"] = str(base_dir)
    for name, hdu in (("obs", obs_index), ("hdu", hdu_index)):
        path = folder / f"{name}-index{ending}"
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


@contextmanager
def refused(*words):
    """Expect one `InputError` whose message contains all of the words."""
    with pytest.raises(InputError) as caught:
        yield
    message = str(caught.value)
    missing = [word for word in words if str(word) not in message]
    assert not missing, f"{missing} not in: {message}"
