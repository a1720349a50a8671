"""Stacking: the background of each run, and the sums of all runs."""

from dataclasses import dataclass

import numpy as np

from gammastack.names import joined
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.sphere import separation, unit_vectors
from gammastack.stacking.judge import judge
from gammastack.stacking.ring import RingBackground

# These images of runs are summed: counts alone; with a background, with an exposure, and
# with a ring also the others.
COUNTS = ("counts",)
WITH_BACKGROUND = ("bkg", "n_runs", "model")
WITH_EXPOSURE = ("exposure", "livetime")
WITH_RING = ("off", "acceptance", "acceptance_off", "n_without_off")
SUMS = COUNTS + WITH_BACKGROUND + WITH_EXPOSURE
IRF = {"method": "irf"}
# Exposure for a point source in a disk, with a suffix for each radius
POINT_EXPOSURE = "point_exposure"
# A point source is on axis, at this offset in deg, and at the centre of the image.
OFFSET = 1.0
WHOLE_NUMBERS = ("counts", "n_runs", "n_without_off")


def kinds_of_sums(background, has_exposure=True, radii=()):
    """Return which images are summed with these settings of the background.

    Parameters
    ----------
    background : dict or None
        See `stack_runs`.
    has_exposure : bool
    radii : iterable of str
        Suffixes of the radii for which there is an exposure for point sources.

    Returns
    -------
    tuple of str
    """
    if background is None:
        return COUNTS
    kinds = COUNTS + WITH_BACKGROUND
    if has_exposure:
        kinds += WITH_EXPOSURE
    kinds += tuple(f"{POINT_EXPOSURE}{suffix}" for suffix in radii)
    return kinds + WITH_RING if "ring" in background["method"] else kinds


@dataclass
class Stack:
    """Sums of images, in the order in which they are added.

    Attributes
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    images : dict of str to ndarray, shape (ny, nx)
        ``counts``; with a background ``bkg`` (normalised), ``n_runs`` and ``model`` (the
        background before any norm); with effective areas ``exposure`` and ``livetime`` (in
        s on axis); with a ring
        ``off``, ``acceptance`` (the background model with the norm of the run),
        ``acceptance_off`` (its sum in the ring), and ``n_without_off``: runs that are left
        out of a pixel because there is no ring; with point spread functions
        ``point_exposure`` with the suffix of each radius.
    livetime, ontime : float
        In s.
    start, stop : str
        UTC of the first and the last good time; empty without runs.
    n_obs : int
    n_failed : int
        Runs that could not be used, because of their data.
    telescope, instrument : str
        All names of those of the runs, in the order of the alphabet.
    points : ndarray, shape (3, n_rad), or 0
        Exposures for point sources within angles (see ``gammastack.runs.run.RAD``): on axis, at
        `OFFSET`, and at the centre of the image.
    """

    geometry: ImageGeometry
    images: dict
    livetime: float = 0.0
    ontime: float = 0.0
    start: str = ""
    stop: str = ""
    n_obs: int = 0
    n_failed: int = 0
    telescope: str = ""
    instrument: str = ""
    points: np.ndarray | float = 0.0

    @classmethod
    def empty(cls, geometry, kinds=SUMS):
        """Return a stack of nothing."""
        images = {
            kind: np.zeros(
                geometry.shape, np.int32 if kind in WHOLE_NUMBERS else np.float64
            )
            for kind in kinds
        }
        return cls(geometry, images)

    @classmethod
    def sum(cls, geometry, stacks, kinds=()):
        """Return the sum of other stacks."""
        total = cls.empty(geometry, kinds)
        for stack in stacks:
            total.add(stack)
        return total

    def add(self, other, images=None):
        """Add another stack, or `images` of a run that knows its geometry and times."""
        place = self.geometry.placement(other.geometry)
        images = other.images if images is None else images
        for kind, image in self.images.items():
            image[place] += images[kind]
        self.livetime += other.livetime
        self.ontime += other.ontime
        self.start = min(filter(None, (self.start, other.start)), default="")
        self.stop = max(self.stop, other.stop)
        self.n_obs += other.n_obs
        self.n_failed += other.n_failed
        self.telescope = joined((self.telescope, other.telescope))
        self.instrument = joined((self.instrument, other.instrument))
        self.points = self.points + getattr(other, "points", 0.0)


def stack_runs(
    geometry,
    runs,
    mask=None,
    ncounts_min=0,
    bkg_norm=True,
    background=IRF,
    has_exposure=True,
    bkg_scale_band=(0, np.inf),
    on_bad_bkg_scale="warn",
    part=None,
    radii=None,
):
    """Stack runs, and report what happened to each.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    runs : iterable of gammastack.runs.run.RunImages
        Read one at a time.
    mask : ndarray of bool, shape (ny, nx), optional
        True = use for the norm; without it all pixels are used.
    ncounts_min : int
        A run needs more selected events than this.
    bkg_norm : bool
        Scale the background of each run to its counts outside the exclusions.
    background : dict, optional
        ``method``: irf, with ``gradient`` to tilt the model across the field of view, or
        ring or adaptive ring, with the arguments of
        `gammastack.stacking.ring.RingBackground.create`. None: counts only.
    has_exposure : bool
        Whether the runs have effective areas.
    bkg_scale_band : tuple of float
        Norms outside are odd.
    on_bad_bkg_scale : str
        ``warn`` of runs with such norms, or ``drop`` them.
    part : gammastack.sky.geometry.ImageGeometry, optional
        Part of the image that has all of the runs; by default the stack has all of the image.
    radii : dict of str to float, optional
        Radii in deg of disks by their suffix, if the runs have point spread functions.

    Returns
    -------
    stack : Stack
    records : list of dict
        One per run, in their order, see ``gammastack.stacking.judge.Verdict.record``.
    """
    radii = radii or {}
    kinds = kinds_of_sums(background, has_exposure, radii)
    center = geometry.center_vector() if radii else None
    stack, records = Stack.empty(part or geometry, kinds), []
    settings = dict(background or {"method": None})
    method, gradient = settings.pop("method"), settings.pop("gradient", False)
    rules = {
        "ncounts_min": ncounts_min,
        "bkg_norm": bkg_norm,
        "bkg_scale_band": bkg_scale_band,
        "on_bad_bkg_scale": on_bad_bkg_scale,
    }
    ring = None
    if method in ("ring", "adaptive ring"):
        ring = RingBackground.create(geometry.in_pixels, **settings)
    for run in runs:
        use = True if mask is None else mask[geometry.placement(run.geometry)]
        use = np.broadcast_to(use, run.counts.shape)
        if background is not None:
            use = use & run.covered
        verdict = judge(run, use, gradient=gradient, **rules)
        n_left_out = 0
        stack.n_failed += verdict.status == "failed"
        if verdict.is_used:
            bkg = None if run.bkg is None else verdict.normalised(run.bkg)
            images = _contribution(run, bkg, use, ring, radii)
            stack.add(run, images)
            if radii:
                offset = separation(center, unit_vectors(run.ra, run.dec))
                stack.points = stack.points + run.point_exposures([0, OFFSET, offset])
            if background is not None:
                n_left_out = run.n_pixels - int(images["n_runs"].sum())
        records.append(verdict.record(run, n_left_out))
    return stack, records


def _contribution(run, bkg, use, ring, radii):
    """Return what a run with a normalised background adds to the sums.

    All images have the same pixels: those with a background, and an exposure if there is one.
    """
    if bkg is None:
        return {"counts": run.counts}
    covered = run.covered
    images = {"counts": run.counts, "bkg": bkg, "n_runs": covered, "model": run.bkg}
    if run.exposure is not None:
        images |= {"exposure": run.exposure, "livetime": run.livetime_image}
    for suffix, radius in radii.items():
        part = run.part_in_disk(radius)
        images[f"{POINT_EXPOSURE}{suffix}"] = run.exposure * part
    if ring is None:
        return {kind: np.where(covered, image, 0) for kind, image in images.items()}
    off, acceptance_off = ring.estimate(run.counts, bkg, use)
    known = covered & (acceptance_off > 0)
    alpha = np.divide(bkg, acceptance_off, out=np.zeros_like(bkg), where=known)
    images |= {
        "acceptance": bkg,
        "bkg": alpha * off,
        "off": off,
        "acceptance_off": acceptance_off,
    }
    kept = {kind: np.where(known, image, 0) for kind, image in images.items()}
    return {**kept, "n_without_off": covered & ~known}


def none_used(records):
    """Say why the `records` of `stack_runs` contain no used run; nothing if they do."""
    if any(record["status"] == "used" for record in records):
        return ""
    records = [record for record in records if record["status"] != "excluded"]
    dropped = [record for record in records if record["status"] == "dropped"]
    text = f"none of the {len(records)} runs can be used."
    if not dropped:
        return text
    reasons = [f"{record['OBS_ID']}: {record['reason']}" for record in dropped]
    return (
        f"{text} {'; '.join(reasons[:5])}{'; ...' if len(reasons) > 5 else ''}."
        " Check center, width, energy_bands, offset_band, observations and ncounts_min."
    )


def final_images(sums):
    """Return the sums of a field in the form in which users see them.

    Parameters
    ----------
    sums : dict of str to ndarray
        Images of a `Stack` of all runs.

    Returns
    -------
    dict of str to ndarray
        Includes ``bkg_norm_relative``: normalised over un-normalised background, NaN where
        there is none; and with point spread functions ``psf_containment`` for each radius:
        exposure for point sources over exposure. With a ring, ``bkg`` is NaN where no run has one, and
        ``acceptance_off`` is such that ``bkg = acceptance / acceptance_off * off``.
    """
    images = dict(sums)
    for kind in [kind for kind in sums if kind.startswith(POINT_EXPOSURE)]:
        suffix = kind.removeprefix(POINT_EXPOSURE)
        images[f"psf_containment{suffix}"] = np.divide(
            images.pop(kind),
            sums["exposure"],
            out=np.full(sums["exposure"].shape, np.nan),
            where=sums["exposure"] > 0,
        )
    if "model" not in sums:
        return images
    if "off" in sums:
        known = sums["acceptance_off"] > 0
        # The alphas of the runs are weighted with their OFF counts; without any OFF counts
        # the acceptances are added up.
        weighted = known & (sums["bkg"] > 0)
        images["acceptance_off"] = np.divide(
            sums["acceptance"] * sums["off"],
            sums["bkg"],
            out=sums["acceptance_off"].copy(),
            where=weighted,
        )
        images["bkg"] = np.where(known, sums["bkg"], np.nan)
    images["bkg_norm_relative"] = np.divide(
        images["bkg"],
        sums["model"],
        out=np.full(sums["bkg"].shape, np.nan),
        where=sums["model"] > 0,
    )
    return images
