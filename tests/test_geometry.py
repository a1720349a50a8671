import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from numpy.testing import assert_allclose

from gammastack.config.schema import schema
from gammastack.errors import InputError
from gammastack.sky.geometry import ImageGeometry, field_of_view, icrs_position
from gammastack.sky.sphere import lonlat, offset_coordinates, separation, unit_vectors


def image(
    center=(83.63, 22.01), frame="icrs", projection="TAN", width=(5, 5), binsz=0.1
):
    return ImageGeometry.create(center, frame, projection, width, binsz)


@pytest.mark.parametrize("offset", [1e-7, 1e-3, 1.0, 90.0, 179.0])
def test_separation_agrees_with_astropy(offset):
    start = SkyCoord(20, -45, unit="deg")
    end = start.directional_offset_by(70 * u.deg, offset * u.deg)
    ours = separation(
        unit_vectors(end.ra.deg, end.dec.deg), unit_vectors(start.ra.deg, start.dec.deg)
    )
    assert_allclose(ours, offset, rtol=1e-12, atol=1e-14)


def test_offset_coordinates_agree_with_astropy():
    pointing = SkyCoord(359.5, 88, unit="deg")
    sky = SkyCoord([10, 200, 0], [89, 87, 90], unit="deg")
    expected = sky.transform_to(SkyOffsetFrame(origin=pointing))
    lon, lat = offset_coordinates(unit_vectors(sky.ra.deg, sky.dec.deg), 359.5, 88)
    assert_allclose(lon, expected.lon.wrap_at(180 * u.deg).deg, atol=1e-9)
    assert_allclose(lat, expected.lat.deg, atol=1e-9)


def test_reference_pixel_is_the_center():
    geometry = image(frame="galactic", width=(5.02, 3.0), binsz=0.02)
    assert geometry.shape == (150, 251)
    assert_allclose(geometry.wcs.wcs.crpix, [126, 75.5])
    center = SkyCoord(83.63, 22.01, unit="deg").galactic
    assert_allclose(geometry.wcs.wcs.crval, [center.l.deg, center.b.deg], rtol=1e-12)
    assert_allclose(geometry.position(125, 74.5), (83.63, 22.01), rtol=1e-12)


@pytest.mark.parametrize(
    "projection", schema()["$defs"]["field"]["properties"]["projection"]["enum"]
)
def test_each_projection_of_the_configuration_can_be_used(projection):
    geometry = image(projection=projection)
    x, y = geometry.pixel_coordinates(83.63, 22.01)
    assert_allclose([x, y], [24.5, 24.5], atol=1e-9)


def test_cylindrical_projection_has_reference_latitude_zero():
    geometry = image((30.0, 12.3), projection="CAR", width=(3, 2), binsz=0.1)
    assert_allclose(geometry.wcs.wcs.crval, [30, 0])
    assert_allclose(geometry.wcs.wcs.crpix, [15.5, 10.5 - 123])
    assert_allclose(geometry.position(14.5, 9.5), (30.0, 12.3))


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_pixel_coordinates_invert_pixel_vectors(frame):
    geometry = image(frame=frame)
    x, y = geometry.pixel_coordinates(*lonlat(geometry.pixel_vectors()))
    rows, columns = np.indices(geometry.shape)
    assert_allclose(x, columns, atol=1e-8)
    assert_allclose(y, rows, atol=1e-8)


def test_tan_solid_angle():
    """TAN: the pixel at the angle theta from the centre has binsz^2 cos(theta)^3."""
    geometry = image(width=(10, 10), binsz=0.02)
    theta = separation(geometry.pixel_vectors(), unit_vectors(83.63, 22.01))
    expected = np.radians(0.02) ** 2 * np.cos(np.radians(theta)) ** 3
    assert_allclose(geometry.solid_angle(), expected, rtol=2e-7)


def test_solid_angle_is_exact_at_the_pole_of_the_frame():
    """NGC 253 at b = -88 deg in galactic axes, where planar formulas fail."""
    geometry = image((11.888, -25.288), frame="galactic", width=(6, 6), binsz=0.02)
    theta = separation(geometry.pixel_vectors(), unit_vectors(11.888, -25.288))
    expected = np.radians(0.02) ** 2 * np.cos(np.radians(theta)) ** 3
    assert_allclose(geometry.solid_angle(), expected, rtol=2e-7)


@pytest.mark.parametrize("projection", ["CAR", "AIT", "MOL"])
def test_whole_sky_has_four_pi(projection):
    geometry = image((0, 0), projection=projection, width=(360, 180), binsz=1)
    # The rim of the ellipse of AIT and MOL cuts pixels
    tolerance = 1e-5 if projection == "CAR" else 0.02
    assert_allclose(geometry.solid_angle().sum(), 4 * np.pi, rtol=tolerance)


POINTINGS = [
    (83.63, 22.01, 2.0),
    (85.2, 24.9, 2.0),
    (0.0, 0.0, 3.0),
    (359.9, 10.0, 1.0),
    (180.0, 0.0, 3.0),
    (12.0, 89.5, 2.0),
    (100.0, -88.0, 5.0),
]


@pytest.mark.parametrize("ra, dec, radius", POINTINGS)
@pytest.mark.parametrize(
    "geometry",
    [
        image(),
        image((0, 0), projection="CAR", width=(360, 180), binsz=1),
        image((0, 0), frame="galactic", projection="AIT", width=(360, 180), binsz=1),
        image((30, 89), projection="TAN", width=(8, 8), binsz=0.1),
        image((100, -90), projection="ZEA", width=(20, 20), binsz=0.2),
    ],
    ids=["TAN", "CAR", "AIT", "north pole", "south pole"],
)
def test_cutout_holds_all_pixels_in_the_circle(geometry, ra, dec, radius):
    center = unit_vectors(ra, dec)
    everywhere = separation(geometry.pixel_vectors(), center) < radius
    cutout = geometry.cutout(ra, dec, radius)
    inside = separation(cutout.pixel_vectors(), center) < radius
    assert inside.sum() == everywhere.sum()
    assert_allclose(everywhere[geometry.placement(cutout)], inside)


def test_cutout_does_not_grow_with_the_image():
    sizes = {
        image(width=(width, width)).cutout(83.63, 22.01, 2).shape for width in (5, 50)
    }
    assert len(sizes) == 1
    assert max(sizes.pop()) <= 2 * 20 + 4


def test_cutout_far_away_is_empty():
    assert image().cutout(83.63, 60, 2).shape == (0, 0)


def test_placement_refuses_another_grid():
    shifted = image(center=(83.68, 22.01)).cutout(83.63, 22.01, 1)
    with pytest.raises(InputError, match="pixel grid"):
        image().placement(shifted)


def test_field_of_view_selects_the_offset_band():
    geometry = image(binsz=0.05)
    view = field_of_view(geometry, 84.0, 22.5, (0.5, 1.5))
    offset = separation(geometry.pixel_vectors(), unit_vectors(84.0, 22.5))
    assert view.selected.sum() == np.sum((offset >= 0.5) & (offset < 1.5))
    assert_allclose(np.hypot(view.lon, view.lat), view.offset[view.selected], rtol=1e-3)
    assert_allclose(view.image(view.offset[view.selected]).max(), 1.5, atol=0.05)


def test_pixels_that_the_edge_of_the_projection_cuts_are_not_selected():
    """They have no solid angle, so that counts there would have no background."""
    sky = image((0, 0), projection="AIT", width=(360, 180), binsz=0.25)
    view = field_of_view(sky, 180.0, 30.0, (0, 2))
    assert view.selected.any()
    assert (view.solid_angle > 0).all()


def test_header_round_trip():
    geometry = image(frame="galactic", projection="CAR")
    header = geometry.header()
    header["NAXIS1"], header["NAXIS2"] = geometry.shape[::-1]
    again = ImageGeometry.from_header(header)
    assert again.shape == geometry.shape
    assert geometry.same_grid(again)


def test_fk4_is_refused():
    header = image().header()
    header["RADESYS"] = "FK4"
    header["EQUINOX"] = 1950.0
    geometry = ImageGeometry.from_header(header)
    with pytest.raises(InputError, match=r"equinox 1950\.0 is not supported"):
        geometry.pixel_vectors()


def test_icrs_position_of_the_galactic_center():
    """GADF v0.3, general/coordinates: (l, b) = (0, 0) in ICRS."""
    assert_allclose(icrs_position(0, 0, "galactic"), (266.40498829, -28.93617776))


@pytest.mark.parametrize("lat", [0.0, 60.0, 80.0])
def test_pixels_of_an_angle_at_the_centre_of_the_image(lat):
    """Cylindrical pixels shrink along the longitude with the cosine of the latitude."""
    geometry = ImageGeometry.create((83.0, lat), "icrs", "CAR", (4, 2), 0.02)
    x, y = geometry.in_pixels(0.1)
    np.testing.assert_allclose((x * np.cos(np.radians(lat)), y), 5, rtol=1e-3)
    if lat == 0:
        assert (x, y) == ImageGeometry.create(
            (83.0, 22.0), "galactic", "TAN", (4, 2), 0.02
        ).in_pixels(0.1)
