"""Background methods and the search for sources, through the whole workflow."""

import os
import re
import shutil
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

import warm
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX, HDULocation
from gammastack.dl3.observation import read_observation
from gammastack.dl3.simulate import (
    BackgroundModel,
    index_hdus,
    observation_hdus,
    simulated_runs,
)
from gammastack.files.gadf import write_hdus
from gammastack.files.header import read_image
from gammastack.files.run import RunFile
from gammastack.sky.sphere import separation, unit_vectors
from gammastack.stacking.stack import final_images, stack_runs
from project import BAND, MORE_PARTS, ROOT, RUNS, SETTINGS, Project

CENTER = (83.63, 22.01)
SOURCE = {"center": (83.2, 22.4), "flux": 2e-11, "index": 2.3, "sigma": 0.0}
NO_EXCLUSION = {"fields": {"sky": {}}}


@pytest.fixture(scope="module")
def store_with_source(tmp_path_factory):
    """Return the folder of a store of four runs with one source that is in no list."""
    folder = tmp_path_factory.mktemp("store")
    runs = simulated_runs(CENTER, 0.7, 4, seed=7)
    names = [f"run_{run.obs_id}.fits" for run in runs]
    for run, name in zip(runs, names, strict=True):
        model = BackgroundModel(gradient=0.0)
        write_hdus(folder / name, observation_hdus(run, model, [SOURCE], seed=7))
    for name, hdu in zip((OBS_INDEX, HDU_INDEX), index_hdus(runs, names), strict=True):
        write_hdus(folder / name, [hdu])
    return folder


@pytest.fixture
def with_source(store_with_source, tmp_path):
    project = Project(tmp_path / "project", {**SETTINGS, **NO_EXCLUSION})
    shutil.copytree(store_with_source, project.folder / "store")
    return project


def image(project, name, hdu="PRIMARY"):
    return read_image(project.folder / "results" / "sky" / name, hdu)


def excluded_around(project, position, radius):
    """Return the excluded pixels, and those within a radius in deg of a position."""
    mask, geometry, _ = image(project, "exclusion_mask.fits")
    distance = separation(geometry.pixel_vectors(), unit_vectors(*position))
    return mask == 0, distance < radius


def statistics(project):
    return pd.read_csv(
        project.folder / "results" / "sky" / BAND / "off_statistics.csv"
    ).iloc[0]


def test_search_finds_the_source(with_source):
    """Nothing else is excluded, and the norms are those of an exclusion by hand."""
    search = {"threshold": 5.5, "threshold_low": 3, "margin": "0.1 deg"}
    with_source.change_config(exclusion_mask=[search])
    done = with_source.snakemake()
    assert done.code == 0, done.text
    excluded, near = excluded_around(with_source, SOURCE["center"], 0.15)
    _, far = excluded_around(with_source, SOURCE["center"], 0.6)
    assert excluded[near].all() and not excluded[~far].any()
    header = fits.getheader(with_source.folder / "results/sky/exclusion_mask.fits")
    assert header["ROUNDS"] < 10 and "pixels excluded in" in header["NOTE"]
    found = statistics(with_source)
    assert abs(found["mean"] - found["mean_expected"]) < 0.1
    norms = pd.read_csv(with_source.folder / f"results/sky/{BAND}/table_bkg_norm.csv")
    circle = {"center": list(SOURCE["center"]), "radius": "0.4 deg"}
    with_source.change_config(exclusion_mask=[circle])
    done = with_source.snakemake()
    assert "run_images" not in done.rules
    by_hand = pd.read_csv(with_source.folder / f"results/sky/{BAND}/table_bkg_norm.csv")
    difference = norms["bkg_scale"] - by_hand["bkg_scale"]
    assert (difference.abs() < by_hand["bkg_scale_err"]).all()


@pytest.mark.slow
def test_search_comes_and_goes(with_source):
    """The mask is made by one step or the other, and the records of both are there."""
    for name in MORE_PARTS:
        shutil.copy(ROOT / name, with_source.folder)
    circle = {"center": list(SOURCE["center"]), "radius": "0.4 deg"}
    for exclusions in ([{"threshold": 5}], [circle], [circle, {"threshold": 5}], []):
        with_source.change_config(exclusion_mask=exclusions)
        done = with_source.snakemake()
        assert done.code == 0, done.text
        code, text = verified(with_source, "--configfile", "config/config.yaml")
        assert code == 0 and "4 input files as they were read" in text, text
    with_source.change_config(exclusion_mask=[{"threshold": 5}], radius="0.2 deg")
    code, text = verified(with_source, "--configfile", "config/config.yaml")
    assert code == 3 and "exclusion_mask.fits is not made with these settings" in text


def verified(project, *options, what="results/sky"):
    """Return exit code and output of verify.py."""
    arguments = what, *options
    return warm.run("scripts/verify.py", arguments, project.folder, dict(os.environ))


def test_search_that_ends_too_early_says_so(with_source):
    search = {"threshold": 5, "rounds": 1}
    with_source.change_config(exclusion_mask=[search])
    done = with_source.snakemake()
    assert done.code == 0
    assert re.search(
        r"WARNING: .*exclusion_mask\.fits.*in 1 rounds; the last one still", done.text
    )


def without_background_hdus(project):
    """Remove the background models from the HDU index."""
    path = project.folder / "store" / HDU_INDEX
    with fits.open(path) as hdus:
        hdu = hdus[1].copy()
        hdu.data = hdu.data[hdu.data["HDU_TYPE"] != "bkg"]
        hdu.writeto(path, overwrite=True)


def test_store_without_background_models(with_source):
    """The default method refuses such a store, and names the remedy, which works."""
    without_background_hdus(with_source)
    done = with_source.snakemake()
    assert done.code != 0 and "background: acceptance" in done.text
    circle = {"center": list(SOURCE["center"]), "radius": "0.4 deg"}
    background = {"method": "acceptance", "zenith_bins": [0, 90], "degree": 2}
    with_source.change_config(background=background, exclusion_mask=[circle])
    done = with_source.snakemake()
    assert done.code == 0, done.text
    assert "run_images" in done.rules and "acceptance" in done.rules
    folder = with_source.folder / "results" / "sky"
    assert (folder / "acceptance" / "zenith_0-90.png").stat().st_size > 10_000
    # The model has the mean of the true norms, which are between 0.8 and 1.2
    truth = simulated_runs(CENTER, 0.7, 4, seed=7)
    norms = pd.read_csv(folder / BAND / "table_bkg_norm.csv")
    true = np.array([run.norm for run in truth])
    ratio = norms["bkg_scale"] / (true / true.mean())
    assert np.abs(ratio - 1).max() < 4 * norms["bkg_scale_err"].max()
    found = statistics(with_source)
    assert abs(found["width"] - found["width_expected"]) < 0.1
    # The file is in the format of GADF, so the reader of DL3 files can read it
    store = with_source.folder / "store"
    hdus = {
        kind: HDULocation(str(store / "run_1001.fits"), kind.upper(), kind)
        for kind in ("events", "gti")
    }
    path = str(folder / "acceptance" / "zenith_0-90.fits")
    hdus["bkg"] = HDULocation(path, "BKG", "bkg_2d")
    rate = read_observation(1001, hdus).bkg.band_rate(
        (1, 10), np.array([0.5]), np.array([0.0])
    )
    model = BackgroundModel(gradient=0.0)
    energy = np.geomspace(1, 10, 1001)
    expected = np.trapezoid(model.rate(energy, 0.5, 0.0), energy) * true.mean()
    assert_allclose(rate, expected, rtol=0.08)


@pytest.mark.slow
def test_acceptance_is_made_again_for_what_it_depends_on(with_source):
    """Without a run, only its zenith bin and the images of that bin are recomputed."""
    background = {"method": "acceptance", "zenith_bins": [0, 14, 90], "degree": 1}
    with_source.change_config(background=background)
    assert with_source.snakemake().code == 0
    with_source.change_config(background=background, observations={"exclude": [1004]})
    done = with_source.snakemake()
    assert [job for job in done.jobs if "run_" in job] == ["run_images sky 1003"]
    assert "acceptance sky 14-90" in done.jobs
    assert "acceptance sky 0-14" not in done.jobs


def test_ring_of_the_workflow_is_that_of_the_library(project):
    ring = {"method": "adaptive ring", "r_in": 0.4, "width": 0.2}
    adaptive = {
        "r_out_max": 1.7,
        "stepsize": 0.1,
        "theta": 0.1,
        "threshold_alpha": 0.02,
    }
    angles = {key: f"{ring[key]} deg" for key in ("r_in", "width")}
    project.change_config(background={**ring, **angles, "threshold_alpha": 0.02})
    done = project.snakemake()
    assert done.code == 0, done.text
    assert "run_images" not in done.rules
    mask, geometry, _ = image(project, "exclusion_mask.fits")
    folder = project.folder / "results" / "sky"
    runs = [
        RunFile(folder / "runs" / f"{obs_id}.fits", geometry).images(BAND)
        for obs_id in RUNS
    ]
    stack, _ = stack_runs(
        geometry, runs, mask > 0, background={**ring, "adaptive": adaptive}
    )
    images = final_images(stack.images)
    kinds = (
        "counts",
        "bkg",
        "off",
        "acceptance",
        "acceptance_off",
        "bkg_norm_relative",
    )
    for kind in kinds:
        assert_allclose(image(project, f"{BAND}/{kind}.fits")[0], images[kind])
    alpha, _, _ = image(project, f"{BAND}/alpha.fits")
    off, _, _ = image(project, f"{BAND}/off.fits")
    excess, _, _ = image(project, f"{BAND}/excess_corr.fits")
    significance, _, _ = image(project, f"{BAND}/significance.fits")
    known = np.isfinite(alpha)
    assert np.array_equal(known, np.isfinite(significance))
    assert np.array_equal(np.sign(excess[known]), np.sign(significance[known]))
    assert (off[known] > 0).any()


def test_ring_that_is_excluded_is_counted(project):
    circle = {"center": list(CENTER), "radius": "1.2 deg"}
    project.change_config(
        background={"method": "ring", "r_in": "0.3 deg", "width": "0.2 deg"},
        fields={"sky": {"exclusion_mask": [circle]}},
    )
    done = project.snakemake()
    assert done.code == 0, done.text
    bkg, _, _ = image(project, f"{BAND}/bkg.fits")
    n_runs, _, _ = image(project, f"{BAND}/n_runs.fits")
    middle = bkg.shape[0] // 2, bkg.shape[1] // 2
    assert np.isnan(bkg[middle]) and n_runs[middle] == 0
    for kind in ("excess", "flux", "significance", "flux_corr", "flux_corr_ul"):
        assert np.isnan(image(project, f"{BAND}/{kind}.fits")[0][middle])
    (n_pixels,) = re.findall(
        r"WARNING: .* (\d+) pixels of the image have no OFF", done.text
    )
    assert int(n_pixels) == np.isnan(bkg).sum() - outside_all_fields(project)


def outside_all_fields(project):
    """Return the number of pixels that no run covers."""
    _, geometry, _ = image(project, "exclusion_mask.fits")
    covered = np.zeros(geometry.shape, dtype=bool)
    for obs_id in RUNS:
        bkg, cutout, _ = image(project, f"runs/{obs_id}.fits", f"bkg_{BAND}")
        covered[geometry.placement(cutout)] |= bkg > 0
    return np.sum(~covered)


def test_run_without_good_time(project):
    """Such a run has failed, with a reason; the others are used."""
    path = project.folder / "store" / "run_1002.fits"
    with fits.open(path, mode="update") as hdus:
        hdus["GTI"].data["STOP"] = hdus["GTI"].data["START"]
    done = project.snakemake()
    assert done.code == 0, done.text
    runs = pd.read_csv(project.folder / "results/sky/runs.csv", index_col="OBS_ID")
    assert runs.loc[1002, "status"] == "failed"
    assert "no good time interval is longer than 0 s" in runs.loc[1002, "reason"]
    assert (runs["status"].drop(1002) == "used").all()


def test_no_exposure_in_a_part_of_the_field_of_view(project):
    """Pixels without effective area have no counts or flux; a warning says how many."""
    for obs_id in RUNS:
        path = project.folder / "store" / f"run_{obs_id}.fits"
        with fits.open(path, mode="update") as hdus:
            area, offset = hdus["AEFF"].data["EFFAREA"], hdus["AEFF"].data["THETA_HI"]
            area[0, offset[0] > 1.0] = 0
    done = project.snakemake()
    assert done.code == 0, done.text
    (n_pixels,) = re.findall(r"WARNING: .* (\d+) pixels of 4 runs are left", done.text)
    runs = pd.read_csv(project.folder / f"results/sky/{BAND}/runs.csv")
    assert int(n_pixels) == runs["n_pixels_left_out"].sum() > 0
    counts, exposure, flux = (
        image(project, f"{BAND}/{kind}.fits")[0]
        for kind in ("counts", "exposure", "flux")
    )
    assert (counts[exposure == 0] == 0).all() and (exposure == 0).any()
    assert np.array_equal(np.isnan(flux), exposure == 0)


def test_archive_of_acceptance_ring_search_and_catalog(with_source, tmp_path):
    """The archive has all that is needed to recompute them, as verify.py confirms."""
    for name in MORE_PARTS:
        shutil.copy(ROOT / name, with_source.folder)
    shutil.copy(ROOT / "config" / "README.md", with_source.folder / "config")
    (with_source.folder / "known.csv").write_text("RA,DEC,RADIUS\n83.2,22.4,0.2\n")
    with_source.change_config(
        background={"method": "ring", "model": "acceptance", "zenith_bins": [0, 90]},
        exclusion_mask=[{"catalog": "known.csv"}, {"threshold": 5}],
    )
    archive = "results/sky/archive.zip"
    done = with_source.snakemake(archive)
    assert done.code == 0, done.text
    for what in (archive, "results/sky"):
        _, text = verified(with_source, what=what)
        assert "OK: " in text, text
    with ZipFile(with_source.folder / archive) as content:
        assert "inputs/1/known.csv" in content.namelist()
        assert "products/acceptance/zenith_0-90.fits" in content.namelist()


def test_acceptance_is_no_reason_for_a_warning(with_source):
    """It ends where the band does, and most events are below."""
    with_source.change_config(
        background={"method": "acceptance", "zenith_bins": [0, 90]},
        energy_bands=[["3 TeV", "10 TeV"]],
    )
    done = with_source.snakemake()
    assert done.code == 0, done.text
    runs = pd.read_csv(with_source.folder / "results/sky/runs.csv")
    assert runs["warning"].isna().all()


def test_images_of_livetime_and_runs(built):
    """The livetime falls off axis as the exposure does; at most four runs overlap."""
    folder = built.folder / "results" / "sky" / BAND
    livetime, geometry, header = read_image(folder / "livetime.fits")
    n_runs, _, _ = read_image(folder / "n_runs.fits")
    assert header["BUNIT"] == "s" and n_runs.max() == 4
    # The middle is 0.7 deg from all four pointings: exp(-(0.7 / 2.2)^2 / 2) of 1596 s
    row, column = (np.array(geometry.shape) // 2).tolist()
    assert_allclose(
        livetime[row, column], 4 * 1596 * np.exp(-0.5 * (0.7 / 2.2) ** 2), rtol=2e-3
    )
    exposure, _, _ = read_image(folder / "exposure.fits")
    ratio = livetime[exposure > 0] / exposure[exposure > 0]
    assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_flux_of_the_simulated_source(with_source):
    """It is the flux in a disk of 0.3 deg, which contains all of the point spread."""
    circle = {"center": list(SOURCE["center"]), "radius": "0.4 deg"}
    with_source.change_config(
        exclusion_mask=[circle], radius="0.3 deg", for_integral_flux=True
    )
    assert with_source.snakemake().code == 0
    _, geometry, header = image(with_source, f"{BAND}/flux_corr.fits")
    assert header["BUNIT"] == "m-2 s-1"
    rows, columns, _ = geometry.pixel_index(*np.transpose([SOURCE["center"]]))
    at_source = {
        name: image(with_source, f"{BAND}/flux_corr{name}.fits")[0][rows[0], columns[0]]
        for name in ("", "_errn", "_errp", "_ul")
    }
    # 1 m2 = 1e4 cm2
    truth = 1e4 * SOURCE["flux"] * (1 - 10**-1.3) / 1.3
    assert abs(at_source[""] - truth) < 3 * at_source["_errp"]
    assert 0 < at_source["_errn"] < at_source["_errp"] < 0.1 * truth
    assert at_source["_ul"] > at_source[""]
