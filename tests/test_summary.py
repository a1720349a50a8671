"""What is said of all fields on the terminal."""

import pandas as pd
import pytest

from gammastack.summary import failed_runs, format_leftovers, format_summary, read_table


@pytest.fixture
def summary(tmp_path):
    """A field of five runs: two used, one dropped, one failed, one excluded by the user."""
    statuses = ["used", "used", "dropped", "failed", "excluded"]
    runs = {"OBS_ID": range(1, 6), "status": statuses, "reason": list("abcde")}
    (tmp_path / "sky").mkdir()
    pd.DataFrame(runs).to_csv(tmp_path / "sky" / "runs.csv", index=False)
    rows = [
        {
            "field": "sky",
            "band": band,
            "runs_used": 2,
            "runs_not_used": 2,
            "runs_failed": 1,
            "counts": 10,
            "bkg": 8.04,
            "excess": 1.96,
            "peak_significance": None,
            "peak_ra": 83.6333,
            "peak_dec": 22.0145,
            "off_mean": -0.123,
            "off_width": 1.017,
            "folder": tmp_path / "sky" / band,
        }
        for band in ("1TeV-10TeV", "10TeV-50TeV")
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "summary.csv", index=False)
    return read_table(tmp_path / "summary.csv")


def test_a_run_is_counted_once(summary):
    heading, first, _ = (
        line.split("  ") for line in format_summary(summary).splitlines()
    )
    heading, first = (
        [text.strip() for text in line if text] for line in (heading, first)
    )
    shown = dict(zip(heading, first, strict=True))
    assert [shown[name] for name in ("used", "dropped", "failed")] == ["2", "1", "1"]
    assert shown["peak S"] == "-" and shown["at RA"] == "83.633"
    assert (shown["OFF mean"], shown["width"]) == ("-0.12", "1.02")


def test_failed_runs_are_said_as_when_they_failed(summary, tmp_path):
    (text,) = failed_runs(summary)
    assert text.startswith(f"{tmp_path}/sky/runs.csv: 1 of 4 runs cannot be used")
    assert "4: d" in text and text.endswith("observations: {exclude: [4]}")


def test_leftovers_take_few_lines():
    folders = [f"results/sky/{n}TeV-9TeV" for n in range(5)]
    paths = [f"{folder}/{n}.fits" for folder in folders for n in range(4)]
    paths.insert(0, "results/sky/known_sources.fits")
    title, *lines = format_leftovers(paths).splitlines()
    assert "scripts/disk.py" in title
    assert lines == [
        "  results/sky: known_sources.fits",
        "  results/sky/0TeV-9TeV: 4 files",
        "  results/sky/1TeV-9TeV: 4 files",
        "  and 3 more folders",
    ]
