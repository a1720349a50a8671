"""What is said about a position."""

import importlib.util
import re

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.testing import assert_allclose

from gammastack.at import bands_of, position_of, runs_at, values_at
from gammastack.errors import InputError
from gammastack.maps.significance import significance
from project import BAND, ROOT, RUNS

PLACE = 83.7, 22.3
CRAB = 83.633, 22.0145


@pytest.fixture(scope="module")
def command():
    """The function ``main`` of scripts/at.py."""
    spec = importlib.util.spec_from_file_location("at", ROOT / "scripts" / "at.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def field(built):
    return built.folder / "results" / "sky"


def in_maps(field, name):
    """Value of a map at the place, by astropy."""
    with fits.open(field / BAND / name) as hdus:
        wcs = WCS(hdus[0].header)
        x, y = np.rint(wcs.wcs_world2pix(*PLACE, 0)).astype(int)
        return hdus[0].data[y, x]


def test_values_are_those_of_the_maps(field):
    values = values_at(field / BAND, *PLACE).set_index("map")
    names = ["significance", "excess_corr", "flux_corr", "flux_corr_ul", "exposure"]
    for name in names:
        assert values.loc[name, "value"] == in_maps(field, f"{name}.fits")
    assert values.loc["exposure", "unit"] == "m2 s TeV"
    assert values.loc["significance", ["radius", "unit"]].tolist() == [
        "0.2 deg",
        "sigma",
    ]
    # The table of norms is no map
    assert "table_bkg_norm" not in values.index


def test_counts_in_the_disk_give_the_significance(field):
    values = values_at(field / BAND, *PLACE)
    disk = values[values["radius"] == "0.2 deg"].set_index("map")["value"]
    found = significance(disk["counts"], disk["bkg"])
    assert_allclose(found, disk["significance"], rtol=1e-9)


def test_runs_add_up_to_the_maps(field):
    runs = runs_at(field / BAND, *PLACE)
    assert runs["OBS_ID"].tolist() == RUNS
    assert_allclose(runs["excess"].sum(), in_maps(field, "excess_corr.fits"))
    assert_allclose(
        runs["significance"], significance(runs["counts"], runs["bkg"]), rtol=1e-9
    )
    table = pd.read_csv(field / BAND / "runs.csv").set_index("OBS_ID")
    apart = np.hypot(
        (table["RA_PNT"] - PLACE[0]) * np.cos(np.radians(PLACE[1])),
        table["DEC_PNT"] - PLACE[1],
    )
    assert_allclose(runs["offset"], apart, atol=2e-3)
    assert_allclose(runs["livetime"], table["livetime"])


def test_run_that_is_not_used_has_its_reason(project):
    field = project.folder / "results" / "sky"
    path = field / BAND / "runs.csv"
    table = pd.read_csv(path, keep_default_na=False)
    table.loc[1, ["status", "reason"]] = "dropped", "too few events"
    table.to_csv(path, index=False)
    runs = runs_at(field / BAND, *PLACE).set_index("OBS_ID")
    assert runs.loc[1002, ["status", "reason"]].tolist() == [
        "dropped",
        "too few events",
    ]
    assert np.isnan(runs.loc[1002, "excess"])


def test_position_in_words():
    assert position_of(["crab", "NEBULA"]) == pytest.approx(CRAB, abs=1e-3)
    assert position_of(["258.3", "-39.7"]) == (258.3, -39.7)
    assert_allclose(position_of(["05h34m31.9s", "+22d00m52s"]), CRAB, atol=1e-3)


@pytest.mark.parametrize(
    "words, message",
    [
        (["Crab", "Nebla"], r"'Crab Nebla' is no position .*similar: Crab Nebula"),
        (["83"], "'83' is no position"),
        (["83", "122"], "the latitude 122.0 is not between"),
        (["nan", "22"], "the longitude nan is not between"),
    ],
)
def test_what_is_no_position(words, message):
    with pytest.raises(InputError, match=message):
        position_of(words)


def test_command(field, command, capsys):
    assert command([str(field), "83.7", "22.3"]) == 0
    text = capsys.readouterr().out
    assert "significance 0.2 deg" in text
    assert "4 runs see it" in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["10", "-30"],
            r"RA 10, Dec -30 is not on the image of .*: 60 x 60 pixels around RA 83\.630",
        ),
        (["83", "22", "--band", "no"], f"no band 'no'; there are {BAND}"),
    ],
)
def test_error_is_one_message(field, command, capsys, arguments, message):
    assert command([str(field), *arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert re.match(f"ERROR: .*{message}", found.err)
    assert len(found.err.splitlines()) == 1


def test_folder_without_maps(tmp_path):
    with pytest.raises(
        InputError, match="no maps of a field; give the folder of a field"
    ):
        bands_of(tmp_path)
