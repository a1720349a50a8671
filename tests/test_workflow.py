"""The whole workflow: what is made, what the user reads on an error, interruptions."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import yaml
from astropy import units as u
from astropy.io import fits
from numpy.testing import assert_allclose

from gammastack.dl3.datastore import DataStore
from gammastack.dl3.spectrum import power_law_integral
from gammastack.files.header import read_image
from gammastack.maker import StackedObsImageMaker
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.sphere import separation, unit_vectors
from project import BAND, ROOT, RUNS, SETTINGS, Project


def test_cold_run_makes_everything(built):
    assert built.cold.jobs == [
        "exclusion_mask sky",
        f"maps sky {BAND}",
        "provenance sky",
        "report sky",
        *(f"run_images sky {obs_id}" for obs_id in RUNS),
        "stack sky",
        "stack_group sky all",
        "summary",
    ]
    images = [f"runs/{obs_id}.fits" for obs_id in RUNS] + ["groups/all.fits"]
    maps = [
        f"{kind}.fits"
        for kind in (
            *("counts", "bkg", "exposure", "livetime", "n_runs", "bkg_norm_relative"),
            *("excess", "flux", "significance", "excess_corr", "flux_corr"),
            *("flux_corr_errn", "flux_corr_errp", "flux_corr_ul"),
            *("flux_corr_sensitivity", "psf_containment", "flux_point"),
            *("flux_point_errn", "flux_point_errp", "flux_point_ul"),
        )
    ]
    tables = ["runs.csv", "table_bkg_norm.csv", "table_bkg_norm.fits"]
    tables += ["runs.ecsv", "table_bkg_norm.ecsv"]
    tables += ["psf.csv", "psf.ecsv", "off_statistics.csv", "off_histogram.csv"]
    tables += ["candidates.ecsv", "candidates.reg"]
    expected = [*images, *(f"{BAND}/{name}" for name in [*maps, *tables])]
    expected += ["runs.csv", "runs.ecsv", "exclusion_mask.fits"]
    assert sorted(built.products()) == sorted(
        [
            *(f"sky/{name}" for name in expected),
            *("index.html", "summary.csv", "summary.ecsv"),
        ]
    )
    for name in ("report.html", "history.json"):
        assert (built.folder / "results/sky" / name).is_file()
    assert (built.folder / "results/sky/provenance/prov.json").is_file()
    line = built.cold.text.splitlines()
    assert any(re.search(rf"sky +{BAND} +4 +0 +\d+", text) for text in line)


def test_same_images_as_the_python_class(built):
    store = DataStore.from_dir(built.folder / "store")
    geometry = ImageGeometry.create((83.63, 22.01), "icrs", "TAN", (3, 3), 0.05)
    circle = {"center": (83.63, 22.01), "radius": 0.3}
    maker = StackedObsImageMaker(
        geometry, [1, 10] * u.TeV, [0, 2] * u.deg, store, RUNS, [circle]
    )
    maker.make_images(True, radius=0.2 * u.deg)
    for kind in ("counts", "bkg", "exposure", "excess", "significance"):
        data, grid, header = read_image(
            built.folder / "results" / "sky" / BAND / f"{kind}.fits"
        )
        assert np.array_equal(data, maker.images[kind].data, equal_nan=True)
        assert grid.same_grid(geometry)
        assert header["N_OBS"] == 4 and header["E_MAX"] == 10
    norms = pd.read_csv(built.folder / "results" / "sky" / BAND / "table_bkg_norm.csv")
    assert norms["OBS_ID"].tolist() == RUNS
    assert_allclose(norms["bkg_scale"], maker.table_bkg_norm["bkg_scale"], rtol=1e-15)


def test_two_fields_share_a_run(project):
    other = {"center": [83.0, 22.0], "observations": {"obs_ids": [1001]}}
    project.change_config(fields={**SETTINGS["fields"], "west": other})
    done = project.snakemake("wst", f"results/sky/{BAND}/counts.fits")
    assert done.code != 0 and "MissingRule" not in done.text
    assert "There is no target wst. Did you mean west?\ntargets: sky, west" in done.text
    # A field is a target of its own.
    done = project.snakemake("west")
    assert done.code == 0
    assert re.search(rf"west +{BAND} +1 +0 +0 ", done.text)
    assert {"provenance west", f"maps west {BAND}"} < set(done.jobs)
    assert [job for job in done.jobs if "run_images" in job] == ["run_images west 1001"]
    assert not [job for job in done.jobs if " sky" in job]


@pytest.mark.slow
def test_without_the_profile_results_are_the_same(project, tmp_path):
    """Up to a stack of one run: each job starts a process of its own."""
    settings = {**SETTINGS, "observations": {"obs_ids": [1001]}}
    target = f"results/sky/{BAND}/counts.fits"
    fresh = Project(tmp_path / "fresh", settings)
    shutil.copytree(project.folder / "store", fresh.folder / "store")
    assert fresh.snakemake(target, "--workflow-profile", "none").code == 0
    project.write_config(**settings)
    assert project.snakemake(target).code == 0
    ours, theirs = project.products(), fresh.products()
    assert {name: ours[name] for name in theirs} == theirs


def test_counts_only_needs_no_responses(project):
    index = project.folder / "store" / "hdu-index.fits.gz"
    with fits.open(index) as hdus:
        hdu = hdus[1].copy()
        hdu.data = hdu.data[np.isin(hdu.data["HDU_TYPE"], ["events", "gti"])]
        hdu.writeto(index, overwrite=True)
    project.change_config(fields={"plain": {"make_background_image": False}})
    done = project.snakemake()
    assert done.code == 0, done.text
    assert done.rules == [
        "provenance",
        "report",
        "run_images",
        "stack",
        "stack_group",
        "summary",
    ]
    counts, _, _ = read_image(
        project.folder / "results" / "plain" / BAND / "counts.fits"
    )
    before, _, _ = read_image(project.folder / "results" / "sky" / BAND / "counts.fits")
    assert np.array_equal(counts, before)


def test_no_norm_table_unless_wanted(project):
    """A table of an earlier configuration stays, but is named."""
    table = project.folder / "results" / "sky" / BAND / "table_bkg_norm.csv"
    table.unlink()
    project.change_config(save_bkg_scale=False, ncounts_min=1)
    done = project.snakemake()
    expected = ["maps", "provenance", "report", "stack", "stack_group"]
    assert done.rules == [*expected, "summary"]
    assert not table.exists()
    assert re.search(
        rf"Of another configuration.*\n  results/sky/{BAND}: table_bkg_norm\.ecsv, table_bkg_norm\.fits\n",
        done.text,
    )


def test_bad_run_keeps_the_others(project, built):
    """If it shall stop the field: its message at the end, all other images are kept."""
    path = project.folder / "store" / "run_1002.fits"
    whole = path.read_bytes()
    path.write_bytes(whole[:100_000])
    shutil.rmtree(project.folder / "results")
    project.change_config(on_bad_run="stop")
    done = project.snakemake()
    assert done.code != 0
    assert re.search(r"ERROR: .*1002: run_1002\.fits.*truncated.*exclude", done.text)
    assert done.text.count("1 of 4 runs cannot be used") == 1
    assert done.text.rstrip().endswith("or as they were before.")
    assert not (project.folder / "results/sky/runs.csv").exists()
    project.change_config(observations={"exclude": [1002]})
    done = project.snakemake()
    assert done.code == 0
    assert "run_images" not in done.rules
    path.write_bytes(whole)
    project.change_config()
    done = project.snakemake()
    assert done.code == 0, done.text
    assert [job for job in done.jobs if "run_images" in job] == ["run_images sky 1002"]
    assert project.products() == built.products()


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"ofset_band": ["0 deg", "1 deg"]},
            "unknown key 'ofset_band'. Did you mean 'offset_band'",
        ),
        ({"datastore": "nowhere"}, "datastore: the folder 'nowhere' does not exist"),
        ({"datastore": "$NOT_SET_AT_ALL/dl3"}, "environment variable that is not set"),
        (
            {"observations": {"obs_ids": [1001, 99]}},
            "fields: sky: observations: obs_ids: OBS_ID 99 not in the observation index",
        ),
        ({"observations": {"query": "OBS_ID > 5000"}}, "none of the 4 runs"),
        ({"energy_bands": [["1 TeV", "1000 TeV"]]}, "not inside the energy axis"),
        (
            {"offset_band": ["0 deg", "4 deg"]},
            "offset_band: 4 deg is beyond the response",
        ),
        ({"offset_band": ["2 deg", "1 deg"]}, "offset_band: [2 deg, 1 deg] must grow"),
        (
            {"exclusion_mask": ["circle of my hand"], "fields": {"sky": {}}},
            "exclusion_mask: 'circle of my hand'",
        ),
        ({"exclusion_mask": ["missing.reg"], "fields": {"sky": {}}}, "missing.reg"),
        (
            {
                "exclusion_mask": [
                    {"threshold": 2, "threshold_low": 1, "margin": "3 deg"}
                ]
            }
            | {"fields": {"sky": {}}},
            "the search for sources excludes the whole image",
        ),
        (
            {"background": "acceptance", "energy_bands": [["50 TeV", "99 TeV"]]},
            "events from 50 TeV to 99 TeV",
        ),
    ],
)
def test_bad_input_has_one_clear_message(project, change, message):
    project.change_config(**change)
    done = project.snakemake()
    assert done.code != 0
    assert message in " ".join(done.text.split())
    assert "Traceback" not in done.text


def test_fields_without_used_runs_have_pages_that_say_so(project):
    """With each background; their maps are empty, and the other bands and fields are whole."""
    many, bands = 10**6, [["1 TeV", "10 TeV"], ["30 TeV", "50 TeV"]]
    ring = {"method": "ring", "r_in": "0.5 deg", "width": "0.2 deg"}
    without = {
        "elsewhere": {"center": [200, -60]},
        "ring": {"background": ring, "ncounts_min": many},
        "search": {"exclusion_mask": [{"threshold": 5}], "ncounts_min": many},
        "counts": {"make_background_image": False, "ncounts_min": many},
    }
    fields = {**without, "partly": {"energy_bands": bands, "ncounts_min": 60}}
    project.change_config(fields=fields)
    done = project.snakemake()
    assert done.code == 0, done.text
    said = "none of the 4 runs can be used. 1001: its field of view does not touch"
    assert f"results/elsewhere/runs.csv: {BAND}: {said}" in " ".join(done.text.split())
    results = project.folder / "results"
    for name in without:
        page = (results / name / "report.html").read_text()
        assert f"{BAND}: no run is used, the maps are empty" in page
        counts = read_image(results / name / BAND / "counts.fits")[0]
        assert not counts.any()
    assert "ncounts_min is 1000000" in page
    page = (results / "partly" / "report.html").read_text()
    assert "30TeV-50TeV: no run is used" in page
    assert f"{BAND}: no run is used" not in page
    index = (results / "index.html").read_text()
    assert index.count("no run is used") == len(without) + 1
    project.change_config(on_bad_run="stop", fields={"elsewhere": fields["elsewhere"]})
    done = project.snakemake()
    assert done.code != 0
    assert f"ERROR: results/elsewhere/{BAND}: {said}" in " ".join(done.text.split())


@pytest.mark.parametrize(
    "name, old, new, message",
    [
        (
            "workflow/rules/maps.smk",
            "radii=of_field",
            "radiuses=of_field",
            r"step maps and the function run in scripts/steps/maps\.py do not fit: the"
            r" rule gives radiuses that the function does not take, and not radii that",
        ),
        (
            "scripts/gammastack/products.py",
            '"maps": ("field", "band"),',
            "",
            r"products\.py: the step maps that makes \{field\}/\{band\}/excess\.fits is"
            r" not in STEPS, or there is no scripts/steps/maps\.py",
        ),
        (
            "scripts/gammastack/products.py",
            '"stack": ("field",),',
            '"stack": ("field",), "spectrum": ("field",),',
            r"scripts/steps/spectrum\.py: no line of TABLE in gammastack/products\.py",
        ),
    ],
)
def test_what_does_not_fit_together_is_said_at_the_start(
    project, name, old, new, message
):
    project.replace(name, old, new)
    done = project.snakemake("--dry-run")
    assert done.code != 0
    assert re.search(message, " ".join(done.text.split()))


def test_lint_finds_that_the_record_of_a_run_is_an_output(built):
    """In place of its log, so that it comes along through a cache.

    The functions beside the rules are their own, which is what a reader looks for.
    """
    text = built.snakemake("--lint").text
    assert re.findall(r"Lints for rule (\w+)", text) == ["run_images"]
    assert set(re.findall(r"\* (.*):$", text, re.MULTILINE)) == {
        "No log directive defined",
        "Mixed rules and functions in same snakefile.",
    }


def test_report_of_snakemake_has_results_with_captions(built, tmp_path):
    path = tmp_path / "report.html"
    done = built.snakemake("--report", str(path))
    assert done.code == 0, done.text
    text = path.read_text(encoding="utf-8")
    for name in ("runs.csv", f"{BAND}/off_statistics.csv", "report.html"):
        assert f"results/sky/{name}" in text
    assert "Mean and width of the significance of <strong>sky</strong>" in text


def test_demo_finds_the_truth(tmp_path):
    demo = Project(tmp_path / "demo")
    done = demo.snakemake()
    assert done.code == 0, done.text
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    folder = demo.folder / "results" / "demo" / BAND
    norms = pd.read_csv(folder / "table_bkg_norm.csv")
    store = demo.folder / "results" / "simulated-dl3"
    truth = [
        fits.getheader(store / f"run_{obs_id}.fits", "EVENTS")["BKG_NORM"]
        for obs_id in norms["OBS_ID"]
    ]
    assert len(norms) == 12
    assert np.abs((norms["bkg_scale"] - truth) / norms["bkg_scale_err"]).max() < 3.5
    excess, geometry, _ = read_image(folder / "excess.fits")
    counts, exposure = (
        read_image(folder / f"{kind}.fits")[0] for kind in ("counts", "exposure")
    )
    for source, radius in zip(config["simulation"]["sources"], (0.3, 0.7), strict=True):
        center = unit_vectors(*source["center"]["icrs"])
        disk = separation(geometry.pixel_vectors(), center) < radius
        flux = source["flux"] * 1e4 * power_law_integral((1, 10), source["index"], 1.0)
        expected = flux * exposure[disk].mean()
        # Energy resolution and the assumed index of 2.3 move the flux by 2 %
        error = np.hypot(np.sqrt(counts[disk].sum()), 0.02 * expected)
        assert_allclose(excess[disk].sum(), expected, atol=3.5 * error)
    significance, _, header = read_image(folder / "significance.fits")
    assert (
        separation(
            unit_vectors(header["PEAK_RA"], header["PEAK_DEC"]),
            unit_vectors(83.63, 22.01),
        )
        < 0.1
    )
    mask, _, _ = read_image(demo.folder / "results" / "demo" / "exclusion_mask.fits")
    empty = significance[(mask > 0) & np.isfinite(significance)]
    assert_allclose([empty.mean(), empty.std()], [0, 1], atol=0.12)

    # Up to date afterwards, and a target by its name
    assert demo.plan() == []
    shutil.rmtree(demo.folder / "results" / "demo")
    done = demo.snakemake(f"results/demo/{BAND}/significance_0.2deg.fits")
    assert done.code == 0
    assert done.rules == [
        "exclusion_mask",
        "maps",
        "run_images",
        "stack",
        "stack_group",
    ]


def test_hess_crab(hess_store, tmp_path):
    """The Crab field of the H.E.S.S. release, through its configuration."""
    project = Project(tmp_path / "project")
    folder = f"results/crab/{BAND}"
    options = "--configfile", "config/hess_dl3_dr1.yaml"
    done = project.snakemake(
        f"{folder}/significance.fits", f"{folder}/table_bkg_norm.csv", *options
    )
    assert done.code == 0, done.text
    norms = pd.read_csv(project.folder / folder / "table_bkg_norm.csv")
    assert norms["OBS_ID"].tolist() == [23523, 23526, 23559, 23592]
    header = fits.getheader(project.folder / folder / "significance.fits")
    assert header["PEAK"] > 33
    assert (
        separation(
            unit_vectors(header["PEAK_RA"], header["PEAK_DEC"]),
            unit_vectors(83.633, 22.014),
        )
        < 0.03
    )


def test_killed_worker_and_next_invocation(project, built):
    """The message says what to do; the next invocation ends with the same results."""
    shutil.rmtree(project.folder / "results")
    done = project.snakemake(
        FAULT="run_images:killed", PYTHONPATH=str(ROOT / "tests" / "faults")
    )
    assert done.code != 0
    assert "ERROR: a worker process was killed" in done.text
    assert done.text.count("a worker process was killed") == 1
    assert "Failed run_images" in done.text
    assert project.snakemake().code == 0
    assert project.products() == built.products()


# One in each half of the time that a build takes
random_numbers = random.Random(7)
MOMENTS = [(half + random_numbers.random()) / 2 for half in range(2)]


@pytest.mark.parametrize(
    "number, moment",
    [
        (signal.SIGINT, "first run"),
        pytest.param(signal.SIGKILL, "first run", marks=pytest.mark.slow),
        *(
            pytest.param(number, moment, marks=pytest.mark.slow)
            for number, moment in zip(
                [signal.SIGINT, signal.SIGKILL], MOMENTS, strict=True
            )
        ),
    ],
)
def test_interrupted_and_started_again(tmp_path, built, number, moment):
    """Results are those of an undisturbed run, and no process outlives the first one."""
    project = Project(tmp_path / "project", SETTINGS)
    shutil.copytree(built.folder / "store", project.folder / "store")
    command = [sys.executable, "-m", "snakemake", "--cores", "2"]
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    if moment == "first run":
        runs = project.folder / "results" / "sky" / "runs"
        while not any(runs.glob("*.fits")) and time.monotonic() < deadline:
            time.sleep(0.01)
    else:
        time.sleep(moment * built.seconds)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.kill()
    # A moment may turn out to be after the end: then all is made
    assert process.wait(timeout=30) != 0 or project.products() == built.products()
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(process.pid)
    if number == signal.SIGKILL:
        assert project.snakemake("--unlock").code == 0
    done = project.snakemake()
    assert done.code == 0, done.text
    assert project.products() == built.products()


def _alive(group):
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
