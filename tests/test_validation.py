"""The validation page: its verdicts follow from the numbers, and none is bad."""

import re

import numpy as np
import pytest

from validation import counting, empty_fields, page
from validation.__main__ import missing_data
from validation.disks import Disks, moments
from validation.report import PAGE, n_failed, table
from validation.sources import contained


def test_statistics():
    text = counting.section()
    assert n_failed(text) == 0 and text.count("| yes |") > 25


def test_wrong_digit_fails(monkeypatch):
    (arguments, digits), *others = counting.KNOWN
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    monkeypatch.setattr(counting, "KNOWN", [(arguments, wrong), *others])
    text = counting.section()
    assert n_failed(text) == 1
    assert f"| {wrong} | {digits} | no |" in text


def test_difference_beyond_the_tolerance_fails(monkeypatch):
    name = "errors, known background"
    monkeypatch.setitem(counting.TOLERANCES, name, 1e-30)
    assert re.search(rf"\| {name} .*\| no \|", counting.section())


def test_numbers_of_failed_rows():
    text = table(("what", "ok"), [("no problem", True), ("a", np.False_), ("b", False)])
    assert n_failed(text) == 2 and "| no problem | yes |" in text


@pytest.fixture(scope="module")
def field():
    return empty_fields.empty_field(1)


def test_empty_field(field):
    for statistics, disks in field.values():
        n = statistics["n_independent"]
        assert n == len(disks.significance) == len(disks.measured.excess) > 150
        assert moments(disks)[1]


def test_biased_significance_fails(field):
    _, disks = field["irf"]
    biased = Disks(disks.significance + 0.5, disks.background, disks.measured)
    assert not moments(biased)[1]
    *_, ok = empty_fields.moments_row("irf", [field["irf"][0]], biased)
    assert not ok


def test_coverage_follows_the_errors(field):
    """About 68 % of all counts that can occur have errors that include the truth."""
    _, disks = field["truth"]
    assert 0.6 < empty_fields.exact_coverage("errors", disks.background, 5) < 0.75
    assert empty_fields.exact_coverage(0.9, disks.background, 0) == pytest.approx(1)
    assert empty_fields.exact_coverage(0.9, disks.background, 20) > 0.9


def test_containment_of_the_pixels_is_close_to_that_of_the_circle():
    circle, pixels = contained(0.1)
    assert circle == pytest.approx(0.7506, abs=1e-4)
    assert pixels == pytest.approx(circle, rel=0.02)


def test_missing_data_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("GAMMAPY_DATA", raising=False)
    (tmp_path / "gammapy21").mkdir()
    monkeypatch.setenv("GAMMASTACK_REFERENCE", str(tmp_path))
    (line,) = missing_data()
    assert "GAMMAPY_DATA" in line and "hess-dl3-dr1" in line


def test_page_in_the_repository():
    text = PAGE.read_text(encoding="utf-8")
    assert n_failed(text) == 0 and page.ATTRIBUTION in text
    figures = re.findall(r"\]\(validation/(\w+\.png)\)", text)
    assert len(figures) == len(set(figures)) >= 4
    for name in figures:
        assert 0 < (PAGE.parent / "validation" / name).stat().st_size < 150_000
