"""Runs that are not like the others."""

import numpy as np
import pandas as pd

from gammastack.stacking.comparison import compare_runs, odd_areas


def table(**columns):
    """Used runs of 1000 s with 3e8 m2 s on axis at 20 deg, but for some columns."""
    n_runs = len(next(iter(columns.values())))
    usual = {
        "OBS_ID": np.arange(n_runs),
        "status": "used",
        "warning": "",
        "bkg_scale": 1.0,
        "bkg_scale_err": 0.05,
        "livetime": 1000.0,
        "exposure_on_axis": 3e8,
        "ZENITH": 20.0,
    }
    return pd.DataFrame({**usual, **columns})


def test_area_is_per_livetime():
    livetime = np.array([1000, 900, 10, 1000])
    runs = table(livetime=livetime, exposure_on_axis=3e5 * livetime)
    assert (odd_areas(runs) == "").all()
    assert odd_areas(table(livetime=livetime))[2] != ""


def test_area_is_compared_with_those_at_similar_zenith_angles():
    """Four runs at 20 deg, three at 60 deg, where nobody can tell which one is odd."""
    area = np.array([1, 1.1, 1, 0.5, 3, 3, 6])
    runs = table(exposure_on_axis=area, ZENITH=[20.0] * 4 + [60.0] * 3)
    texts = odd_areas(runs).tolist()
    assert (
        texts[3] == "effective area on axis is 0.5 times that at similar zenith angles"
    )
    assert texts[:3] + texts[4:] == [""] * 6


def test_no_area_and_no_zenith_angle_are_not_odd():
    nan = np.nan
    runs = table(exposure_on_axis=[0.0] * 4 + [1, 2, 3, 9], ZENITH=[20] * 4 + [nan] * 4)
    assert (odd_areas(runs) == "").all()


def test_warnings_are_added_to_those_of_used_runs():
    runs = table(
        bkg_scale=[1, 1.01, 0.99, 1, 2, 5],
        status=["used"] * 5 + ["dropped"],
        warning=["a"] + [""] * 3 + ["b", ""],
    )
    assert compare_runs(runs)["warning"].tolist() == [
        *("a", "", "", ""),
        "b; bkg_scale is more than 5 standard deviations from that of the others",
        "",
    ]
