"""Stores without effective areas for a field of view give all maps that need none."""

import pytest
from astropy.io import fits

from dl3_files import edit, text_table
from gammastack.dl3.hdus import HDU_INDEX

ACCEPTANCE = {"method": "acceptance", "degree": 1, "zenith_bins": [0, 90]}
EXPOSURE = {"exposure", "livetime", "flux", "flux_corr"}


def point_like(store):
    """Mark all responses as those behind a directional cut."""
    for path in store.glob("run_*.fits"):
        with fits.open(path) as hdus:
            for name in ("AEFF", "BKG"):
                edit(hdus[name]).header["HDUCLAS3"] = "POINT-LIKE"
            hdus.writeto(path, overwrite=True)


def no_areas(store):
    """Take the effective areas out of the index."""
    with fits.open(store / HDU_INDEX) as hdus:
        names = hdus[1].columns.names
        rows = [tuple(row) for row in hdus[1].data if row["HDU_TYPE"] != "aeff"]
    text_table("HDU_INDEX", rows, names).writeto(store / HDU_INDEX, overwrite=True)


@pytest.fixture(scope="module")
def with_areas(built, tmp_path_factory):
    project = built.copy(tmp_path_factory.mktemp("with") / "project")
    project.change_config(background=ACCEPTANCE)
    assert project.snakemake().code == 0
    return project.maps()


@pytest.mark.parametrize("change", [point_like, no_areas])
def test_acceptance_needs_no_response(project, with_areas, change):
    change(project.folder / "store")
    project.change_config(background=ACCEPTANCE)
    (project.folder / "results").rename(project.folder / "before")
    done = project.snakemake()
    assert done.code == 0, done.text
    assert done.text.count("has no effective areas for a whole field of view") == 1
    made = project.maps()
    assert not EXPOSURE & made.keys()
    assert with_areas.keys() > EXPOSURE
    for name in ("counts", "bkg", "excess", "significance", "n_runs"):
        assert (made[name] == with_areas[name]).all()
    assert project.snakemake().jobs == []


def test_background_of_point_like_responses_is_told_once(project):
    """Before any image is made, with the remedy."""
    point_like(project.folder / "store")
    (project.folder / "results").rename(project.folder / "before")
    done = project.snakemake()
    assert done.code != 0
    assert done.jobs == []
    assert done.text.count("POINT-LIKE response") == 1
    assert "background: acceptance" in done.text


@pytest.mark.parametrize(
    "change, text",
    [
        (
            {"energy_bands": [["0.001 TeV", "1 TeV"]]},
            "energy_bands: 0.001 TeV to 1 TeV",
        ),
        ({"offset_band": ["0 deg", "4 deg"]}, "offset_band: 4 deg is beyond"),
    ],
)
def test_settings_that_no_response_covers_are_told_once(project, change, text):
    project.change_config(**change)
    done = project.snakemake()
    assert done.code != 0
    assert done.jobs == []
    assert done.text.count(text) == 1
