import gzip

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from dl3_files import refused
from gammastack.sky.exclusion import exclusion_mask, read_catalog
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.search import add_sources

CENTER = 83.6, 22.0
PLAIN = ImageGeometry.create(CENTER, "icrs", "TAN", (5, 4), 0.05)
# A region that was left out must be an error even if warnings are ignored
quietly = pytest.mark.filterwarnings(
    "ignore::astropy.utils.exceptions.AstropyUserWarning"
)


def positions(geometry):
    """Return the sky positions of the pixel centres, by astropy alone."""
    y, x = np.indices(geometry.shape)
    return geometry.wcs.pixel_to_world(x, y)


def assert_circle(geometry, mask, center, radius):
    """Check that the mask excludes the pixels that astropy finds within `radius`."""
    distance = positions(geometry).separation(SkyCoord(*center, unit="deg")).deg
    clear = np.abs(distance - radius) > 1e-6
    assert np.array_equal(~mask[clear], distance[clear] < radius)
    assert not mask.all()


IMAGES = [
    PLAIN,
    ImageGeometry.create(CENTER, "galactic", "TAN", (5, 4), 0.05),
    ImageGeometry.create(CENTER, "galactic", "CAR", (5, 4), 0.05),
    ImageGeometry.create((83.6, 60.0), "icrs", "CAR", (10, 5), 0.05),
    ImageGeometry.create((10.0, 89.5), "icrs", "TAN", (5, 4), 0.05),
    ImageGeometry.create((0.1, 0.0), "icrs", "CAR", (5, 4), 0.05),
    ImageGeometry.create((0.0, 0.0), "icrs", "AIT", (300, 150), 1.0),
]
IMAGE_NAMES = ["icrs-TAN", "gal-TAN", "gal-CAR", "CAR-60", "pole", "wrap", "AIT"]


@pytest.mark.parametrize("geometry", IMAGES, ids=IMAGE_NAMES)
@pytest.mark.parametrize("kind", ["circle", "region string"])
@pytest.mark.parametrize("shift", [(0, 0), (25, -16)])
def test_circle(geometry, kind, shift):
    """Whatever the projection, a circle is a circle on the sky."""
    ny, nx = geometry.shape
    center = geometry.position(nx / 2 + shift[0], ny / 2 + shift[1])
    radius = float(12 * geometry.wcs.wcs.cdelt[1])
    item = {"center": center, "radius": radius}
    if kind == "region string":
        item = f"icrs; circle({center[0]!r}, {center[1]!r}, {radius!r})"
    mask, notes = exclusion_mask(geometry, [item])
    assert_circle(geometry, mask, center, radius)
    assert notes == []


def test_nothing_excluded():
    mask, notes = exclusion_mask(PLAIN, [])
    assert mask.shape == (80, 100)
    assert mask.dtype == bool
    assert mask.all()
    assert notes == []


def test_exclusions_add_up():
    circles = [{"center": (83.6 + i, 22), "radius": 0.3} for i in (-1, 1)]
    both, _ = exclusion_mask(PLAIN, circles)
    one, other = (exclusion_mask(PLAIN, [circle])[0] for circle in circles)
    assert np.array_equal(both, one & other)
    assert (~both).sum() == (~one).sum() + (~other).sum()


def pixel(geometry, ra, dec, frame="icrs"):
    sky = SkyCoord(ra, dec, unit="deg", frame=frame)
    x, y = geometry.wcs.world_to_pixel(sky)
    return round(float(y)), round(float(x))


# Each region has a position inside and one outside of it
SHAPES = [
    ("icrs; ellipse(83.6, 22, 1, 0.3, 0)", (84.4, 22), (83.6, 22.8)),
    ("icrs; ellipse(83.6, 22, 1, 0.3, 90)", (83.6, 22.8), (84.4, 22)),
    ("icrs; box(83.6, 22, 2, 0.5, 0)", (84.4, 22.2), (83.6, 22.4)),
    ("icrs; annulus(83.6, 22, 0.5, 1)", (83.6, 22.7), (83.6, 22)),
    ("icrs; polygon(83, 21.5, 84, 21.5, 84, 22.5)", (83.9, 22), (83.1, 22.4)),
    ("fk5; circle(83.6, 22, 0.5)", (83.6, 22.4), (83.6, 22.6)),
    ('icrs; circle(5:34:24.0, +22:00:00, 1800")', (83.6, 22.4), (83.6, 22.6)),
    ("icrs; circle(83.6, 22, 30')", (83.6, 22.4), (83.6, 22.6)),
    ("fk5; circle(83.6d, 22d, 0.5d) # text={a # b}", (83.6, 22.4), (83.6, 22.6)),
]


@pytest.mark.parametrize(("region", "inside", "outside"), SHAPES)
@pytest.mark.parametrize("geometry", IMAGES[:3], ids=IMAGE_NAMES[:3])
def test_shapes(geometry, region, inside, outside):
    mask, _ = exclusion_mask(geometry, [region])
    assert not mask[pixel(geometry, *inside)]
    assert mask[pixel(geometry, *outside)]


@pytest.mark.parametrize("geometry", IMAGES[:3], ids=IMAGE_NAMES[:3])
def test_galactic_region(geometry):
    center = SkyCoord(*CENTER, unit="deg").galactic.to_string(precision=9)
    region = f"galactic; circle({center.replace(' ', ', ')}, 0.5)"
    mask, _ = exclusion_mask(geometry, [region])
    assert_circle(geometry, mask, CENTER, 0.5)


REGION_FILE = """# Region file format: DS9 version 4.1
global color=green dashlist=8 3 width=1
icrs
# known sources
circle(83.1, 22, 0.4) # text={one}
circle(84.1, 22, 1440.0")
"""


def test_region_file(tmp_path):
    path = tmp_path / "known.reg"
    path.write_text(REGION_FILE)
    mask, _ = exclusion_mask(PLAIN, [str(path)])
    circles = [{"center": (ra, 22), "radius": 0.4} for ra in (83.1, 84.1)]
    expected, _ = exclusion_mask(PLAIN, circles)
    assert np.array_equal(mask, expected)
    from_text, _ = exclusion_mask(PLAIN, [REGION_FILE])
    assert np.array_equal(mask, from_text)


@pytest.mark.parametrize(
    "order",
    [
        "circle(83.6,22,1);-circle(83.6,22,0.5)",
        "-circle(83.6,22,0.5);circle(83.6,22,1)",
    ],
)
def test_region_with_a_minus_sign_is_taken_out(order):
    mask, _ = exclusion_mask(PLAIN, ["icrs;" + order])
    ring, _ = exclusion_mask(PLAIN, ["icrs; annulus(83.6, 22, 0.5, 1)"])
    assert np.array_equal(mask, ring)


def test_minus_holds_within_its_own_item():
    items = ["icrs; circle(83.6,22,1)", "icrs; -circle(83.6,22,0.5)"]
    mask, _ = exclusion_mask(PLAIN, items)
    expected, _ = exclusion_mask(PLAIN, items[:1])
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("shape", ["circle(31, 11, 5)", "point(31, 11)"])
def test_image_coordinates_are_refused(shape):
    """They mean another place on the sky when the size of the image changes."""
    with refused("exclusion_mask", shape, "image coordinates", "icrs"):
        exclusion_mask(PLAIN, [f"image; {shape}"])


@pytest.mark.parametrize("projection", ["TAN", "CAR", "AIT"])
def test_region_on_the_other_side_of_the_sky(projection):
    """Regions far away have no effect, so one list of all sources serves all fields."""
    geometry = ImageGeometry.create(CENTER, "icrs", projection, (5, 4), 0.05)
    here = "circle(83.6, 22, 0.5)"
    away = "circle(263.6, -22, 0.5); circle(263.6, 5, 0.5); circle(353.6, 0, 0.5)"
    mask, _ = exclusion_mask(geometry, [f"icrs; {away}; {here}"])
    assert_circle(geometry, mask, CENTER, 0.5)


def test_pixels_off_the_sky():
    geometry = IMAGES[-1]
    mask, _ = exclusion_mask(geometry, ["icrs; circle(0, 0, 20)"])
    assert mask[0, 0]
    assert not mask[75, 150]


def write_mask(path, data, geometry, **options):
    fits.PrimaryHDU(data, geometry.header(), **options).writeto(path)
    return str(path)


def pattern(geometry):
    """Return a mask without any symmetry."""
    return np.random.default_rng(0).integers(0, 2, geometry.shape).astype(np.uint8)


@pytest.mark.parametrize("ending", [".fits", ".fits.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
def test_mask_on_the_same_grid(tmp_path, dtype, ending):
    data = pattern(PLAIN)
    path = write_mask(tmp_path / f"mask{ending}", data.astype(dtype), PLAIN)
    mask, notes = exclusion_mask(PLAIN, [path])
    assert np.array_equal(mask, data)
    assert notes == []


def test_mask_in_an_extension(tmp_path):
    data = pattern(PLAIN)
    hdu = fits.ImageHDU(data, PLAIN.header(), name="MASK")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "mask.fits")
    mask, _ = exclusion_mask(PLAIN, [str(tmp_path / "mask.fits")])
    assert np.array_equal(mask, data)


def part(geometry, rows, columns):
    """Return the same grid at rows and columns that may lie outside the image."""
    wcs = geometry.wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - [columns.start, rows.start]
    shape = rows.stop - rows.start, columns.stop - columns.start
    return ImageGeometry(wcs, shape)


def test_larger_mask_shifted_by_whole_pixels(tmp_path):
    larger = part(PLAIN, slice(-7, 90), slice(-3, 110))
    data = pattern(larger)
    path = write_mask(tmp_path / "mask.fits", data, larger)
    mask, notes = exclusion_mask(PLAIN, [path])
    assert np.array_equal(mask, data[7:87, 3:103])
    assert notes == []


def test_smaller_mask_leaves_the_rest_in_use(tmp_path):
    smaller = part(PLAIN, slice(10, 30), slice(20, 60))
    path = write_mask(tmp_path / "mask.fits", np.zeros((20, 40), "u1"), smaller)
    mask, (note,) = exclusion_mask(PLAIN, [path])
    expected = np.ones(PLAIN.shape, bool)
    expected[10:30, 20:60] = False
    assert np.array_equal(mask, expected)
    assert "mask.fits" in note
    assert f"{80 * 100 - 20 * 40} pixels outside it are used" in note


def test_coarser_mask_is_resampled_and_says_so(tmp_path):
    coarse = ImageGeometry.create(CENTER, "icrs", "TAN", (5, 4), 0.25)
    data = pattern(coarse)
    path = write_mask(tmp_path / "mask.fits", data, coarse)
    mask, (note,) = exclusion_mask(PLAIN, [path])
    assert np.array_equal(mask, np.kron(data, np.ones((5, 5))))
    assert "mask.fits" in note
    assert "nearest" in note
    assert "outside" not in note


def test_mask_in_another_frame_is_resampled(tmp_path):
    other = ImageGeometry.create(CENTER, "galactic", "CAR", (8, 8), 0.02)
    distance = positions(other).separation(SkyCoord(*CENTER, unit="deg")).deg
    path = write_mask(tmp_path / "mask.fits", (distance > 1).astype("u1"), other)
    mask, (note,) = exclusion_mask(PLAIN, [path])
    assert "nearest" in note
    distance = positions(PLAIN).separation(SkyCoord(*CENTER, unit="deg")).deg
    # Half the diagonal of a pixel of the mask is 0.014 deg
    clear = np.abs(distance - 1) > 0.015
    assert np.array_equal(mask[clear], distance[clear] > 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", ["'hello'"]),
        ("icrs", ["'icrs'", "no region", "icrs; circle(83.63, 22.01, 0.3)"]),
        ("", ["exclusion_mask", "no region"]),
        ("icrs; circle(83, xx, 0.3)", ["circle(83, xx, 0.3)"]),
        ("circle(83, 22, 0.3)", ["circle(83, 22, 0.3)"]),
        ("physical; circle(83, 22, 0.3)", ["physical"]),
        ("known.ds9", ["known.ds9"]),
        ("icrs; point(83.6, 22)", ["point"]),
        ("icrs; line(83, 22, 84, 22)", ["line"]),
        ("icrs; circle(83.6, 22, 1); circel(84, 22, 1)", ["circel(84, 22, 1)"]),
    ],
)
@quietly
def test_region_that_cannot_be_used(text, words):
    with refused("exclusion_mask", *words):
        exclusion_mask(PLAIN, [text])


@pytest.mark.parametrize(
    "line", ["circel(84, 22, 1)", "circle(84, 22)", "point(84, 22)"]
)
@quietly
def test_bad_line_of_a_region_file(tmp_path, line):
    """A source that is silently not excluded would bias the background."""
    path = tmp_path / "known.reg"
    path.write_text(REGION_FILE + line + "\n")
    with refused("exclusion_mask", path):
        exclusion_mask(PLAIN, [str(path)])


def test_empty_region_file(tmp_path):
    (tmp_path / "empty.reg").write_text("# Region file format: DS9\nicrs\n")
    with refused("exclusion_mask", "empty.reg", "no region"):
        exclusion_mask(PLAIN, [str(tmp_path / "empty.reg")])


@pytest.mark.parametrize("name", ["no.reg", "no.fits", "no.fits.gz"])
def test_missing_file(tmp_path, name):
    with refused("exclusion_mask", tmp_path / name, "No such file"):
        exclusion_mask(PLAIN, [str(tmp_path / name)])


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_mask_of_other_values(tmp_path, value):
    data = np.ones(PLAIN.shape)
    data[3, 4] = value
    path = write_mask(tmp_path / "mask.fits", data, PLAIN)
    with refused("exclusion_mask", path, "1 (use)", "0 (exclude)"):
        exclusion_mask(PLAIN, [path])


def no_image(path):
    fits.PrimaryHDU().writeto(path)


def no_wcs(path):
    fits.PrimaryHDU(np.ones(PLAIN.shape)).writeto(path)


def cube(path):
    fits.PrimaryHDU(np.ones((1, *PLAIN.shape)), PLAIN.header()).writeto(path)


def no_fits(path):
    path.write_text("<html>404</html>")


def truncated(path):
    write_mask(path, pattern(PLAIN), PLAIN)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def truncated_gzip(path):
    truncated(path)
    path.write_bytes(gzip.compress(path.read_bytes())[:-50])


@pytest.mark.parametrize(
    "make", [no_image, no_wcs, cube, no_fits, truncated, truncated_gzip]
)
@quietly
def test_file_that_is_no_mask(tmp_path, make):
    path = tmp_path / "mask.fits"
    make(path)
    with refused("exclusion_mask", path, "FITS image with a celestial WCS"):
        exclusion_mask(PLAIN, [str(path)])


SOURCES = Table({"RA": [83.6, 84.3], "DEC": [22.0, 21.5], "RADIUS": [0.3, 0.5]})


@pytest.mark.parametrize("name", ["s.fits", "s.csv", "s.ecsv"])
def test_catalog(tmp_path, name):
    """A catalogue in any format of astropy excludes the same as its circles."""
    SOURCES.write(tmp_path / name)
    circles = [
        {"center": (83.6, 22.0), "radius": 0.3},
        {"center": (84.3, 21.5), "radius": 0.5},
    ]
    mask, _ = exclusion_mask(PLAIN, [{"catalog": str(tmp_path / name)}])
    assert np.array_equal(mask, exclusion_mask(PLAIN, circles)[0])
    assert not mask.all()


def test_catalog_with_units_other_names_and_missing_radii(tmp_path):
    table = Table(
        {
            "_RAJ2000": [0.0, 0.0],
            "RAJ2000": [83.6, 84.3] * u.deg,
            "DEJ2000": [1320.0, 1290.0] * u.arcmin,
            "radius": MaskedColumn([18.0, 0.0], mask=[False, True], unit="arcmin"),
        }
    )
    table.write(tmp_path / "catalog.ecsv")
    expected = [(83.6, 22.0, 0.3), (84.3, 21.5, 0.2)]
    found = read_catalog(tmp_path / "catalog.ecsv", 0.2)
    assert np.allclose(found, expected, rtol=1e-12)
    with refused("catalog.ecsv", "row 2", "radius"):
        read_catalog(tmp_path / "catalog.ecsv")


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("RA", ["no column RA", "it has DEC, RADIUS"]),
        ("DEC", ["no column DEC"]),
        ("RADIUS", ["no column RADIUS", "one radius for all"]),
    ],
)
def test_catalog_without_a_column(tmp_path, missing, words):
    path = tmp_path / "sources.csv"
    columns = [name for name in SOURCES.colnames if name != missing]
    SOURCES[columns].write(path)
    with refused("exclusion_mask", str(path), *words):
        exclusion_mask(PLAIN, [{"catalog": str(path)}])
    if missing == "RADIUS":
        assert read_catalog(path, 0.1) == [(83.6, 22.0, 0.1), (84.3, 21.5, 0.1)]


@pytest.mark.parametrize("content", [b"", b"\0\1\2", b"RA,DEC,RADIUS\na,b,c\n"])
def test_catalog_that_cannot_be_read(tmp_path, content):
    path = tmp_path / "sources.csv"
    path.write_bytes(content)
    with refused("exclusion_mask", "catalog", str(path)):
        exclusion_mask(PLAIN, [{"catalog": str(path)}])


def test_catalog_of_the_whole_sky():
    """Sources may be off the image, on its edge or on the other side of the sky."""
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    ra, dec = np.append(ra, 86.3), np.append(dec, 22.0)
    circles = [
        {"center": center, "radius": 0.4} for center in zip(ra, dec, strict=True)
    ]
    mask, _ = exclusion_mask(PLAIN, circles)
    distance = SkyCoord(ra, dec, unit="deg")[:, None, None].separation(positions(PLAIN))
    assert np.array_equal(~mask, (distance.deg < 0.4).any(axis=0))


def test_sources_grow_from_the_threshold_to_the_lower_one():
    """Hysteresis: a weaker pixel counts if it touches the source, also at a corner."""
    significance = np.zeros((12, 30))
    significance[5, 3:8] = 6, 4, 4, 2, 4
    significance[6, 2] = 3.5
    significance[5, 20] = 4.9
    significance[0, 0] = np.nan
    mask = add_sources(np.ones((12, 30), bool), significance, 5, 3, (0, 0))
    assert np.argwhere(~mask).tolist() == [[5, 3], [5, 4], [5, 5], [6, 2]]


def test_margin_around_sources():
    significance = np.zeros((12, 30))
    significance[6, 10] = 6
    known = np.ones((12, 30), dtype=bool)
    known[0, 0] = False
    mask = add_sources(known, significance, 5, 3, (3, 2))
    y, x = np.indices(mask.shape)
    expected = ((x - 10) / 3) ** 2 + ((y - 6) / 2) ** 2 <= 1
    expected[0, 0] = True
    assert np.array_equal(~mask, expected)
