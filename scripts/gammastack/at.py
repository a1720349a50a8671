"""What the results of a field say about a position on the sky."""

from pathlib import Path

import numpy as np
import pandas as pd

from gammastack.config.positions import position
from gammastack.errors import InputError
from gammastack.files.fits import read
from gammastack.files.header import read_image
from gammastack.files.layout import IMAGES, NO_UNITS, product_at
from gammastack.files.run import RunFile
from gammastack.maps.disks import KNOWN, ON_OFF, counts_in_disk
from gammastack.maps.position import counts_at, disk_pixels
from gammastack.maps.significance import significance
from gammastack.products import TABLE
from gammastack.sky.radius import Radius
from gammastack.sky.sphere import separation, unit_vectors
from gammastack.stacking.run_table import background_of

ORDER = [product.name for product in TABLE]
RUN_COLUMNS = [
    *("OBS_ID", "status", "offset", "livetime"),
    *("counts", "bkg", "excess", "significance", "reason"),
]


def position_of(words):
    """Return the ICRS position in deg that some words are.

    Parameters
    ----------
    words : list of str
        Two numbers in deg, or a text that the configuration takes for a position.

    Raises
    ------
    InputError
        If they are none.
    """
    try:
        ra, dec = map(float, words)
    except ValueError:
        return position(" ".join(words), "position")
    return position([ra, dec], "position")


def bands_of(folder, band=None):
    """Return the folders of the bands of a field, or of one of them.

    Raises
    ------
    InputError
        If there are none.
    """
    folder = Path(folder)
    found = {path.parent.name: path.parent for path in folder.glob("*/counts.fits")}
    if not found:
        raise InputError(
            f"{folder}: no maps of a field; give the folder of a field, such as"
            " results/crab"
        )
    if band is None:
        return [found[name] for name in sorted(found)]
    if band not in found:
        raise InputError(
            f"{folder}: no band '{band}'; there are {', '.join(sorted(found))}"
        )
    return [found[band]]


def values_at(band, ra, dec):
    """Return the values of all maps of a band in the pixel at a position.

    Parameters
    ----------
    band : pathlib.Path
        Folder of the band.
    ra, dec : float
        ICRS in deg.

    Returns
    -------
    pandas.DataFrame
        With the columns map, radius, value, unit and meaning.

    Raises
    ------
    InputError
        If the position is not on the image.
    """
    rows, disks = [], {}
    for path in sorted(band.glob("*.fits"), key=_place_in_table):
        name = f"{band.name}/{path.name}"
        product = product_at(name)
        if product is None or product.name not in IMAGES:
            continue
        image, geometry, header = read_image(path)
        pixel = pixel_at(geometry, ra, dec, path)
        radius = radius_of(header)
        if radius is not None:
            disks[radius.label] = radius
        unit = product.unit if product.unit in NO_UNITS else header["BUNIT"]
        label = "" if radius is None else radius.label
        rows.append((product.name, label, image[pixel], unit, product.description))
    for label, radius in disks.items():
        measured = _in_disk(band, radius)
        background, excess = measured.background[pixel], measured.excess[pixel]
        rows.append(("counts", label, background + excess, "counts", "in the disk"))
        rows.append(("bkg", label, background, "counts", "in the disk"))
    columns = ["map", "radius", "value", "unit", "meaning"]
    return pd.DataFrame(rows, columns=columns)


def _place_in_table(path):
    product = product_at(f"{path.parent.name}/{path.name}")
    return (ORDER.index(product.name) if product else len(ORDER)), path.name


def pixel_at(geometry, ra, dec, path):
    """Return row and column of a position; `InputError` if it is not on the image of a path."""
    rows, columns, inside = geometry.pixel_index(np.array([ra]), np.array([dec]))
    if not inside.all():
        ny, nx = geometry.shape
        center = geometry.position((nx - 1) / 2, (ny - 1) / 2)
        raise InputError(
            f"RA {ra:g}, Dec {dec:g} is not on the image of {path}: {nx} x {ny} pixels"
            f" around RA {center[0]:.3f}, Dec {center[1]:.3f}"
        )
    return int(rows[0]), int(columns[0])


def radius_of(header):
    """Return the correlation radius in the header of a map; None if it has none."""
    if "RADIUS" not in header:
        return None
    in_deg = header.comments["RADIUS"] == "[deg]"
    size = header["RADIUS"]
    return Radius(None, size) if in_deg else Radius(size, None)


def _in_disk(band, radius):
    kinds = ON_OFF if (band / "off.fits").exists() else KNOWN
    files = {kind: read_image(band / f"{kind}.fits") for kind in kinds}
    _, geometry, _ = files["counts"]
    images = {kind: image for kind, (image, _, _) in files.items()}
    return counts_in_disk(images, radius.on(geometry))


def runs_at(band, ra, dec):
    """Return what each run has in the disk of the first radius around a position.

    The background of a run is its model with its norm, also where that of the maps is from
    rings: those of single runs are not kept.

    Parameters
    ----------
    band : pathlib.Path
        Folder of the band.
    ra, dec : float
        ICRS in deg.

    Returns
    -------
    pandas.DataFrame
        A row for each used run that sees the position, and for each one that is not used,
        with offset in deg and livetime in s.

    Raises
    ------
    InputError
        If the position is not on the image, or there are no maps with a background.
    """
    if not (band / "significance.fits").exists():
        raise InputError(f"{band}: no significance, only counts: no excess of the runs")
    _, geometry, header = read_image(band / "significance.fits")
    pixel = pixel_at(geometry, ra, dec, band)
    pixels = disk_pixels(geometry, (ra, dec), radius_of(header).on(geometry))
    # An empty text is no missing value.
    table = pd.read_csv(band / "runs.csv", keep_default_na=False)
    rows = []
    for row in table.to_dict("records"):
        seen = {name: row[name] for name in ("OBS_ID", "status", "reason")}
        if row["status"] == "used":
            path = band.parent / "runs" / f"{row['OBS_ID']}.fits"
            run = RunFile(path, geometry).images(band.name)
            if (in_disk := _in_run(run, row, geometry, pixel, pixels)) is None:
                continue
            offset = separation(unit_vectors(ra, dec), unit_vectors(run.ra, run.dec))
            seen |= {"offset": float(offset), "livetime": run.livetime, **in_disk}
        rows.append(seen)
    return pd.DataFrame(rows, columns=RUN_COLUMNS)


def _in_run(run, row, geometry, pixel, pixels):
    """Return what a run has in the disk around a pixel of the field; None without coverage."""
    rows, columns = geometry.placement(run.geometry)
    at = pixel[0] - rows.start, pixel[1] - columns.start
    covered = run.covered
    if not (0 <= at[0] < covered.shape[0] and 0 <= at[1] < covered.shape[1]):
        return None
    if not covered[at]:
        return None
    n, mu = counts_at(run, background_of(run, row), pixels, geometry)
    return {
        "counts": n,
        "bkg": mu,
        "excess": n - mu,
        "significance": float(significance(n, mu)),
    }


def report(folder, ra, dec, band=None):
    """Yield the lines of a report on a position, see `values_at` and `runs_at`.

    Parameters
    ----------
    folder : path
        Results of a field.
    ra, dec : float
        ICRS in deg.
    band : str, optional
        By default all.
    """
    for path in bands_of(folder, band):
        yield f"{path.name} at RA {ra:.5f}, Dec {dec:+.5f} (ICRS, deg), in its pixel"
        yield from (
            values_at(path, ra, dec)
            .to_string(index=False, float_format="{:.6g}".format)
            .split("\n")
        )
        yield ""
        if not (path / "significance.fits").exists():
            continue
        radius = radius_of(read(path / "significance.fits")["PRIMARY"].header)
        runs = runs_at(path, ra, dec)
        n_used = int((runs["status"] == "used").sum())
        yield (
            f"{n_used} runs see it; in the disk of {radius.label} (offset in deg, livetime in"
            " s, bkg: the model of the run with its norm)"
        )
        if len(runs):
            text = runs.to_string(index=False, na_rep="", float_format="{:.6g}".format)
            yield from text.split("\n")
        yield ""
