"""The images of one run, which the run step makes and the stack steps add up."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.sphere import separation, unit_vectors

# Angles in deg within which the part of the point spread is known; the last one has all.
RAD = np.concatenate([np.linspace(0, 1, 101), [1.25, 1.5, 2, 3, 5]])
# In deg, for the derivatives of the part
STEP = 0.02
# In deg: this is between two pixels at which the part is looked up, the others are between.
GRID = 0.15


@dataclass(frozen=True)
class PointExposure:
    """Exposure for a point source that is looked at through a disk around it.

    Attributes
    ----------
    table : ndarray, shape (n_offset, n_rad)
        Exposure times the part of the point spread within the angles `RAD`, at offsets
        in equal steps from 0 to ``offset_max``.
    offset_max : float
        In deg.
    """

    table: np.ndarray
    offset_max: float

    def at(self, offset):
        """Return the exposures (n, n_rad) at offsets (n,) in deg."""
        nodes = np.linspace(0, self.offset_max, len(self.table))
        return np.stack([np.interp(offset, nodes, row) for row in self.table.T], axis=1)

    def part(self, radius, offset, blur=0.0):
        """Return the part of the point spread in a disk.

        Parameters
        ----------
        radius : float
            In deg.
        offset : ndarray, shape (n,)
            In deg.
        blur : float
            Variance in deg2, along each axis, of what else moves the events: the pixels. To
            first order it adds ``blur / 2 (C'' - C' / radius)`` to the part C.

        Returns
        -------
        ndarray, shape (n,)
        """
        total = self.table[:, -1:]
        parts = np.divide(
            self.table, total, out=np.zeros_like(self.table), where=total > 0
        )
        step = min(STEP, radius / 2)
        radii = np.clip(radius + step * np.array([-1, 0, 1]), 0, RAD[-1])
        inner, part, outer = PchipInterpolator(RAD, parts, axis=1)(radii).T
        slope = (outer - inner) / (2 * step)
        curvature = (outer - 2 * part + inner) / step**2
        part = np.clip(part + blur / 2 * (curvature - slope / radius), 0, 1)
        return np.interp(offset, np.linspace(0, self.offset_max, len(part)), part)


@dataclass(frozen=True)
class RunImages:
    """Images of one run in one energy band.

    Attributes
    ----------
    obs_id : int
    start, stop : str
        UTC of the first and the last good time, ISO 8601.
    livetime, ontime : float
        In s.
    geometry : ImageGeometry
        A cutout of the field's image.
    n_events : int
        Selected events in the whole field of view, also outside the image.
    n_pixels : int
        Pixels of the image in the run's offset band.
    ra, dec : float
        ICRS pointing in deg.
    exposure_on_axis : float
        Exposure at the pointing; 0 without responses.
    counts : ndarray of int32, shape (ny, nx)
    bkg : ndarray or None, shape (ny, nx)
        Un-normalised expected counts.
    exposure : ndarray or None, shape (ny, nx)
    telescope, instrument : str
        Empty if they are not known.
    point_exposure : PointExposure or None
        None without point spread function.
    status : str
        ``used``, or ``failed`` or ``dropped`` if it cannot be. The images are empty then.
    reason : str
        Why it cannot be used.
    """

    obs_id: int
    start: str
    stop: str
    livetime: float
    ontime: float
    geometry: ImageGeometry
    n_events: int
    n_pixels: int
    ra: float
    dec: float
    counts: np.ndarray
    exposure_on_axis: float = 0.0
    bkg: np.ndarray | None = None
    exposure: np.ndarray | None = None
    telescope: str = ""
    instrument: str = ""
    point_exposure: PointExposure | None = None
    status: str = "used"
    reason: str = ""

    n_obs = 1
    n_failed = 0

    @classmethod
    def of(cls, observation, view, **known):
        """Return the images of a run that can be used.

        Parameters
        ----------
        observation : gammastack.dl3.observation.Observation
        view : gammastack.sky.geometry.FieldOfView
        **known
            Other attributes.
        """
        start, stop = (time.utc.isot for time in (observation.start, observation.stop))
        return cls(
            obs_id=observation.obs_id,
            start=start,
            stop=stop,
            livetime=observation.livetime,
            ontime=observation.ontime,
            geometry=view.geometry,
            n_pixels=int(view.selected.sum()),
            ra=observation.pointing.ra,
            dec=observation.pointing.dec,
            telescope=observation.telescope,
            instrument=observation.instrument,
            **known,
        )

    @classmethod
    def unused(cls, obs_id, geometry, ra, dec, status, reason):
        """Return the images of a run that cannot be used.

        Parameters
        ----------
        obs_id : int
        geometry : ImageGeometry
            The whole image of the field.
        ra, dec : float
            Pointing in deg, as far as it is known.
        status, reason : str
        """
        return cls(
            obs_id=obs_id,
            start="",
            stop="",
            livetime=0.0,
            ontime=0.0,
            geometry=geometry.around([]),
            n_events=0,
            n_pixels=0,
            ra=ra,
            dec=dec,
            exposure_on_axis=0.0,
            counts=np.zeros((0, 0), np.int32),
            bkg=np.zeros((0, 0)),
            exposure=np.zeros((0, 0)),
            status=status,
            reason=reason,
        )

    @property
    def images(self):
        """Return the images that there are, by kind."""
        kinds = {"counts": self.counts, "bkg": self.bkg, "exposure": self.exposure}
        return {kind: image for kind, image in kinds.items() if image is not None}

    @property
    def covered(self):
        """Return the pixels where the background is known, and the exposure if there is one."""
        covered = self.bkg > 0
        return covered if self.exposure is None else covered & (self.exposure > 0)

    @property
    def livetime_image(self):
        """Return the livetime on axis in s that gives the exposure of each pixel."""
        if not self.exposure_on_axis > 0:
            return np.zeros(self.exposure.shape)
        return self.livetime * self.exposure / self.exposure_on_axis

    def part_in_disk(self, radius):
        """Return the part of the point spread in a disk around each pixel.

        Parameters
        ----------
        radius : float
            In deg.

        Returns
        -------
        ndarray, shape (ny, nx)
            0 without a point spread function. It is smooth within a run, so that it is found
            at some pixels and is linear between these.
        """
        if self.point_exposure is None or 0 in self.geometry.shape:
            return np.zeros(self.geometry.shape)
        steps = self.geometry.in_pixels(GRID)[::-1]
        sizes = [
            1 + int(np.ceil((n - 1) / step))
            for n, step in zip(self.geometry.shape, steps, strict=True)
        ]
        y, x = (
            np.linspace(0, n - 1, size)
            for n, size in zip(self.geometry.shape, sizes, strict=True)
        )
        vectors = self.geometry.vectors(*np.meshgrid(x, y))
        offset = separation(vectors, unit_vectors(self.ra, self.dec))
        # Off the sky there are no pixels of the run.
        offset = np.nan_to_num(offset, nan=self.point_exposure.offset_max)
        # Events are where their pixels are: a square has the variance size^2 / 12.
        blur = np.sum(1 / np.square(self.geometry.in_pixels(1.0))) / 24
        part = self.point_exposure.part(radius, offset.ravel(), blur)
        part = part.reshape(offset.shape)
        rows = _between(y, self.geometry.shape[0])
        columns = _between(x, self.geometry.shape[1])
        return rows @ part @ columns.T

    def point_exposures(self, offsets):
        """Return the exposures (n, n_rad) for point sources at offsets (n,) in deg."""
        if self.point_exposure is None:
            return np.zeros((len(offsets), len(RAD)))
        return self.point_exposure.at(offsets)


def _between(nodes, size):
    """Return the matrix (size, n_nodes) that interpolates linearly to all pixels of an axis."""
    return np.stack(
        [np.interp(np.arange(size), nodes, row) for row in np.eye(len(nodes))], axis=1
    )
