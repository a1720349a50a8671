"""The configuration: checked against the schema, completed, and in fixed units.

The schema, ``schema.yaml`` beside this module, defines all keys, their meaning and their
defaults. Inside the program angles are in deg, energies in TeV.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u

from gammastack.config.positions import position
from gammastack.config.quantities import quantity
from gammastack.config.schema import examples, schema, validate
from gammastack.errors import InputError
from gammastack.files.layout import SIMULATED_STORE
from gammastack.products import STEPS, TARGETS
from gammastack.remote.address import is_remote, refuse_secrets, require_address
from gammastack.remote.cache import FileCache
from gammastack.sky.exclusion_files import file_of, with_file
from gammastack.sky.radius import Radius

# Fields cannot have these names: the results folder uses them, or they are other targets.
TAKEN = (
    *(
        SIMULATED_STORE,
        "index.html",
        "summary.csv",
        "summary.ecsv",
        "provenance",
        "nights",
    ),
    *(*TARGETS, *STEPS),
)


# How an energy axis is given
ENDS = "min", "max"
AXIS = " An axis is {min: 0.5 TeV, max: 50 TeV, bins: 12} or {edges: [...]}"


@dataclass(frozen=True)
class Field:
    """Settings of a field, in the units of the program.

    Attributes
    ----------
    name, datastore : str
    image : dict
        Arguments of `gammastack.sky.geometry.ImageGeometry.create`.
    observations : dict
        Conditions for `gammastack.dl3.selection.select_observations`.
    energy_bands : dict of str to tuple of float
        Edges in TeV by the name of the band.
    offset_band : tuple of float
        In deg.
    exclusion_mask : list
        For `gammastack.sky.exclusion.exclusion_mask`.
    source_search : dict or None
        Thresholds in sigma, margin in deg and rounds of the search for sources to exclude.
    background : dict or None
        For `gammastack.stacking.stack.stack_runs`; None: counts only.
    acceptance : dict or None
        Shape, degree and zenith bins of a background model that is made from the runs;
        None: the store has one.
    has_exposure : bool
        Whether the store has effective areas from which images can be made.
    flux_point : bool
        Whether the store has point spread functions, and fluxes of point sources are wanted.
    radii : dict of str to gammastack.sky.geometry.Radius
        Radii by the suffix of the file name.
    dataset : dict or None
        Axes (for `gammastack.datasets.axes.DatasetAxes.create`) and ``binsz_irf`` in deg.
    safe_energy : dict
        For `gammastack.dl3.threshold.energy_threshold`.
    image_safe_energy : dict or None
        The same for images; None: they do not know of a threshold.
    dataset_responses : tuple of str
        Types of responses that only datasets need and the store has.
    """

    name: str
    datastore: str
    image: dict
    observations: dict
    energy_bands: dict
    offset_band: tuple
    exclusion_mask: list
    source_search: dict | None
    background: dict | None
    acceptance: dict | None
    ul_confidence: float
    n_sigma_sensitivity: float
    candidate_threshold: float
    ncounts_min: int
    make_background_image: bool
    has_exposure: bool
    flux_point: bool
    bkg_norm: bool
    bkg_scale_band: tuple
    on_bad_bkg_scale: str
    save_bkg_scale: bool
    spectral_index: float
    for_integral_flux: bool
    radii: dict
    on_bad_run: str
    max_bad_runs: int | str
    dataset: dict | None
    safe_energy: dict
    image_safe_energy: dict | None
    dataset_responses: tuple = ("psf", "edisp")

    @property
    def responses(self):
        """Return the types of the responses for images that are read from the store."""
        aeff = ("aeff",) if self.has_exposure else ()
        bkg = ("bkg",) if self.has_irf_background else ()
        psf = ("psf",) if self.has_flux_point else ()
        methods = (self.image_safe_energy or {}).get("methods", ())
        uses_bias = "edisp-bias" in methods
        return (*aeff, *bkg, *psf, *(("edisp",) if uses_bias else ()))

    @property
    def responses_of_dataset(self):
        """Return the types of the responses for datasets that are read from the store."""
        return tuple(dict.fromkeys((*self.responses, *self.dataset_responses)))

    @property
    def responses_in_use(self):
        """Return the types of all responses that are read from the store."""
        return self.responses_of_dataset if self.has_dataset else self.responses

    def allowed_failures(self, n_runs):
        """Return how many of some runs may fail."""
        if self.on_bad_run == "stop":
            return 0
        if isinstance(self.max_bad_runs, int):
            return self.max_bad_runs
        return math.ceil(float(self.max_bad_runs.rstrip("% ")) / 100 * n_runs)

    # These properties are conditions of products, see gammastack/products.py.

    @property
    def has_background(self):
        """Return whether there is more than counts."""
        return self.make_background_image

    @property
    def has_ring(self):
        """Return whether there are ON and OFF counts."""
        return self.background is not None and "ring" in self.background["method"]

    @property
    def has_acceptance(self):
        """Return whether the background model is made from the runs."""
        return self.acceptance is not None

    @property
    def has_irf_background(self):
        """Return whether the store has the background model."""
        return self.make_background_image and self.acceptance is None

    @property
    def has_search(self):
        """Return whether a search finds sources to exclude."""
        return self.source_search is not None

    @property
    def has_plain_mask(self):
        """Return whether all exclusions come from the configuration."""
        return self.make_background_image and self.source_search is None

    @property
    def has_dataset(self):
        """Return whether there is a dataset for gammapy."""
        return self.dataset is not None

    @property
    def has_flux_point(self):
        """Return whether there are fluxes of point sources."""
        return self.has_exposure and self.flux_point

    @property
    def has_norm_table(self):
        """Return whether the norms of the runs are written as tables."""
        return self.make_background_image and self.save_bkg_scale


@dataclass(frozen=True)
class Config:
    """The whole configuration.

    Attributes
    ----------
    results : str
    fields : dict of str to Field
    simulation : dict or None
        Arguments of the simulation, in the units of the program.
    datastore_cache : gammastack.remote.cache.FileCache
        For files of stores on servers.
    """

    results: str
    fields: dict
    simulation: dict | None
    datastore_cache: FileCache


def read_config(settings):
    """Check and complete the settings that were read from YAML.

    Parameters
    ----------
    settings : dict

    Returns
    -------
    Config

    Raises
    ------
    InputError
        The message names the key.
    """
    _require_finite(settings)
    validate(settings)
    field_keys = schema()["$defs"]["field"]["properties"]
    defaults = _defaults(field_keys)
    common = {key: value for key, value in settings.items() if key in field_keys}
    results = settings.get("results", schema()["properties"]["results"]["default"])
    results = _results(results)
    simulation = None
    if "simulation" in settings:
        simulation = _simulation(settings["simulation"])
        common["datastore"] = f"{results}/{SIMULATED_STORE}"
    fields = {}
    for name, given in settings["fields"].items():
        given = given or {}
        if simulation and ("datastore" in given or "datastore" in settings):
            raise InputError(
                "simulation and datastore exclude each other: delete the key simulation"
                " to use your data, or datastore to use simulated data"
            )
        if name in TAKEN:
            raise InputError(
                f"fields: the name {name} is taken, by the results folder or by another"
                " target of the workflow; choose another one"
            )
        fields[name] = _field(name, {**defaults, **common, **given})
    cache = datastore_cache(settings.get("datastore_cache", {}))
    return Config(results, fields, simulation, cache)


def datastore_cache(settings):
    """Return the cache for files of stores on servers, given its settings, if any."""
    chosen = {
        **_defaults(schema()["$defs"]["datastore_cache"]["properties"]),
        **settings,
    }
    folder = _path(chosen["folder"], "datastore_cache: folder")
    size = quantity(chosen["size"], "GB", "datastore_cache: size") * 1e9
    if not size > 0:
        raise InputError(f"datastore_cache: size: {chosen['size']} must be positive")
    return FileCache(os.path.abspath(folder), size)


def _results(text):
    """Return the folder of the results, which others than ours must not be written to."""
    folder = _path(text, "results")
    if not folder.strip() or Path(folder).resolve() == Path(folder).resolve().parent:
        raise InputError(
            f"results: '{text}' is not a folder for results; give its name"
        )
    return folder


def _require_finite(settings, place=()):
    """Refuse NaN and infinity, which all comparisons of the schema let pass."""
    if isinstance(settings, float) and not np.isfinite(settings):
        raise InputError(f"{': '.join(map(str, place))}: {settings} is not a number")
    if isinstance(settings, dict):
        for key, value in settings.items():
            _require_finite(value, (*place, key))
    if isinstance(settings, list):
        for number, value in enumerate(settings, 1):
            _require_finite(value, (*place, f"item {number}"))


def _size(text, key):
    """Return an angle of 0 deg or more, in deg."""
    size = quantity(text, "deg", key)
    if size < 0:
        raise InputError(f"{key}: {text} is negative")
    return size


def _field(name, settings):
    def fail(text):
        raise InputError(f"fields: {name}: {text}")

    for key in ("datastore", "center", "energy_bands"):
        if key not in settings:
            fail(
                f"the key {key} is missing; give it here or at the top level."
                f"{examples(key)}"
            )

    def key(*parts):
        return ": ".join(["fields", name, *parts])

    width = settings["width"]
    width = width if isinstance(width, list) else [width, width]
    image = {
        "center": position(settings["center"], key("center")),
        "frame": settings["frame"],
        "projection": settings["projection"],
        "width": tuple(quantity(size, "deg", key("width")) for size in width),
        "binsz": quantity(settings["binsz"], "deg", key("binsz")),
    }
    if not (image["binsz"] > 0 and min(image["width"]) > 0):
        size, binsz = settings["width"], settings["binsz"]
        fail(f"width and binsz must be positive, not {size} and {binsz}")
    offset_band = tuple(
        quantity(edge, "deg", key("offset_band")) for edge in settings["offset_band"]
    )
    if not 0 <= offset_band[0] < offset_band[1] < 90:
        low, high = settings["offset_band"]
        fail(
            f"offset_band: [{low}, {high}] must grow, from 0 deg or more to less than 90 deg"
        )
    if image["projection"] == "TAN" and max(image["width"]) >= 180:
        fail(
            "width: with the projection TAN it must be less than 180 deg; use CAR or AIT"
        )
    if not settings["spectral_index"] > 0:
        index = settings["spectral_index"]
        fail(f"spectral_index: {index} must be positive: dN/dE falls with E^-index")
    exclusions, search = _exclusions(settings["exclusion_mask"], key("exclusion_mask"))
    background, acceptance = _background(settings["background"], key("background"))
    radii = _radii(settings["radius"], key("radius"))
    largest = max(
        pixels * image["binsz"] if angle is None else angle
        for pixels, angle in radii.values()
    )
    if 2 * largest > max(image["width"]):
        fail(
            f"radius: a disk of {largest:g} deg does not fit into the image; see width"
        )
    if background.get("gradient") and not settings["bkg_norm"]:
        fail("background: a gradient is fitted with the norm; set bkg_norm: true")
    if background.get("r_in", largest) < largest:
        fail(
            f"background: the ring (r_in {background['r_in']:g} deg) reaches into the"
            f" correlation disk (radius {largest:g} deg); enlarge r_in"
        )
    if not settings["make_background_image"]:
        if search:
            fail(
                "exclusion_mask: a search for sources needs make_background_image: true"
            )
        background = acceptance = None
    dataset = _dataset(settings["dataset"], key("dataset"))
    bands = _energy_bands(settings["energy_bands"], key("energy_bands"))
    if dataset and not settings["make_background_image"]:
        fail("dataset: it needs make_background_image: true")
    safe_energy = _safe_energy(settings["safe_energy"], key("safe_energy"))
    above = safe_energy.pop("images")
    if acceptance:
        _require_acceptance_covers(dataset, safe_energy, bands, key("dataset"))
    return Field(
        name=name,
        datastore=store_place(settings["datastore"], key("datastore")),
        image=image,
        observations=_observations(settings["observations"], key("observations")),
        energy_bands=bands,
        offset_band=offset_band,
        exclusion_mask=exclusions,
        source_search=search,
        background=background,
        acceptance=acceptance,
        ul_confidence=settings["ul_confidence"],
        n_sigma_sensitivity=settings["n_sigma_sensitivity"],
        candidate_threshold=settings["candidate_threshold"],
        ncounts_min=settings["ncounts_min"],
        make_background_image=settings["make_background_image"],
        # The store may have no effective areas or point spread functions, which the
        # configuration does not know.
        has_exposure=settings["make_background_image"],
        flux_point=settings["flux_point"] and settings["make_background_image"],
        bkg_scale_band=_bkg_scale_band(
            settings["bkg_scale_band"], key("bkg_scale_band")
        ),
        on_bad_bkg_scale=settings["on_bad_bkg_scale"],
        bkg_norm=settings["bkg_norm"],
        save_bkg_scale=settings["save_bkg_scale"],
        spectral_index=float(settings["spectral_index"]),
        for_integral_flux=settings["for_integral_flux"],
        radii=radii,
        on_bad_run=settings["on_bad_run"],
        max_bad_runs=settings["max_bad_runs"],
        dataset=dataset,
        safe_energy=safe_energy,
        image_safe_energy=safe_energy if above else None,
    )


def expand(path, key):
    """Replace the variables in a path; `InputError` names `key` if one is not set."""
    expanded = os.path.expanduser(os.path.expandvars(path))
    if "$" in expanded:
        raise InputError(
            f"{key}: '{path}' names an environment variable that is not set"
        )
    return expanded


def store_place(text, key):
    """Return the folder or address of a store; with secrets in it, it is refused."""
    if is_remote(text):
        refuse_secrets(text, key)
    place = expand(text, key)
    if not is_remote(place):
        return _path(text, key)
    # A variable may hold them, too.
    refuse_secrets(place, key)
    require_address(place, key)
    return _path(place.rstrip("/"), key)


def _path(text, key):
    """Return a path without variables that can be an input or output of a job."""
    path = expand(text, key)
    # Snakemake replaces what is in braces.
    if set(path) & set("{}") or not path.isprintable():
        raise InputError(
            f"{key}: {path!r} has braces, line breaks or other characters that a path here"
            " cannot have; rename the file or folder"
        )
    return path


def _observations(conditions, key):
    conditions = dict(conditions)
    if "cone" in conditions:
        conditions["cone"] = _size(conditions["cone"], f"{key}: cone")
    if "table" in conditions:
        conditions["table"] = _path(conditions["table"], f"{key}: table")
    return conditions


def _bkg_scale_band(band, key):
    low, high = band
    if not 0 <= low < high:
        raise InputError(f"{key}: [{low:g}, {high:g}] must grow from 0 or more")
    return float(low), float(high)


def _energy_bands(bands, key):
    named = {}
    for edges in bands:
        name, band = _energy_band(edges, key)
        if name in named:
            raise InputError(f"{key}: {name} is given twice")
        named[name] = band
    return named


def _energy_band(edges, key):
    low, high = (quantity(edge, "TeV", key) for edge in edges)
    if not 0 < low < high:
        raise InputError(f"{key}: [{edges[0]}, {edges[1]}] must grow from above 0")
    name = "-".join(_label(edge, key) for edge in edges)
    if "/" in name or " " in name:
        raise InputError(f"{key}: use plain units such as TeV or GeV, not {edges[0]}")
    return name, (low, high)


def _label(text, key):
    try:
        quantity = u.Quantity(text)
    except (TypeError, ValueError) as error:
        raise InputError(f"{key}: '{text}' is not a number with a unit") from error
    return f"{quantity.value:g}{quantity.unit}"


def _dataset(settings, key):
    """Return the axes of a dataset and the size of the pixels of its responses, or None."""
    if settings is None:
        return None
    rules = schema()["$defs"]["field"]["properties"]["dataset"]["properties"]
    chosen = {**_defaults(rules), **settings}
    rad = {**_defaults(rules["rad"]["properties"]), **chosen["rad"]}
    largest = _size(rad["max"], f"{key}: rad: max")
    binsz_irf = _size(chosen["binsz_irf"], f"{key}: binsz_irf")
    if not (largest > 0 and binsz_irf > 0):
        raise InputError(f"{key}: rad: max and binsz_irf must be positive")
    axes = {
        **{
            name: _energy_edges(chosen[name], f"{key}: {name}")
            for name in ("energy", "energy_true")
        },
        "rad": np.linspace(0, largest, rad["bins"] + 1).tolist(),
    }
    return {"axes": axes, "binsz_irf": binsz_irf}


def _require_acceptance_covers(dataset, safe_energy, bands, key):
    """Refuse what a background model does not know that is made for the energy bands."""
    if "bkg-peak" in safe_energy["methods"]:
        raise InputError(
            f"{key}: safe_energy: bkg-peak has no meaning with an acceptance, which has only"
            " the energies of energy_bands; use aeff-max, edisp-bias or min"
        )
    low, high = zip(*bands.values(), strict=True)
    energy = dataset["axes"]["energy"] if dataset else [min(low), max(high)]
    if energy[0] < min(low) or energy[-1] > max(high):
        raise InputError(
            f"{key}: energy: an acceptance has only the energies of energy_bands,"
            f" {min(low):g} TeV to {max(high):g} TeV, not {energy[0]:g} TeV to"
            f" {energy[-1]:g} TeV; enlarge energy_bands or make the axis shorter"
        )


def _energy_edges(axis, key):
    """Return the edges of energy bins in TeV."""
    if "edges" in axis:
        if len(axis) > 1:
            raise InputError(f"{key}: give edges, or min, max and bins")
        edges = [quantity(edge, "TeV", f"{key}: edges") for edge in axis["edges"]]
    else:
        if missing := [name for name in ("min", "max", "bins") if name not in axis]:
            raise InputError(f"{key}: {', '.join(missing)} is missing.{AXIS}")
        low, high = (quantity(axis[end], "TeV", f"{key}: {end}") for end in ENDS)
        if not 0 < low < high:
            raise InputError(
                f"{key}: {axis['min']} to {axis['max']} must grow from above 0"
            )
        edges = np.geomspace(low, high, axis["bins"] + 1).tolist()
    if not (edges[0] > 0 and np.all(np.diff(edges) > 0)):
        raise InputError(f"{key}: edges must grow from above 0")
    return edges


def _safe_energy(settings, key):
    rules = schema()["$defs"]["field"]["properties"]["safe_energy"]["properties"]
    chosen = {**_defaults(rules), **settings}
    return {**chosen, "min": quantity(chosen["min"], "TeV", f"{key}: min")}


def _exclusions(items, key):
    """Return the known exclusions, and how sources are searched for, or None."""
    known = [_exclusion(item, key) for item in items if not _is_search(item)]
    searches = [item for item in items if _is_search(item)]
    if len(searches) > 1:
        raise InputError(f"{key}: threshold: only one search for sources can be made")
    return known, _search(searches[0], key) if searches else None


def _is_search(item):
    return isinstance(item, dict) and "threshold" in item


def _exclusion(item, key):
    if file_of(item):
        item = with_file(item, _path(file_of(item), key))
        if not Path(file_of(item)).is_file():
            raise InputError(f"{key}: no such file '{file_of(item)}'")
    if isinstance(item, str):
        return expand(item, key)
    item = dict(item)
    if "center" in item:
        item["center"] = position(item["center"], f"{key}: center")
    if "radius" in item:
        item["radius"] = _size(item["radius"], f"{key}: radius")
    return item


def _search(item, key):
    alternatives = schema()["$defs"]["field"]["properties"]["exclusion_mask"]["items"]
    properties = alternatives["oneOf"][-1]["properties"]
    search = {**_defaults(properties), **item}
    if search["threshold_low"] > search["threshold"]:
        raise InputError(f"{key}: threshold_low is larger than threshold")
    return {**search, "margin": _size(search["margin"], f"{key}: margin")}


# These settings belong to a method of the background, in addition to `method` and `model`.
RING = ("r_in", "width")
ADAPTIVE = ("r_out_max", "stepsize", "theta", "threshold_alpha")
ACCEPTANCE = ("shape", "degree", "zenith_bins")
BACKGROUND_KEYS = {
    "irf": ("gradient",),
    "ring": ("model", *RING),
    "adaptive ring": ("model", *RING, *ADAPTIVE),
    "acceptance": ("gradient",),
}


def _background(settings, key):
    """Return arguments for `stack_runs`, and those for an acceptance, or None."""
    if isinstance(settings, str):
        settings = {"method": settings}
    method = settings["method"]
    *_, rule = schema()["$defs"]["field"]["properties"]["background"]["oneOf"]
    chosen = {**_defaults(rule["properties"]), **settings}
    from_runs = "acceptance" in (method, settings.get("model"))
    known = ("method", *BACKGROUND_KEYS[method], *ACCEPTANCE * from_runs)
    for name in settings:
        if name not in known:
            raise InputError(
                f"{key}: {name} has no meaning with method: {method}; it knows"
                f" {', '.join(known)}"
            )
    acceptance = None
    if from_runs:
        bins = chosen["zenith_bins"]
        if sorted(set(bins)) != bins:
            raise InputError(f"{key}: zenith_bins must grow")
        acceptance = {name: chosen[name] for name in ACCEPTANCE}
    if method in ("irf", "acceptance"):
        return {"method": "irf", "gradient": chosen["gradient"]}, acceptance
    sizes = {
        name: _size(chosen[name], f"{key}: {name}")
        for name in (*RING, "r_out_max", "stepsize", "theta")
    }
    background = {"method": method, **{name: sizes[name] for name in RING}}
    if not sizes["width"] > 0:
        raise InputError(f"{key}: width must be positive")
    if method == "adaptive ring":
        if (
            not sizes["stepsize"] > 0
            or sizes["r_out_max"] < sizes["r_in"] + sizes["width"]
        ):
            raise InputError(
                f"{key}: r_out_max must be r_in + width or more, and stepsize positive"
            )
        chosen |= sizes
        background["adaptive"] = {name: chosen[name] for name in ADAPTIVE}
    return background, acceptance


def _radii(radius, key):
    """Return radii by suffix; the first has none: its map is the band's significance.fits."""
    values = radius if isinstance(radius, list) else [radius]
    sizes = dict(_radius(value, key) for value in values)
    if len(sizes) < len(values):
        raise InputError(f"{key}: a radius is given twice")
    suffixes = ["", *(f"_{label}" for label in list(sizes)[1:])]
    return dict(zip(suffixes, sizes.values(), strict=True))


def _radius(value, key):
    """Return the label, and the size in pixels or in deg."""
    if isinstance(value, str):
        key = f"{key} (an angle; pixels are a number without quotes)"
        return _label(value, key), Radius(None, _size(value, key))
    if 0 < value < 1:
        raise InputError(
            f"{key}: {value} pixels are less than one; an angle needs a unit: '{value} deg'"
        )
    return f"{value:g}pix", Radius(float(value), None)


def _simulation(settings):
    properties = schema()["$defs"]["simulation"]["properties"]
    settings = {**_defaults(properties), **settings}
    source_defaults = _defaults(properties["sources"]["items"]["properties"])
    return {
        **settings,
        "center": position(settings["center"], "simulation: center"),
        "wobble": _size(settings["wobble"], "simulation: wobble"),
        "sources": [
            _source({**source_defaults, **source}) for source in settings["sources"]
        ],
    }


def _source(settings):
    key = "simulation: sources"
    return {
        **settings,
        "center": position(settings["center"], f"{key}: center"),
        "sigma": _size(settings["sigma"], f"{key}: sigma"),
    }


def _defaults(properties):
    return {
        key: rule["default"] for key, rule in properties.items() if "default" in rule
    }
