"""Undamaged runs: simulated ones, others in a dialect of CTA's data challenge, and real ones."""

import gzip
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from fuzzing.raw import SUMS, parse
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX
from gammastack.dl3.simulate import (
    BackgroundModel,
    index_hdus,
    observation_hdus,
    simulated_runs,
)
from gammastack.files.gadf import write_hdus
from gammastack.sky.sphere import separation, unit_vectors

CENTER = 83.63, 22.01
SOURCE = {"center": CENTER, "flux": 1e-11, "index": 2.3, "sigma": 0.1}
KINDS = ("events", "gti", "aeff", "bkg")
# How the background of the dialect is aligned
ALIGNMENTS = ("RADEC", "ALTAZ", "REVERSED_LON_LAT")
RESPONSES = "irf_file.fits"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Source:
    """A small store: one run to be damaged, and another one beside it.

    Attributes
    ----------
    name : str
    obs_id, other : int
        The run, and the other one.
    files : dict of str to bytes
        Content by path in the store.
    hdus : dict of str to (str, str)
        Path and name of the HDUs of the run by kind.
    files_of_other : dict of str to str
        Path by kind.
    center : tuple of float
        Of the image, in deg.
    """

    name: str
    obs_id: int
    other: int
    files: dict
    hdus: dict
    files_of_other: dict
    center: tuple


def sources(stores):
    """Return all sources: those that are simulated, and two runs of each store."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # astropy does not know the unit of the background of the dialect.
        warnings.simplefilter("ignore")
        runs = simulated_runs(CENTER, 0.7, 2, seed=3)
        model = BackgroundModel(gradient=0.15)
        hdus = [observation_hdus(run, model, [SOURCE], seed=3) for run in runs]
        simulated = Path(folder) / "simulated"
        write_simulated(simulated, runs, hdus)
        found = [reduced(simulated, "simulated", 0)]
        for alignment in ALIGNMENTS:
            dialect = Path(folder) / alignment
            write_dialect(dialect, runs, hdus, alignment)
            found.append(reduced(dialect, f"dialect {alignment}", 0))
    for store in map(Path, stores):
        found += [reduced(store, store.name, place) for place in (0, 0.5)]
    return found


def write_simulated(folder, runs, hdus):
    """Write a store of simulated runs, given the HDUs of each."""
    folder.mkdir()
    names = [f"run_{run.obs_id}.fits" for run in runs]
    for name, hdus_of_run in zip(names, hdus, strict=True):
        write_hdus(folder / name, hdus_of_run)
    for name, hdu in zip((OBS_INDEX, HDU_INDEX), index_hdus(runs, names), strict=True):
        write_hdus(folder / name, [hdu])


def write_dialect(folder, runs, hdus, alignment):
    """Write the same in the dialect of the first data challenge of CTA.

    Events and GTIs are in a file for each run and share a file of responses. Axes come in
    another order and with other spellings of the units, and nothing has a checksum.
    """
    folder.mkdir()
    names = [f"gps_{run.obs_id}.fits" for run in runs]
    for name, hdus_of_run in zip(names, hdus, strict=True):
        without = [without_checksums(hdu) for hdu in hdus_of_run[:3]]
        fits.HDUList(without).writeto(folder / name)
    *_, aeff, _, _, bkg = hdus[0]
    responses = [
        in_dialect(aeff, "EFFECTIVE AREA", "EFFAREA", "m**2"),
        in_dialect(bkg, "BACKGROUND", "BGD", "1/s/MeV/sr"),
    ]
    responses[1].header["FOVALIGN"] = alignment
    fits.HDUList([fits.PrimaryHDU(), *responses]).writeto(folder / RESPONSES)
    observations, hdu_index = index_hdus(runs, names)
    rows = Table(hdu_index.data)
    rows["FILE_NAME"] = rows["FILE_NAME"].astype("U30")
    rows["HDU_NAME"] = rows["HDU_NAME"].astype("U30")
    for kind, hdu in zip(("aeff", "bkg"), responses, strict=True):
        rows["FILE_NAME"][rows["HDU_TYPE"] == kind] = RESPONSES
        rows["HDU_NAME"][rows["HDU_TYPE"] == kind] = hdu.name
    index = {OBS_INDEX: observations, HDU_INDEX: fits.BinTableHDU(rows)}
    for name, hdu in index.items():
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / name)


def without_checksums(hdu):
    """Return a copy of an HDU without checksums."""
    hdu = hdu.copy()
    for key in SUMS:
        hdu.header.remove(key, ignore_missing=True)
    return hdu


def in_dialect(hdu, name, column, unit):
    """Return a response with another name, its axes in the opposite order, in float32."""
    *axes, values = hdu.columns.names
    pairs = [axes[place : place + 2] for place in range(0, len(axes), 2)]
    order = [axis for pair in reversed(pairs) for axis in pair]
    table = Table({axis: hdu.data[axis] for axis in order}, units=units_of(hdu, order))
    table[column] = hdu.data[values][0].T[None].astype("f4")
    table[column].unit = unit
    new = fits.BinTableHDU(table, name=name)
    # astropy writes the unit in its own spelling.
    new.header[f"TUNIT{len(order) + 1}"] = unit
    keys = (key for key in hdu.header if key.startswith(("HDU", "TELESCOP")))
    new.header.update({key: hdu.header[key] for key in keys})
    return new


def units_of(hdu, names):
    """Return the units of some columns."""
    return {name: hdu.columns[name].unit for name in names}


def reduced(folder, name, place):
    """Return a run of a store as a `Source`, without HDUs that no image is made from.

    Parameters
    ----------
    folder : pathlib.Path
    name : str
    place : float
        Of the run among all runs: 0 is the first one, 0.5 the one in the middle.
    """
    store = DataStore.from_dir(folder)
    obs_ids = store.obs_ids
    obs_id = obs_ids[int(place * len(obs_ids))]
    positions = unit_vectors(*store.pointings(obs_ids))
    distance = separation(positions, unit_vectors(*store.pointings([obs_id])))
    distance[obs_ids.index(obs_id)] = np.inf
    other = obs_ids[int(np.argmin(distance))]
    hdus, files = {}, {}
    for run in (obs_id, other):
        hdus[run] = {
            kind: (str(Path(hdu.path).relative_to(folder)), hdu.hdu_name)
            for kind, hdu in store.available(run, KINDS).items()
        }
    used = [hdu for run in hdus.values() for hdu in run.values()]
    for path in {path for path, _ in used}:
        names = {hdu_name.upper() for used_path, hdu_name in used if used_path == path}
        files[path] = rewritten(folder / path, kept_hdus(names))
    for index in (OBS_INDEX, HDU_INDEX):
        path = next(
            path for path in (folder / index, folder / index[:-3]) if path.is_file()
        )
        files[path.name] = rewritten(path, kept_rows({obs_id, other}))
    ra, dec = (float(values[0]) for values in store.pointings([obs_id]))
    paths = {kind: path for kind, (path, _) in hdus[other].items()}
    return Source(
        f"{name} {obs_id}", obs_id, other, files, hdus[obs_id], paths, (ra, dec)
    )


def kept_hdus(names):
    """Return a function that keeps the primary HDU and those with some names."""
    return lambda hdus: [hdu for hdu in hdus if hdu.name in {"PRIMARY", *names}]


def kept_rows(obs_ids):
    """Return a function that keeps the rows of some runs in an index."""

    def keep(hdus):
        rows = hdus[1].rows
        hdus[1].rows = rows[np.isin(rows["OBS_ID"], list(obs_ids))]
        return hdus

    return keep


def rewritten(path, change):
    """Return the content of a file after a change of its HDUs, with checksums if it had some."""
    content = path.read_bytes()
    is_compressed = content.startswith(GZIP_MAGIC)
    hdus = parse(gzip.decompress(content) if is_compressed else content)
    sums = hdus[0].get("CHECKSUM") is not None
    content = b"".join(hdu.encoded(sums=sums) for hdu in change(hdus))
    return gzip.compress(content, 1, mtime=0) if is_compressed else content
