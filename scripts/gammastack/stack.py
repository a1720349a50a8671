"""Stacking: normalise the background of each run, and add runs up."""

from dataclasses import dataclass, replace

import numpy as np

from gammastack.errors import InputError
from gammastack.geometry import ImageGeometry


@dataclass(frozen=True)
class BkgNorm:
    """Norm of a background model.

    Attributes
    ----------
    scale, error : float
        Counts / model, and its Poisson error; NaN without model.
    n_counts : int
        Counts outside the exclusions.
    n_bkg : float
        Model counts outside the exclusions.
    """

    scale: float
    error: float
    n_counts: int
    n_bkg: float

    @property
    def usable(self):
        """Whether the scale is finite and positive."""
        return bool(np.isfinite(self.scale) and self.scale > 0)


NO_NORM = BkgNorm(np.nan, np.nan, 0, np.nan)


def fit_bkg_norm(counts, bkg, mask):
    """Scale the background model of a run to its counts outside the exclusions.

    Parameters
    ----------
    counts, bkg : ndarray, shape (ny, nx)
        Zero in pixels that the run does not cover.
    mask : ndarray of bool, shape (ny, nx)
        True = use.

    Returns
    -------
    BkgNorm
    """
    n_counts, n_bkg = int(np.sum(counts[mask])), float(np.sum(bkg[mask]))
    if not n_bkg > 0:
        return BkgNorm(np.nan, np.nan, n_counts, n_bkg)
    return BkgNorm(n_counts / n_bkg, np.sqrt(n_counts) / n_bkg, n_counts, n_bkg)


@dataclass
class Stack:
    """Sums of images in float64, in the order in which they are added.

    Attributes
    ----------
    geometry : gammastack.geometry.ImageGeometry
    counts : ndarray of int32, shape (ny, nx)
    bkg, exposure : ndarray or None, shape (ny, nx)
        None if only counts are read back.
    livetime, ontime : float
        In s.
    start, stop : str
        UTC of the first and the last good time; empty without runs.
    n_obs : int
    """

    geometry: ImageGeometry
    counts: np.ndarray
    bkg: np.ndarray | None = None
    exposure: np.ndarray | None = None
    livetime: float = 0.0
    ontime: float = 0.0
    start: str = ""
    stop: str = ""
    n_obs: int = 0

    @classmethod
    def empty(cls, geometry):
        """A stack of nothing."""
        shape = geometry.shape
        counts = np.zeros(shape, dtype=np.int32)
        return cls(geometry, counts, np.zeros(shape), np.zeros(shape))

    def add(self, images, bkg_scale=1.0):
        """Add the images of a run, its background times `bkg_scale`, or another stack."""
        place = self.geometry.placement(images.geometry)
        self.counts[place] += images.counts
        if images.bkg is not None:
            self.bkg[place] += bkg_scale * images.bkg
            self.exposure[place] += images.exposure
        self.livetime += images.livetime
        self.ontime += images.ontime
        self.start = min(filter(None, (self.start, images.start)), default="")
        self.stop = max(self.stop, images.stop)
        self.n_obs += images.n_obs

    def cutout(self, geometry):
        """The part on another geometry of the same pixel grid."""
        place = self.geometry.placement(geometry)
        parts = {
            key: getattr(self, key)[place] for key in ("counts", "bkg", "exposure")
        }
        return replace(self, geometry=geometry, **parts)


def stack_runs(geometry, runs, mask=None, ncounts_min=0, bkg_norm=True):
    """Stack runs, and say of each what became of it.

    Parameters
    ----------
    geometry : gammastack.geometry.ImageGeometry
    runs : iterable of gammastack.images.RunImages
        Read one at a time.
    mask : ndarray of bool, shape (ny, nx), optional
        True = use for the norm; without it all pixels are used.
    ncounts_min : int
        A run needs more selected events than this.
    bkg_norm : bool
        Scale the background of each run to its counts outside the exclusions.

    Returns
    -------
    stack : Stack
    records : list of dict
        One per run, in their order: OBS_ID, status (used, dropped or failed), reason,
        bkg_scale, bkg_scale_err, n_counts and n_bkg (both outside the exclusions),
        n_events, ontime, livetime, start, stop.
    """
    stack, records = Stack.empty(geometry), []
    for run in runs:
        norm, status, reason = _judge(geometry, run, mask, ncounts_min, bkg_norm)
        if status == "used":
            stack.add(run, norm.scale)
        records.append(
            {
                "OBS_ID": run.obs_id,
                "status": status,
                "reason": reason,
                "bkg_scale": norm.scale,
                "bkg_scale_err": norm.error,
                "n_counts": norm.n_counts,
                "n_bkg": norm.n_bkg,
                "n_events": run.n_events,
                "ontime": run.ontime,
                "livetime": run.livetime,
                "start": run.start,
                "stop": run.stop,
            }
        )
    return stack, records


def require_used(records):
    """Raise `InputError` if no run of some `records` of `stack_runs` is used."""
    if any(record["status"] == "used" for record in records):
        return
    reasons = [f"{record['OBS_ID']}: {record['reason']}" for record in records]
    raise InputError(
        f"none of the {len(records)} runs can be used. {'; '.join(reasons[:5])}"
        f"{'; ...' if len(reasons) > 5 else ''}. Check center, width, energy_bands,"
        " offset_band, observations and ncounts_min."
    )


def _judge(geometry, run, mask, ncounts_min, bkg_norm):
    """Norm, status and reason of a run."""
    if run.n_pixels == 0:
        return NO_NORM, "dropped", "its field of view does not touch the image"
    if run.n_events <= ncounts_min:
        reason = f"{run.n_events} selected events, ncounts_min is {ncounts_min}"
        return NO_NORM, "dropped", reason
    if run.bkg is None:
        return BkgNorm(1.0, 0.0, int(run.counts.sum()), np.nan), "used", ""
    use = np.True_ if mask is None else mask[geometry.placement(run.geometry)]
    norm = fit_bkg_norm(run.counts, run.bkg, np.broadcast_to(use, run.counts.shape))
    if not bkg_norm:
        return replace(norm, scale=1.0, error=0.0), "used", ""
    if not norm.usable:
        reason = (
            f"bkg_scale is not positive: {norm.n_counts} counts and {norm.n_bkg:.3g}"
            " expected outside the exclusions"
        )
        return norm, "failed", reason
    return norm, "used", ""


def bkg_norm_table(runs):
    """Norms of the used runs.

    Parameters
    ----------
    runs : pandas.DataFrame
        Of the records of `stack_runs`.

    Returns
    -------
    pandas.DataFrame
    """
    columns = ["OBS_ID", "bkg_scale", "bkg_scale_err", "n_counts", "n_bkg", "livetime"]
    return runs.loc[runs["status"] == "used", columns].reset_index(drop=True)
