"""The pages in a browser: without errors, without network, at the width of a desk and of a phone."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from gammastack.files.header import read_image
from project import BAND, ROOT, Project
from test_report import HOSTILE, page
from test_steps import Chain

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
DESK, PHONE = (1280, 900), (390, 844)
REAL_FIELDS = ["crab", "msh15-52", "rxj1713"]
# Kept here to be looked at
SCREENSHOTS = os.environ.get("GAMMASTACK_SCREENSHOTS")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


class Opened:
    """A page that is open, and what went wrong on it."""

    def __init__(self, browser, path, size):
        width, height = size
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.troubles = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: self.troubles.append(dialog.message))
        self.page.on("request", self._note_network)
        self.page.goto(Path(path).resolve().as_uri())
        if SCREENSHOTS:
            name = f"{path.parent.name}-{path.stem}-{width}.png"
            self.page.wait_for_timeout(300)
            self.page.screenshot(path=Path(SCREENSHOTS) / name, full_page=True)

    def _note_network(self, request):
        if not request.url.startswith(("file:", "data:")):
            self.troubles.append(f"request of {request.url}")

    def overflow(self):
        """Return by how many pixels the page is wider than the screen."""
        width = "document.documentElement.scrollWidth - innerWidth"
        return self.page.evaluate(width)

    def read(self, row, column, shape):
        """Point at a pixel of the first viewer; return what is said there."""
        self.page.wait_for_selector(".viewer[data-ready]")
        image = self.page.locator(".viewer .pixels").first
        image.scroll_into_view_if_needed()
        box = image.bounding_box()
        ny, nx = shape
        x = box["x"] + (column + 0.5) / nx * box["width"]
        y = box["y"] + box["height"] - (row + 0.5) / ny * box["height"]
        self.page.mouse.move(x, y)
        return self.page.locator(".viewer output").first.text_content()


def values(text):
    """Return significance, RA and Dec in the text of a viewer."""
    numbers = re.match(r"(\S+) \S at RA (\S+)°, Dec (\S+)°", text)
    return [float(part.replace("\N{MINUS SIGN}", "-")) for part in numbers.groups()]


def largest(path):
    """Return value, row and column of the peak of an image, its shape and geometry."""
    image, geometry, _ = read_image(path)
    row, column = np.unravel_index(np.nanargmax(image), image.shape)
    return image[row, column], row, column, geometry


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_page_of_a_field(browser, built, size):
    folder = built.folder / "results" / "sky"
    opened = Opened(browser, folder / "report.html", size)
    value, row, column, geometry = largest(folder / BAND / "significance.fits")
    found = values(opened.read(row, column, geometry.shape))
    expected = [value, *geometry.position(column, row)]
    assert np.allclose(found, expected, rtol=0, atol=[0.006, 6e-4, 6e-4])
    opened.page.locator(".viewer .zoom-in").click()
    opened.page.wait_for_timeout(400)
    assert values(opened.read(row, column, geometry.shape)) == found
    assert opened.page.locator("canvas").count() >= 6
    assert opened.overflow() <= 0
    assert opened.troubles == []


def test_index(browser, built):
    opened = Opened(browser, built.folder / "results" / "index.html", PHONE)
    assert opened.overflow() <= 0
    opened.page.locator("a.card").click()
    assert opened.page.title().startswith("sky")
    assert opened.troubles == []


def test_table_of_runs_can_be_sorted(browser, built):
    opened = Opened(browser, built.folder / "results" / "sky" / "report.html", DESK)
    table = opened.page.locator("#runs table")
    first = table.locator("tbody tr").first.locator("td").first
    before = first.text_content()
    table.locator("th").first.click()
    assert (before, first.text_content()) == ("1001", "1004")


def test_nothing_from_the_data_is_executed(browser, simulated_store, tmp_path):
    bands = [["1 TeV", "10 TeV"]]
    chain = Chain(tmp_path, simulated_store[0], energy_bands=bands).make()
    table = tmp_path / "sky" / "runs.csv"
    text = table.read_text().replace("run_1001.fits", f'"{HOSTILE}"')
    table.write_text(text)
    page(chain)
    opened = Opened(browser, tmp_path / "sky" / "report.html", DESK)
    assert opened.page.locator("img[src=x]").count() == 0
    assert HOSTILE in opened.page.locator("#runs").text_content()
    assert opened.troubles == []


@pytest.fixture(scope="module")
def real(hess_store, tmp_path_factory):
    """Results of some fields of the H.E.S.S. release."""
    config = yaml.safe_load((ROOT / "config" / "hess_dl3_dr1.yaml").read_text())
    config["fields"] = {name: config["fields"][name] for name in REAL_FIELDS}
    config["datastore"] = str(hess_store.folder.resolve())
    project = Project(tmp_path_factory.mktemp("real") / "project", config)
    done = project.snakemake()
    assert done.code == 0, done.text
    return project.folder / "results"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", REAL_FIELDS)
def test_pages_of_real_fields(browser, real, name, size):
    path = real / name / "report.html"
    assert path.stat().st_size < 5e6
    opened = Opened(browser, path, size)
    peak, row, column, geometry = largest(real / name / BAND / "significance.fits")
    found, *_ = values(opened.read(row, column, geometry.shape))
    assert found == pytest.approx(peak, abs=0.006)
    assert opened.overflow() <= 0
    assert opened.troubles == []
