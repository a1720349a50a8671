"""Simulated runs in CTAO-GADF, the dialect of GADF that DL3 files of CTAO have.

The events and responses are those of `gammastack.dl3.simulate`. A bundle has no background
model, and its times are TAI. OBS_ID is a text, only times have double precision, and the
primary header describes the product.
Format: ctao-datamodel 1.4.0, ``models/dl3/ctao_gadf.py``.
"""

from astropy.io import fits
from astropy.table import Table

from gammastack.dl3.simulate import MJDREF, observation_hdus
from gammastack.files.gadf import write_hdus

NAMES = {
    "GTI": "GTI",
    "EVENTS": "EVENTS",
    "AEFF": "EFFECTIVE AREA",
    "EDISP": "ENERGY DISPERSION",
    "PSF": "POINT SPREAD FUNCTION",
}
TIMES = {"TIME", "START", "STOP"}
TT_MINUS_TAI = 32.184  # s
# The zero of the simulated times, which is MJDREF in TT, in the spelling of CTAO
ZERO = {
    "MJDREFI": MJDREF - 1,
    "MJDREFF": 1 - TT_MINUS_TAI / 86400,
    "TIMESYS": "tai",
    "TREFPOS": "TOPOCENTER",
}
INSTRUMENT = {"TELESCOP": "Simulated-CTAO", "INSTRUME": "CTAO-North"}
PRODUCT = {
    "CTAOMETA": "2.1.0",
    "TITLE": "Simulated events and responses of one observation",
    "DATALEVL": "DL3",
    "DATADIV": "Event",
    "DATAASSO": "Subarray",
    "DATATYPE": "ObservationSim",
    "MODEL": "CTAO-GADF",
    "MODELVER": "0.3",
    "CREATED": "2026-01-01T00:00:00",
    "LICENSE": "BSD-3-Clause",
    "AUTHOR": "gammastack",
    "ORIGIN": "gammastack",
    "EMAIL": "nobody@example.org",
}


def write_bundles(folder, runs, model, seed):
    """Write one file for each run, and no index."""
    for run in runs:
        name = f"dl3_evt_sub_ObservationSim_ob{run.obs_id:010}.fits"
        write_hdus(folder / name, bundle_hdus(run, model, seed))


def bundle_hdus(run, model, seed):
    """Return all HDUs of a run."""
    plain = {hdu.name: hdu for hdu in observation_hdus(run, model, [], seed)}
    obs_id = {"OBS_ID": f"{run.obs_id:010}"}
    primary = fits.PrimaryHDU()
    primary.header.update(PRODUCT | INSTRUMENT | obs_id)
    tables = {name: _in_dialect(plain[name], name) for name in NAMES}
    events = tables["EVENTS"].header
    events.rename_keyword("RADECSYS", "RADESYS")
    # The azimuth has no influence on the run.
    events.update(obs_id | {"ALT_PNT": 90 - run.zenith, "AZ_PNT": 180.0})
    return [primary, *tables.values()]


def _in_dialect(plain, name):
    """Return a table with its name, precision and common keys as CTAO wants them."""
    table = Table.read(plain)
    for column in table.columns.values():
        if column.dtype.kind == "f" and column.name not in TIMES:
            table[column.name] = column.astype("f4")
    hdu = fits.BinTableHDU(table, name=NAMES[name])
    hdu.header.update({"HDUCLASS": "CTAO-GADF", **INSTRUMENT})
    if name in ("EVENTS", "GTI"):
        hdu.header.update(ZERO)
    return hdu
