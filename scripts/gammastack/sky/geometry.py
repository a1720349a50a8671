"""Sky geometry: the only module that builds a WCS.

Positions are handled as unit vectors in ICRS, so poles and the wrap of a longitude
need no special treatment.
"""

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from astropy.coordinates import CartesianRepresentation, SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame

from gammastack.errors import InputError
from gammastack.sky.sphere import lonlat, offset_coordinates, separation, unit_vectors

WCS_KEYS = ("CTYPE", "CRVAL", "CDELT", "CRPIX")
FRAMES = {"icrs": ("RA---", "DEC--"), "galactic": ("GLON-", "GLAT-")}
# FITS WCS paper II, DOI 10.1051/0004-6361:20021327, section 5.2
CYLINDRICAL_PROJECTIONS = {"CYP", "CEA", "CAR", "MER"}
# Blocks have this many pixels.
BLOCK = 16384


def row_blocks(shape):
    """Return slices of the rows of an image, so small that the results stay in the cache."""
    ny, nx = shape
    step = max(1, BLOCK // max(1, nx))
    return [slice(start, start + step) for start in range(0, ny, step)]


def _rotate(matrix, vectors):
    return np.tensordot(matrix, vectors, axes=1)


@cache
def rotation_from_icrs(frame):
    """Return the matrix that rotates ICRS vectors into `frame`, a name known to astropy."""
    axes = SkyCoord(CartesianRepresentation(np.eye(3)), frame="icrs")
    matrix = axes.transform_to(frame).cartesian.xyz.value
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-9):
        raise InputError(
            f"the frame {frame} is not a rotation of ICRS; use ICRS, FK5 or galactic"
        )
    return matrix


def icrs_position(lon, lat, frame):
    """Return ICRS right ascension and declination in deg of a position in `frame`."""
    vector = _rotate(rotation_from_icrs(frame).T, unit_vectors(lon, lat))
    ra, dec = lonlat(vector)
    return float(ra), float(dec)


@dataclass(frozen=True)
class FieldOfView:
    """Pixels of an image as one observation sees them.

    Attributes
    ----------
    geometry : ImageGeometry
    offset : ndarray, shape (ny, nx)
        Angle in deg between pixel centre and pointing; NaN off the sky.
    selected : ndarray of bool, shape (ny, nx)
        Pixels whose centre lies in the offset band, lower edge included, and that have
        a solid angle.
    lon, lat : ndarray, shape (n_selected,)
        Field-of-view longitude (growing to the east) and latitude (to the
        north) of the selected pixels in deg.
    solid_angle : ndarray, shape (n_selected,)
        In sr.
    offset_max : float
        Upper edge of the offset band in deg.
    """

    geometry: "ImageGeometry"
    offset: np.ndarray
    selected: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    solid_angle: np.ndarray
    offset_max: float

    def image(self, values):
        """Return an image (..., ny, nx) with `values` (..., n_selected) in the selected pixels."""
        image = np.zeros(values.shape[:-1] + self.geometry.shape)
        if values.ndim == 1:
            image[self.selected] = values
        else:
            # This is three times as fast as all planes at once.
            for plane, part in zip(image, values, strict=True):
                plane[..., self.selected] = part
        return image


def field_of_view(geometry, ra, dec, offset_band):
    """Return the part of `geometry` that lies in the offset band of a pointing.

    Parameters
    ----------
    geometry : ImageGeometry
        The whole image; the result covers a cutout of it.
    ra, dec : float
        ICRS pointing in deg.
    offset_band : tuple of float
        Smallest (included) and largest (excluded) offset in deg.
    """
    return _field_of_view(geometry, float(ra), float(dec), *offset_band)


# Runs take turns at the few wobble positions around a source, so the last ones are kept, also
# those on the coarse grid of responses.
@lru_cache(maxsize=8)
def _field_of_view(geometry, ra, dec, low, high):
    cutout = geometry.cutout(ra, dec, high)
    vectors = cutout.pixel_vectors()
    offset = separation(vectors, unit_vectors(ra, dec))
    solid_angle = cutout.solid_angle()
    # The area of a pixel cut by the edge of the projection is not known.
    selected = (offset >= low) & (offset < high) & (solid_angle > 0)
    lon, lat = offset_coordinates(vectors[:, selected], ra, dec)
    solid_angle = solid_angle[selected]
    return FieldOfView(cutout, offset, selected, lon, lat, solid_angle, high)


@dataclass(frozen=True, eq=False)
class ImageGeometry:
    """A celestial WCS and the shape (ny, nx) of the image that it describes."""

    wcs: WCS
    shape: tuple

    def __eq__(self, other):
        if not isinstance(other, ImageGeometry):
            return NotImplemented
        return self.shape == other.shape and self.wcs.wcs == other.wcs.wcs

    def __hash__(self):
        return hash((self.shape, *self.wcs.wcs.crpix, *self.wcs.wcs.crval))

    @classmethod
    def create(cls, center, frame, projection, width, binsz):
        """Create an image of `width` around a position.

        Parameters
        ----------
        center : tuple of float
            ICRS right ascension and declination in deg.
        frame : {"icrs", "galactic"}
            Axes of the image.
        projection : str
            FITS code, such as TAN or CAR.
        width : tuple of float
            Full size along longitude and latitude in deg.
        binsz : float
            Pixel size in deg.

        Notes
        -----
        In cylindrical projections the reference latitude is 0 and CRPIX2 is
        moved instead: otherwise the projection would be oblique.
        """
        nx, ny = (max(1, round(size / binsz)) for size in width)
        lon, lat = lonlat(_rotate(rotation_from_icrs(frame), unit_vectors(*center)))
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = [axis + projection for axis in FRAMES[frame]]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.cdelt = [-binsz, binsz]
        wcs.wcs.crpix = [(nx + 1) / 2, (ny + 1) / 2]
        wcs.wcs.crval = [lon, lat]
        if projection in CYLINDRICAL_PROJECTIONS:
            wcs.wcs.crval = [lon, 0.0]
            (_, y), (_, y_center) = wcs.wcs_world2pix([[lon, 0.0], [lon, lat]], 1)
            wcs.wcs.crpix = [(nx + 1) / 2, (ny + 1) / 2 - (y_center - y)]
        if frame == "icrs":
            wcs.wcs.radesys = "ICRS"
        wcs.wcs.set()
        return cls(wcs, (ny, nx))

    @classmethod
    def from_header(cls, header):
        """Return the geometry of a FITS image header.

        Raises
        ------
        InputError
            If the header has no celestial WCS or no image size.
        """
        shape = header.get("NAXIS2", 0), header.get("NAXIS1", 0)
        wcs = WCS(header.copy(strip=True), fix=False)
        if not wcs.has_celestial:
            raise InputError("the header holds no celestial WCS of two axes")
        if wcs.naxis > 2:
            wcs = wcs.celestial
        return cls(wcs, shape)

    def header(self):
        """Return the FITS header of the WCS."""
        header = self.wcs.to_header()
        for key in ("MJDREF", "DATE-OBS", "MJD-OBS", "DATE-END", "MJD-END", "TIMESYS"):
            header.remove(key, ignore_missing=True)
        return header

    @cached_property
    def _from_icrs(self):
        frame = wcs_to_celestial_frame(self.wcs)
        if getattr(frame, "equinox", None) not in (None, "J2000"):
            raise InputError(f"equinox {frame.equinox} is not supported; use J2000")
        return rotation_from_icrs(frame.name)

    def position(self, x, y):
        """Return ICRS right ascension and declination in deg of zero-based pixel coordinates."""
        ra, dec = lonlat(self.vectors(np.asarray(x, float), np.asarray(y, float)))
        return float(ra), float(dec)

    def center_vector(self):
        """Return the ICRS unit vector (3,) of the centre of the image."""
        ny, nx = self.shape
        return self.vectors(np.float64((nx - 1) / 2), np.float64((ny - 1) / 2))

    def in_pixels(self, angle):
        """Convert an angle in deg to pixels along x and y at the centre of the image."""
        return tuple(angle / scale for scale in self._pixel_scales())

    def _pixel_scales(self):
        """Return the size of a pixel in deg along x and y at the centre of the image."""
        nominal = proj_plane_pixel_scales(self.wcs)
        x, y = (self.shape[1] - 1) / 2, (self.shape[0] - 1) / 2
        ends = ((x - 0.5, y), (x + 0.5, y)), ((x, y - 0.5), (x, y + 0.5))
        for scale, pair in zip(nominal, ends, strict=True):
            first, second = self.vectors(*np.transpose(pair)).T
            on_sky = float(separation(second, first))
            # At the reference point they are the same, except for the curvature of the sky.
            is_same = not np.isfinite(on_sky) or abs(on_sky / scale - 1) < 1e-4
            yield scale if is_same else on_sky

    def vectors(self, x, y):
        """Return ICRS unit vectors (3, ...) of zero-based pixel coordinates, NaN off the sky."""
        lon, lat = self.wcs.wcs_pix2world(x, y, 0)
        return _rotate(self._from_icrs.T, unit_vectors(lon, lat))

    def _grid_vectors(self, x, y):
        """Return vectors (3, ny, nx) of a grid with columns x (nx,) and rows y (ny,)."""
        vectors = np.empty((3, len(y), len(x)))
        for rows in row_blocks(vectors.shape[1:]):
            lon, lat = self.wcs.wcs_pix2world(x, y[rows, None], 0)
            vectors[:, rows] = unit_vectors(lon, lat)
        # All are rotated at once: the last bits of a product depend on the size of the matrices.
        return _rotate(self._from_icrs.T, vectors)

    def pixel_vectors(self):
        """Return ICRS unit vectors (3, ny, nx) of the pixel centres, NaN off the sky."""
        ny, nx = self.shape
        return self._grid_vectors(np.arange(nx), np.arange(ny))

    def pixel_coordinates(self, ra, dec):
        """Return zero-based pixel coordinates (x, y) of ICRS positions in deg; NaN if off the sky."""
        vectors = _rotate(self._from_icrs, unit_vectors(ra, dec))
        return self.wcs.wcs_world2pix(*lonlat(vectors), 0)

    def pixel_index(self, ra, dec):
        """Return rows and columns of ICRS positions in deg, and which are on the image.

        A pixel includes its lower edges. Rows and columns are given only for positions on
        the image.
        """
        ny, nx = self.shape
        x, y = self.pixel_coordinates(ra, dec)
        inside = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
        rows, columns = (np.floor(axis[inside] + 0.5).astype(int) for axis in (y, x))
        return rows, columns, inside

    def solid_angle(self):
        """Return the solid angle (ny, nx) of each pixel in sr, 0 off the sky.

        Area of the spherical quadrilateral between the pixel corners as two
        triangles, Van Oosterom & Strackee (1983), DOI 10.1109/TBME.1983.325207.
        """
        ny, nx = self.shape
        corners = self._grid_vectors(np.arange(nx + 1) - 0.5, np.arange(ny + 1) - 0.5)
        a, b = corners[:, :-1, :-1], corners[:, :-1, 1:]
        c, d = corners[:, 1:, 1:], corners[:, 1:, :-1]
        area = np.empty(self.shape)
        for rows in row_blocks(self.shape):
            first = _triangle_area(a[:, rows], b[:, rows], c[:, rows])
            area[rows] = first + _triangle_area(a[:, rows], c[:, rows], d[:, rows])
        return np.nan_to_num(area)

    def cutout(self, ra, dec, radius):
        """Return the smallest box of whole pixels with every pixel centre within `radius` deg.

        The box is found from the rim of the circle. Where the rim cannot be
        followed on the pixel grid (a pole or the edge of the projection is
        inside) the whole image is returned: correct, only larger.
        """
        ny, nx = self.shape
        angle = np.radians(np.arange(0, 360, 0.5))
        tilt, roll = np.cos(np.radians(radius)), np.sin(np.radians(radius))
        center = unit_vectors(ra, dec)
        axes = np.linalg.svd(center[None])[2][1:]
        rim = tilt * center[:, None] + roll * (
            np.outer(axes[0], np.cos(angle)) + np.outer(axes[1], np.sin(angle))
        )
        x, y = self.pixel_coordinates(*lonlat(rim))
        step = np.hypot(np.diff(x, append=x[:1]), np.diff(y, append=y[:1]))
        if not np.all(np.isfinite(step)) or step.max() > 10 * np.median(step) + 1:
            return self
        x0, x1 = max(0, int(x.min()) - 1), min(nx, int(x.max()) + 3)
        y0, y1 = max(0, int(y.min()) - 1), min(ny, int(y.max()) + 3)
        if x1 <= x0 or y1 <= y0:
            x0 = x1 = y0 = y1 = 0
        return self._box(slice(y0, y1), slice(x0, x1))

    def _box(self, rows, columns):
        wcs = self.wcs.deepcopy()
        wcs.wcs.crpix = wcs.wcs.crpix - [columns.start, rows.start]
        wcs.wcs.set()
        return type(self)(wcs, (rows.stop - rows.start, columns.stop - columns.start))

    def rows(self, rows):
        """Return the part with some rows, given as a slice."""
        return self._box(rows, slice(0, self.shape[1]))

    def common(self, other):
        """Return the part of this image that another one on the same grid covers; may be empty."""
        x0, y0 = np.rint(self.wcs.wcs.crpix - other.wcs.wcs.crpix).astype(int)
        rows, columns = (
            slice(min(size, max(0, start)), max(0, min(size, start + length)))
            for start, size, length in zip(
                (y0, x0), self.shape, other.shape, strict=True
            )
        )
        return self._box(rows, columns)

    def cutout_of(self, header):
        """Return the cutout of this image that a FITS header describes.

        Raises
        ------
        InputError
            If it is not on this pixel grid.
        """
        ours = self.wcs.wcs
        theirs = [[header[f"{key}{axis}"] for axis in (1, 2)] for key in WCS_KEYS]
        (*ctype,), crval, cdelt, crpix = theirs
        x0, y0 = np.rint(ours.crpix - crpix).astype(int)
        nx, ny = (header.get(f"NAXIS{axis}", 0) for axis in (1, 2))
        same = (
            ctype == list(ours.ctype)
            and np.allclose(crval, ours.crval, rtol=0, atol=1e-9)
            and np.allclose(cdelt, ours.cdelt, rtol=1e-9)
            and np.allclose(crpix + np.array([x0, y0]), ours.crpix, rtol=0, atol=1e-6)
        )
        if (
            not same
            or min(x0, y0) < 0
            or x0 + nx > self.shape[1]
            or y0 + ny > self.shape[0]
        ):
            raise InputError("an image is not on the pixel grid of the field")
        return self._box(slice(y0, y0 + ny), slice(x0, x0 + nx))

    def around(self, cutouts):
        """Return the smallest cutout that contains all others; an empty one without any."""
        places = [self.placement(cutout) for cutout in cutouts if 0 not in cutout.shape]
        if not places:
            return self._box(slice(0, 0), slice(0, 0))
        rows, columns = (
            slice(min(place.start for place in axis), max(place.stop for place in axis))
            for axis in zip(*places, strict=True)
        )
        return self._box(rows, columns)

    def placement(self, cutout):
        """Return the slices (y, x) of this image that a cutout of it covers.

        Raises
        ------
        InputError
            If `cutout` is not on this pixel grid.
        """
        x0, y0 = np.rint(self.wcs.wcs.crpix - cutout.wcs.wcs.crpix).astype(int)
        (ny, nx), (height, width) = self.shape, cutout.shape
        inside = 0 <= x0 <= nx - width and 0 <= y0 <= ny - height
        if not (inside and self.same_grid(cutout)):
            raise InputError("an image is not on the pixel grid of the field")
        return slice(y0, y0 + height), slice(x0, x0 + width)

    def same_grid(self, other):
        """Return whether the pixels of `other` coincide with those of this (unlimited) grid."""
        ours, theirs = self.wcs.wcs, other.wcs.wcs
        shift = ours.crpix - theirs.crpix
        return (
            list(ours.ctype) == list(theirs.ctype)
            and np.allclose(ours.crval, theirs.crval, rtol=0, atol=1e-9)
            and np.allclose(
                self.wcs.pixel_scale_matrix, other.wcs.pixel_scale_matrix, rtol=1e-9
            )
            and np.allclose(shift, np.rint(shift), rtol=0, atol=1e-6)
        )


def _triangle_area(a, b, c):
    """Return the area on the unit sphere between vectors (3, ...)."""
    ab, ac = b - a, c - a
    triple = (
        a[0] * (ab[1] * ac[2] - ab[2] * ac[1])
        + a[1] * (ab[2] * ac[0] - ab[0] * ac[2])
        + a[2] * (ab[0] * ac[1] - ab[1] * ac[0])
    )
    dots = sum(a[i] * b[i] + a[i] * c[i] + b[i] * c[i] for i in range(3))
    return 2 * np.arctan2(np.abs(triple), 1 + dots)
