"""The FITS files of products: astropy is the reference for what is valid."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from gammastack.checksum import encode
from gammastack.dl3.observation import read_observation
from gammastack.errors import DamagedResult
from gammastack.files.bands import write_bands
from gammastack.files.fits import (
    BLOCK,
    Image,
    Table,
    card_text,
    parse,
    read,
    write,
)
from gammastack.files.header import Provenance
from gammastack.files.run import run_cards
from gammastack.runs.images import run_images
from gammastack.sky.geometry import ImageGeometry

COLUMNS = {
    "NUMBER": [1, -(2**62)],
    "VALUE": [np.pi, np.nan],
    "USED": [True, False],
    "REASON": ["it's", ""],
}


def verified(path):
    """Return the HDUs of a file, in which astropy finds nothing wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True, memmap=False) as hdus:
            hdus.verify("exception")
            for hdu in hdus:
                # It is read now, or never.
                _ = hdu.data
                assert hdu.verify_checksum() == hdu.verify_datasum() == 1
    assert path.suffix == ".gz" or path.stat().st_size % BLOCK == 0
    return hdus


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (0, 4), (0, 0), (40, 36)])
def test_image(tmp_path, dtype, shape):
    path = tmp_path / "image.fits"
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    write(path, [Image(data), Image(data, name="AGAIN")])
    hdus, again = verified(path), read(path)
    assert [hdu.name for hdu in hdus] == list(again) == ["PRIMARY", "AGAIN"]
    for hdu, name in zip(hdus, again, strict=True):
        if data.size:
            assert hdu.data.dtype == data.dtype.newbyteorder(">")
            assert_array_equal(hdu.data, data)
            assert_array_equal(again[name].image, data)
            # Small whole numbers could overflow when they are added up.
            small = data.dtype.str[1:] in ("u1", "i2")
            assert again[name].image.dtype == (np.int32 if small else data.dtype)
        else:
            assert hdu.data is None and again[name].image.shape == (0, 0)


@pytest.mark.parametrize(
    "data", [np.eye(4)[::2, 1:], np.eye(3, 2, dtype=">f4").T, np.ones((2, 2), "<i2")]
)
def test_image_of_another_order_in_memory(tmp_path, data):
    write(tmp_path / "image.fits", [Image(data)])
    assert_array_equal(verified(tmp_path / "image.fits")[0].data, data)


def test_table(tmp_path):
    path = tmp_path / "table.fits"
    cards = card_text([("LIVETIME", 1.5, "[s] in all")])
    write(path, [Table(COLUMNS, cards, "RUNS", {"VALUE": "s"})])
    primary, table = verified(path)
    assert primary.data is None and table.header["LIVETIME"] == 1.5
    columns = {one.name: (one.format, one.unit) for one in table.columns}
    assert columns == {
        "NUMBER": ("K", None),
        "VALUE": ("D", "s"),
        "USED": ("L", None),
        "REASON": ("4A", None),
    }
    again = read(path)["RUNS"].table
    for name, values in COLUMNS.items():
        assert_array_equal(table.data[name], values)
        assert_array_equal(again[name], values)
        assert again[name].dtype.isnative


@pytest.mark.parametrize("values", [[], ["T", "F"], ["", ""], ["Größe µ", "ok"]])
def test_columns_of_text(tmp_path, values):
    """FITS has only ASCII: other characters are written as escapes, none is lost."""
    path = tmp_path / "table.fits"
    write(path, [Table({"TEXT": np.array(values, str)}, b"", "T")])
    expected = [one.encode("ascii", "backslashreplace").decode() for one in values]
    assert verified(path)["T"].data["TEXT"].tolist() == expected
    assert read(path)["T"].table["TEXT"].tolist() == expected


def test_table_without_rows(tmp_path):
    path = tmp_path / "table.fits"
    write(
        path,
        [Table({name: np.array(one)[:0] for name, one in COLUMNS.items()}, b"", "T")],
    )
    assert len(verified(path)["T"].data) == 0
    again = read(path)["T"].table
    assert list(again) == list(COLUMNS) and all(len(one) == 0 for one in again.values())


@pytest.mark.parametrize(
    "text",
    ["", "it's", "'" * 50, "x" * 68, "x" * 69, "y'" * 300, "a & b &", "50 % / d"],
)
def test_text_in_the_header(tmp_path, text):
    """Quotes are doubled, and a text that is too long for a card is continued."""
    path = tmp_path / "image.fits"
    cards = card_text([("FIRST", text), ("SECOND", 1)])
    assert len(cards) % 80 == 0
    write(path, [Image(np.ones((2, 2)), cards)])
    for header in (verified(path)[0].header, read(path)["PRIMARY"].header):
        assert (header["FIRST"], header["SECOND"]) == (text, 1)


@pytest.mark.parametrize("n_cards", range(25, 40))
def test_header_of_any_length(tmp_path, n_cards):
    """Headers that exactly fill a block of 36 cards are valid, too."""
    path = tmp_path / "image.fits"
    cards = card_text((f"KEY{number}", number) for number in range(n_cards))
    write(path, [Image(np.ones((2, 2)), cards), Image(np.eye(3), name="E")])
    assert verified(path)[0].header["KEY24"] == 24
    assert_array_equal(read(path)["E"].image, np.eye(3))


def test_identical_input_gives_identical_compressed_files(tmp_path):
    paths = tmp_path / "a.fits.gz", tmp_path / "b.fits.gz"
    for path in paths:
        write(path, [Image(np.eye(3))])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    # In RFC 1952, these bytes are the flags (there is no name) and the time (none)
    assert paths[0].read_bytes()[3:8] == bytes(5)
    assert_array_equal(verified(paths[0])[0].data, np.eye(3))


def test_hdus_that_were_read_are_written_as_they_are(tmp_path):
    path, copy = tmp_path / "image.fits", tmp_path / "copy.fits"
    write(path, [Image(np.eye(3)), Table(COLUMNS, b"", "RUNS")])
    write(copy, read(path).values())
    assert copy.read_bytes() == path.read_bytes()


def test_encoding_of_the_checksum_in_the_standard():
    """The sum 868229149 is the example of FITS standard 4.0, appendix J.3."""
    assert encode(868229149) == b"hcHjjc9ghcEghc9g"


@given(st.integers(0, 2**32 - 1))
def test_encoding_of_the_checksum_in_astropy(total):
    encoded = encode(total)
    assert encoded.isalnum()
    astropy = fits.PrimaryHDU()._char_encode(~total & 0xFFFFFFFF)
    assert encoded == astropy.encode()


@given(st.binary(min_size=1, max_size=3 * BLOCK))
def test_checksums_of_any_data(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "checksums.fits"
    write(path, [Image(np.frombuffer(content, np.uint8)[None])])
    verified(path)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "image.fits"
    write(path, [Image(np.eye(3)), Table(COLUMNS, b"", "RUNS")])
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:100],
        lambda content: content[: 2 * BLOCK + 100],
        lambda content: content[:-BLOCK],
        lambda content: content.replace(b"BITPIX", b"BITPIY", 1),
        lambda content: content.replace(b"END".ljust(80), b"".ljust(80), 1),
        lambda content: content + b"\0" * BLOCK,
        lambda content: content + b"x",
        lambda content: b"\x1f\x8b" + content,
        lambda content: content.replace(b"NAXIS1  =", b"NAXIS1  x", 1),
    ],
)
def test_damaged_file_is_named(written, damage):
    written.write_bytes(damage(written.read_bytes()))
    with pytest.raises(DamagedResult, match=r"(?s)image\.fits: damaged result"):
        read(written)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DamagedResult, match=r"image\.fits"):
        read(tmp_path / "image.fits")


@given(st.data())
def test_no_end_of_a_file_is_taken_for_the_whole(data):
    """A file is refused wherever it is cut, except between two HDUs."""
    parts = [Image(np.eye(3)), Image(np.eye(20), name="B")]
    whole = [b"".join(one.encoded(not number)) for number, one in enumerate(parts)]
    content = b"".join(whole)
    length = data.draw(st.integers(1, len(content) - 1))
    if length == len(whole[0]):
        return
    with pytest.raises(ValueError, match="truncated"):
        parse(content[:length])


def test_run_file_in_other_programs(simulated_store, tmp_path):
    """Astropy alone reads the image, WCS and unit of an HDU by its name."""
    store, (truth, *_), _ = simulated_store
    observation = read_observation(truth.obs_id, store.hdus(truth.obs_id))
    geometry = ImageGeometry.create((83.63, 22.01), "galactic", "TAN", (4, 4), 0.1)
    (run,) = run_images(observation, geometry, [(1.0, 10.0)], (0, 2))
    path, band = tmp_path / "1001.fits", "1TeV-10TeV"
    provenance = Provenance.of(run, {}, (1.0, 10.0), cards=run_cards(run))
    write_bands(path, {band: run}, {band: provenance}, for_integral_flux=False)
    hdus = verified(path)
    assert hdus[f"exposure_{band}"].header["BUNIT"] == "m2 s TeV"
    counts = hdus[f"counts_{band}"]
    assert_array_equal(counts.data, run.counts)
    assert counts.header["LIVETIME"] == pytest.approx(1680 * 0.95)
    # A position has other pixel coordinates in a cutout
    x, y = geometry.pixel_coordinates(truth.ra, truth.dec)
    rows, columns = geometry.placement(run.geometry)
    found = WCS(counts.header).pixel_to_world(x - columns.start, y - rows.start).icrs
    assert (found.ra.deg, found.dec.deg) == pytest.approx((truth.ra, truth.dec))
