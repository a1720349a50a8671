"""Runs that cannot be used are left out by name, and tried again when their files change."""

import re

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from dl3_files import edit
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX
from gammastack.failures import failures_text
from project import BAND

MAPS = ["counts", "bkg", "exposure", "excess", "significance", "flux_corr_ul"]


def truncate(path):
    path.write_bytes(path.read_bytes()[:100_000])


def remove(path):
    path.unlink()


def events_hdu(change):
    """Return a function that changes the EVENTS HDU of a file."""

    def change_file(path):
        with fits.open(path) as hdus:
            change(edit(hdus["EVENTS"]))
            hdus.writeto(path, overwrite=True)

    return change_file


def no_pointing(hdu):
    del hdu.header["RA_PNT"]


def no_energy(hdu):
    hdu.columns.change_name("ENERGY", "ENERGIE")


def not_a_number(hdu):
    hdu.header["DEADC"] = "dead"


DAMAGES = [
    (truncate, "run_1002.fits: truncated, or not a FITS file"),
    (remove, "run_1002.fits: no such file, but the HDU index lists it"),
    pytest.param(
        events_hdu(no_pointing),
        "run_1002.fits[EVENTS]: the header has no RA_PNT",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        events_hdu(no_energy),
        "run_1002.fits[EVENTS]: no column ENERGY",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        events_hdu(not_a_number),
        "run_1002.fits[EVENTS]: DEADC = 'dead' is not a number",
        marks=pytest.mark.slow,
    ),
]


def runs_of(project):
    """Return the table of the runs of the field."""
    path = project.folder / "results/sky/runs.csv"
    texts = dict.fromkeys(["reason", "warning"], str)
    table = pd.read_csv(path, index_col="OBS_ID", dtype=texts)
    return table.fillna(dict.fromkeys(texts, ""))


def image(project, name):
    path = project.folder / f"results/sky/{BAND}/{name}.fits"
    with fits.open(path, memmap=False) as hdus:
        _ = hdus[0].data
        return hdus[0]


@pytest.fixture(scope="module")
def without(built, tmp_path_factory):
    """The built project without run 1002, which the user has excluded."""
    project = built.copy(tmp_path_factory.mktemp("without") / "project")
    project.change_config(observations={"exclude": [1002]})
    assert project.snakemake().code == 0
    return project


@pytest.mark.parametrize("damage, reason", DAMAGES)
def test_bad_run_is_left_out(project, built, without, damage, reason):
    path = project.folder / "store" / "run_1002.fits"
    whole = path.read_bytes()
    damage(path)
    done = project.snakemake()
    assert done.code == 0, done.text
    assert (
        f"WARNING: results/sky/runs.csv: 1 of 4 runs cannot be used: 1002: {reason}"
        in (" ".join(done.text.split()))
    )
    assert "observations: {exclude: [1002]}" in done.text
    runs = runs_of(project)
    assert runs["status"].tolist() == ["used", "failed", "used", "used"]
    assert runs.loc[1002, "reason"].startswith(reason)
    for name in MAPS:
        ours, theirs = image(project, name), image(without, name)
        assert np.array_equal(ours.data, theirs.data, equal_nan=True)
        assert (ours.header["N_OBS"], ours.header["N_FAILED"]) == (3, 1)
    summary = pd.read_csv(project.folder / "results/summary.csv")
    assert summary[["runs_used", "runs_not_used", "runs_failed"]].values.tolist() == [
        [3, 1, 1]
    ]
    done = project.snakemake()
    assert done.jobs == []
    # What still holds is said again, and the table is shown.
    assert "1 of 4 runs cannot be used: 1002" in done.text
    assert re.search(rf"sky +{BAND} +3 +0 +1 ", done.text)
    path.write_bytes(whole)
    done = project.snakemake()
    assert [job for job in done.jobs if "run_images" in job] == ["run_images sky 1002"]
    assert project.products() == built.products()


def test_excluded_run_has_a_row(without):
    runs = runs_of(without)
    assert runs["status"].tolist() == ["used", "excluded", "used", "used"]
    assert runs.loc[1002, "reason"] == "observations: exclude"
    assert image(without, "counts").header["N_FAILED"] == 0
    summary = pd.read_csv(without.folder / "results/summary.csv")
    assert summary[["runs_used", "runs_not_used"]].values.tolist() == [[3, 0]]


@pytest.mark.parametrize(
    "settings, n_bad, stops",
    [
        ({}, 2, True),
        ({"max_bad_runs": "50 %"}, 2, False),
        ({"max_bad_runs": 2}, 2, False),
        ({"max_bad_runs": 0}, 1, True),
        ({"max_bad_runs": "0 %"}, 1, True),
        ({"on_bad_run": "stop", "max_bad_runs": 4}, 1, True),
    ],
)
def test_number_of_bad_runs_that_is_allowed(project, settings, n_bad, stops):
    """Files that are missing are known before the first job."""
    for obs_id in (1002, 1003)[:n_bad]:
        (project.folder / "store" / f"run_{obs_id}.fits").unlink()
    project.change_config(**settings)
    done = project.snakemake("--dry-run")
    assert (done.code != 0) == stops
    if stops:
        assert "sky: more runs failed than on_bad_run and max_bad_runs" in done.text
        assert f"{n_bad} of 4 runs cannot be used: 1002: run_1002.fits: no" in done.text
        excluded = ", ".join(["1002", "1003"][:n_bad])
        assert f"observations: {{exclude: [{excluded}]}}" in done.text


def test_too_many_damaged_files_stop_before_any_map(project):
    """They are all named, and the next invocation says the same."""
    for obs_id in (1002, 1003):
        truncate(project.folder / "store" / f"run_{obs_id}.fits")
    for _ in range(2):
        done = project.snakemake()
        assert done.code != 0
        text = " ".join(done.text.split())
        assert "ERROR: results/sky: more runs failed than on_bad_run" in text
        assert "2 of 4 runs cannot be used: 1002: run_1002.fits: truncated" in text
        assert "1003: run_1003.fits: truncated" in text
        assert not {"maps", "provenance", "summary"} & {*done.rules}
        # Who only looks at the page is told, too, and still finds the earlier results.
        page = (project.folder / "results" / "index.html").read_text()
        assert "1003: run_1003.fits: truncated" in page
        assert 'href="sky/report.html"' in page
    project.change_config(observations={"exclude": [1002, 1003]})
    done = project.snakemake()
    assert "as a failed update does" in done.text
    page = (project.folder / "results" / "index.html").read_text()
    assert "truncated" not in page and 'href="sky/report.html"' in page


def test_what_is_refused_before_any_job_is_on_the_page(project):
    page = project.folder / "results" / "index.html"
    before = page.read_text()
    for obs_id in (1002, 1003):
        (project.folder / "store" / f"run_{obs_id}.fits").unlink()
    assert project.snakemake("--dry-run").code != 0
    assert page.read_text() == before
    assert project.snakemake().code != 0
    assert "2 of 4 runs cannot be used: 1002: run_1002.fits: no" in page.read_text()
    # Also if the page cannot be made of what is there.
    (project.folder / "results" / "summary.csv").write_text("")
    done = project.snakemake()
    assert "2 of 4 runs cannot be used: 1002: run_1002.fits: no" in done.text
    assert "2 of 4 runs cannot be used: 1002: run_1002.fits: no" in page.read_text()
    project.change_config(max_bad_runs=2)
    assert project.snakemake().code == 0
    assert "cannot be used: 1002" not in page.read_text()


@pytest.mark.parametrize("name", [OBS_INDEX, HDU_INDEX])
def test_run_that_an_index_lists_twice(project, without, name):
    path = project.folder / "store" / name
    with fits.open(path) as hdus:
        hdu = hdus[1].copy()
    twice = np.concatenate([hdu.data, hdu.data[hdu.data["OBS_ID"] == 1002]])
    hdu.data = twice
    hdu.writeto(path, overwrite=True)
    done = project.snakemake()
    assert done.code == 0, done.text
    runs = runs_of(project)
    assert runs["status"].tolist() == ["used", "failed", "used", "used"]
    assert "observation 1002 has 2 rows" in runs.loc[1002, "reason"]
    ours, theirs = image(project, "significance"), image(without, "significance")
    assert np.array_equal(ours.data, theirs.data, equal_nan=True)


def test_failures_with_the_same_reason_are_told_together():
    failures = {**dict.fromkeys(range(1, 6), "no HDU bkg"), 7: "a", 8: "b", 9: "c"}
    text = failures_text(failures, 20)
    assert text.startswith(
        "8 of 20 runs cannot be used: 1, 2, 3 and 2 more: no HDU bkg;"
    )
    assert "7: a; 8: b; and others. They are tried again" in text
    assert text.endswith("observations: {exclude: [1, 2, 3, 4, 5, 7, 8, 9]}")


def test_run_that_is_not_like_the_others(project):
    """Its effective area is plausible, but twice that of the others."""
    path = project.folder / "store" / "run_1002.fits"
    with fits.open(path) as hdus:
        edit(hdus["AEFF"]).data["EFFAREA"] *= 2
        hdus.writeto(path, overwrite=True)
    done = project.snakemake()
    assert done.code == 0, done.text
    runs = runs_of(project)
    assert runs["status"].tolist() == ["used"] * 4
    assert [obs_id for obs_id in runs.index if runs.loc[obs_id, "warning"]] == [1002]
    text = "effective area on axis is 2 times that at similar zenith angles"
    assert runs.loc[1002, "warning"] == text
    assert f"1 of 4 runs have warnings: 1002: {text}" in " ".join(done.text.split())


def test_acceptance_is_made_without_the_bad_run(project):
    truncate(project.folder / "store" / "run_1002.fits")
    acceptance = {"method": "acceptance", "degree": 1, "zenith_bins": [0, 90]}
    project.change_config(background=acceptance)
    done = project.snakemake()
    assert done.code == 0, done.text
    runs = runs_of(project)
    assert runs["status"].tolist() == ["used", "failed", "used", "used"]
    assert runs.loc[1002, "reason"].startswith("run_1002.fits: truncated")
    with fits.open(project.folder / "results/sky/acceptance/zenith_0-90.fits") as hdus:
        assert hdus["BKG"].header["N_OBS"] == 3


def test_run_of_unknown_zenith_angle_is_left_out(project, without):
    """The others have their acceptance."""
    path = project.folder / "store" / OBS_INDEX
    with fits.open(path) as hdus:
        edit(hdus[1]).data["ZEN_PNT"][1] = np.nan
        hdus.writeto(path, overwrite=True)
    file = project.folder / "store" / "run_1002.fits"
    with fits.open(file) as hdus:
        del edit(hdus["EVENTS"]).header["GEOLON"]
        hdus.writeto(file, overwrite=True)
    acceptance = {"method": "acceptance", "degree": 1, "zenith_bins": [0, 45, 90]}
    project.change_config(background=acceptance)
    done = project.snakemake()
    assert done.code == 0, done.text
    runs = runs_of(project)
    assert runs["status"].tolist() == ["used", "failed", "used", "used"]
    assert "its zenith angle is not known" in runs.loc[1002, "reason"]


def test_runs_that_the_observation_index_lacks(project):
    path = project.folder / "store" / OBS_INDEX
    with fits.open(path) as hdus:
        table = edit(hdus[1])
        table.data = table.data[table.data["OBS_ID"] != 1002]
        hdus.writeto(path, overwrite=True)
    done = project.snakemake()
    assert done.code == 0
    text = " ".join(done.text.split())
    assert "has 1 run that the observation index lacks; not used: 1002" in text
