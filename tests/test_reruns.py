"""What is recomputed after which change: the table in docs/reruns.md."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits

from dl3_files import edit
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX
from gammastack.dl3.simulate import index_hdus, observation_hdus, simulated_runs
from gammastack.files.gadf import write_hdus
from gammastack.maker import StackedObsImageMaker
from gammastack.sky.geometry import ImageGeometry
from project import BAND, RUNS, SETTINGS, Project

IMAGES = [f"run_images sky {obs_id}" for obs_id in RUNS]
MASK = ["exclusion_mask sky"]
MAPS = [f"maps sky {BAND}", "provenance sky", "report sky"]
MAPS += ["summary"]
STACK = ["stack_group sky all", "stack sky", *MAPS]


def test_nothing_changed(built):
    again = built.snakemake()
    assert (again.code, again.jobs) == (0, [])
    assert "Nothing to be done" in again.text


def test_times_places_comments_units_and_version_of_the_program(project):
    """All at once: a job that any of them causes would show."""
    os.utime(project.folder / "store" / "run_1002.fits")
    os.utime(project.folder / "scripts" / "gammastack" / "dl3" / "irf.py")
    (project.folder / "store").rename(project.folder / "moved")
    project.change_config(datastore="moved", width="180 arcmin")
    project.append("config/config.yaml", "# a comment\n")
    project.replace(
        "scripts/gammastack/version.py", '__version__ = "', '__version__ = "99.'
    )
    assert project.plan() == []


def test_the_whole_project_copied_and_the_data_moved(built, tmp_path):
    """By a plain ``cp -r``: all files have new times."""
    copy = built.copy(tmp_path / "copy", shutil.copy)
    (copy.folder / "store").rename(copy.folder / "elsewhere")
    copy.change_config(datastore="elsewhere")
    assert copy.plan() == []


@pytest.mark.parametrize(
    "change, said, jobs",
    [
        ({"radius": "0.3 deg"}, "radius 0.2 deg -> 0.3 deg", STACK),
        (
            {"radius": ["0.2 deg", "0.3 deg"]},
            "radius 0.2 deg -> [0.2 deg, 0.3 deg]",
            STACK,
        ),
        ({"flux_point": False}, "", [*IMAGES, *STACK]),
        ({"ul_confidence": 0.9}, "ul_confidence 0.95 -> 0.9", MAPS),
        ({"candidate_threshold": 5}, "candidate_threshold 4 -> 5", MAPS),
        ({"max_bad_runs": 3}, "max_bad_runs 1 -> 3", STACK[1:]),
        ({"max_bad_runs": 1}, "Nothing to be done", []),
        ({"on_bad_run": "stop"}, "max_bad_runs 1 -> 0", STACK[1:]),
        ({"background": "ring"}, "background.method irf -> ring", STACK),
        ({"bkg_norm": False}, "bkg_norm true -> false", STACK),
        ({"ncounts_min": 5}, "ncounts_min 0 -> 5", STACK),
        ({"observations": {"exclude": [1003]}}, "run 1003 removed", STACK),
        ({"spectral_index": 2.0}, "spectral_index 2.3 -> 2.0", [*IMAGES, *STACK]),
        (
            {"offset_band": ["0 deg", "1.5 deg"]},
            "offset_band [0, 2] deg -> [0, 1.5] deg",
            [*IMAGES, *STACK],
        ),
        (
            {"energy_bands": [["1 TeV", "10 TeV"], ["10 TeV", "50 TeV"]]},
            "energy_bands 1TeV-10TeV -> [1TeV-10TeV, 10TeV-50TeV]",
            ["maps sky 10TeV-50TeV", *IMAGES, *STACK],
        ),
        (
            {"width": "2.5 deg"},
            "image.width [3, 3] deg -> [2.5, 2.5] deg",
            [*IMAGES, *MASK, *STACK],
        ),
    ],
)
def test_setting_changed(project, change, said, jobs):
    project.change_config(**change)
    assert project.plan() == sorted(jobs)
    assert said in project.said and "--rerun-triggers" not in project.said


def test_exclusion_changed_reads_no_event_file(project):
    circle = {"center": [83.63, 22.01], "radius": "0.5 deg"}
    project.change_config(fields={"sky": {"exclusion_mask": [circle]}})
    assert project.snakemake().jobs == sorted([*MASK, *STACK])
    norms = pd.read_csv(
        project.folder / "results" / "sky" / BAND / "table_bkg_norm.csv"
    )
    maker = StackedObsImageMaker(
        ImageGeometry.create((83.63, 22.01), "icrs", "TAN", (3, 3), 0.05),
        [1, 10] * u.TeV,
        [0, 2] * u.deg,
        project.folder / "store",
        RUNS,
        [{"center": (83.63, 22.01), "radius": 0.5}],
    )
    maker.make_images(True)
    assert norms["n_counts"].tolist() == maker.table_bkg_norm["n_counts"].tolist()


def test_content_of_a_region_file_changed(project):
    regions = project.folder / "sources.reg"
    regions.write_text("icrs; circle(83.63, 22.01, 0.3)")
    project.change_config(fields={"sky": {"exclusion_mask": ["sources.reg"]}})
    assert project.snakemake().code == 0
    regions.write_text("icrs; circle(83.63, 22.01, 0.4)")
    assert project.plan() == sorted([*MASK, *STACK])


def test_run_list_in_a_table_changed(project):
    table = project.folder / "runs.csv"
    table.write_text("OBS_ID\n1001\n1002\n1003\n1004\n")
    project.change_config(observations={"table": "runs.csv"})
    assert project.plan() == []
    table.write_text("OBS_ID\n1001\n1004\n")
    assert project.plan() == sorted(STACK)


def test_content_of_an_event_file_changed(project):
    """Also if the file is older than the results, as after rsync."""
    path = project.folder / "store" / "run_1002.fits"
    with fits.open(path, mode="update") as hdus:
        edit(hdus["EVENTS"]).data["ENERGY"][::10] *= 1.5
    os.utime(path, (1e9, 1e9))
    assert project.plan() == sorted(["run_images sky 1002", *STACK])


def test_response_file_of_two_runs_changed(project):
    """Two of the four runs take their responses from a file that they share."""
    store = project.folder / "store"
    with fits.open(store / "run_1001.fits") as hdus:
        fits.HDUList([hdus[0], hdus["AEFF"], hdus["BKG"]]).writeto(store / "irfs.fits")
    with fits.open(store / HDU_INDEX) as hdus:
        rows = hdus[1].copy()
    shared = np.isin(rows.data["OBS_ID"], [1001, 1003])
    shared &= np.isin(rows.data["HDU_TYPE"], ["aeff", "bkg"])
    rows.data["FILE_NAME"][shared] = "irfs.fits"
    rows.writeto(store / HDU_INDEX, overwrite=True)
    jobs = sorted(["run_images sky 1001", "run_images sky 1003", *STACK])
    assert project.snakemake().jobs == jobs
    with fits.open(store / "irfs.fits", mode="update") as hdus:
        edit(hdus["AEFF"]).data["EFFAREA"] *= 1.1
    assert project.plan() == jobs


def write_store(project, n_runs, model):
    """Write the last of some simulated runs, and the index files of all of them."""
    store = project.folder / "store"
    runs = simulated_runs(SETTINGS["center"], 0.7, n_runs, seed=7)
    names = [f"run_{run.obs_id}.fits" for run in runs]
    write_hdus(store / names[-1], observation_hdus(runs[-1], model, [], seed=7))
    for name, hdu in zip((OBS_INDEX, HDU_INDEX), index_hdus(runs, names), strict=True):
        write_hdus(store / name, [hdu])


def test_run_added_to_the_store(project, simulated_store):
    write_store(project, 5, simulated_store[2])
    assert project.plan() == sorted(["run_images sky 1005", *STACK])


def test_run_removed_from_the_store(project, simulated_store):
    (project.folder / "store" / "run_1004.fits").unlink()
    write_store(project, 3, simulated_store[2])
    assert project.plan() == sorted(STACK)


@pytest.mark.slow
def test_removed_run_and_cores_leave_the_result_of_a_build_from_scratch(
    project, tmp_path
):
    """Bit by bit, with another number of cores, on runs that were cached."""
    project.change_config(observations={"exclude": [1003]})
    assert project.snakemake(cores=1).code == 0
    settings = {**SETTINGS, "observations": {"exclude": [1003]}}
    fresh = Project(tmp_path / "fresh", settings)
    shutil.copytree(project.folder / "store", fresh.folder / "store")
    assert fresh.snakemake(cores=3).code == 0
    ours, theirs = project.products(), fresh.products()
    left_over = {"sky/runs/1003.fits"}
    assert {name: ours[name] for name in ours.keys() - left_over} == theirs


@pytest.mark.parametrize(
    "module, jobs",
    [
        # A row for each room
        ("gammastack/config/fields.py", []),
        ("gammastack/sky/geometry.py", [*IMAGES, *MASK, *STACK]),
        ("gammastack/sky/exclusion.py", [*MASK, *STACK]),
        ("gammastack/dl3/irf.py", [*IMAGES, *STACK]),
        ("gammastack/runs/counts.py", [*IMAGES, *STACK]),
        ("gammastack/acceptance/model.py", []),
        ("gammastack/stacking/ring.py", STACK),
        ("gammastack/stacking/norm.py", STACK),
        ("gammastack/stacking/run_table.py", STACK),
        ("gammastack/maps/significance.py", MAPS),
        ("gammastack/files/run.py", [*IMAGES, *STACK]),
        ("gammastack/files/bands.py", [*IMAGES, *STACK]),
        ("gammastack/files/group.py", STACK[1:]),
        ("gammastack/files/band.py", STACK[1:]),
        ("gammastack/provenance/origin.py", [*IMAGES, *MASK, *STACK]),
        ("gammastack/archive/w3c_prov.py", ["provenance sky"]),
        ("gammastack/archive/compare.py", []),
        ("steps/stack.py", STACK[1:]),
        ("steps/summary.py", ["summary"]),
    ],
)
def test_code_changed(project, module, jobs):
    project.append(f"scripts/{module}", "\nEDITED = True\n")
    assert project.plan() == sorted(jobs)


def test_prose_and_the_table_of_products_changed(project):
    """Comments and docstrings are no code; a new product concerns its own step alone."""
    irf = "scripts/gammastack/dl3/irf.py"
    project.append(irf, "# A comment\n")
    project.replace(irf, '"""Instrument responses', '"""Responses of the instrument')
    assert project.plan() == []
    table = "scripts/gammastack/products.py"
    project.replace(table, '"significance of the excess', '"how significant the excess')
    project.replace(
        table, '_map("excess",', '_map("twice", "a new map"),\n    _map("excess",'
    )
    assert project.plan() == sorted(MAPS)


@pytest.mark.parametrize(
    "package, jobs",
    [
        ("scipy", [*IMAGES, *STACK]),
        ("regions", [*MASK, *STACK]),
    ],
)
def test_package_upgraded(project, package, jobs):
    """The version is what the metadata of the package says."""
    folder = project.folder / "packages" / f"{package}-99.0.dist-info"
    folder.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: 99.0\n"
    (folder / "METADATA").write_text(text)
    assert project.plan(PYTHONPATH=str(folder.parent)) == sorted(jobs)


def test_results_without_the_records_of_snakemake(project, built):
    """Refused, until they are taken as they are, or recomputed."""
    shutil.rmtree(project.folder / ".snakemake")
    times = {path: path.stat().st_mtime_ns for path in project.folder.rglob("*.fits")}
    done = project.snakemake()
    assert (done.code != 0, done.jobs) == (True, [])
    assert "was made elsewhere, or the records of Snakemake" in done.text
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert project.snakemake("--forceall", "--touch").code == 0
    again = project.snakemake()
    assert (again.code, again.jobs) == (0, [])
    assert "Nothing to be done" in again.text
    assert project.products() == built.products()
    project.change_config(ul_confidence=0.9)
    assert project.plan() == sorted(MAPS)


def test_all_made_again(project, built):
    """Without the records of Snakemake, and the same bit for bit."""
    shutil.rmtree(project.folder / ".snakemake")
    assert project.snakemake("--forceall").jobs == built.cold.jobs
    assert project.products() == built.products()
