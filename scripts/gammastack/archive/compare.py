"""Compare two results: what differs between them, by how much, and why."""

import json
import warnings
import zlib
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from math import isclose
from textwrap import fill

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from gammastack.archive.bundle import MAX_BYTES, MAX_RATIO
from gammastack.archive.settings import flat
from gammastack.errors import InputError
from gammastack.files.fits import parse
from gammastack.files.header import read_config, runs_frame
from gammastack.files.layout import NO_UNITS, product_at
from gammastack.provenance.origin import Origin, code_hash
from gammastack.sky.geometry import ImageGeometry
from gammastack.words import counted, listing

# These keys have statements of their own, or follow from all others.
TOLD = (
    *("BUNIT", "CONFIG", "CODE", "PACKAGES", "CREATOR", "CHECKSUM", "DATASUM"),
    *("status", "bkg_scale"),
)
# Tables as text, and datasets
TEXTS = (".csv", ".ecsv", ".reg")
PACKED = ".fits.gz"
(RUNS, CONFIG, CODE, MISSING, NORMS, MAPS, TABLES, OTHER) = SECTIONS = (
    "Runs",
    "Configuration",
    "Code and packages",
    "Bands and products in one result only",
    "Norms of the background (bkg_scale)",
    "Maps",
    "Tables",
    "Other header cards, and columns of the runs, that differ",
)
# In short, only these maps are described.
TELLING = ("counts", "significance")


@dataclass(frozen=True)
class Comparison:
    """Differences between two results.

    Attributes
    ----------
    identical : bool
        All products are the same bit for bit.
    verdict : str
    sections : dict of str to list of str
        Statements by title: why results differ first, then what differs.
    """

    identical: bool
    verdict: str
    sections: dict


@dataclass(frozen=True)
class MapDifference:
    """Differences between two images; a pixel that is NaN in both does not differ.

    Attributes
    ----------
    n_differ : int
    n_nan : int
        Number of pixels among them that are NaN in only one image.
    largest, relative : float
        Largest absolute difference, and largest difference relative to the larger of the two
        absolute values.
    sums, peaks : tuple of float
        Values for both images, without NaN.
    """

    n_differ: int
    n_nan: int
    largest: float
    relative: float
    sums: tuple
    peaks: tuple


@dataclass(frozen=True)
class _Product:
    header: fits.Header
    data: np.ndarray
    origin: Origin
    runs: pd.DataFrame | None


def compare(a, b):
    """Compare the maps and tables of two results.

    Parameters
    ----------
    a, b : gammastack.archive.bundle.Bundle

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If a result has no products, or a file that is needed is damaged.
    """
    (of_a, rest_of_a), (of_b, rest_of_b) = _names(a), _names(b)
    common = sorted(of_a & of_b)
    changed = [name for name in common if _content(a, name) != _content(b, name)]
    if of_a == of_b and not changed:
        return Comparison(
            True,
            f"The results are identical: all {len(common)} products are the same byte by"
            " byte.\nThe records of how they were made may differ, as in their times.",
            {},
        )
    statements = {section: defaultdict(set) for section in SECTIONS}
    code = set()
    for name in changed:
        if name.endswith(TEXTS):
            statements[TABLES][name].add(name)
            continue
        if name.endswith(PACKED):
            if _cubes(a, name) != _cubes(b, name):
                statements[TABLES][name].add(name)
            continue
        old, new = _read(a, name), _read(b, name)
        with _named(name):
            for section, text in _differences(name, old, new):
                statements[section][text].add(name)
            code.update(_changes(old.origin.code, new.origin.code))
    sections = {
        section: [_where(names, common) + text for text, names in texts.items()]
        if section in (RUNS, NORMS, CONFIG)
        else list(texts)
        for section, texts in statements.items()
    }
    sections[MISSING] = [
        f"{what}: {_list(_with_bands(names, others))}"
        for what, names, others in (
            ("only in A", of_a - of_b, of_b),
            ("only in B", of_b - of_a, of_a),
            ("of another configuration, not compared, in A", rest_of_a, of_a),
            ("of another configuration, not compared, in B", rest_of_b, of_b),
        )
        if names
    ]
    sections[CODE] += _code_lines(code, a, b)
    n_maps = sum(map(_is_map, common))
    n_differ, tables = len(sections[MAPS]), sections[TABLES]
    if n_maps > n_differ:
        text = f"{n_maps - n_differ} of {n_maps} maps have equal pixel values"
        sections[MAPS].append(text)
    sections[TABLES] = [f"{len(tables)} of {len(common) - n_maps} tables differ"]
    if tables:
        sections[TABLES][0] += f": {_list(tables)}"
    sections[OTHER] = [_list(sorted(sections[OTHER]))] if sections[OTHER] else []
    is_rest_equal = of_a == of_b and not tables
    return Comparison(False, _verdict(n_differ, n_maps, is_rest_equal), sections)


def report(comparison, a, b, with_all_maps=False):
    """Describe a `Comparison` of two results, given with their paths, for users."""
    lines = [comparison.verdict, f"A: {a}", f"B: {b}"]
    for title, statements in comparison.sections.items():
        if title == MAPS and not with_all_maps:
            statements = _in_short(statements)
        if statements:
            lines += ["", title, *map(_wrapped, statements)]
    return "\n".join(lines)


def _in_short(statements):
    """Describe the most telling maps, and name the others that differ."""
    told, names = [], []
    for text in statements:
        name, is_of_map, _ = text.partition(".fits: ")
        if is_of_map and name.rpartition("/")[2] not in TELLING:
            names.append(name)
        else:
            told.append(text)
    others = f"{_list(names)} differ, too; --all says by how much"
    return [*told, *([others] if names else [])]


def _wrapped(text):
    indents = {"initial_indent": "  ", "subsequent_indent": "      "}
    return fill(text, 88, break_long_words=False, break_on_hyphens=False, **indents)


def map_difference(a, b):
    """Return the `MapDifference` of two arrays of the same shape."""
    nan_a, nan_b = np.isnan(a), np.isnan(b)
    differ = (a != b) & ~(nan_a & nan_b)
    x, y = a[differ].astype(float), b[differ].astype(float)
    largest = np.abs(y - x)
    # Infinite values have no relative difference.
    with np.errstate(invalid="ignore"):
        relative = largest / np.maximum(np.abs(x), np.abs(y))
    return MapDifference(
        n_differ=len(x),
        n_nan=int(np.sum(nan_a != nan_b)),
        largest=float(np.fmax.reduce(largest, initial=0)),
        relative=float(np.fmax.reduce(relative, initial=0)),
        sums=(float(np.nansum(a)), float(np.nansum(b))),
        peaks=(
            float(np.fmax.reduce(a, axis=None)),
            float(np.fmax.reduce(b, axis=None)),
        ),
    )


def norm_difference(old, new):
    """Describe how the norms of runs differ; return None if they do not.

    Parameters
    ----------
    old, new : pandas.DataFrame
        Rows of the same runs in the same order, indexed by OBS_ID.
    """
    scale = old["bkg_scale"]
    change = (new["bkg_scale"] - scale).abs()
    n_alone = int((scale.isna() != new["bkg_scale"].isna()).sum())
    n_differ, n_both = int((change > 0).sum()), int(change.notna().sum())
    parts = []
    if n_differ:
        parts.append(f"the norms of {n_differ} of {counted(n_both, 'run')} differ")
    for pattern, values in (
        ("at most by {:.3g} (run {})", change),
        ("by {:.3g} % (run {})", 100 * change / scale.abs()),
        ("by {:.2g} times the error in A (run {})", change / old["bkg_scale_err"]),
    ):
        values = values[np.isfinite(values) & (values > 0)]
        if len(values):
            parts.append(pattern.format(values.max(), values.idxmax()))
    if n_alone:
        parts.append(f"{counted(n_alone, 'run')} with a norm in one result only")
    return ", ".join(parts) or None


def _names(bundle):
    """Return maps and tables of a result, and those that are left over in its folder."""
    endings = (".fits", PACKED, *TEXTS)
    names = {name for name in bundle.products() if name.endswith(endings)}
    if not names:
        raise InputError(f"{bundle.path}: there are no maps and no tables in it")
    made = names
    # The products can be compared without the records.
    with suppress(InputError):
        activities, _ = bundle.records()
        made = names.intersection(bundle.last_made(activities)) or names
    return made, names - made


def _with_bands(names, others):
    """Return names of products, in order; whole bands that another result lacks as one."""
    bands = {_band(name) for name in names} - {_band(name) for name in others} - {""}
    whole = [
        f"band {band} ({sum(_band(name) == band for name in names)} files)"
        for band in sorted(bands)
    ]
    return [*whole, *sorted(name for name in names if _band(name) not in bands)]


def _is_map(name):
    return bool(product_at(name).dtype)


def _content(bundle, name):
    return bundle.read(bundle.product(name))


def _cubes(bundle, name):
    """Return hashes of the data of a dataset, by the name of the HDU."""
    content = _content(bundle, name)
    limit = max(MAX_BYTES, MAX_RATIO * len(content))
    try:
        unpacked = zlib.decompressobj(zlib.MAX_WBITS + 16).decompress(content, limit)
        return {
            key: sha256(hdu.content[hdu.start :]).digest()
            for key, hdu in parse(unpacked).items()
            if key != "INPUTS"
        }
    # A damaged file can cause any error.
    except Exception as error:
        raise InputError(f"{bundle.path}: {name} is damaged ({error})") from error


def _read(bundle, name):
    """Read a FITS product."""
    content = _content(bundle, name)
    try:
        with warnings.catch_warnings():
            # A cut file or a wrong checksum only makes astropy warn.
            warnings.simplefilter("error", AstropyWarning)
            tables = parse(content)
            # What is small could unpack to a large image.
            options = {"memmap": False, "disable_image_compression": True}
            with fits.open(BytesIO(content), checksum=True, **options) as hdus:
                hdu = hdus[0 if _is_map(name) else 1]
                if hdu.data is None:
                    raise ValueError("it holds no data")
                runs = _run_table(tables["RUNS"]) if "RUNS" in tables else None
                origin = Origin.from_hdu(tables["INPUTS"])
                read_config(hdu.header)
                return _Product(hdu.header, hdu.data, origin, runs)
    # The errors that astropy raises on a damaged file are not documented.
    except Exception as error:
        raise InputError(f"{bundle.path}: {name} is damaged ({error})") from error


@contextmanager
def _named(name):
    """Turn errors in what intact files say of a product into one that names the product."""
    try:
        yield
    # Headers can say anything that others have written.
    except Exception as error:
        raise InputError(
            f"{name}: what its headers say cannot be compared ({type(error).__name__}:"
            f" {error}); check both results with verify.py"
        ) from error


def _run_table(hdu):
    runs = runs_frame(hdu).set_index("OBS_ID")
    if not runs.index.is_unique:
        raise ValueError("an OBS_ID occurs more than once")
    return runs


def _differences(name, old, new):
    """Yield section and text of each statement on a product, except those on the code."""
    if not _is_map(name):
        if old.data.tobytes() != new.data.tobytes():
            yield TABLES, name
    elif text := _map_text(product_at(name), old, new):
        yield MAPS, f"{name}: {text}"
    if old.runs is not None and new.runs is not None:
        yield from _run_differences(old, new)
    settings = (flat(read_config(hdu.header)) for hdu in (old, new))
    for key, x, y in _changes(*settings):
        yield CONFIG, _setting(key, x, y)
    for file in sorted(_changed_files(old, new, "exclusion")[0]):
        yield CONFIG, f"the file {file} of the exclusions has another content"
    for package, x, y in _changes(old.origin.packages, new.origin.packages):
        yield CODE, f"{package} {x} -> {y}"
    cards = ({key: str(hdu.header[key]) for key in hdu.header} for hdu in (old, new))
    for key, x, y in _changes(*cards):
        if key == "CREATOR":
            yield CODE, f"program {x} -> {y}"
        if key not in TOLD:
            yield OTHER, key


def _changes(old, new):
    """Return the keys of two dictionaries whose values differ, with both values."""
    for key in sorted(old.keys() | new.keys()):
        x, y = (table.get(key, "none") for table in (old, new))
        if x != y:
            yield key, x, y


def _map_text(product, old, new):
    """Describe how two maps differ; return None if they do not."""
    (ny, nx), (height, width) = old.data.shape, new.data.shape
    if (ny, nx) != (height, width):
        return f"{nx} x {ny} -> {width} x {height} pixels, not compared"
    if not _same_wcs(old.header, new.header):
        return "the pixels are at other positions (WCS), not compared"
    parts, counted = [], product.unit if product.unit in NO_UNITS else ""
    units = [hdu.header["BUNIT"] or counted for hdu in (old, new)]
    if units[0] != units[1]:
        parts.append(f"unit '{units[0]}' -> '{units[1]}'")
    found = map_difference(old.data, new.data)
    if found.n_differ:
        unit = f" {units[0]}" if units[0] and units[0] == units[1] else ""
        x, y = found.sums
        parts += [
            f"{found.n_differ} of {old.data.size} pixels differ, at most by"
            f" {found.largest:.3g}{unit} and by {100 * found.relative:.3g} % of the"
            " larger value",
            f"sum {x:.6g} -> {y:.6g}{unit} ({y - x:+.3g})",
        ]
        if product.unit == "sigma":
            parts.append("peak {:.4g} -> {:.4g} sigma".format(*found.peaks))
    if found.n_nan:
        parts.append(f"NaN in one map only: {found.n_nan} pixels")
    return "; ".join(parts) or None


def _same_wcs(old, new):
    old, new = (ImageGeometry.from_header(header).header() for header in (old, new))
    return list(old) == list(new) and all(
        x == y if isinstance(x, str) else isclose(x, y, rel_tol=1e-9, abs_tol=1e-9)
        for x, y in zip(old.values(), new.values(), strict=True)
    )


def _run_differences(old, new):
    x, y = old.runs, new.runs
    livetimes = [runs.loc[runs["status"] == "used", "livetime"] for runs in (x, y)]
    n_used, hours = zip(
        *((len(livetime), livetime.sum() / 3600) for livetime in livetimes), strict=True
    )
    if n_used[0] != n_used[1] or hours[0] != hours[1]:
        yield (
            RUNS,
            "{} -> {} runs used, livetime {:.2f} -> {:.2f} h".format(*n_used, *hours),
        )
    for label, runs, others in (("A", x, y), ("B", y, x)):
        alone = runs["status"].drop(others.index, errors="ignore")
        if len(alone):
            names = [
                f"{obs_id}" if status == "used" else f"{obs_id} ({status})"
                for obs_id, status in alone.items()
            ]
            yield RUNS, f"{counted(len(names), 'run')} only in {label}: {_list(names)}"
    shared = x.index.intersection(y.index)
    x, y = x.loc[shared], y.loc[shared]
    files = _changed_files(old, new, "dl3")
    names = [
        f"{obs_id} ({', '.join(sorted(files[obs_id]))})"
        for obs_id in shared
        if files[obs_id]
    ]
    if names:
        yield (
            RUNS,
            f"DL3 files of {counted(len(names), 'run')} differ in content: {_list(names)}",
        )
    others = shared[x["status"] != y["status"]]
    names = [_status_change(x.loc[obs_id], y.loc[obs_id]) for obs_id in others]
    if names:
        yield RUNS, f"{counted(len(names), 'run')} with another status: {_list(names)}"
    if text := norm_difference(x, y):
        yield NORMS, text
    for column in x.columns.intersection(y.columns).difference(TOLD):
        if not x[column].equals(y[column]):
            yield OTHER, column


def _status_change(old, new):
    why = new["reason"] or f"before: {old['reason']}"
    return f"{old.name} {old['status']} -> {new['status']} ({why})"


def _changed_files(old, new, kind):
    """Return the names by OBS_ID of input files whose content only one product used."""
    a, b = (
        {(row[1], row[3]): row[2] for row in table.origin.inputs if row[0] == kind}
        for table in (old, new)
    )
    files = defaultdict(set)
    for obs_id, digest in a.keys() ^ b.keys():
        files[obs_id].add((a | b)[obs_id, digest])
    return files


def _setting(key, old, new):
    """Describe how a setting differs; for the exclusions, name only those that differ."""
    if key != "exclusion_mask" or "none" in (old, new):
        return f"{key}: {_text(old)} -> {_text(new)}"
    alone = {
        "A": [_text(item) for item in old if item not in new],
        "B": [_text(item) for item in new if item not in old],
    }
    texts = [
        f"only in {label}: {_list(found)}" for label, found in alone.items() if found
    ]
    return f"{key}: {'; '.join(texts) or 'in another order'}"


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def _code_lines(changes, a, b):
    """List the steps whose code differs, with their modules if the records know them."""
    known = [_modules(bundle) for bundle in (a, b)] if changes else []
    steps = defaultdict(list)
    for step, *hashes in sorted(changes):
        old, new = (
            of.get((step, digest)) for of, digest in zip(known, hashes, strict=True)
        )
        text = "{} -> {} (no record of the modules)".format(*hashes)
        if old and new:
            text = _list(name for name, *_ in _changes(old, new))
        steps[text].append(step)
    return [f"code of {', '.join(names)}: {text}" for text, names in steps.items()]


def _modules(bundle):
    """Return the hashes of the modules of each step, by its name and their common hash."""
    activities, _ = bundle.records()
    made_of = [
        (activity["activity_name"], activity["software"]["modules"])
        for activity in activities
    ]
    return {(step, code_hash(modules)): modules for step, modules in made_of}


def _where(names, common):
    """Name the bands, or the products, of a statement; nothing if it holds for all bands."""
    products = [name for name in common if name.endswith(".fits")]
    bands = {_band(name) for name in names} - {""}
    in_bands = {name for name in products if _band(name) in bands}
    if not in_bands <= names:
        return f"{_list(sorted(names))}: "
    if bands == {_band(name) for name in products} - {""}:
        return ""
    return f"{', '.join(sorted(bands))}: " if bands else ""


def _band(name):
    return name.rpartition("/")[0]


def _list(values):
    return listing(values, limit=10)


def _verdict(n_differ, n_maps, is_rest_equal):
    if n_differ or not n_maps:
        return f"The results differ, in {n_differ} of {n_maps} maps."
    if is_rest_equal:
        return f"All pixel values are equal ({n_maps} maps): only headers and provenance differ."
    return f"The results differ, but the {n_maps} maps in both have equal pixel values."
