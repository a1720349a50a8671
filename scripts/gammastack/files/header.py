"""FITS products: the only place that writes them, and their header keys.

Identical inputs give identical files: no path and no time of writing is stored.
"""

import gzip
import json
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from gammastack.errors import InputError
from gammastack.provenance.origin import Origin
from gammastack.sky.geometry import ImageGeometry
from gammastack.version import __version__


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
    energy_band : tuple of float, optional
        In TeV.
    cards : tuple of (key, value, comment)
        What else belongs into the header.
    origin : gammastack.provenance.origin.Origin
    runs : astropy.io.fits.BinTableHDU, optional
        What became of each run that was selected, see `runs_hdu`.
    """

    config: dict
    start: str = ""
    stop: str = ""
    livetime: float = 0.0
    ontime: float = 0.0
    n_obs: int = 0
    energy_band: tuple | None = None
    cards: tuple = ()
    origin: Origin = field(default_factory=Origin)
    runs: fits.BinTableHDU | None = None

    @classmethod
    def of(cls, images, config, energy_band, **more):
        """Of a run's images or of a stack, which know their times."""
        keys = ("start", "stop", "livetime", "ontime", "n_obs")
        known = {key: getattr(images, key) for key in keys}
        return cls(config, energy_band=energy_band, **known, **more)

    @classmethod
    def from_header(cls, header, **more):
        """What `fill` wrote, without the cards of that product alone."""
        return cls(
            config=read_config(header),
            start=header["DATE-OBS"],
            stop=header["DATE-END"],
            livetime=header["LIVETIME"],
            ontime=header["ONTIME"],
            n_obs=header["N_OBS"],
            energy_band=(header["E_MIN"], header["E_MAX"]),
            **more,
        )

    def fill(self, header):
        """Write the cards into a FITS header."""
        if self.start:
            header.set("TIMESYS", "UTC", "scale of the times below")
            header.set("DATE-OBS", self.start, "start of the first good time")
            header.set("DATE-END", self.stop, "end of the last good time")
            header.set("MJD-OBS", Time(self.start).mjd, "the same as MJD")
            header.set("MJD-END", Time(self.stop).mjd, "the same as MJD")
            header.set("LIVETIME", self.livetime, "[s] dead-time corrected")
            header.set("ONTIME", self.ontime, "[s] sum of the good time intervals")
            header.set("N_OBS", self.n_obs, "number of observations")
        if self.energy_band is not None:
            header.set("E_MIN", self.energy_band[0], "[TeV] lower edge, included")
            header.set("E_MAX", self.energy_band[1], "[TeV] upper edge")
        for card in self.cards:
            header.set(*card)
        header.set("CREATOR", f"gammastack {__version__}")
        header.set("CONFIG", json.dumps(self.config, sort_keys=True))
        for card in self.origin.cards():
            header.set(*card)

    def tables(self):
        """Table HDUs that follow the images: RUNS if they are known, and INPUTS."""
        runs = [] if self.runs is None else [self.runs]
        return [*runs, self.origin.table()]


def image_hdu(data, geometry, unit, provenance, name=None):
    """Image HDU with WCS and provenance.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
    geometry : gammastack.sky.geometry.ImageGeometry
    unit : str
        BUNIT.
    provenance : Provenance
    name : str, optional
        EXTNAME of an extension; without it a primary HDU is made.

    Returns
    -------
    astropy.io.fits.PrimaryHDU or astropy.io.fits.ImageHDU
    """
    header = geometry.header()
    header.set("BUNIT", unit, "unit of the pixel values")
    provenance.fill(header)
    data = data if data.size else None
    if name is None:
        return fits.PrimaryHDU(data, header)
    return fits.ImageHDU(data, header, name=name)


def table_hdu(table, name, provenance):
    """Binary table HDU of an astropy table."""
    hdu = fits.BinTableHDU(table, name=name)
    provenance.fill(hdu.header)
    return hdu


def runs_hdu(runs):
    """Table HDU of what became of each run, a `pandas.DataFrame`."""
    units = {"ontime": "s", "livetime": "s"}
    columns = [_column(name, values, units.get(name)) for name, values in runs.items()]
    return fits.BinTableHDU.from_columns(columns, name="RUNS")


def runs_table(hdu):
    """The `pandas.DataFrame` that `runs_hdu` was made from."""
    table = Table(hdu.data)
    table.convert_bytestring_to_unicode()
    return table.to_pandas()


def _column(name, values, unit):
    """Column of numbers or of text, faster than by way of an astropy table."""
    if values.dtype.kind in "if":
        code = "K" if values.dtype.kind == "i" else "D"
        return fits.Column(name, code, unit, array=values.to_numpy())
    # FITS knows nothing but ASCII
    texts = [str(value).encode("ascii", "backslashreplace") for value in values]
    length = max(map(len, texts), default=1) or 1
    return fits.Column(name, f"{length}A", array=np.array(texts, f"S{length}"))


def write_hdus(path, hdus):
    """Write HDUs with checksums; a first HDU that is no primary one gets an empty one."""
    if not isinstance(hdus[0], fits.PrimaryHDU):
        hdus = [fits.PrimaryHDU(), *hdus]
    hdus = fits.HDUList(hdus)
    hdus.update_extend()
    for hdu in hdus:
        # A table that is in several files has it already
        if "CHECKSUM" not in hdu.header:
            # The comment that astropy writes by default holds the time
            hdu.add_checksum(when="checksum of the HDU")
    with ExitStack() as stack:
        file = stack.enter_context(open(path, "wb"))
        if str(path).endswith(".gz"):
            # The gzip header must not hold the time of writing
            file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        hdus.writeto(file)


def write_images(paths, images, geometry, units, provenance):
    """Write images of one geometry, each as the primary HDU of a file.

    Parameters
    ----------
    paths : dict of str to path
        By kind.
    images : dict of str to ndarray, shape (ny, nx)
        By kind; those without a path are left out.
    geometry : gammastack.sky.geometry.ImageGeometry
    units : dict of str to str
        BUNIT by kind, of those that have one.
    provenance : Provenance
    """
    tables = provenance.tables()
    for kind in images.keys() & paths.keys():
        image = image_hdu(images[kind], geometry, units.get(kind, ""), provenance)
        write_hdus(paths[kind], [image, *tables])


@contextmanager
def opened(path):
    """HDUs of a result; `InputError` if anything goes wrong with them."""
    try:
        with open(path, "rb") as file, fits.open(file, memmap=False) as hdus:
            yield hdus
    # What astropy raises on a damaged file is not documented
    except Exception as error:
        raise InputError(
            f"{path}: damaged result ({error}); delete it and start again"
        ) from error


def _data(hdu):
    # Without pixels, which FITS gives no type
    data = np.zeros((0, 0), np.int32) if hdu.data is None else hdu.data
    return native(data)


def native(array):
    """An array of a FITS file in the byte order of the machine."""
    return array.astype(array.dtype.newbyteorder("="))


def read_data(path, name=0):
    """Data (native byte order) and header of an image HDU.

    Raises
    ------
    gammastack.errors.InputError
        If the file cannot be read.
    """
    with opened(path) as hdus:
        return _data(hdus[name]), hdus[name].header


def read_images(path, names):
    """Data of several image HDUs, and the header of the first one."""
    with opened(path) as hdus:
        return [_data(hdus[name]) for name in names], hdus[names[0]].header


def read_image(path, name=0):
    """Data (native byte order), geometry and header of an image HDU."""
    data, header = read_data(path, name)
    return data, ImageGeometry.from_header(header), header


def read_config(header):
    """The settings in the header of a product."""
    return json.loads(header["CONFIG"])


def read_product(path, origin):
    """Data, geometry, and provenance of what is made from it by a step of `origin`."""
    with opened(path) as hdus:
        data, header = _data(hdus[0]), hdus[0].header
        origin = origin.after([Origin.from_hdu(hdus["INPUTS"])])
        runs = hdus["RUNS"].copy()
    provenance = Provenance.from_header(header, origin=origin, runs=runs)
    return data, ImageGeometry.from_header(header), provenance


def read_data_and_origin(path, name=0):
    """Data (native byte order) and header of an image HDU, and the origin of its file."""
    with opened(path) as hdus:
        origin = Origin.from_hdu(hdus["INPUTS"])
        return _data(hdus[name]), hdus[name].header, origin


def read_config_and_origin(path, name):
    """The settings in the header of an HDU, and the origin of its file."""
    with opened(path) as hdus:
        return read_config(hdus[name].header), Origin.from_hdu(hdus["INPUTS"])


def read_runs_and_origin(path):
    """Table of the runs in a product, as a `pandas.DataFrame`, and its origin."""
    with opened(path) as hdus:
        return runs_table(hdus["RUNS"]), Origin.from_hdu(hdus["INPUTS"])
