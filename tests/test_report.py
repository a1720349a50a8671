"""The page of a field: what it says, and that it is made whatever the results are."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from markupsafe import escape
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from PIL import Image

from gammastack.files.layout import band_products
from gammastack.maps.disks import counts_in_disk
from gammastack.maps.position import counts_at, disk_pixels, growth
from gammastack.pictures.pixels import reduced
from gammastack.pictures.scale import Scale, scale_of
from gammastack.pictures.sky import Marks, draw_marks, sky_axes
from gammastack.provenance.activity import Offer
from gammastack.report.band import growth_at
from gammastack.report.contents import READ
from gammastack.report.history import compare_states, read_states, with_state
from gammastack.report.images import position_grid
from gammastack.report.page import general, render, with_errors
from gammastack.report.quantised import decode, encode
from gammastack.report.runs import MAX_ROWS, run_rows
from gammastack.sky.geometry import ImageGeometry
from test_steps import BAND, Chain

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def made(simulated_store, tmp_path_factory):
    """A field of one band with all results."""
    folder = tmp_path_factory.mktemp("made")
    bands = [["1 TeV", "10 TeV"]]
    return Chain(folder, simulated_store[0], energy_bands=bands).make()


def at_target(chain, name):
    """Return the value of a map at the centre of the image."""
    row, column, _ = chain.geometry.pixel_index(*np.array([[83.63], [22.01]]))
    return chain.image(name)[row[0], column[0]]


def page(chain):
    """Make the page of a field; return its text and the states of its history."""
    field, folder = chain.field, chain.folder
    inputs = {
        name: str(folder / path)
        for name, path in band_products(field, READ).items()
        if (folder / path).exists()
    }
    inputs |= {
        "some_runs": Offer(chain.runs),
        "runs_table": str(folder / "sky" / "runs.csv"),
    }
    if field.has_background:
        inputs["mask"] = str(folder / "sky" / "exclusion_mask.fits")
    record = {
        "user": HOSTILE,
        "host": "host",
        "arguments": ["snakemake", HOSTILE],
        "stop": {"time_utc": "2026-01-01T00:00:00.000"},
    }
    (folder / "sky" / "provenance").mkdir(exist_ok=True)
    (folder / "sky" / "provenance" / "stack.json").write_text(json.dumps(record))
    params = {"field": "sky"}
    params["files"] = [f"{BAND}/counts.fits", "runs.csv"]
    outputs = chain.step(
        "report", inputs, "image", "energy_bands", "radii", params=params
    )
    text = (folder / "sky" / "report.html").read_text(encoding="utf-8")
    return text, read_states(outputs["history"])


def test_page_says_what_is_in_the_maps(made):
    text, states = page(made)
    peak = fits.getheader(made.path("significance.fits"))["PEAK"]
    assert f"<td>{peak:.1f}</td>" in text
    target = states[-1]["bands"][BAND]["target"]
    assert target["significance"] == at_target(made, "significance")
    names = ("flux_point", "flux_point_errn", "flux_point_errp")
    flux = {name: at_target(made, name) for name in names}
    assert f"<td>{with_errors(flux, 'flux_point')}<br>m-2 s-1 TeV-1</td>" in text
    assert "4 of 4 runs used" in text
    assert "This is the first update that left a state" in text


@pytest.mark.parametrize(
    ("flux", "expected"),
    [
        ((2.93e-7, 1.5e-8, 1.6e-8), "(2.93 +0.16 \u22120.15) \u00d7 10\u207b\u2077"),
        ((-1e-9, 2e-8, 3e-8), "(\u22120.10 +3.00 \u22122.00) \u00d7 10\u207b\u2078"),
        ((12.34, 1.0, None), "12.3 +\u2013 \u22121.0"),
        ((None, 1.0, 1.0), "\u2013"),
        ((0.0, 0.0, 0.0), "0.0 +0.0 \u22120.0"),
    ],
)
def test_value_with_errors(flux, expected):
    names = ("flux", "flux_errn", "flux_errp")
    assert with_errors(dict(zip(names, flux, strict=True)), "flux") == expected


def test_growth_ends_with_the_values_of_the_maps(made):
    radius = made.field.radii[""].on(made.geometry)
    pixels = disk_pixels(made.geometry, (83.63, 22.01), radius)
    runs = pd.read_csv(made.path("runs.csv"))
    found = [
        counts_at(run, scale * run.bkg, pixels, made.geometry)
        for run, scale in zip(made.images_of_runs(), runs["bkg_scale"], strict=True)
    ]
    curves = growth(runs["livetime"], *zip(*found, strict=True))
    last = {name: values[-1] for name, values in curves.items()}
    assert_allclose(last["excess"], at_target(made, "excess_corr"), rtol=1e-10)
    assert_allclose(last["significance"], at_target(made, "significance"))
    assert_allclose(last["livetime"], runs["livetime"].sum() / 3600)


def test_candidates_are_marked_where_the_map_is_brightest(made):
    """The pixels of the picture are counted from its upper left corner."""
    text, _ = page(made)
    marks = re.findall(r'translate\(([\d.]+) ([\d.]+)\)"><ellipse.*\n.*>(C\d+)<', text)
    assert marks[0][2] == "C1"
    picture = text.split('<div class="zoomed">')[1]
    content = re.search(r"data:image/png;base64,([^\"]+)", picture)[1]
    colors = np.array(Image.open(BytesIO(b64decode(content))))
    x, y = (int(float(part)) for part in marks[0][:2])
    assert colors.shape == made.geometry.shape
    near = colors[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
    assert near.max() == colors.max()


def test_growth_reads_no_run_that_is_elsewhere(made):
    class Elsewhere:
        geometry = made.geometry
        config: ClassVar = {"offset_band": [0, 2]}
        used = pd.read_csv(made.path("runs.csv"))

    def read(obs_id):
        raise AssertionError(f"run {obs_id} is read")

    radius = made.field.radii[""].on(made.geometry)
    target = (83.63, 22.01)
    Elsewhere.used["DEC_PNT"] = target[1] - 2.5
    assert growth_at(Elsewhere, read, target, radius) is None
    # A part of the disk is in its field of view.
    Elsewhere.used["DEC_PNT"] = target[1] - 2.1
    with pytest.raises(AssertionError, match="run 1001 is read"):
        growth_at(Elsewhere, read, target, radius)


def test_names_of_sources_do_not_lie_on_each_other(made):
    near = {"Far": (5.0, 5.0), "Beside": (20.0, 20.0), "Middle": (20.5, 20.5)}
    axes = sky_axes(Figure(), (0.1, 0.1, 0.8, 0.8), made.geometry, "icrs")
    draw_marks(axes, Marks(sources=near))
    assert [text.get_text() for text in axes.texts] == ["Middle", "Far"]


def test_disk_at_the_rim_of_the_image(made):
    """Pixels beyond the image do not count, as in the maps."""
    geometry = made.geometry
    rows, columns = disk_pixels(geometry, geometry.position(0, 0), (4, 4))
    image = np.ones(geometry.shape)
    in_disk = counts_in_disk({"counts": image, "bkg": image}, (4, 4)).n
    assert len(rows) == in_disk[0, 0]
    assert min(rows.min(), columns.min()) == 0
    assert len(disk_pixels(geometry, (0, -80), (4, 4))[0]) == 0


def test_page_without_background_and_without_exposure(simulated_store, tmp_path):
    bands = [["1 TeV", "10 TeV"]]
    for number, settings in enumerate(
        ({"make_background_image": False}, {"background": "acceptance"})
    ):
        folder = tmp_path / str(number)
        chain = Chain(folder, simulated_store[0], energy_bands=bands, **settings)
        if number:
            chain.field = replace(chain.field, acceptance=None, has_exposure=False)
            chain.field = replace(chain.field, background={"method": "irf"})
        text, _ = page(chain.make())
        assert ("flux_corr" in text) is False
        assert ('class="viewer"' in text) is bool(number)
        assert "counts.fits" in text


def test_page_of_one_pixel(simulated_store, tmp_path):
    chain = Chain(tmp_path, simulated_store[0], energy_bands=[["1 TeV", "10 TeV"]])
    image = {**chain.field.image, "width": (0.05, 0.05)}
    chain.field = replace(chain.field, image=image, exclusion_mask=[], bkg_norm=False)
    chain.geometry = ImageGeometry.create(**image)
    assert chain.geometry.shape == (1, 1)
    text, _ = page(chain.make())
    assert "too small for pictures" in text


def test_page_where_nothing_is_known(made, tmp_path):
    """All values of the maps are NaN, and no run is used."""
    chain = Chain(tmp_path, made.store, energy_bands=[["1 TeV", "10 TeV"]]).make()
    for name in ("significance", "excess_corr", "flux_corr", "flux_corr_ul"):
        rewrite(chain.path(f"{name}.fits"), np.full(chain.geometry.shape, np.nan))
    text, states = page(chain)
    assert "no pixel is known" in text
    assert states[-1]["bands"][BAND]["target"]["significance"] is None


def rewrite(path, image):
    """Write another image into a product, with the runs as not used."""
    with fits.open(path) as hdus:
        hdus[0].data = image
        for name in ("PEAK", "PEAK_RA", "PEAK_DEC", "OFFMEAN", "OFFWIDTH"):
            hdus[0].header.remove(name, ignore_missing=True)
        hdus["RUNS"].data["status"][:] = "drop"
        hdus.writeto(path, overwrite=True, checksum=True)


def test_nothing_from_the_data_becomes_a_program(made):
    """Texts are escaped, and the policy of the page allows its own programs alone."""
    text, _ = page(made)
    assert HOSTILE not in text
    assert str(escape(HOSTILE)) in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert "default-src 'none'" in policy
    scripts = re.findall(r"<script>", text)
    assert len(re.findall(r"'sha256-[^']+'", policy)) == len(scripts)
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_names_of_fields_are_escaped():
    row = {"band": BAND, "runs_used": 1, "runs_failed": 0, "counts": 1}
    row |= dict.fromkeys(["peak_significance", "off_width"])
    fields, thumbnails = {HOSTILE: [row]}, {HOSTILE: ""}
    text = render(
        "index.html",
        version="1",
        fields=fields,
        thumbnails=thumbnails,
        failures=[HOSTILE],
        time="",
    )
    assert HOSTILE not in text and str(escape(HOSTILE)) in text


def test_page_of_ten_thousand_runs(made):
    """The table of runs stays short; all that are not used are in it."""
    n = 10_000
    norms = pd.concat([pd.read_csv(made.path("runs.csv"))] * (n // 4))
    norms["OBS_ID"] = np.arange(n)
    runs = pd.concat([pd.read_csv(made.folder / "sky" / "runs.csv")] * (n // 4))
    runs = runs.assign(OBS_ID=np.arange(n), warning="", reason="", note="")
    runs.loc[runs["OBS_ID"] % 100 == 3, "status"] = "failed"
    _, rows, n_hidden = run_rows(runs, {BAND: norms})
    assert [row["status"] for row in rows] == ["failed"] * 100
    assert n_hidden == n - 100
    assert len(run_rows(runs.assign(status="failed"), {BAND: norms})[1]) == MAX_ROWS


def state(**more):
    image = np.arange(12.0).reshape(3, 4)
    band = {"peak": {"peak": 11.0}, "target": {"significance": 5.0}}
    return {
        "time": "2026-01-01",
        "version": "1",
        "settings": {"radius": "0.1 deg", "image": {"width": 5}},
        "runs": {
            "1": {"status": "used", "digest": "a", "norms": {BAND: [1.0, 0.1]}},
            "2": {"status": "used", "digest": "b", "norms": {BAND: [1.1, 0.1]}},
        },
        "bands": {BAND: {**band, "map": encode(image), "shape": [3, 4]}},
        **more,
    }


def test_changes_between_updates():
    before, image = state(), np.arange(12.0).reshape(3, 4)
    image[1, 2] += 2.5
    image[0, 0] = np.nan
    now = state(
        time="2026-01-02",
        settings={"radius": "0.2 deg", "image": {"width": 5}},
        runs={
            "2": {"status": "used", "digest": "c", "norms": {BAND: [1.2, 0.1]}},
            "3": {"status": "failed", "digest": "", "norms": {}},
        },
    )
    now["bands"][BAND] |= {"map": encode(image), "peak": {"peak": 12.0}}
    changes = compare_states(before, now)
    assert changes.added == [3] and changes.removed == [1] and changes.changed == [2]
    assert changes.settings == [("radius", "0.1 deg", "0.2 deg")]
    assert changes.version is None
    (band,) = changes.bands
    assert band.norms == [(2, 1.1, 1.2)]
    assert band.peak == {"peak": (11.0, 12.0)}
    assert (band.n_moved, band.n_pixels, band.largest) == (1, 11, (2, 1, 2.5))


def test_maps_of_another_geometry_are_not_compared():
    other = state(settings={"radius": "0.1 deg", "image": {"width": 6}})
    (band,) = compare_states(state(), other).bands
    assert band.n_moved is None and band.difference is None


def test_a_page_that_is_drawn_again_keeps_the_last_change():
    first, second = state(), state(version="2", time="2026-01-02")
    states = with_state(with_state([], first), second)
    again = with_state(states, {**second, "time": "2026-01-03"})
    assert again == [first, second]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"states": 3}', '{"states": [1]}']
)
def test_unreadable_history_is_none(tmp_path, content):
    path = tmp_path / "history.json"
    path.write_text(content)
    assert read_states(path) == []
    assert read_states(tmp_path / "missing") == []


def test_maps_as_text():
    image = np.array([[1.234, -327.0, np.nan], [1000.0, -1000.0, 0.0]])
    assert_allclose(
        decode(encode(image), image.shape),
        [[1.23, -327.0, np.nan], [327.67, -327.67, 0.0]],
    )


def test_colours():
    scale = Scale(-2.0, 2.0, "RdBu_r")
    data = np.array([-5.0, -2.0, 0.0, 2.0, 5.0, np.nan])
    assert scale.palette_index(data).tolist() == [1, 1, 128, 255, 255, 0]
    assert scale.clipped(data) == (1, 1)
    # Zero is in the middle, and noise is not stretched to the ends.
    assert scale_of("significance", np.array([[-1.0, 2.0]])).high == 5
    assert scale_of("significance", np.array([[-20.0, 40.0]])).low == -10
    assert scale_of("counts", np.array([[0, 0, 7]])).high == 7
    nothing = scale_of("flux_corr", np.full((2, 2), np.nan))
    assert (nothing.low, nothing.high) == (-1, 1)


def test_reduced_images_are_means_of_what_is_known():
    image = np.zeros((7, 9))
    image[5, 4], image[0, 8], image[:3, :3], image[6] = 3, -2, np.nan, 4
    image[2, 2] = 7
    small, factor = reduced(image, 4)
    assert factor == 3
    expected = [[7, 0, -2 / 9], [0, 3 / 9, 0], [4, 4, 4]]
    assert_allclose(small, expected)
    assert np.isnan(reduced(np.full((4, 4), np.nan), 2)[0]).all()
    assert reduced(image, 9)[1] == 1


def test_positions_between_the_nodes_of_the_grid(made):
    """What the page interpolates is right to 1 arcsec, within the image and at its rim."""
    geometry = ImageGeometry.create((83.63, 22.01), "galactic", "TAN", (8, 8), 0.02)
    grid = position_grid(geometry)
    vectors = np.array(grid["vectors"]).reshape(grid["ny"], grid["nx"], 3)
    x, y = np.array([3.0, 100.5, 391.0]), np.array([8.0, 200.5, 399.0])
    u, v = x / grid["step"], y / grid["step"]
    i, j = u.astype(int), v.astype(int)
    du, dv = (u - i)[:, None], (v - j)[:, None]
    found = (1 - dv) * ((1 - du) * vectors[j, i] + du * vectors[j, i + 1])
    found += dv * ((1 - du) * vectors[j + 1, i] + du * vectors[j + 1, i + 1])
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    distance = np.linalg.norm(found - geometry.vectors(x, y).T, axis=1)
    assert np.degrees(distance).max() * 3600 < 1


def test_numbers_in_words():
    assert general(1.594e-11) == "1.59 \N{MULTIPLICATION SIGN} 10⁻¹¹"
    assert general(1.1e10) == "1.10 \N{MULTIPLICATION SIGN} 10¹⁰"
    assert general(-12.34) == "\N{MINUS SIGN}12.3"
    assert general(None) == general(float("nan")) == "\N{EN DASH}"
