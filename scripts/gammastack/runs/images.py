"""Production of the images of one run, on the pixel grid of its field."""

import numpy as np

from gammastack.dl3.interpolation import EDGE_TOLERANCE
from gammastack.dl3.threshold import energy_threshold, offset_of_center
from gammastack.errors import NotCoveredError
from gammastack.runs.background import background_image
from gammastack.runs.counts import counts_image, select_events
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

    start, stop = (time.utc.isot for time in (observation.start, observation.stop))

    def one_band(band):
        if band[0] < threshold * (1 - EDGE_TOLERANCE):
            raise NotCoveredError(
                f"the band begins below its energy threshold, {threshold:.3g} TeV"
            )
        events = observation.events, observation.gti
        n_events = np.sum(select_events(*events, pointing, band, offset_band))
        bkg, exposure, on_axis, of_points = None, None, 0.0, None
        if observation.bkg is not None:
            bkg = background_image(observation.bkg, observation, view, band)
        if observation.aeff is not None:
            spectrum = band, spectral_index, for_integral_flux
            area = observation.aeff, observation.livetime
            exposure, on_axis = exposure_image(*area, view, *spectrum)
            if observation.psf is not None:
                of_points = point_exposure(
                    *(observation, view.offset_max, band, spectral_index),
                    lambda offset: exposure_at(offset, *area, *spectrum),
                )
        counts = counts_image(*events, view, band)
        return RunImages(
            obs_id=observation.obs_id,
            start=start,
            stop=stop,
            livetime=observation.livetime,
            ontime=observation.ontime,
            geometry=view.geometry,
            n_events=int(n_events),
            n_pixels=int(view.selected.sum()),
            ra=pointing.ra,
            dec=pointing.dec,
            exposure_on_axis=on_axis,
            counts=counts,
            bkg=bkg,
            exposure=exposure,
            telescope=observation.telescope,
            instrument=observation.instrument,
            point_exposure=of_points,
        )

    def one_band_if_covered(band):
        try:
            return one_band(band)
        except NotCoveredError as error:
            identity = observation.obs_id, geometry, pointing.ra, pointing.dec
            return RunImages.unused(*identity, "dropped", str(error))

    return [one_band_if_covered(band) for band in energy_bands]
