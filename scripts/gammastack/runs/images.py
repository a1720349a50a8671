"""Production of the images of one run, on the pixel grid of its field."""

import numpy as np

from gammastack.dl3.interpolation import EDGE_TOLERANCE
from gammastack.dl3.threshold import energy_threshold, offset_of_center
from gammastack.errors import NotCoveredError
from gammastack.runs.background import background_cube
from gammastack.runs.counts import counts_cube, select_events
from gammastack.runs.exposure import exposure_at, exposure_image
from gammastack.runs.point_exposure import point_exposure
from gammastack.runs.run import RunImages
from gammastack.sky.geometry import field_of_view


def run_images(
    observation,
    geometry,
    energy_bands,
    offset_band,
    *,
    spectral_index=2.3,
    for_integral_flux=False,
    safe_energy=None,
):
    """Make the images of a run in several energy bands; only counts if it has no responses.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation
    geometry : gammastack.sky.geometry.ImageGeometry
        The field's whole image.
    energy_bands : sequence of tuple of float
        In TeV.
    offset_band : tuple of float
        In deg.
    spectral_index, for_integral_flux
        See `gammastack.runs.exposure.exposure_image`.
    safe_energy : dict, optional
        Methods and their settings for ``gammastack.dl3.threshold.energy_threshold``: a run is
        not used in bands that begin below its threshold.

    Returns
    -------
    list of RunImages
        One per band. All of them are on the same cutout, but for empty ones of bands that
        a response does not cover or that begin below the threshold.
    """
    pointing = observation.pointing
    view = field_of_view(geometry, pointing.ra, pointing.dec, offset_band)
    threshold = 0.0
    if safe_energy is not None:
        offset = offset_of_center(geometry, pointing, view.offset_max)
        threshold = energy_threshold(observation, offset, **safe_energy)
    reasons = {
        band: _why_not(observation, band, view.offset_max, threshold)
        for band in energy_bands
    }
    covered = [band for band, reason in reasons.items() if not reason]
    made = dict(
        zip(
            covered,
            _images(observation, view, covered, spectral_index, for_integral_flux),
            strict=True,
        )
    )
    in_field = select_events(
        observation.events, observation.gti, pointing, (0, np.inf), offset_band
    )
    energy = observation.events.energy[in_field]

    def one_band(band):
        if reasons[band]:
            identity = observation.obs_id, geometry, pointing.ra, pointing.dec
            return RunImages.unused(*identity, "dropped", reasons[band])
        n_events = int(np.sum((energy >= band[0]) & (energy < band[1])))
        return RunImages.of(observation, view, n_events=n_events, **made[band])

    return [one_band(band) for band in energy_bands]


def _why_not(observation, band, offset_max, threshold):
    """Return why a run has no images in a band, or nothing."""
    if band[0] < threshold * (1 - EDGE_TOLERANCE):
        return f"the band begins below its energy threshold, {threshold:.3g} TeV"
    try:
        for response in (observation.bkg, observation.aeff, observation.psf):
            if response is not None:
                response.require(band, offset_max)
    except NotCoveredError as error:
        return str(error)
    return ""


def _images(observation, view, bands, spectral_index, for_integral_flux):
    """Yield the images of each band; events and background model are looked at once."""
    if not bands:
        return
    counts = counts_cube(observation.events, observation.gti, view, bands)
    bkg = [None] * len(bands)
    if observation.bkg is not None:
        bkg = background_cube(observation.bkg, observation, view, bands)
    for band, *images in zip(bands, counts, bkg, strict=True):
        made = dict(zip(("counts", "bkg"), images, strict=True))
        if observation.aeff is not None:
            spectrum = band, spectral_index, for_integral_flux
            made |= _exposures(observation, view, *spectrum)
        yield made


def _exposures(observation, view, band, spectral_index, for_integral_flux):
    spectrum = band, spectral_index, for_integral_flux
    area = observation.aeff, observation.livetime
    exposure, on_axis = exposure_image(*area, view, *spectrum)
    made = {"exposure": exposure, "exposure_on_axis": on_axis}
    if observation.psf is not None:
        made["point_exposure"] = point_exposure(
            *(observation, view.offset_max, band, spectral_index),
            lambda offset: exposure_at(offset, *area, *spectrum),
        )
    return made
