"""Figures for talks and papers, and the command that makes them."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from matplotlib import colormaps

from figure import main
from gammastack.errors import InputError
from gammastack.files.band import ImageWriter
from gammastack.files.header import Provenance, runs_table
from gammastack.pictures.figure import contours_at, save, sky_figure
from gammastack.pictures.product import read_product, scale_of_product
from gammastack.pictures.scale import Scale
from gammastack.pictures.sky import Marks
from gammastack.sky.geometry import ImageGeometry

BAND = "1TeV-10TeV"
CRAB = 83.63, 22.01
SETTINGS = {
    "center": CRAB,
    "frame": "galactic",
    "projection": "TAN",
    "width": (4, 3),
    "binsz": 0.1,
}
GEOMETRY = ImageGeometry.create(**SETTINGS)
# ICRS position of the brightest pixel, which is not in the middle
PEAK = 84.4, 22.9


def bump(geometry):
    """Return a Gaussian of 0.2 deg around `PEAK`, with 20 in its middle."""
    peak = SkyCoord(*PEAK, unit="deg")
    y, x = np.indices(geometry.shape)
    distance = geometry.wcs.pixel_to_world(x, y).icrs.separation(peak).deg
    return 20 * np.exp(-((distance / 0.2) ** 2) / 2)


def write_images(paths, images, provenance):
    writer = ImageWriter(paths, GEOMETRY, provenance, for_integral_flux=True)
    writer.add(images)
    writer.finish(provenance)


@pytest.fixture
def field(tmp_path):
    """A field with a few images in one band."""
    runs = pd.DataFrame(
        {"OBS_ID": [1, 2], "status": ["used", "dropped"]}
        | {"RA_PNT": [83.63, 83.0], "DEC_PNT": [22.5, 22.0]}
    )
    config = {"image": SETTINGS, "radius": "0.2 deg", "for_integral_flux": True}
    provenance = Provenance(config, runs=runs_table(runs))
    names = ("counts", "significance", "flux_corr", "exposure")
    images = dict.fromkeys(names, bump(GEOMETRY))
    mask = {"exclusion_mask": bump(GEOMETRY) < 5}
    (tmp_path / "crab" / BAND).mkdir(parents=True)
    paths = {name: tmp_path / "crab" / BAND / f"{name}.fits" for name in names}
    write_images(paths, images, provenance)
    path = {"exclusion_mask": tmp_path / "crab" / "exclusion_mask.fits"}
    write_images(path, mask, replace(provenance, runs=None))
    return tmp_path / "crab"


def drawn(figure):
    """Return the pixels of a figure, and its axes of the sky and of the colour bar."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[::-1], *figure.axes[:2]


def test_colours_are_at_their_positions_on_the_sky(field):
    """By the transformations of astropy, independent of the pixels of the image."""
    shown = read_product(field / BAND / "counts.fits")
    figure = sky_figure(shown, Scale(0, 40, "viridis"), Marks())
    pixels, axes, _ = drawn(figure)
    x, y = axes.get_transform("icrs").transform([PEAK])[0].astype(int)
    expected = colormaps["viridis"](shown.image.max() / 40, bytes=True)
    # The sky grid may be next to it.
    assert np.abs(pixels[y, x].astype(int) - expected).max() <= 8


def test_a_figure_says_what_it_shows(field):
    shown = read_product(field / BAND / "flux_corr.fits")
    figure = sky_figure(shown, Scale(0, 10, "viridis"), Marks(), title="$5 & <b>")
    _, axes, bar = drawn(figure)
    assert bar.get_ylabel() == "Flux in the disk (m$^{-2}$ s$^{-1}$)"
    assert bar.get_ylim() == (0, 10)
    assert axes.coords[0].get_axislabel() == "Galactic longitude"
    assert [text.get_text() for text in figure.texts] == ["$5 & <b>"]


@pytest.mark.parametrize(
    ("high", "text", "label"), [(10, "10", "Counts"), (2e9, "2", "Counts ($10^{9}$)")]
)
def test_numbers_at_the_colour_bar_are_short(field, high, text, label):
    shown = read_product(field / BAND / "counts.fits")
    figure = sky_figure(shown, Scale(0, high, "viridis"), Marks())
    *_, bar = drawn(figure)
    labels = bar.get_yticklabels()
    assert [one.get_text() for one in labels if one.get_position()[1] == high] == [text]
    assert bar.get_ylabel() == label


def test_marks_of_a_field(field):
    shown = read_product(field / BAND / "significance.fits")
    marks = shown.marks(read_product(field / "exclusion_mask.fits"))
    assert (~marks.mask).sum() == (bump(GEOMETRY) >= 5).sum() > 0
    assert marks.target == pytest.approx((19.5, 14.5))
    assert marks.radius == pytest.approx((2, 2), rel=1e-3)
    assert "Crab Nebula" in marks.sources
    # That of the used run
    assert GEOMETRY.position(*marks.pointings[0]) == pytest.approx((83.63, 22.5))
    assert len(marks.pointings) == 1


def test_contours_of_an_image_on_another_grid(field):
    other = ImageGeometry.create(CRAB, "icrs", "CAR", (3, 3), 0.05)
    contours = contours_at([12, 8], bump(other), other, "other.fits")
    shown = read_product(field / BAND / "counts.fits")
    figure = sky_figure(shown, Scale(0, 40, "viridis"), Marks(), contours)
    _, axes, _ = drawn(figure)
    lines = axes.collections[-1]
    to_data = lines.get_transform() - axes.transData
    peak = SkyCoord(*PEAK, unit="deg")
    for level, path in zip((8, 12), lines.get_paths(), strict=True):
        x, y = to_data.transform(path.vertices).T
        distance = GEOMETRY.wcs.pixel_to_world(x, y).icrs.separation(peak).deg
        # The contours of a Gaussian are circles.
        radius = 0.2 * np.sqrt(2 * np.log(20 / level))
        np.testing.assert_allclose(distance, radius, atol=0.005)


def test_noise_beyond_the_exposure_does_not_set_the_range_of_a_flux(field):
    flux, exposure = (
        read_product(field / BAND / f"{name}.fits")
        for name in ("flux_corr", "exposure")
    )
    image = np.where(exposure.image > 3, 1.0, 1000)
    noisy = replace(flux, image=image)
    assert scale_of_product(noisy, exposure).high == 1
    assert scale_of_product(noisy).high == 1000


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_identical_figures_are_identical_files(field, tmp_path, monkeypatch, suffix):
    shown = read_product(field / BAND / "significance.fits")
    contents = []
    for time in ("0", "1000000000"):
        # The library takes the time of writing from here.
        monkeypatch.setenv("SOURCE_DATE_EPOCH", time)
        figure = sky_figure(shown, scale_of_product(shown), shown.marks(None))
        save(figure, tmp_path / f"figure.{suffix}")
        contents.append((tmp_path / f"figure.{suffix}").read_bytes())
    assert contents[0] == contents[1]
    assert b"matplotlib" not in contents[0].lower()


def test_part_of_an_image(field):
    whole = read_product(field / BAND / "counts.fits")
    part = whole.around(PEAK, 0.6)
    assert part.image.shape[0] <= 9 and part.image.max() == whole.image.max()
    y, x = np.unravel_index(part.image.argmax(), part.image.shape)
    assert part.geometry.position(x, y) == pytest.approx(PEAK, abs=0.06)
    with pytest.raises(InputError, match=r"RA 10, Dec -30 .* is not on the image"):
        whole.around((10, -30), 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (5, 300), (300, 5)])
def test_images_of_any_shape(field, tmp_path, shape):
    shown = read_product(field / BAND / "significance.fits")
    ny, nx = shape
    geometry = ImageGeometry.create(CRAB, "icrs", "CAR", (0.1 * nx, 0.1 * ny), 0.1)
    shown = replace(shown, image=np.full(shape, np.nan), geometry=geometry)
    mask = np.ones(shape, bool)
    mask[0, 0] = False
    marks = replace(shown.marks(None), mask=mask)
    save(sky_figure(shown, scale_of_product(shown), marks), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_command(field, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image = f"crab/{BAND}/significance.fits"
    assert main([image]) == 0
    assert (tmp_path / "significance.png").read_bytes().startswith(b"\x89PNG")
    options = "--output a.pdf --range -3 8 --colors viridis --contours 9 5 --center crab nebula"
    options += (
        f" --width 2 deg --marks disk target --contours-of crab/{BAND}/counts.fits"
    )
    assert main([image, *options.split(), "--title", "Crab"]) == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert capsys.readouterr().out == "significance.png\na.pdf\n"


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        ("table_bkg_norm.fits", "", "table_bkg_norm.fits has no image of a field"),
        ("bkg.fits", "", "bkg.fits: no such file"),
        ("counts.fits", "--center Krab --width 2deg", "'Krab' is no position"),
        ("counts.fits", "--center 83 95 --width 2deg", "--center: the latitude 95"),
        ("counts.fits", "--center 83 22", "--center needs a width"),
        ("counts.fits", "--width 2", "--width: '2' has no unit"),
        ("counts.fits", "--range 5 5", "--range: 5 is not below 5"),
        ("counts.fits", "--colors virids", "no 'virids'; similar is viridis"),
        ("counts.fits", "--contours 99", "counts.fits: .* of 99: no contour"),
        ("counts.fits", "--contours-of x.fits", "--contours-of needs levels"),
        ("counts.fits", "--contours 1 --contours-of x.fits", "x.fits: not a FITS file"),
        ("counts.fits", "--output a.jpg", "a.jpg: .* ends in .png or .pdf"),
    ],
)
def test_what_cannot_be_drawn(field, capsys, image, options, message):
    assert main([str(field / BAND / image), *options.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ERROR: ") and error.count("\n") == 1
    assert re.search(message, error)
