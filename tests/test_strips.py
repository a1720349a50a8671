"""Images that are handled in strips are those that are handled as a whole."""

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from numpy.testing import assert_allclose, assert_array_equal

from gammastack.files import fits as files
from gammastack.files.fits import GrowingImage, Image, card_text, read, write
from gammastack.maps.empty_sky import OffStatistics, off_statistics
from gammastack.pictures.pixels import coarse, reduced
from gammastack.sky import strips as of_strips
from gammastack.sky.exclusion import exclusion_mask
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.strips import BYTES_PER_PIXEL, positive, strips
from test_report import page
from test_steps import BAND, HIGH, RING, Chain

SHAPE = (60, 60)
SUMS = ("counts", "bkg", "exposure", "livetime", "n_runs", "bkg_norm_relative")
MAPS = (
    *("excess", "flux", "excess_corr", "significance", "significance_3pix"),
    *("flux_corr", "flux_corr_errn", "flux_corr_errp", "flux_corr_ul_3pix"),
    "flux_corr_sensitivity",
)


@pytest.fixture
def seven_rows(monkeypatch):
    """Let a strip of an image with 60 columns have 7 rows."""
    monkeypatch.setattr(of_strips, "MEMORY", 7.5 * 60 * BYTES_PER_PIXEL)


@pytest.mark.parametrize("margin", [0, 2, 5])
def test_each_row_is_in_one_strip(seven_rows, margin):
    parts = list(strips(SHAPE, margin))
    image = np.arange(60)
    inner = [strip.inner(image[strip.around]) for strip in parts]
    assert_array_equal(np.concatenate(inner), image)
    for strip in parts:
        assert strip.around.start == max(0, strip.rows.start - margin)
        assert strip.around.stop == min(60, strip.rows.stop + margin)
    # With a margin of 5 rows strips of 7 would be all margin.
    heights = {strip.rows.stop - strip.rows.start for strip in parts[:-1]}
    assert heights == {{0: 7, 2: 3, 5: 5}[margin]}


def test_image_that_fits_is_one_strip():
    (strip,) = strips((500, 9400), 5)
    assert strip.rows == strip.around == slice(0, 500)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f8"])
@pytest.mark.parametrize("height", [1, 3, 100])
@pytest.mark.parametrize("expected", [0, 40])
def test_growing_file_is_that_of_the_whole_image(tmp_path, dtype, height, expected):
    """Rows of 7 pixels end within the words of the checksum; the header may become shorter."""
    data = np.random.default_rng(1).integers(0, 99, (29, 7)).astype(dtype)
    cards = [("BUNIT", "counts", "unit")]
    guess = card_text([*cards, *[("GUESS", 0)] * expected])
    runs = files.Table({"OBS_ID": [1, 2]}, b"", "RUNS")
    whole, grown = tmp_path / "whole.fits", tmp_path / "grown.fits"
    write(whole, [Image(data, card_text(cards)), runs])
    image = GrowingImage(grown, data.shape, dtype, guess)
    for start in range(0, 29, height):
        image.add(data[start : start + height])
    image.finish(card_text(cards), [runs])
    assert grown.read_bytes() == whole.read_bytes()


def test_header_that_is_longer_than_expected(tmp_path):
    """It would be written over the data."""
    image = GrowingImage(tmp_path / "image.fits", (1, 1), "f8", b"")
    image.add(np.ones((1, 1)))
    with pytest.raises(ValueError, match="longer than was expected"):
        image.finish(card_text([(f"KEY{n}", n) for n in range(40)]), [])


def test_large_file_is_read_in_parts(tmp_path):
    path, data = tmp_path / "image.fits", np.arange(12.0).reshape(4, 3)
    runs = files.Table({"OBS_ID": [1, 2], "REASON": ["", "cloud"]}, b"", "RUNS")
    write(path, [Image(data), runs])
    hdus = read(path, in_memory=0)
    assert_array_equal(hdus["PRIMARY"].rows(slice(1, 3)), data[1:3])
    assert_array_equal(hdus["PRIMARY"].image, data)
    assert_array_equal(positive(hdus["PRIMARY"].rows, data.shape), data > 0)
    assert hdus["RUNS"].table["REASON"].tolist() == ["", "cloud"]
    again = tmp_path / "again.fits"
    write(again, hdus.values())
    assert again.read_bytes() == path.read_bytes()
    content = bytearray(path.read_bytes())
    content[2900] ^= 1
    path.write_bytes(content)
    with pytest.raises(files.DamagedResult, match="checksum"):
        read(path, in_memory=0)
    path.write_bytes(content[:3000])
    with pytest.raises(files.DamagedResult, match="truncated"):
        read(path, in_memory=0)


def test_statistics_of_empty_sky_do_not_depend_on_strips():
    rng = np.random.default_rng(2)
    significance = rng.normal(0.3, 1.2, SHAPE)
    background = rng.uniform(0.1, 20, SHAPE)
    significance[13:31] = background[13:31] = np.nan
    statistics = OffStatistics((2, 3))
    for start in range(0, 60, 7):
        rows = slice(start, start + 7)
        statistics.add(significance[rows], background[rows], start)
    row, whole = statistics.row(), off_statistics(significance, background, (2, 3))
    assert row.keys() == whole.keys()
    assert_allclose(list(row.values()), list(whole.values()), rtol=1e-12)
    value, x, y = statistics.peak
    assert value == significance[y, x] == np.nanmax(significance)


def test_blocks_of_an_image():
    image = np.random.default_rng(3).normal(size=(50, 31))
    image[:9] = np.nan
    expected, _ = reduced(image, 17)
    found, factor = coarse(image.__getitem__, image.shape, 50 * 31 // 8)
    assert factor == 3
    assert_array_equal(found, expected)
    found, factor = coarse(image.__getitem__, image.shape, image.size)
    assert factor == 1 and found.base is image


def test_exclusions_in_strips(seven_rows, tmp_path):
    """A mask of another grid that covers a part: the pixels beyond are counted once."""
    geometry = ImageGeometry.create((83.6, 22.0), "icrs", "TAN", (3, 3), 0.05)
    other = ImageGeometry.create((83.6, 22.4), "icrs", "TAN", (2, 2), 0.07)
    use = np.ones(other.shape, np.uint8)
    use[5:9, 3:20] = 0
    path = tmp_path / "mask.fits"
    text = card_text((c.keyword, c.value, c.comment) for c in other.header().cards)
    write(path, [Image(use, text)])
    items = [
        {"center": (83.6, 22.0), "radius": 0.4},
        "icrs; ellipse(83.2, 21.5, 0.5, 0.2, 30)",
        str(path),
    ]
    in_strips = exclusion_mask(geometry, items)
    of_strips.MEMORY = 1e9
    whole = exclusion_mask(geometry, items)
    assert_array_equal(in_strips[0], whole[0])
    assert in_strips[1] == whole[1] and "pixels outside it are used" in whole[1][0]


@pytest.mark.parametrize("background", [{"method": "irf"}, RING], ids=["irf", "ring"])
def test_field_in_strips_is_the_whole_field(
    simulated_store, tmp_path, monkeypatch, background
):
    """All steps; values that are found step by step may differ in their last bits."""
    folders = tmp_path / "whole", tmp_path / "strips"
    settings = {"background": background}
    whole = Chain(folders[0], simulated_store[0], **settings).make()
    monkeypatch.setattr(of_strips, "MEMORY", 13 * 60 * BYTES_PER_PIXEL)
    monkeypatch.setattr(files, "IN_MEMORY", 0)
    monkeypatch.setattr("gammastack.maps.candidates.SAMPLE", 700)
    monkeypatch.setattr("gammastack.report.results.MOST_PIXELS", 60 * 60 // 4)
    in_strips = Chain(folders[1], simulated_store[0], **settings).make()
    assert_array_equal(in_strips.mask, whole.mask)
    assert in_strips.warnings == whole.warnings
    for band in (BAND, HIGH):
        for name in (*SUMS, *MAPS):
            found, expected = (chain.image(name, band) for chain in (in_strips, whole))
            rtol = 0 if name in SUMS else 1e-9
            assert_allclose(found, expected, rtol=rtol, atol=0, err_msg=name)
        for name in ("off_statistics", "off_histogram", "table_bkg_norm", "runs"):
            found, expected = (
                pd.read_csv(chain.path(f"{name}.csv", band))
                for chain in (in_strips, whole)
            )
            pd.testing.assert_frame_equal(found, expected, rtol=1e-9)
        found, expected = (
            Table.read(chain.path("candidates.ecsv", band))
            for chain in (in_strips, whole)
        )
        assert len(found) and found.meta.keys() == expected.meta.keys()
        for name in ("n_found", "n_pixels", "n_trials", "n_expected"):
            assert_allclose(found.meta[name], expected.meta[name], rtol=0.1)
        found, expected = found.to_pandas(), expected.to_pandas()
        pd.testing.assert_frame_equal(found, expected, rtol=1e-6)
    text, _ = page(in_strips)
    assert '"factor": 2' in text.replace("&#34;", '"')
