import copy
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from astropy.coordinates import SkyCoord
from jsonschema import Draft202012Validator

from dl3_files import refused
from gammastack.config.fields import read_config
from gammastack.config.image_size import require_memory
from gammastack.config.load import load_settings, parse_settings
from gammastack.config.schema import SCHEMA, schema
from gammastack.errors import InputError
from hostile import yaml_bomb

FIELD = schema()["$defs"]["field"]["properties"]
KEYS = {
    "datastore",
    "center",
    "frame",
    "projection",
    "width",
    "binsz",
    "observations",
    "energy_bands",
    "offset_band",
    "exclusion_mask",
    "ncounts_min",
    "make_background_image",
    "bkg_norm",
    "save_bkg_scale",
    "spectral_index",
    "for_integral_flux",
    "radius",
    "background",
    "ul_confidence",
    "n_sigma_sensitivity",
    "candidate_threshold",
    "bkg_scale_band",
    "on_bad_bkg_scale",
    "on_bad_run",
    "max_bad_runs",
    "flux_point",
    "dataset",
    "safe_energy",
}
CIRCLE = "icrs; circle(1, 2, 3)"
GALACTIC_CENTER = 266.40499, -28.93617  # ICRS position of l = b = 0


def settings(**changes):
    """Return the smallest valid settings, with changes to the only field."""
    field = {
        "datastore": "store",
        "center": [83.63, 22.01],
        "energy_bands": [["1 TeV", "10 TeV"]],
    }
    return {"fields": {"crab": {**field, **changes}}}


def crab(**changes):
    return read_config(settings(**changes)).fields["crab"]


def test_keys_of_the_schema():
    assert set(FIELD) == KEYS
    top_level = set(schema()["properties"])
    assert top_level == KEYS | {"results", "fields", "simulation", "datastore_cache"}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_top_level_keys_are_those_of_a_field(key):
    pointer = schema()["properties"][key]["$ref"]
    assert pointer == f"#/$defs/field/properties/{key}"


def described(rule):
    """Return the description of a rule, or of the rule that it refers to."""
    if "description" in rule:
        return rule["description"]
    *_, name = rule["$ref"].split("/")
    return schema()["$defs"][name]["description"]


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_described(key):
    assert len(described(FIELD[key])) > 10


def described_rules():
    """Yield the keys of the configuration and of mappings in it, and their rules."""
    yield from FIELD.items()
    simulation = schema()["$defs"]["simulation"]
    yield "simulation", simulation
    yield "sources", simulation["properties"]["sources"]
    yield from FIELD["observations"]["properties"].items()


EXAMPLES = [
    (key, example)
    for key, rule in described_rules()
    for example in rule.get("examples", ())
]


@pytest.mark.parametrize(("key", "example"), EXAMPLES)
def test_examples_are_valid(key, example, monkeypatch):
    monkeypatch.setenv("GAMMAPY_DATA", "/data")
    if key in FIELD:
        crab(**{key: example})
    elif key in ("simulation", "sources"):
        simulated(**(example if key == "simulation" else {key: example}))
    else:
        crab(observations={key: example})


def test_every_key_has_an_example():
    assert {key for key, _ in EXAMPLES} | {"center"} >= KEYS


def test_schema_is_valid():
    Draft202012Validator.check_schema(yaml.safe_load(SCHEMA.read_text()))


def test_defaults():
    """All but the three required keys have defaults, which are part of the contract."""
    field = crab()
    assert field.name == "crab"
    assert field.image["frame"] == "icrs"
    assert field.image["projection"] == "TAN"
    assert field.image["width"] == (5, 5)
    assert field.image["binsz"] == 0.02
    assert field.observations == {}
    assert field.offset_band == (0, 2)
    assert field.exclusion_mask == []
    assert field.ncounts_min == 0
    assert field.make_background_image is True
    assert field.bkg_norm is True
    assert field.save_bkg_scale is True
    assert field.spectral_index == 2.3
    assert field.for_integral_flux is False
    assert field.radii == {"": (10, None)}
    config = read_config(settings())
    assert config.results == "results"
    assert config.simulation is None


@pytest.mark.parametrize("key", sorted(KEYS - {"datastore", "center", "energy_bands"}))
def test_defaults_come_from_the_schema(key):
    assert crab() == crab(**{key: FIELD[key]["default"]})


OTHER = {
    "datastore": ("elsewhere", lambda field: field.datastore),
    "center": ([10, 20], lambda field: field.image["center"]),
    "frame": ("galactic", lambda field: field.image["frame"]),
    "projection": ("CAR", lambda field: field.image["projection"]),
    "width": ("3 deg", lambda field: field.image["width"]),
    "binsz": ("0.1 deg", lambda field: field.image["binsz"]),
    "observations": ({"obs_ids": [1]}, lambda field: field.observations),
    "energy_bands": ([["2 TeV", "3 TeV"]], lambda field: field.energy_bands),
    "offset_band": (["1 deg", "2 deg"], lambda field: field.offset_band),
    "exclusion_mask": ([CIRCLE], lambda field: field.exclusion_mask),
    "ncounts_min": (7, lambda field: field.ncounts_min),
    "make_background_image": (False, lambda field: field.make_background_image),
    "bkg_norm": (False, lambda field: field.bkg_norm),
    "save_bkg_scale": (False, lambda field: field.save_bkg_scale),
    "spectral_index": (2, lambda field: field.spectral_index),
    "for_integral_flux": (True, lambda field: field.for_integral_flux),
    "radius": (5, lambda field: field.radii),
    "background": ("ring", lambda field: field.background),
    "ul_confidence": (0.9, lambda field: field.ul_confidence),
    "n_sigma_sensitivity": (3, lambda field: field.n_sigma_sensitivity),
    "candidate_threshold": (3, lambda field: field.candidate_threshold),
    "bkg_scale_band": ([0.5, 2], lambda field: field.bkg_scale_band),
    "on_bad_bkg_scale": ("drop", lambda field: field.on_bad_bkg_scale),
    "on_bad_run": ("stop", lambda field: field.on_bad_run),
    "max_bad_runs": ("2.5 %", lambda field: field.max_bad_runs),
    "flux_point": (False, lambda field: field.flux_point),
    "dataset": (
        {key: {"edges": ["1 TeV", "2 TeV"]} for key in ("energy", "energy_true")},
        lambda field: field.dataset,
    ),
    "safe_energy": ({"min": "1 TeV"}, lambda field: field.safe_energy),
}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_field_overrides_top_level_overrides_default(key):
    value, get = OTHER[key]
    given = settings(**{key: value})
    given["fields"]["other"] = copy.deepcopy(settings()["fields"]["crab"])
    in_field = read_config(given).fields
    assert get(in_field["crab"]) != get(in_field["other"])

    common = {key: value, **settings()}
    common["fields"]["crab"].pop(key, None)
    own = copy.deepcopy(settings()["fields"]["crab"])
    own[key] = own.get(key, FIELD[key].get("default"))
    common["fields"]["other"] = own
    at_top = read_config(common).fields
    assert get(at_top["crab"]) == get(in_field["crab"])
    assert get(at_top["other"]) == get(in_field["other"])


def test_field_without_own_settings():
    common = settings()["fields"]["crab"]
    assert read_config({**common, "fields": {"crab": None}}).fields["crab"] == crab()


def test_override_replaces_the_whole_value():
    given = {"observations": {"query": "ZEN_PNT < 50"}, **settings()}
    given["fields"]["crab"]["observations"] = {"exclude": [1]}
    assert read_config(given).fields["crab"].observations == {"exclude": [1]}


def test_settings_are_not_changed():
    given = settings(observations={"cone": "3 deg"}, exclusion_mask=[CIRCLE])
    before = copy.deepcopy(given)
    read_config(given)
    assert given == before


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("energy_band", "energy_bands"),
        ("datastor", "datastore"),
        ("exclusion_masks", "exclusion_mask"),
        ("ncount_min", "ncounts_min"),
        ("Radius", "radius"),
        ("correlation_radius", "radius"),
    ],
)
@pytest.mark.parametrize("place", ["top", "field"])
def test_unknown_key(wrong, near, place):
    given = settings()
    (given if place == "top" else given["fields"]["crab"])[wrong] = 1
    where = "fields: crab: " if place == "field" else ""
    with refused(f"{where}unknown key '{wrong}'", f"Did you mean '{near}'?", *KEYS):
        read_config(given)


def test_unknown_key_that_contains_another_one():
    axis = {"min": "1 TeV", "max": "10 TeV", "bins": 2}
    axes = {"energy": axis, "energy_true": axis, "energy_tru": axis}
    with refused("unknown key 'energy_tru'", "Did you mean 'energy_true'?"):
        read_config(settings(dataset=axes))


def test_unknown_key_unlike_any():
    with refused("unknown key 'xyzzy'. Known keys"):
        read_config({"xyzzy": 1, **settings()})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observations": {"obsids": [1]}}, ["observations", "obsids", "obs_ids"]),
        ({"center": {"galatic": [0, 0]}}, ["center", "galatic", "galactic"]),
        (
            {"exclusion_mask": [{"centre": [0, 0], "radius": "1 deg"}]},
            ["exclusion_mask", "centre", "'center'"],
        ),
        (
            {"exclusion_mask": [{"treshold": 5}]},
            ["exclusion_mask: item 1: ", "Did you mean 'threshold'?", "rounds"],
        ),
        (
            {"exclusion_mask": [{"margin": "1 deg"}]},
            ["exclusion_mask: item 1: the key threshold is missing"],
        ),
        (
            {"exclusion_mask": [{"catalogue": "sources.fits"}]},
            ["exclusion_mask: item 1: ", "Did you mean 'catalog'?"],
        ),
    ],
)
def test_unknown_key_deeper(changes, words):
    with refused("fields: crab: ", *words):
        crab(**changes)


@pytest.mark.parametrize("key", ["datastore", "center", "energy_bands"])
def test_missing_key(key):
    given = settings()
    del given["fields"]["crab"][key]
    with refused("fields: crab", key, "missing", "top level"):
        read_config(given)


@pytest.mark.parametrize("given", [{}, {"fields": {}}, {"fields": None}])
def test_no_fields(given):
    with refused("fields"):
        read_config(given)


@pytest.mark.parametrize("given", [None, [], "fields"])
def test_configuration_that_is_no_mapping(given):
    with refused("configuration: ", "is not keys with values"):
        read_config(given)


@pytest.mark.parametrize(
    "name", ["crab/x", "a b", ".hidden", "", "../up", 273, "a;b", "crab\n"]
)
def test_field_name_that_is_no_folder(name):
    """YAML reads 273 as a number."""
    with refused("fields", repr(name).strip("'")):
        read_config({"fields": {name: settings()["fields"]["crab"]}})


@pytest.mark.parametrize(
    "name", ["summary.csv", "summary.ecsv", "simulated-dl3", "all", "maps"]
)
def test_field_name_that_is_taken(name):
    with refused("fields", name, "choose another"):
        read_config({"fields": {name: settings()["fields"]["crab"]}})


@pytest.mark.parametrize(
    ("text", "deg"),
    [
        ("2 deg", 2),
        ("120 arcmin", 2),
        ("7200 arcsec", 2),
        ("2deg", 2),
        ("0.1 rad", 18 / np.pi),
    ],
)
def test_angles(text, deg):
    field = crab(
        width=[text, "30 deg"],
        offset_band=["0 deg", text],
        observations={"cone": text},
        exclusion_mask=[{"center": [1, 2], "radius": text}],
        radius=["1 deg", text],
    )
    assert field.image["width"] == pytest.approx((deg, 30))
    assert field.offset_band == pytest.approx((0, deg))
    assert field.observations["cone"] == pytest.approx(deg)
    assert field.exclusion_mask[0]["radius"] == pytest.approx(deg)
    assert list(field.radii.values())[1] == (None, pytest.approx(deg))
    coarse = crab(binsz=text, width="30 deg", radius=1)
    assert coarse.image["binsz"] == pytest.approx(deg)


@pytest.mark.parametrize(
    ("band", "name", "edges"),
    [
        (["1 TeV", "10 TeV"], "1TeV-10TeV", (1, 10)),
        (["600 GeV", "1.5 TeV"], "600GeV-1.5TeV", (0.6, 1.5)),
        (["1e3 GeV", "1e7 MeV"], "1000GeV-1e+07MeV", (1, 10)),
        (["1.0 TeV", "10.50 TeV"], "1TeV-10.5TeV", (1, 10.5)),
    ],
)
def test_energy_bands(band, name, edges):
    ((key, value),) = crab(energy_bands=[band]).energy_bands.items()
    assert key == name
    assert value == pytest.approx(edges, rel=1e-15)


def test_several_bands_keep_their_order():
    bands = [["3 TeV", "9 TeV"], ["1 TeV", "3 TeV"]]
    assert list(crab(energy_bands=bands).energy_bands) == ["3TeV-9TeV", "1TeV-3TeV"]


@pytest.mark.parametrize(
    "bands",
    [
        [["1 TeV", "10 TeV"], ["1 TeV", "10 TeV"]],
        [["1 TeV", "10 TeV"], ["1.0 TeV", "10.0 TeV"]],
        [["1.0000001 TeV", "10 TeV"], ["1 TeV", "10 TeV"]],
    ],
)
def test_bands_of_the_same_name(bands):
    """Two bands would share a folder; one must not vanish without notice."""
    with refused("energy_bands", "1TeV-10TeV", "twice"):
        crab(energy_bands=bands)


@pytest.mark.parametrize(
    "radius", [[2.5, 2.5], ["0.1 deg", "0.2 deg", "0.20 deg"], [10, "0.1 deg", 10]]
)
def test_radii_given_twice(radius):
    with refused("radius", "twice"):
        crab(radius=radius)


@pytest.mark.parametrize(
    ("radius", "radii"),
    [
        (10, {"": (10, None)}),
        (2.5, {"": (2.5, None)}),
        ("0.2 deg", {"": (None, 0.2)}),
        ([5], {"": (5, None)}),
        (
            ["0.1 deg", "0.2 deg", 10, 2.5, "6 arcmin"],
            {
                "": (None, 0.1),
                "_0.2deg": (None, 0.2),
                "_10pix": (10, None),
                "_2.5pix": (2.5, None),
                "_6arcmin": (None, 0.1),
            },
        ),
    ],
)
def test_radii(radius, radii):
    result = crab(radius=radius).radii
    assert list(result) == list(radii)
    for size, expected in zip(result.values(), radii.values(), strict=True):
        assert size == pytest.approx(expected)


@pytest.mark.parametrize("radius", ["-1 deg", -1, "1 TeV", "10", [], ["0.1 deg", "x"]])
def test_radius_that_cannot_be_used(radius):
    with refused("fields: crab: radius"):
        crab(radius=radius)


@pytest.mark.parametrize(
    ("position", "icrs", "precision"),
    [
        ([83.63, 22.01], (83.63, 22.01), 0),
        ({"icrs": [83.63, 22.01]}, (83.63, 22.01), 0),
        ({"galactic": [0, 0]}, GALACTIC_CENTER, 1e-5),
        ([-10, 5], (-10, 5), 0),
        ([1, 90], (1, 90), 0),
    ],
)
def test_positions(position, icrs, precision):
    field = crab(
        center=position, exclusion_mask=[{"center": position, "radius": "1 deg"}]
    )
    assert field.image["center"] == pytest.approx(icrs, abs=precision)
    assert field.exclusion_mask[0]["center"] == pytest.approx(icrs, abs=precision)


@pytest.mark.parametrize("name", ["Crab Nebula", "crab nebula", "CRABNEBULA"])
def test_position_of_a_known_source(name):
    """The name stands for the position in known_sources.csv, wherever one is given."""
    circle = {"center": name, "radius": "1 deg"}
    field = crab(center=name, exclusion_mask=[circle])
    assert field.image["center"] == (83.633, 22.015)
    assert field.exclusion_mask[0]["center"] == (83.633, 22.015)
    sources = [{"center": name, "flux": 1e-11}]
    assert simulated(sources=sources).simulation["sources"][0]["center"] == (
        83.633,
        22.015,
    )


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("Crab", "Crab Nebula"),
        ("Markarian 241", "Markarian 421"),
        ("j1303", "HESS J1303-631"),
    ],
)
def test_unknown_source(name, similar):
    with refused(f"center: '{name}' is no position", f"similar: {similar}", "[83.63"):
        crab(center=name)


TEXTS = [
    "05h34m31.9s +22d00m52s",
    "05:34:31.9 -22:00:52",
    "05 34 31.9, -00 00 52",
    "83d37m58.5s 22d00m52s",
    "23:59:59.99 \N{MINUS SIGN}89:59:59",
]


@pytest.mark.parametrize("text", TEXTS)
def test_sexagesimal_position(text):
    """A peer: astropy reads the same text as the same position."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "")
    units = "deg" if "83d" in text else ("hourangle", "deg")
    sky = SkyCoord(plain, unit=units)
    expected = pytest.approx((sky.ra.deg, sky.dec.deg), abs=1e-12)
    assert crab(center=text).image["center"] == expected


def test_positions_with_units():
    expected = pytest.approx((83.63, 22.01))
    for pair in (["83.63 deg", 22.01], ["5017.8 arcmin", "22.01 deg"]):
        assert crab(center=pair).image["center"] == expected
    pair = ["05h34m31.9s", "22d00m52s"]
    assert crab(center={"icrs": pair}) == crab(center=" ".join(pair))
    given = crab(center={"galactic": ["0 rad", "0d00m00s"]}).image["center"]
    assert given == pytest.approx(GALACTIC_CENTER, abs=1e-5)


def test_reading_positions_does_not_import_coordinates():
    """It takes 0.3 s, a tenth of an update in which nothing is to be done."""
    code = (
        "import sys; from gammastack.config.positions import position;"
        "position('05:34:31.9 +22:00:52', ''), position('Crab Nebula', '');"
        "assert 'astropy.coordinates' not in sys.modules"
    )
    scripts = SCHEMA.parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=scripts)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"width": 5}, ["width: 5 is not a text or a list", "width: [6 deg, 3 deg]"]),
        ({"width": "5"}, ["width: '5' has no unit; write '5 deg'"]),
        ({"width": "five deg"}, ["width", "five deg"]),
        ({"width": "5 TeV"}, ["width", "5 TeV"]),
        ({"width": ["5 deg"] * 3}, ["width"]),
        ({"width": "0 deg"}, ["width", "positive"]),
        ({"width": "nan deg"}, ["width"]),
        ({"binsz": "-0.02 deg"}, ["binsz", "positive"]),
        ({"binsz": 0.02}, ["binsz", "deg"]),
        ({"center": [83.63, 95]}, ["center", "95", "between -90 and 90"]),
        ({"center": [83.63]}, ["center"]),
        ({"center": "83.63 22.01"}, ["center: '83.63 22.01' is no position"]),
        ({"center": [483, 22]}, ["center: the longitude 483", "between 0 and 360"]),
        ({"center": [-181, 22]}, ["center: the longitude -181"]),
        ({"center": ["83.63", 22]}, ["center: '83.63' has no unit", "'83.63 deg'"]),
        ({"center": ["1 TeV", 22]}, ["center: '1 TeV' is not an angle"]),
        ({"center": "05h34m72s +22d00m52s"}, ["'05h34m72s'", "below 60"]),
        ({"center": "05:34:31.9 +92:00:52"}, ["the latitude 92.0"]),
        ({"center": {"galactic": ["5h34m31s", 1]}}, ["only right ascensions", "hours"]),
        ({"center": 5}, ["center: 5 is not a text, a list or keys with values"]),
        ({"center": None}, ["center: an empty value is not", "center: Crab Nebula"]),
        ({"center": {"icrs": [1, 2], "galactic": [1, 2]}}, ["center"]),
        ({"center": {}}, ["center"]),
        ({"frame": "fk5"}, ["frame", "fk5", "icrs", "galactic"]),
        ({"projection": "XXX"}, ["projection", "XXX"]),
        ({"projection": "tan"}, ["projection", "tan", "'TAN'"]),
        # This projection needs parameters
        ({"projection": "ZPN"}, ["projection", "ZPN", "'TAN'"]),
        ({"offset_band": ["2 deg", "1 deg"]}, ["offset_band", "2 deg", "1 deg"]),
        ({"offset_band": ["1 deg", "1 deg"]}, ["offset_band", "grow"]),
        ({"offset_band": ["-1 deg", "1 deg"]}, ["offset_band", "grow"]),
        ({"offset_band": ["0 deg", "95 deg"]}, ["offset_band", "90 deg"]),
        ({"offset_band": [0, 2]}, ["offset_band"]),
        ({"offset_band": "2 deg"}, ["offset_band"]),
        ({"energy_bands": [["10 TeV", "1 TeV"]]}, ["energy_bands", "10 TeV", "grow"]),
        ({"energy_bands": [["0 TeV", "1 TeV"]]}, ["energy_bands", "0 TeV"]),
        ({"energy_bands": [["1 TeV", "1000 GeV"]]}, ["energy_bands", "grow"]),
        ({"energy_bands": [["1 deg", "2 deg"]]}, ["energy_bands", "1 deg", "1 TeV"]),
        ({"energy_bands": ["1 TeV", "10 TeV"]}, ["energy_bands"]),
        ({"energy_bands": [[1, 10]]}, ["energy_bands"]),
        ({"energy_bands": []}, ["energy_bands"]),
        ({"energy_bands": [["1 TeV", "inf TeV"]]}, ["energy_bands", "inf"]),
        ({"observations": {"cone": 3}}, ["cone"]),
        ({"observations": {"cone": "-3 deg"}}, ["cone", "-3 deg"]),
        ({"observations": {"obs_ids": ["x"]}}, ["obs_ids"]),
        ({"observations": {"obs_ids": 23523}}, ["obs_ids"]),
        (
            {"exclusion_mask": [{"center": [1, 2], "radius": "-1 deg"}]},
            ["exclusion_mask", "radius", "-1 deg"],
        ),
        ({"exclusion_mask": [{"center": [1, 2]}]}, ["exclusion_mask", "radius"]),
        ({"exclusion_mask": "a.reg"}, ["exclusion_mask"]),
        ({"ncounts_min": 1.5}, ["ncounts_min"]),
        ({"bkg_norm": "no"}, ["bkg_norm", "no"]),
        ({"spectral_index": "2.3"}, ["spectral_index"]),
        ({"spectral_index": -2.3}, ["spectral_index: -2.3 must be positive"]),
        ({"spectral_index": np.nan}, ["spectral_index: nan is not a number"]),
        ({"ul_confidence": np.nan}, ["ul_confidence: nan is not a number"]),
        ({"center": [np.inf, 22]}, ["center: item 1: inf is not a number"]),
        ({"radius": "1,5 deg"}, ["radius", "'1,5 deg' is not a number with a unit"]),
        ({"radius": 0.1}, ["0.1 pixels are less than one", "'0.1 deg'"]),
        ({"radius": "2.6 deg"}, ["radius: a disk of 2.6 deg does not fit", "width"]),
        ({"width": "180 deg"}, ["width", "TAN", "less than 180 deg", "CAR"]),
        ({"max_bad_runs": "ten"}, ["max_bad_runs: 'ten'", "a percentage such as 10 %"]),
        ({"max_bad_runs": -1}, ["max_bad_runs", "-1"]),
        ({"datastore": 5}, ["datastore"]),
        ({"radius": "0.1"}, ["radius", "'0.1' has no unit; write '0.1 deg'"]),
        ({"radius": []}, ["radius: [] has too few items (0)"]),
        ({"radius": True}, ["radius: true is not a number, a text or a list"]),
        ({"ncounts_min": "5"}, ["'5' is not a whole number", "leave out the quotes"]),
        ({"spectral_index": "2e0"}, ["spectral_index", "1e-11 is written 1.0e-11"]),
        ({"ul_confidence": 95}, ["95 must be less than 1", "ul_confidence: 0.95"]),
        ({"energy_bands": "1 TeV"}, ["'1 TeV' is not a list", "[[1 TeV, 10 TeV]]"]),
    ],
)
def test_values_that_cannot_be_used(changes, words):
    with refused("fields: crab", *words):
        crab(**changes)


@pytest.mark.parametrize("results", ["", " ", "/", "//", "/tmp/..", "$NOTHING"])
def test_folder_that_is_none_of_ours(results, monkeypatch):
    monkeypatch.setenv("NOTHING", "")
    with refused("results", results, "is not a folder for results"):
        read_config({"results": results, **settings()})


def test_message_of_a_top_level_key():
    with refused("binsz"):
        read_config({"binsz": 0.02, **settings()})


def test_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("HERE", "/data")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "known.reg").touch()
    field = crab(
        datastore="$HERE/store",
        observations={"table": "${HERE}/runs.csv"},
        exclusion_mask=["~/known.reg", CIRCLE],
    )
    assert field.datastore == "/data/store"
    assert field.observations["table"] == "/data/runs.csv"
    assert field.exclusion_mask == [f"{tmp_path}/known.reg", CIRCLE]


@pytest.mark.parametrize("name", ["no.reg", "no.fits", "no.fits.gz"])
def test_missing_exclusion_file(tmp_path, name):
    with refused("fields: crab: exclusion_mask", "no such file", tmp_path / name):
        crab(exclusion_mask=[CIRCLE, f"{tmp_path}/{name}"])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"datastore": "$NOT_SET/store"}, "datastore"),
        ({"observations": {"table": "${NOT_SET}/runs.csv"}}, "observations: table"),
        ({"exclusion_mask": ["$NOT_SET/a.reg"]}, "exclusion_mask"),
    ],
)
def test_variable_that_is_not_set(monkeypatch, changes, key):
    monkeypatch.delenv("NOT_SET", raising=False)
    with refused(f"fields: crab: {key}", "NOT_SET", "environment variable"):
        crab(**changes)


SIMULATION = {
    "center": [83.63, 22.01],
    "sources": [{"center": {"galactic": [0, 0]}, "flux": 1e-11}],
}


def simulated(place=None, **changes):
    given = {"simulation": {**SIMULATION, **changes}, **settings()}
    store = given["fields"]["crab"].pop("datastore")
    if place:
        (given if place == "top" else given["fields"]["crab"])["datastore"] = store
    return read_config(given)


def test_simulation():
    config = simulated(wobble="30 arcmin")
    assert config.fields["crab"].datastore == "results/simulated-dl3"
    assert config.simulation["n_runs"] == 12
    assert config.simulation["seed"] == 0
    assert config.simulation["bkg_gradient"] == 0.15
    assert config.simulation["wobble"] == pytest.approx(0.5)
    assert config.simulation["center"] == (83.63, 22.01)
    (source,) = config.simulation["sources"]
    assert source["center"] == pytest.approx(GALACTIC_CENTER, abs=1e-5)
    assert (source["flux"], source["index"], source["sigma"]) == (1e-11, 2.3, 0)


def test_simulated_store_follows_the_results_folder():
    given = {"results": "out", "simulation": SIMULATION, **settings()}
    del given["fields"]["crab"]["datastore"]
    config = read_config(given)
    assert config.results == "out"
    assert config.fields["crab"].datastore == "out/simulated-dl3"


@pytest.mark.parametrize("place", ["top", "field"])
def test_simulation_and_datastore(place):
    with refused("simulation", "datastore", "exclude each other", "delete"):
        simulated(place)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_run": 3}, ["unknown key 'n_run'", "n_runs"]),
        ({"n_runs": 0}, ["n_runs"]),
        ({"wobble": 0.7}, ["wobble"]),
        ({"wobble": "0.7 TeV"}, ["wobble", "0.7 TeV"]),
        ({"sources": [{"center": [1, 2]}]}, ["sources", "flux"]),
        ({"sources": [{"center": [1, 99], "flux": 1}]}, ["sources", "99"]),
    ],
)
def test_simulation_that_cannot_be_used(changes, words):
    with refused("simulation", *words):
        simulated(**changes)


@pytest.mark.parametrize("name", ["config.yaml", "hess_dl3_dr1.yaml"])
def test_configurations_of_the_repository(name, monkeypatch):
    monkeypatch.setenv("GAMMAPY_DATA", "/data")
    path = SCHEMA.parents[3] / "config" / name
    start = time.process_time()
    given = load_settings(path)
    assert time.process_time() - start < 0.1
    assert given == yaml.safe_load(path.read_text(encoding="utf-8"))
    config = read_config(given)
    assert bool(config.simulation) == (name == "config.yaml")
    for field in config.fields.values():
        assert field.exclusion_mask or field.name == "1es0414-off"


@pytest.mark.parametrize(
    ("given", "background", "acceptance"),
    [
        ("irf", {"method": "irf", "gradient": False}, None),
        (
            {"method": "irf", "gradient": True},
            {"method": "irf", "gradient": True},
            None,
        ),
        ("ring", {"method": "ring", "r_in": 0.5, "width": 0.3}, None),
        (
            {"method": "ring", "r_in": "42 arcmin", "model": "acceptance"},
            {"method": "ring", "r_in": 0.7, "width": 0.3},
            {"shape": "radial", "degree": 3, "zenith_bins": [0, 30, 45, 60, 90]},
        ),
        (
            {"method": "adaptive ring", "threshold_alpha": 0.25},
            {
                "method": "adaptive ring",
                "r_in": 0.5,
                "width": 0.3,
                "adaptive": {
                    "r_out_max": 1.7,
                    "stepsize": 0.1,
                    "theta": 0.1,
                    "threshold_alpha": 0.25,
                },
            },
            None,
        ),
        (
            {
                "method": "acceptance",
                "shape": "2d",
                "degree": 2,
                "zenith_bins": [0, 90],
            },
            {"method": "irf", "gradient": False},
            {"shape": "2d", "degree": 2, "zenith_bins": [0, 90]},
        ),
    ],
)
def test_background(given, background, acceptance):
    field = crab(background=given)
    assert (field.background, field.acceptance) == (background, acceptance)
    assert field.has_ring == ("ring" in field.background["method"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("rings", ["background", "rings"]),
        ({"r_in": "1 deg"}, ["background", "method"]),
        ({"method": "irf", "r_in": "1 deg"}, ["background", "r_in", "method: irf"]),
        ({"method": "ring", "r_out_max": "1 deg"}, ["r_out_max", "method: ring"]),
        ({"method": "ring", "shape": "2d"}, ["shape", "method: ring"]),
        ({"method": "ring", "width": "0 deg"}, ["background", "width"]),
        ({"method": "ring", "r_in": "-1 deg"}, ["background", "r_in", "-1 deg"]),
        ({"method": "adaptive ring", "r_out_max": "0.7 deg"}, ["r_out_max", "r_in"]),
        ({"method": "adaptive ring", "stepsize": "0 deg"}, ["stepsize"]),
        ({"method": "acceptance", "zenith_bins": [0, 50, 20]}, ["zenith_bins"]),
        ({"method": "ring", "widht": "1 deg"}, ["background", "widht", "'width'"]),
    ],
)
def test_background_that_cannot_be_used(given, words):
    with refused("background", *words):
        crab(background=given)


def test_search_for_sources():
    field = crab(exclusion_mask=[CIRCLE, {"threshold": 5, "margin": "6 arcmin"}])
    assert field.exclusion_mask == [CIRCLE]
    search = {"threshold": 5, "threshold_low": 3, "margin": 0.1, "rounds": 10}
    assert field.source_search == search


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exclusion_mask": [{"threshold": 5}] * 2}, ["only one search"]),
        (
            {"exclusion_mask": [{"threshold": 5, "threshold_low": 6}]},
            ["threshold_low is larger"],
        ),
        ({"exclusion_mask": [{"threshold": 5, "rounds": 0}]}, ["rounds"]),
        (
            {"exclusion_mask": [{"threshold": 5}], "make_background_image": False},
            ["make_background_image: true"],
        ),
        ({"exclusion_mask": [{"catalog": "no.fits"}]}, ["no such file 'no.fits'"]),
        (
            {"exclusion_mask": ["threshold_mask.fits"]},
            ["no such file 'threshold_mask.fits'"],
        ),
        (
            {"background": {"method": "irf", "gradient": True}, "bkg_norm": False},
            ["gradient", "bkg_norm: true"],
        ),
        (
            {"background": {"method": "ring", "r_in": "0.1 deg"}, "radius": "0.2 deg"},
            ["r_in 0.1 deg", "radius 0.2 deg", "enlarge r_in"],
        ),
        (
            {"background": {"method": "ring", "r_in": "0.1 deg"}, "radius": [2, 6]},
            ["r_in 0.1 deg", "radius 0.12 deg"],
        ),
        ({"ul_confidence": 1.0}, ["ul_confidence"]),
        ({"n_sigma_sensitivity": 0}, ["n_sigma_sensitivity"]),
    ],
)
def test_search_and_limits_that_cannot_be_used(changes, words):
    with refused("fields: crab", *words):
        crab(**changes)


def test_counts_only_needs_no_background():
    field = crab(make_background_image=False, background="acceptance")
    assert (field.background, field.acceptance, field.responses) == (None, None, ())


@pytest.mark.parametrize(
    ("changes", "n_runs", "n_allowed"),
    [
        ({}, 4, 1),
        ({}, 20, 2),
        ({}, 105, 11),
        ({"max_bad_runs": "2.5%"}, 1000, 25),
        ({"max_bad_runs": "0 %"}, 1000, 0),
        ({"max_bad_runs": 3}, 2, 3),
        ({"max_bad_runs": 3, "on_bad_run": "stop"}, 20, 0),
    ],
)
def test_number_of_runs_that_may_fail(changes, n_runs, n_allowed):
    """A percentage is rounded up."""
    assert crab(**changes).allowed_failures(n_runs) == n_allowed


@pytest.mark.parametrize("kind", ["lists", "mappings", "merged"])
def test_aliases_for_too_many_values_are_refused_at_once(kind):
    start = time.process_time()
    with refused("my.yaml, line 6: a5: ", "more than 100000 values", "aliases"):
        parse_settings(yaml_bomb(kind).encode(), "my.yaml")
    assert time.process_time() - start < 1


def test_aliases_and_merged_keys():
    text = """
    common: &common {radius: 5, width: 3 deg}
    fields:
      a: &a {<<: *common, radius: 6}
      b: {<<: *a, width: 4 deg}
      c: *common
    list: [*common, *common]
    """
    common = {"radius": 5, "width": "3 deg"}
    assert parse_settings(text.encode(), "my.yaml") == {
        "common": common,
        "fields": {
            "a": {"radius": 6, "width": "3 deg"},
            "b": {"radius": 6, "width": "4 deg"},
            "c": common,
        },
        "list": [common, common],
    }


def test_json_is_read_as_snakemake_does():
    assert parse_settings(b'{"a":\t1e3, "b": "x"}', "my.json") == {"a": 1000, "b": "x"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "fields:\n  crab:\n    radius: 1\n    binsz: 2\n    radius: 3",
            [
                "line 5: fields: crab: the key 'radius'",
                "already, in line 3",
                "keep one",
            ],
        ),
        ('{"a": 1,\n "b": {"c": 1,\n "\\u0063": 2}}', ["line 3: b: the key 'c'"]),
        ("a: {<<: {b: 1}, <<: {b: 2}}", ["line 1: a: the key '<<'"]),
        (
            "a:\n  b: !!python/object/apply:os.system [x]",
            ["line 2: a: b: the tag !!python/object/apply:os.system is not allowed"],
        ),
        ("a: !mine x", ["line 1: a: the tag !mine"]),
        ("!!python/name:os.system : 1", ["line 1: the tag !!python/name:os.system"]),
        ("fields: {2023: {}}", ["line 1: fields: the key 2023 is not text", "quotes"]),
        ("on: 1", ["line 1: the key on is not text"]),
        ("? [a, b]\n: 1", ["line 1: a key must be text"]),
        ("a: &a [*a]", ["line 1: a: *a stands for nothing"]),
        ("a: *b", ["line 1: a: *b stands for nothing"]),
        ("a: " + "[" * 100_000, ["line 1: a: more than 50 lists"]),
        ("a: [" + "1," * 100_000 + "]", ["line 1: a: there are more than 100000"]),
        ("a: " + "9" * 5000, ["a value cannot be read"]),
        ("a: 2020-13-45", ["a value cannot be read (month must be in 1..12)"]),
        ("a: \0", ["a value cannot be read"]),
        ("a: 1\nb:\n\t- c", ["line 3: neither YAML nor JSON"]),
        ("a: 1\n---\nb: 1", ["line 2: neither YAML nor JSON"]),
        ("# \udcfc", ["byte 3 is not UTF-8"]),
        ("a: " + "x" * 10_000_000, ["10000003 bytes are too many"]),
        ("- a", ["has no keys"]),
        ("", ["has no keys"]),
    ],
)
def test_text_that_is_no_configuration(text, words):
    with refused("my.yaml", *words):
        parse_settings(text.encode(errors="surrogateescape"), "my.yaml")


def test_missing_configuration(tmp_path):
    with refused(tmp_path / "no.yaml", "No such file"):
        load_settings(tmp_path / "no.yaml")


def test_image_that_is_larger_than_the_memory():
    """40,000 x 5,000 pixels at 200 bytes are 40 GB, of which strips need 1 GB."""
    size = {"width": ["400 deg", "50 deg"], "binsz": "0.01 deg", "projection": "CAR"}
    require_memory(crab(**size, radius="0.1 deg"), 1.1e9)
    searched = crab(**size, exclusion_mask=[{"threshold": 5}])
    require_memory(searched, 41e9)
    with pytest.raises(
        InputError, match="40000 x 5000 pixels need about 40 GB"
    ) as told:
        require_memory(searched, 39e9)
    assert "fields: crab: width, binsz" in str(told.value)
    assert "without a threshold in exclusion_mask" in str(told.value)


def test_large_disks_need_memory():
    """A strip of 10,000 pixels has a radius of 1,000 rows, and as much above and below."""
    field = crab(width=["100 deg", "90 deg"], binsz="0.01 deg", radius="10 deg")
    with pytest.raises(InputError, match="need about 6 GB"):
        require_memory(field, 5.9e9)
    require_memory(field, 6.1e9)


def test_band_of_norms_must_grow():
    with pytest.raises(InputError, match="bkg_scale_band"):
        crab(bkg_scale_band=[5, 0.2])
