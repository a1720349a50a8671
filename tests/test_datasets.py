"""Datasets: cubes against closed forms and gammapy 2.1, sums, files, and the workflow."""

import os
import re
import subprocess

import numpy as np
import pandas as pd
import pytest
import yaml
from astropy.io import fits
from astropy.table import Table
from numpy.testing import assert_allclose
from scipy.special import ndtr

from dl3_files import edit, refused
from gammastack.archive.bundle import open_bundle
from gammastack.archive.compare import compare
from gammastack.config.fields import read_config
from gammastack.config.image_size import require_memory
from gammastack.datasets.axes import DatasetAxes
from gammastack.datasets.pixels import DatasetPixels
from gammastack.datasets.run import run_dataset
from gammastack.datasets.stack import average, merged_times, total
from gammastack.dl3.hdus import HDU_INDEX, hdu_types
from gammastack.dl3.observation import read_observation
from gammastack.dl3.simulate import (
    DEADC,
    ENERGY_RESOLUTION,
    ONTIME,
    PSF_SIGMA,
    effective_area,
)
from gammastack.files.dataset import DatasetFile
from gammastack.runs.images import run_images
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.norm import fit_bkg_norm
from project import BAND, ROOT, RUNS, Project

ALL = hdu_types(("aeff", "bkg", "psf", "edisp"))
IMAGE = {"center": (83.63, 22.01), "frame": "icrs", "projection": "TAN"}
IMAGE |= {"width": (3.0, 3.0)}
FINE = ImageGeometry.create(**IMAGE, binsz=0.1)
COARSE = ImageGeometry.create(**IMAGE, binsz=0.5)
PIXELS = DatasetPixels(FINE, COARSE)
AXES = DatasetAxes.create(
    np.geomspace(1, 10, 5), np.geomspace(0.5, 20, 9), np.linspace(0, 0.5, 101)
)
KEYS = {
    "energy": {"min": "1 TeV", "max": "10 TeV", "bins": 4},
    "energy_true": {"min": "0.5 TeV", "max": "20 TeV", "bins": 8},
}


@pytest.fixture(scope="module")
def observation(simulated_store):
    store, *_ = simulated_store
    return read_observation(1001, store.available(1001, ALL))


def made(observation, **safe_energy):
    return run_dataset(observation, PIXELS, AXES, (0, 2), safe_energy)


def offsets(run, name):
    center = np.radians([run.image.ra, run.image.dec])
    xyz = run.pixels.of(name).pixel_vectors()
    ra, dec = center
    axis = [np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]
    return np.degrees(np.arccos(np.einsum("iyx,i->yx", xyz, axis)))


def test_exposure_is_livetime_times_area_at_the_centres_of_the_bins(observation):
    run = made(observation)
    offset = offsets(run, "exposure")
    area = effective_area(AXES.true_centers[:, None, None], offset)
    expected = np.where(offset < 2, ONTIME * DEADC * area, 0)
    # The area in the file has nodes in energy and offset.
    assert_allclose(run.cubes["exposure"], expected, rtol=2e-3)


def test_counts_and_background_are_those_of_images_in_each_bin(observation):
    run = made(observation)
    images = run_images(observation, FINE, AXES.bands, (0, 2))
    assert np.array_equal(run.cubes["counts"], [image.counts for image in images])
    assert run.image.counts.sum() > 500
    bkg = [image.bkg for image in images]
    assert_allclose(run.cubes["background"], bkg, rtol=1e-12)


def test_responses_of_a_simulated_run(observation):
    run = made(observation)
    is_in = run.cubes["psf_exposure"][0, 0] > 0
    assert np.array_equal(is_in, offsets(run, "psf") < 2)
    rings = AXES.rad_solid_angles[:, None, None, None]
    contained = np.cumsum(run.cubes["psf"].swapaxes(0, 1) * rings, axis=0)
    expected = 1 - np.exp(-0.5 * (AXES.rad[1:] / PSF_SIGMA) ** 2)
    assert_allclose(
        contained[..., is_in].T,
        np.broadcast_to(expected, contained[..., is_in].T.shape),
        atol=1e-3,
    )
    ratio = AXES.energy / AXES.true_centers[:, None]
    kernels = np.diff(ndtr((ratio - 1) / ENERGY_RESOLUTION))
    kernels = np.where(kernels < 1e-8, 0, kernels)[..., None]
    found = run.cubes["edisp"][..., is_in]
    assert_allclose(found, np.broadcast_to(kernels, found.shape), atol=1e-3)


def test_energies_below_the_threshold_are_not_used(observation):
    whole, run = made(observation), made(observation, min=2.0)
    safe = AXES.energy[:-1] >= 2
    for name in ("counts", "background", "mask_safe"):
        expected = whole.cubes[name] * safe[:, None, None]
        assert np.array_equal(run.cubes[name], expected)
    assert np.array_equal(
        run.cubes["edisp"], whole.cubes["edisp"] * safe[:, None, None]
    )
    assert np.array_equal(run.cubes["exposure"], whole.cubes["exposure"])
    assert run.threshold == 2


@pytest.mark.parametrize(
    "axes, safe, said",
    [
        ((0.1, 10, 0.5, 20), {}, "dataset: energy: 0.1 TeV to 10 TeV is not inside"),
        (
            (1, 10, 0.05, 20),
            {},
            "dataset: energy_true: 0.05 TeV to 20 TeV is not inside",
        ),
        ((1, 10, 0.5, 20), {"min": 9.0}, "no energy bin begins above it"),
    ],
)
def test_run_that_cannot_be_used(observation, axes, safe, said):
    low, high, true_low, true_high = axes
    edges = np.geomspace(low, high, 5), np.geomspace(true_low, true_high, 9)
    axes = DatasetAxes.create(*edges, AXES.rad)
    run = run_dataset(observation, PIXELS, axes, (0, 2), safe)
    assert (run.image.status, run.cubes) == ("dropped", {})
    assert said in run.image.reason


def test_averages_are_weighted_with_the_exposure():
    """In cutouts that overlap in one pixel: exposures 3 and 1 of 0.2 and 0.6 make 0.3."""
    whole = ImageGeometry.create(**IMAGE, binsz=1.0)
    left, right = (
        whole._box(slice(0, 3), slice(0, 2)),
        whole._box(slice(0, 3), slice(1, 3)),
    )
    parts = [
        (np.full((1, 2, 3, 2), 0.2 * 3), left),
        (np.full((1, 2, 3, 2), 0.6), right),
    ]
    exposures = [(np.full((1, 1, 3, 2), 3.0), left), (np.ones((1, 1, 3, 2)), right)]
    mean = average(total("psf", whole, parts), total("psf_exposure", whole, exposures))
    assert_allclose(mean[0, 0], [[0.2, 0.3, 0.6]] * 3)
    masks = [(np.ones((2, 3, 2), np.uint8), left), (np.ones((2, 3, 2), np.uint8), left)]
    assert total("mask_safe", whole, masks).sum() == 12


def test_good_times_that_overlap_count_once():
    times = [np.array([[10.0], [20.0]]), np.array([[0.0, 15.0], [5.0, 30.0]])]
    assert merged_times(times).tolist() == [[0, 10], [5, 30]]
    assert merged_times([]).shape == (2, 0)


def field(**changes):
    settings = {
        "datastore": "store",
        "center": [0, 0],
        "energy_bands": [["1 TeV", "5 TeV"]],
    }
    return read_config({"fields": {"sky": {**settings, **changes}}}).fields["sky"]


def test_axes_of_the_configuration():
    axes = field(dataset=KEYS).dataset["axes"]
    assert_allclose(axes["energy"], AXES.energy)
    assert_allclose(axes["energy_true"], AXES.energy_true)
    assert_allclose(axes["rad"], np.linspace(0, 0.66, 67))
    edges = {**KEYS, "energy": {"edges": ["500 GeV", "2 TeV"]}}
    assert field(dataset=edges).dataset["axes"]["energy"] == [0.5, 2]
    assert not field().has_dataset and not field(dataset=None).has_dataset


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"dataset": {"energy": KEYS["energy"]}}, ["dataset", "energy_true"]),
        (
            {"dataset": {**KEYS, "energy": {"min": "1 TeV"}}},
            ["energy", "max, bins is missing"],
        ),
        (
            {"dataset": {**KEYS, "energy": {"edges": ["2 TeV", "1 TeV"]}}},
            ["edges must grow"],
        ),
        (
            {
                "dataset": {
                    **KEYS,
                    "energy": {**KEYS["energy"], "edges": ["1 TeV", "2 TeV"]},
                }
            },
            ["give edges, or"],
        ),
        (
            {"dataset": {**KEYS, "energy": {**KEYS["energy"], "max": "1 TeV"}}},
            ["1 TeV to 1 TeV must grow"],
        ),
        ({"dataset": {**KEYS, "binsz_irf": "0 deg"}}, ["binsz_irf must be positive"]),
        ({"dataset": {**KEYS, "rad": {"max": "1 TeV"}}}, ["rad: max", "deg"]),
        (
            {"dataset": KEYS, "make_background_image": False},
            ["make_background_image: true"],
        ),
        (
            {"dataset": KEYS, "background": "acceptance"},
            ["only the energies of energy_bands"],
        ),
        (
            {"safe_energy": {"methods": ["bkg-peak"]}, "background": "acceptance"},
            ["bkg-peak has no meaning"],
        ),
        (
            {"safe_energy": {"methods": ["offset-max"]}},
            ["safe_energy: methods", "offset-max"],
        ),
        ({"safe_energy": {"min": "1 deg"}}, ["safe_energy: min", "TeV"]),
    ],
)
def test_settings_that_are_refused(changes, words):
    with refused("fields: sky", *words):
        field(**changes)


def test_dataset_that_does_not_fit_into_the_memory():
    """24 bins of 5000 x 2500 pixels: 32 bytes per voxel while the exposure is summed."""
    many = {**KEYS["energy_true"], "bins": 24}
    large = field(
        width=["100 deg", "50 deg"],
        projection="CAR",
        dataset={**KEYS, "energy_true": many},
    )
    require_memory(large, available=10e9)
    with refused(
        "fields: sky: dataset", "5000 x 2500 pixels have 2 GB", "about 10 GB", "9 GB"
    ):
        require_memory(large, available=9e9)


@pytest.fixture(scope="module")
def crab(hess_store, reference):
    """A run of gammapy's dataset, ours, and its place in gammapy's image."""
    folder = reference("gammapy21") / "crab_dataset"
    observation = read_observation(23523, hess_store.available(23523, ALL))
    image = {**IMAGE, "center": (83.633, 22.014), "width": (5.0, 5.0)}
    pixels = DatasetPixels.create({**image, "binsz": 0.05}, binsz_irf=0.5)
    axes = DatasetAxes.create(
        np.geomspace(0.5, 50, 13), np.geomspace(0.3, 100, 25), np.linspace(0, 0.66, 67)
    )
    run = run_dataset(observation, pixels, axes, (0, 2), {})
    with fits.open(folder / "run_23523.fits.gz") as hdus:
        theirs = {hdu.name.lower(): hdu.data for hdu in hdus if hdu.is_image}
    del theirs["primary"]
    for name in ("counts", "psf"):
        place = pixels.of(name).placement(run.pixels.of(name))
        for key in theirs:
            if (key in ("counts", "background", "exposure", "mask_safe")) == (
                name == "counts"
            ):
                theirs[key] = theirs[key][(..., *place)].astype(float)
    return run, theirs


def test_cubes_of_gammapy(crab):
    """One event is outside the good times; the background has 50 times the bins."""
    run, theirs = crab
    mask = theirs["mask_safe"] > 0
    assert np.array_equal(run.cubes["mask_safe"] > 0, mask)
    assert (theirs["counts"] * mask - run.cubes["counts"]).sum() == 1
    assert_allclose(
        run.cubes["background"][mask], theirs["background"][mask], rtol=2e-4
    )
    exposure = theirs["exposure"] * mask[0]
    assert_allclose(run.cubes["exposure"], exposure, rtol=1e-10)


def test_responses_of_gammapy(crab):
    run, theirs = crab
    exposure = run.cubes["psf_exposure"]
    is_in = exposure[0, 0] > 0
    assert_allclose(
        exposure[..., is_in], theirs["psf_exposure"][..., is_in], rtol=1e-10
    )
    psf = theirs["psf"] * np.degrees(1) ** 2
    assert_allclose(
        run.cubes["psf"][..., is_in], psf[..., is_in], rtol=1e-10, atol=1e-6
    )
    assert_allclose(
        run.cubes["edisp"][..., is_in],
        theirs["edisp"][..., is_in],
        rtol=1e-6,
        atol=1e-12,
    )


DATASETS = [f"run_dataset sky {obs_id}" for obs_id in RUNS]
SUMS = ["dataset_group sky all", "dataset sky"]
# What reads the products of a field
READERS = ["provenance sky"]


@pytest.fixture(scope="module")
def with_dataset(built, tmp_path_factory):
    """The built project, with a dataset."""
    project = built.copy(tmp_path_factory.mktemp("datasets") / "project")
    project.change_config(dataset=KEYS)
    project.config = {**project.config, "dataset": KEYS}
    project.first = project.snakemake()
    assert project.first.code == 0, project.first.text
    return project


def dataset_file(project):
    return project.folder / "results" / "sky" / "dataset.fits.gz"


def runs_of(project):
    table = Table.read(dataset_file(project), hdu="RUNS")
    table.convert_bytestring_to_unicode()
    return table.to_pandas()


def test_a_dataset_needs_no_image_again(with_dataset):
    jobs = [*DATASETS, *SUMS, *READERS, "report sky"]
    assert with_dataset.first.jobs == sorted(jobs)


def test_sums_and_norms(with_dataset):
    """One norm for all energies, outside the exclusions; the sums are those of the runs."""
    folder = with_dataset.folder / "results" / "sky"
    pixels = DatasetPixels.create({**IMAGE, "binsz": 0.05}, binsz_irf=0.5)
    mask = fits.getdata(folder / "exclusion_mask.fits") > 0
    sums = {}
    runs = runs_of(with_dataset)
    assert runs["status"].tolist() == ["used"] * 4 and np.all(runs["ZENITH"] > 0)
    for obs_id, scale in zip(RUNS, runs["bkg_scale"], strict=True):
        file = DatasetFile(folder / f"dataset_runs/{obs_id}.fits", pixels)
        place = pixels.image.placement(file.geometry("counts"))
        counts, bkg = file.cube("counts"), file.cube("background").astype(float)
        use = mask[place] & (bkg.sum(axis=0) > 0)
        norm = fit_bkg_norm(counts.sum(axis=0), bkg.sum(axis=0), use)
        assert_allclose(scale, norm.scale, rtol=1e-12)
        for name, cube in (("COUNTS", counts), ("BACKGROUND", scale * bkg)):
            whole = sums.setdefault(name, np.zeros((4, *pixels.image.shape)))
            whole[(..., *place)] += cube
    with fits.open(dataset_file(with_dataset), checksum=True) as hdus:
        for name, cube in sums.items():
            assert_allclose(hdus[name].data, cube, rtol=1e-6)
        rings = np.pi * np.diff(np.radians(np.linspace(0, 0.66, 67)) ** 2)
        inside = hdus["PSF_EXPOSURE"].data[0, 0] > 0
        total = np.tensordot(rings, hdus["PSF"].data, (0, 1))
        assert_allclose(total[:, inside], 1, rtol=1e-6)
        assert (
            hdus["GTI"].data["STOP"].sum() - hdus["GTI"].data["START"].sum()
            == 4 * ONTIME
        )
        assert hdus["PRIMARY"].header["FIELD"] == "sky"


@pytest.mark.parametrize(
    "changes, jobs",
    [
        ({}, []),
        ({"dataset": {**KEYS, "binsz_irf": "0.6 deg"}}, [*DATASETS, *SUMS, *READERS]),
        ({"dataset": {**KEYS, "rad": {"bins": 50}}}, [*DATASETS, *SUMS, *READERS]),
        ({"safe_energy": {"methods": ["aeff-max"]}}, [*DATASETS, *SUMS, *READERS]),
        ({"dataset": None}, [*READERS, "report sky"]),
    ],
)
def test_setting_changed(with_dataset, changes, jobs):
    with_dataset.change_config(**changes)
    assert [job for job in with_dataset.plan() if job not in ("summary",)] == sorted(
        jobs
    )


def test_settings_of_the_sums_read_no_run_again(with_dataset):
    with_dataset.change_config(bkg_norm=False)
    planned = with_dataset.plan()
    assert {*SUMS, "stack_group sky all"} < {*planned}
    assert not [job for job in planned if job.startswith("run_")]


@pytest.mark.parametrize(
    "module, jobs",
    [
        ("gammastack/datasets/run.py", [*DATASETS, *SUMS, *READERS]),
        ("gammastack/datasets/stack.py", [*SUMS, *READERS]),
        ("steps/dataset.py", ["dataset sky", *READERS]),
    ],
)
def test_code_changed(with_dataset, module, jobs):
    path = with_dataset.folder / "scripts" / module
    text = path.read_text()
    with_dataset.change_config()
    path.write_text(text + "\nEDITED = True\n")
    try:
        assert with_dataset.plan() == sorted(jobs)
    finally:
        path.write_text(text)


def test_bad_run_and_one_without_a_response(with_dataset, tmp_path):
    """Both are not in the dataset, with their reasons; the maps need no energy dispersion."""
    project = with_dataset.copy(tmp_path / "project")
    project.change_config(max_bad_runs=2)
    store = project.folder / "store"
    with fits.open(store / "run_1002.fits", mode="update") as hdus:
        edit(hdus["EDISP"]).data["MATRIX"][0, 0, 0, 0] = np.nan
    with fits.open(store / HDU_INDEX) as hdus:
        rows = hdus[1].copy()
    gone = (rows.data["OBS_ID"] == 1003) & (rows.data["HDU_TYPE"] == "edisp")
    rows.data = rows.data[~gone]
    rows.writeto(store / HDU_INDEX, overwrite=True)
    done = project.snakemake()
    assert done.code == 0, done.text
    runs = runs_of(project)
    status = dict(zip(runs["OBS_ID"], runs["status"], strict=True))
    assert status == {1001: "used", 1002: "failed", 1003: "failed", 1004: "used"}
    reasons = runs["reason"].tolist()
    assert "run_1002.fits[EDISP]: MATRIX has values that are not finite" in reasons[1]
    assert "1003 has no HDU of type edisp" in reasons[2]
    assert "dataset: 2 of 4 runs cannot be used" in done.text
    maps = pd.read_csv(project.folder / "results" / "sky" / BAND / "runs.csv")
    assert maps["status"].tolist() == ["used"] * 4
    old, new = (
        open_bundle(one.folder / "results" / "sky") for one in (with_dataset, project)
    )
    assert "dataset.fits.gz" in compare(old, new).sections["Tables"][0]


def test_store_without_point_spread(with_dataset, tmp_path):
    project = with_dataset.copy(tmp_path / "project")
    with fits.open(project.folder / "store" / HDU_INDEX) as hdus:
        rows = hdus[1].copy()
    rows.data = rows.data[rows.data["HDU_TYPE"] != "psf"]
    rows.writeto(project.folder / "store" / HDU_INDEX, overwrite=True)
    done = project.snakemake()
    assert done.code == 0 and "has no psf: the dataset has none" in done.text
    with fits.open(dataset_file(project)) as hdus:
        names = {hdu.name for hdu in hdus}
    assert "EDISP" in names and not names & {"PSF", "PSF_EXPOSURE"}


def test_run_is_dropped_in_bands_below_its_threshold(with_dataset, tmp_path):
    project = with_dataset.copy(tmp_path / "project")
    project.change_config(safe_energy={"min": "1.5 TeV", "images": True})
    done = project.snakemake("results/sky/runs.csv")
    assert done.code == 0, done.text
    runs = pd.read_csv(project.folder / "results" / "sky" / BAND / "runs.csv")
    assert runs["status"].tolist() == ["dropped"] * 4
    assert "the band begins below its energy threshold, 1.5 TeV" in runs["reason"][0]


def test_example_of_a_fit(hess_store, tmp_path):
    """The fit of gammapy on its own dataset of these runs: index and position within 0.1 errors."""
    python = os.environ.get("GAMMAPY_PYTHON")
    if python is None:
        pytest.skip("needs gammapy in the environment of $GAMMAPY_PYTHON")
    howto = ROOT / "docs" / "howto"
    settings = yaml.safe_load((howto / "crab.yaml").read_text())
    project = Project(tmp_path / "project", settings)
    assert project.snakemake("results/crab/dataset.fits.gz").code == 0
    command = [python, howto / "crab_spectrum.py"]
    text = subprocess.check_output(command, cwd=project.folder, text=True)
    fitted = dict(re.findall(r"^(\w+) (\S+) \+-", text, re.MULTILINE))
    assert float(fitted["index"]) == pytest.approx(2.8299, abs=0.0057)
    assert float(fitted["amplitude"]) == pytest.approx(4.843e-11, abs=0.018e-11)
    assert (project.folder / "residuals.png").stat().st_size > 10_000


def test_axes_that_one_run_does_not_cover(with_dataset, tmp_path):
    """Its energy dispersion ends at 10 TeV; the reason names the file without its folder."""
    project = with_dataset.copy(tmp_path / "project")
    path = project.folder / "store" / "run_1002.fits"
    with fits.open(path, mode="update") as hdus:
        data = edit(hdus["EDISP"]).data
        for name in ("ENERG_LO", "ENERG_HI"):
            data[name] = data[name] / 20
    done = project.snakemake("results/sky/dataset.fits.gz")
    assert done.code == 0, done.text
    run = runs_of(project).set_index("OBS_ID").loc[1002]
    assert run["status"] == "dropped"
    assert run["reason"].startswith(
        "run_1002.fits[EDISP]: dataset: energy_true: 0.5 TeV"
    )
