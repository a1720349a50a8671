"""The doctor finds what is wrong with the runs of a store, without making images."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose

from dl3_files import edit
from gammastack.dl3 import examination
from gammastack.dl3.hdus import OBS_INDEX
from gammastack.dl3.irf import EffectiveArea2D
from gammastack.dl3.threshold import aeff_threshold
from gammastack.doctor import format_doctor
from project import ROOT

DOCTOR = ["check_run", "doctor", "doctor_of_field"]


def damage(store):
    """Damage two of four runs, make one odd, and leave an unknown file."""
    (store / "run_1001.fits").write_text("<html>")
    with fits.open(store / "run_1002.fits") as hdus:
        area = edit(hdus["AEFF"])
        area.data["EFFAREA"] = np.nan
        rate = edit(hdus["BKG"])
        rate.data["BKG"] = -1
        hdus.writeto(store / "run_1002.fits", overwrite=True)
    with fits.open(store / "run_1003.fits") as hdus:
        edit(hdus["EVENTS"]).header["ONTIME"] = 1000.0
        hdus.writeto(store / "run_1003.fits", overwrite=True)
        hdus.writeto(store / "more.fits")


def test_doctor_of_a_configuration(project):
    damage(project.folder / "store")
    done = project.snakemake("doctor")
    assert done.code == 0, done.text
    assert done.rules == DOCTOR
    table = pd.read_csv(
        project.folder / "results/sky/doctor.csv", dtype=str, keep_default_na=False
    )
    results = dict(zip(table["OBS_ID"], table["result"], strict=True))
    assert results == {
        "1001": "error",
        "1002": "error",
        "1003": "warning",
        "1004": "ok",
        "": "warning",
    }
    errors = table.set_index("OBS_ID")["error"]
    assert errors["1001"].startswith("run_1001.fits: truncated, or not a FITS file")
    # Each response is examined on its own.
    assert (
        "run_1002.fits[AEFF]: EFFAREA has values that are not finite" in errors["1002"]
    )
    assert (
        "run_1002.fits[BKG]: the background rate has negative values" in errors["1002"]
    )
    assert "more.fits: not in the index" in done.text
    assert "observations: {exclude: [1001, 1002]}" in done.text
    assert "4 runs: 2 with errors, 1 with warnings" in " ".join(done.text.split())


def test_doctor_examines_what_is_new(project):
    assert project.snakemake("doctor").rules == DOCTOR
    done = project.snakemake("doctor")
    assert done.jobs == [] and "4 runs: 0 with errors" in done.text
    (project.folder / "store" / "run_1002.fits").write_text("<html>")
    assert project.snakemake("doctor").jobs == [
        "check_run sky 1002",
        "doctor",
        "doctor_of_field sky",
    ]


def test_doctor_knows_the_configuration(project):
    project.change_config(
        energy_bands=[["0.001 TeV", "10 TeV"]], observations={"exclude": [1004]}
    )
    assert project.snakemake("doctor").code == 0
    table = pd.read_csv(project.folder / "results/sky/doctor.csv")
    assert table["excluded"].tolist() == [False, False, False, True]
    assert all(
        "energy_bands: 0.001 TeV to 10 TeV is not" in text for text in table["warning"]
    )


@pytest.mark.parametrize("is_damaged, code", [(False, 0), (True, 1)])
def test_doctor_of_a_store(built, tmp_path, is_damaged, code):
    store = built.copy(tmp_path / "project").folder / "store"
    if is_damaged:
        damage(store)
    command = [sys.executable, ROOT / "scripts" / "doctor.py", store, "--cores", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert ("ERROR 1001: run_1001.fits" in done.stdout) == is_damaged
    assert "4 runs:" in done.stdout


def test_doctor_of_no_store(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "doctor.py", tmp_path / "nothing"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "does not exist" in done.stderr


def test_energy_threshold():
    """The area 100 E^2 up to its maximum at 10 TeV is a tenth of it at sqrt(10) TeV."""
    edges = np.geomspace(0.1, 12.6, 211)
    centers = np.sqrt(edges[:-1] * edges[1:])
    area = np.minimum(100 * centers**2, 1e4)
    offset = np.array([0.0]), np.array([2.0])
    aeff = EffectiveArea2D((edges[:-1], edges[1:]), offset, area[None])
    assert_allclose(aeff_threshold(aeff, 0.1, 0.0), np.sqrt(10), rtol=1e-3)


@pytest.mark.parametrize(
    "error, is_of_the_data",
    [
        (ZeroDivisionError("weights"), True),
        (OSError("Header missing END card."), True),
        (OSError(5, "Input/output error"), False),
        (MemoryError(), False),
    ],
)
@pytest.mark.parametrize("where", ["read_observation", "findings"])
def test_error_of_one_run(simulated_store, monkeypatch, where, error, is_of_the_data):
    """What the machine lacks is no fault of the run."""

    def fail(*_):
        raise error

    store, *_ = simulated_store
    monkeypatch.setattr(examination, where, fail)

    def examine():
        return examination.examine(1001, store.hdus(1001), {}, [(1, 10)], 2.0)

    if is_of_the_data:
        assert f"run_1001.fits: {type(error).__name__}: {error}" in examine()["error"]
    else:
        with pytest.raises(type(error)):
            examine()


def write_table(folder, *rows):
    """Write a table of the doctor, and return its path."""
    columns = "OBS_ID", "result", "error", "warning", "note", "file", "livetime"
    folder.mkdir()
    table = pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])
    table.to_csv(folder / "doctor.csv", index=False)
    return folder / "doctor.csv"


def test_fields_that_share_a_run(tmp_path):
    """Each keeps what was found in it, and counts the run for itself."""
    paths = [
        write_table(tmp_path / name, (1, "error", text, "", "", "1.fits", 3600))
        for name, text in (("north", "A only"), ("south", "B only"))
    ]
    first, second = format_doctor(paths).split("south: ")
    assert first.startswith("north: 1 run: 1 with errors")
    assert "livetime 1.0 h" in first and "livetime 1.0 h" in second
    assert "ERROR 1: A only" in first and "ERROR 1: B only" in second
    assert "{exclude: [1]}" in first and "{exclude: [1]}" in second


def test_truncated_file_is_told_once(tmp_path):
    """Of a store without index, the file is known from its header, and as a run."""
    error = "1.fits: truncated, or not a FITS file. Fetch it again"
    table = write_table(
        tmp_path / "store",
        (1, "error", error, "", "", "1.fits", ""),
        ("", "warning", "", "truncated: 1320 bytes are missing", "", "1.fits", ""),
        ("", "warning", "", "truncated: 9 bytes are missing", "", "2.fits", ""),
    )
    text = format_doctor([table])
    assert text.count("1.fits") == 1 and "ERROR 1: 1.fits: truncated" in text
    assert "WARNING 2.fits: truncated" in text


def test_field_of_view_is_that_of_the_images(project):
    """The header of the events says where it is; the index may be wrong."""
    index = project.folder / "store" / OBS_INDEX
    with fits.open(index) as hdus:
        edit(hdus[1]).data["DEC_PNT"][0] = -60
        hdus.writeto(index, overwrite=True)
    assert project.snakemake("doctor").code == 0
    warning = pd.read_csv(project.folder / "results/sky/doctor.csv")["warning"][0]
    assert "-60 in the observation index" in warning
    assert "does not touch the image" not in warning
