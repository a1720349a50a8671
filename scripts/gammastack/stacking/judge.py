"""Judgement of a run: the norm of its background, and whether it enters the sums."""

from dataclasses import dataclass, replace

import numpy as np

from gammastack.sky.sphere import offset_coordinates
from gammastack.stacking.norm import (
    NO_NORM,
    BkgNorm,
    fit_bkg_gradient,
    fit_bkg_norm,
)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run.

    Attributes
    ----------
    norm : gammastack.stacking.norm.BkgNorm
    position : tuple of ndarray or None
        Field-of-view position of the pixels in deg, if the norm has a gradient.
    status : str
        ``used``, or ``failed`` if the data are at fault, or ``dropped``.
    reason : str
        Why it is not used.
    warning : str
        What is odd about a run that is used.
    has_gradient : bool
        Whether the norm was to have a gradient.
    """

    norm: BkgNorm
    position: tuple | None
    status: str
    reason: str
    warning: str = ""
    has_gradient: bool = False

    @property
    def is_used(self):
        """Return whether the run enters the sums."""
        return self.status == "used"

    def normalised(self, bkg):
        """Return the background (..., ny, nx) of the run with its norm."""
        return self.norm.apply(bkg, self.position)

    def record(self, run, n_left_out):
        """Return what became of the run, for the table of the runs.

        Parameters
        ----------
        run : gammastack.runs.run.RunImages
        n_left_out : int
            Pixels of the run without a background or an exposure, and with a ring also
            those without OFF.

        Returns
        -------
        dict
            OBS_ID, status, reason, bkg_scale, bkg_scale_err, n_counts and n_bkg (both
            outside the exclusions), n_events, ontime, livetime, start, stop;
            exposure_on_axis (0 without effective areas); with a gradient its values;
            warning; n_pixels_left_out.
        """
        norm = self.norm
        return {
            "OBS_ID": run.obs_id,
            "status": self.status,
            "reason": self.reason,
            "bkg_scale": norm.scale,
            "bkg_scale_err": norm.error,
            "n_counts": norm.n_counts,
            "n_bkg": norm.n_bkg,
            **(_gradient_columns(norm) if self.has_gradient else {}),
            "warning": self.warning,
            "n_pixels_left_out": n_left_out,
            "n_events": run.n_events,
            "ontime": run.ontime,
            "livetime": run.livetime,
            "exposure_on_axis": run.exposure_on_axis,
            "start": run.start,
            "stop": run.stop,
        }


def judge(
    run,
    use,
    ncounts_min=0,
    bkg_norm=True,
    gradient=False,
    bkg_scale_band=(0, np.inf),
    on_bad_bkg_scale="warn",
):
    """Find the norm of the background of a run, and whether it can be used.

    Parameters
    ----------
    run : gammastack.runs.run.RunImages
    use : ndarray of bool, shape (ny, nx)
        Pixels to use for the norm.
    ncounts_min : int
        A run needs more selected events than this.
    bkg_norm : bool
        Scale the background to the counts outside the exclusions.
    gradient : bool
        Tilt it, too.
    bkg_scale_band : tuple of float
        Norms outside are odd.
    on_bad_bkg_scale : str
        ``warn`` of runs with such norms, or ``drop`` them.

    Returns
    -------
    Verdict
    """
    verdict = Verdict(*_judge(run, use, ncounts_min, bkg_norm, gradient))
    verdict = replace(verdict, has_gradient=gradient)
    if not verdict.is_used:
        return verdict
    odd = _odd_norm(verdict.norm, bkg_scale_band)
    if odd and on_bad_bkg_scale == "drop":
        return replace(verdict, status="dropped", reason=odd)
    return replace(verdict, warning=odd)


def _odd_norm(norm, band):
    """Describe a norm that is outside of a band; nothing if it is inside."""
    low, high = band
    if low <= norm.scale <= high:
        return ""
    return f"bkg_scale {norm.scale:.3g} is outside bkg_scale_band, {low:g} to {high:g}"


def _gradient_columns(norm):
    east, north = norm.gradient
    east_error, north_error = norm.gradient_error
    return {
        "bkg_gradient_lon": east,
        "bkg_gradient_lon_err": east_error,
        "bkg_gradient_lat": north,
        "bkg_gradient_lat_err": north_error,
    }


def _judge(run, use, ncounts_min, bkg_norm, gradient):
    """Return the norm, the field-of-view position of the pixels if needed, status and reason.

    A run has failed if its data are at fault; others are dropped.
    """
    if run.status != "used":
        return NO_NORM, None, run.status, run.reason
    if run.n_pixels == 0:
        reason = "its field of view does not touch the image"
        return NO_NORM, None, "dropped", reason
    if not run.livetime > 0:
        reason = "its livetime is 0: no good time intervals"
        return NO_NORM, None, "failed", reason
    if run.n_events <= ncounts_min:
        reason = f"{run.n_events} selected events, ncounts_min is {ncounts_min}"
        return NO_NORM, None, "dropped", reason
    if run.bkg is None:
        return BkgNorm(1.0, 0.0, int(run.counts.sum()), np.nan), None, "used", ""
    norm = fit_bkg_norm(run.counts, run.bkg, use)
    if not run.covered.any():
        missing = "exposure" if (run.bkg > 0).any() else "background model"
        return norm, None, "failed", f"its {missing} is 0 in all pixels"
    if not bkg_norm:
        return replace(norm, scale=1.0, error=0.0), None, "used", ""
    if not norm.usable:
        reason = (
            f"bkg_scale is not positive: {norm.n_counts} counts and {norm.n_bkg:.3g}"
            " expected outside the exclusions"
        )
        return norm, None, "dropped", reason
    if not gradient:
        return norm, None, "used", ""
    position = offset_coordinates(run.geometry.pixel_vectors(), run.ra, run.dec)
    norm = fit_bkg_gradient(run.counts, run.bkg, use, *position)
    if norm.usable:
        return norm, position, "used", ""
    reason = (
        f"the gradient of the background cannot be fitted to {norm.n_counts} counts"
        " outside the exclusions; set background: gradient: false"
    )
    return norm, None, "dropped", reason
