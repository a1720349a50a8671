"""The images of one run, which the run step makes and the stack steps add up."""

from dataclasses import dataclass

import numpy as np

from gammastack.sky.geometry import ImageGeometry


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
    exposure_on_axis: float
    counts: np.ndarray
    bkg: np.ndarray | None = None
    exposure: np.ndarray | None = None
    telescope: str = ""
    instrument: str = ""
    status: str = "used"
    reason: str = ""

    n_obs = 1
    n_failed = 0

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
