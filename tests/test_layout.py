"""The table of products, and the questions that are answered from it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from astropy import units as u

from gammastack.config.fields import read_config
from gammastack.errors import InputError
from gammastack.files import layout
from gammastack.files.layout import (
    all_products,
    bunit,
    check_steps,
    final_products,
    lines_of,
    of_band,
    of_radius,
    outputs_of,
    product_at,
    products_of,
    unit_of,
    wildcards,
)
from gammastack.products import STEPS, TABLE

BANDS = [["1 TeV", "10 TeV"], ["10 TeV", "50 TeV"]]
LOW, HIGH = "1TeV-10TeV", "10TeV-50TeV"


def field(**settings):
    own = {"datastore": "store", "center": [83.6, 22.0], "energy_bands": BANDS}
    return read_config({**own, **settings, "fields": {"crab": {}}}).fields["crab"]


RING = {"method": "ring", "r_in": "0.5 deg", "width": "0.3 deg"}
COUNTS = field(make_background_image=False)


def test_table_and_steps_belong_together():
    for one in TABLE:
        # One job makes the products in all bands and radii, so it has no such wildcards
        more = {"band", "radius", "store"}
        named = set(wildcards(one.file))
        assert set(STEPS[one.step]) <= named <= {*STEPS[one.step], *more}, one
        assert not one.condition or hasattr(COUNTS, one.condition), one


SEARCH = [{"threshold": 5}]


@pytest.mark.parametrize("settings", [{}, {"exclusion_mask": SEARCH}])
@pytest.mark.parametrize("key", ["name", "file"])
def test_a_field_has_each_product_once(settings, key):
    values = [getattr(one, key) for one in products_of(field(**settings))]
    assert len(set(values)) == len(values)


def test_outputs_of_a_step_for_all_bands():
    outputs = outputs_of("stack", COUNTS)
    assert outputs == {
        "runs": "{field}/runs.csv",
        "runs_ecsv": "{field}/runs.ecsv",
        f"runs_of_band_{LOW}": f"{{field}}/{LOW}/runs.csv",
        f"runs_of_band_{HIGH}": f"{{field}}/{HIGH}/runs.csv",
        f"runs_of_band_ecsv_{LOW}": f"{{field}}/{LOW}/runs.ecsv",
        f"runs_of_band_ecsv_{HIGH}": f"{{field}}/{HIGH}/runs.ecsv",
        f"counts_{LOW}": f"{{field}}/{LOW}/counts.fits",
        f"counts_{HIGH}": f"{{field}}/{HIGH}/counts.fits",
    }
    assert of_band(outputs, HIGH) == {
        "runs_of_band": f"{{field}}/{HIGH}/runs.csv",
        "runs_of_band_ecsv": f"{{field}}/{HIGH}/runs.ecsv",
        "counts": f"{{field}}/{HIGH}/counts.fits",
    }


def test_band_whose_name_ends_like_another():
    """The name 11TeV-20TeV ends with 1TeV-20TeV, but they are not mixed up."""
    bands = [["1 TeV", "20 TeV"], ["11 TeV", "20 TeV"]]
    outputs = outputs_of("stack", field(energy_bands=bands))
    for band in ("1TeV-20TeV", "11TeV-20TeV"):
        assert of_band(outputs, band)["counts"] == f"{{field}}/{band}/counts.fits"


def test_outputs_of_a_step_for_all_radii():
    outputs = outputs_of("maps", field(radius=["0.1 deg", "0.2 deg"]))
    assert outputs["flux_corr_ul"] == "{field}/{band}/flux_corr_ul.fits"
    assert outputs["flux_corr_0.2deg"] == "{field}/{band}/flux_corr_0.2deg.fits"
    first, second = of_radius(outputs, ""), of_radius(outputs, "_0.2deg")
    assert (
        first.keys()
        == second.keys()
        == {
            *("significance", "excess_corr", "flux_corr", "flux_corr_errn"),
            *("flux_corr_errp", "flux_corr_ul", "flux_corr_sensitivity"),
            *("flux_point", "flux_point_errn", "flux_point_errp", "flux_point_ul"),
        }
    )
    outputs = outputs_of("stack", field(radius=["0.1 deg", "0.2 deg"]))
    in_band = of_band(outputs, "1TeV-10TeV")
    path = "{field}/1TeV-10TeV/psf_containment_0.2deg.fits"
    assert in_band["psf_containment_0.2deg"] == path
    assert second["flux_corr_ul"] == "{field}/{band}/flux_corr_ul_0.2deg.fits"


@pytest.mark.parametrize(
    "step, settings, more",
    [
        ("maps", {"background": RING}, {"alpha"}),
        (
            "stack",
            {"background": RING, "energy_bands": BANDS[:1]},
            {f"{name}_{LOW}" for name in ("off", "acceptance", "acceptance_off")},
        ),
        ("acceptance", {"background": {"method": "acceptance"}}, {"model", "picture"}),
    ],
)
def test_outputs_under_a_condition(step, settings, more):
    plain = {key: settings[key] for key in settings if key == "energy_bands"}
    with_it, without = (
        outputs_of(step, field(**settings)),
        outputs_of(step, field(**plain)),
    )
    assert with_it.keys() - without.keys() == more
    assert without.items() <= with_it.items()


def test_mask_before_a_search_has_another_name():
    searched = field(exclusion_mask=SEARCH)
    assert outputs_of("exclusion_mask", field()).keys() == {"exclusion_mask"}
    assert outputs_of("exclusion_mask", searched).keys() == {"known_sources"}
    assert outputs_of("search_sources", searched).keys() == {"exclusion_mask"}
    assert outputs_of("search_sources", field()) == {}


def test_tables_of_norms_can_be_left_out():
    with_them = outputs_of("stack", field(save_bkg_scale=True))
    without = outputs_of("stack", field(save_bkg_scale=False))
    left_out = with_them.keys() - without.keys()
    assert {name.rpartition("_")[0] for name in left_out} == {
        "table_bkg_norm",
        "table_bkg_norm_csv",
        "table_bkg_norm_ecsv",
    }


def test_outputs_of_what_belongs_to_no_field():
    assert outputs_of("summary") == {
        "summary": "summary.csv",
        "summary_ecsv": "summary.ecsv",
        "index": "index.html",
    }
    assert outputs_of("simulate_run") == {"dl3": "simulated-dl3/run_{obs_id}.fits"}


def test_final_products():
    made = set(final_products(COUNTS))
    assert made == {
        "crab/runs.csv",
        "crab/runs.ecsv",
        *(
            f"crab/{band}/{name}"
            for band in (LOW, HIGH)
            for name in ("runs.csv", "runs.ecsv", "counts.fits")
        ),
    }
    acceptance = field(background={"method": "acceptance"})
    made = set(final_products(acceptance, ["0-20", "20-90"]))
    assert {"crab/acceptance/zenith_20-90.fits", f"crab/{LOW}/flux_corr.fits"} <= made
    assert not [
        one for one in made if "{" in one or "/runs/" in one or "/groups/" in one
    ]
    # Without runs there is no acceptance
    assert not [one for one in final_products(acceptance) if "zenith" in one]


def test_path_of_each_final_product_leads_back_to_it():
    own = field(
        background={**RING, "model": "acceptance"},
        exclusion_mask=[{"threshold": 5}],
        radius=["0.1 deg", "0.2 deg", 3],
    )
    of_runs = ("runs", "runs_of_band")
    of_runs = (*of_runs, *(f"{name}_ecsv" for name in of_runs))
    others = {"zenith_0-90": ("model", "picture"), "runs": of_runs}
    others["table_bkg_norm"] = (
        "table_bkg_norm",
        "table_bkg_norm_csv",
        "table_bkg_norm_ecsv",
    )
    others["candidates"] = "candidates", "candidates_reg"
    others["psf"] = "psf", "psf_ecsv"
    paths = list(final_products(own, ["0-90"]))
    assert len(paths) == len(set(paths))
    for path in paths:
        stem = re.sub(r"_(0\.2deg|3pix)$", "", Path(path).stem)
        found = product_at(path.removeprefix("crab/"))
        assert found.name in others.get(stem, (stem,))
        assert path.endswith(Path(found.file).suffix)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("1TeV-10TeV/flux_corr_ul.fits", "flux_corr_ul"),
        ("1TeV-10TeV/flux_corr_errn.fits", "flux_corr_errn"),
        ("1TeV-10TeV/flux_corr_0.2deg.fits", "flux_corr"),
        ("1TeV-10TeV/flux_corr_ul_3pix.fits", "flux_corr_ul"),
        ("1TeV-10TeV/flux_corr_2e-05deg.fits", "flux_corr"),
        ("0.5TeV-1e+02TeV/counts.fits", "counts"),
        ("500GeV-1TeV/counts.fits", "counts"),
        ("runs/1001.fits", "images"),
        ("runs/1001.json", "record"),
        ("groups/all.fits", "sums"),
        ("groups/0312.fits", "sums"),
        ("acceptance/zenith_22.5-45.fits", "model"),
        ("runs.csv", "runs"),
        ("1TeV-10TeV/runs.csv", "runs_of_band"),
        ("provenance/prov.json", "prov"),
        ("archive.zip", "archive"),
    ],
)
def test_product_at_a_path(name, expected):
    assert product_at(name).name == expected


@pytest.mark.parametrize(
    "name",
    [
        *("", "notes.txt", "1TeV-10TeV", "1TeV-10TeV/", "counts.fits"),
        *("1TeV-10TeV/flux_corr_up.fits", "1TeV-10TeV/flux_corr_fits"),
        *("1TeV-10TeV/counts_0.2deg.fits", "1TeV-10TeV/counts.fits.gz"),
        *("old/1TeV-10TeV/counts.fits", "runs/1001/counts.fits", "runs/crab.fits"),
        *("groups/04.fits", "provenance/stack.json", "summary.csv", "run_1001.fits"),
        *("1TeV-10TeV/counts.fits\n", "1TeV-10TeV\\counts.fits"),
    ],
)
def test_file_that_is_no_product(name):
    assert product_at(name) is None


def test_steps_that_fit():
    check_steps(STEPS)


def test_product_of_a_step_without_code():
    message = r"maps that makes .*excess\.fits .* no scripts/steps/maps\.py"
    with pytest.raises(InputError, match=message):
        check_steps(STEPS.keys() - {"maps"})


@pytest.mark.parametrize(
    "in_steps, in_code", [(True, True), (False, True), (True, False)]
)
def test_step_without_a_product(monkeypatch, in_steps, in_code):
    if in_steps:
        monkeypatch.setitem(STEPS, "contours", ("field",))
    code = {*STEPS, "contours"} if in_code else STEPS.keys() - {"contours"}
    message = r"steps/contours\.py: no line of TABLE in gammastack/products\.py"
    with pytest.raises(InputError, match=message):
        check_steps(code)


def test_product_of_a_step_without_wildcards(monkeypatch):
    line = replace(TABLE[0], name="contours", step="contours", file="{field}/contours")
    monkeypatch.setattr(layout, "TABLE", (*TABLE, line))
    message = (
        r"products\.py: the step contours that makes \{field\}/contours is not in STEPS"
    )
    with pytest.raises(InputError, match=message):
        check_steps({*STEPS, "contours"})


@pytest.mark.parametrize("integral", [True, False])
def test_units_are_those_of_fits(integral):
    """Excess over exposure is a flux; what is counted has no FITS unit but a name."""
    for one in TABLE:
        unit = bunit(one.name, integral)
        assert u.Unit(unit, format="fits") is not None
        assert unit in ("", unit_of(one, integral))
    exposure, flux = (u.Unit(bunit(name, integral)) for name in ("exposure", "flux"))
    # Numbers of the maps multiply to counts, without a factor.
    assert (exposure * flux).to("") == 1
    assert flux.is_equivalent("m-2 s-1" if integral else "m-2 s-1 TeV-1")
    for name, counted in [
        ("counts", "counts"),
        ("n_runs", "runs"),
        ("significance", "sigma"),
    ]:
        assert bunit(name, integral) == ""
        assert unit_of(layout.IMAGES[name], integral) == counted
    assert bunit("nothing", integral) == ""


def test_lines_of_a_step_have_what_its_files_hold():
    assert {one.name for one in lines_of("run_images")} == {
        *("images", "record", "counts", "bkg", "exposure")
    }
    assert [one.name for one in lines_of("summary")] == [
        *("summary", "summary_ecsv", "index")
    ]


def test_all_products_of_a_field():
    """Those by default are among them; the others are on the way, records, or on demand."""
    one = field(background={"method": "acceptance"}, radius=["0.1 deg", "0.2 deg"])
    values = {"obs_id": ["1", "2"], "group": ["all"], "zenith": ["0-30"]}
    found = set(all_products(one, **values))
    final = set(final_products(one, ["0-30"]))
    assert final < found
    assert f"crab/{HIGH}/significance_0.2deg.fits" in found
    assert {path for path in found if path.startswith("crab/runs/")} == {
        *("crab/runs/1.fits", "crab/runs/1.json"),
        *("crab/runs/2.fits", "crab/runs/2.json"),
    }
    assert f"crab/{HIGH}/flux_corr_ul_0.2deg.pdf" in found
    assert {"crab/archive.zip", "crab/checks/2.json", "crab/groups/all.fits"} < found
    assert not any("{" in path for path in found)
