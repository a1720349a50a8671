"""The dataset of one run, before any norm of the background.

The definitions are those of gammapy 2.1 (DOI 10.5281/zenodo.4701488), which fits the
datasets: the exposure is that at the logarithmic centre of each bin in true energy, and
the responses are those at the centres of coarse pixels, and at these energies.
"""

from dataclasses import dataclass

import numpy as np
from astropy.time import Time

from gammastack.datasets.pixels import DatasetPixels
from gammastack.dl3.interpolation import EDGE_TOLERANCE
from gammastack.dl3.threshold import energy_threshold, offset_of_center
from gammastack.errors import NotCoveredError
from gammastack.runs.background import background_cube
from gammastack.runs.counts import counts_cube, select_events
from gammastack.runs.run import RunImages
from gammastack.sky.geometry import field_of_view

# Keys of the configuration that give the axes begin with this.
ENERGY = "dataset: energy"
# Good times are in s after this one.
TIME_ZERO = Time(51544, format="mjd", scale="tt")
# Smaller probabilities of a reconstructed energy are rounding errors.
SMALLEST_PROBABILITY = 1e-8


@dataclass(frozen=True)
class RunDataset:
    """Cubes of one run, with zeros where it is not to be used.

    Attributes
    ----------
    image : gammastack.runs.run.RunImages
        What is known about the run. Its images are sums over the safe energies.
    pixels : gammastack.datasets.pixels.DatasetPixels
        Cutouts of those of the field.
    cubes : dict of str to ndarray, shape (..., ny, nx)
        ``counts``, ``background``, ``mask_safe`` (1 = use), by reconstructed energy;
        ``exposure`` in m2 s, by true energy; if there are such responses, ``psf`` in sr-1, by
        true energy and angle, ``edisp``, by true and reconstructed energy, and
        ``psf_exposure`` and ``edisp_exposure``, by true energy and a single bin.
    good_times : ndarray, shape (2, n)
        Starts and stops in s (TT) after `TIME_ZERO`.
    threshold : float
        Smallest energy in TeV that is used; 0 if all are.
    """

    image: RunImages
    pixels: DatasetPixels
    cubes: dict
    good_times: np.ndarray
    threshold: float = 0.0


def run_dataset(observation, pixels, axes, offset_band, safe_energy):
    """Make the dataset of a run.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation
        With an effective area and a background model.
    pixels : gammastack.datasets.pixels.DatasetPixels
        Of the field.
    axes : gammastack.datasets.axes.DatasetAxes
    offset_band : tuple of float
        In deg.
    safe_energy : dict
        Methods and their settings for `gammastack.dl3.threshold.energy_threshold`.

    Returns
    -------
    RunDataset
        Without cubes if the responses do not cover the axes, or no energy is safe.
    """
    try:
        return _run_dataset(observation, pixels, axes, offset_band, safe_energy)
    except NotCoveredError as error:
        pointing = observation.pointing.ra, observation.pointing.dec
        return unused(observation.obs_id, pixels, pointing, "dropped", str(error))


def unused(obs_id, pixels, pointing, status, reason):
    """Return the dataset of a run that cannot be used.

    Parameters
    ----------
    obs_id : int
    pixels : gammastack.datasets.pixels.DatasetPixels
        Of the field.
    pointing : tuple of float
        RA and DEC in deg, as far as they are known.
    status, reason : str
    """
    image = RunImages.unused(obs_id, pixels.image, *pointing, status, reason)
    nowhere = DatasetPixels(image.geometry, pixels.irf.around([]))
    return RunDataset(image, nowhere, {}, np.zeros((2, 0)))


def _run_dataset(observation, pixels, axes, offset_band, safe_energy):
    pointing = observation.pointing
    where = pointing.ra, pointing.dec, offset_band
    view = field_of_view(pixels.image, *where)
    _require_covered(observation, axes, view.offset_max)
    offset = offset_of_center(pixels.image, pointing, view.offset_max)
    threshold = energy_threshold(observation, offset, **safe_energy)
    safe = axes.energy[:-1] >= threshold * (1 - EDGE_TOLERANCE)
    if not safe.any():
        raise NotCoveredError(
            f"its energy threshold is {threshold:.3g} TeV, and no energy bin begins above it"
        )
    cubes = {
        "counts": counts_cube(observation.events, observation.gti, view, axes.bands),
        "background": background_cube(
            observation.bkg, observation, view, axes.bands, ENERGY
        ),
        "exposure": _exposure(observation, axes, view),
    }
    covered = cubes["background"].any(axis=0) & cubes["exposure"].any(axis=0)
    for kind, cube in cubes.items():
        cube[:, ~covered] = 0
        if kind != "exposure":
            cube[~safe] = 0
    image = _image(observation, view, axes, offset_band, cubes)
    cubes["mask_safe"] = (safe[:, None, None] & covered).astype(np.uint8)
    irf_view = field_of_view(pixels.irf, *where)
    cubes |= _responses(observation, axes, irf_view, safe)
    good_times = np.stack([observation.gti.start, observation.gti.stop])
    good_times += (observation.time_ref.tt - TIME_ZERO).to_value("s")
    pixels = DatasetPixels(view.geometry, irf_view.geometry)
    return RunDataset(image, pixels, cubes, good_times, threshold)


def _require_covered(observation, axes, offset_max):
    """Raise `NotCoveredError` if a response does not cover the axes."""
    true = float(axes.energy_true[0]), float(axes.energy_true[-1])
    for response in (observation.aeff, observation.psf, observation.edisp):
        if response is not None:
            response.require(true, offset_max, f"{ENERGY}_true")


def _exposure(observation, axes, view):
    """Return the exposure in m2 s at the centres of the bins in true energy."""
    area = observation.aeff.evaluate(axes.true_centers, view.offset[view.selected])
    return view.image(observation.livetime * area)


def _responses(observation, axes, view, safe):
    """Return the cubes of point spread and energy dispersion, and their exposures, if any."""
    offset, cubes = view.offset[view.selected], {}
    exposure = _exposure(observation, axes, view)[:, None]
    if (psf := observation.psf) is not None:
        density = psf.evaluate(axes.true_centers, offset, axes.rad_centers)
        total = np.einsum("r,ern->en", axes.rad_solid_angles, density)[:, None]
        density = np.divide(density, total, out=np.zeros_like(density), where=total > 0)
        cubes |= {"psf": view.image(density), "psf_exposure": exposure}
    if (edisp := observation.edisp) is not None:
        kernels = edisp.kernels(axes.true_centers, axes.energy, offset)
        kernels[kernels < SMALLEST_PROBABILITY] = 0
        kernels = view.image(kernels * safe[:, None])
        cubes |= {"edisp": kernels, "edisp_exposure": exposure}
    return cubes


def _image(observation, view, axes, offset_band, cubes):
    """Return what is known about the run, with images that are sums over energies."""
    pointing, selection = observation.pointing, (axes.energy[0], axes.energy[-1])
    n_events = np.sum(
        select_events(
            *(observation.events, observation.gti, pointing, selection),
            offset_band,
        )
    )
    on_axis = observation.aeff.evaluate(axes.true_centers, np.zeros(1)).max()
    return RunImages.of(
        observation,
        view,
        n_events=int(n_events),
        exposure_on_axis=float(observation.livetime * on_axis),
        counts=cubes["counts"].sum(axis=0, dtype=np.int32),
        bkg=cubes["background"].sum(axis=0),
    )
