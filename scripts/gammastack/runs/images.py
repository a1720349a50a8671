"""The images of one run: counts, background model and exposure on the field's pixel grid."""

from dataclasses import dataclass

import numpy as np

from gammastack.runs.background import background_image
from gammastack.runs.counts import counts_image, select_events
from gammastack.runs.exposure import exposure_image, exposure_unit
from gammastack.sky.geometry import ImageGeometry, field_of_view

# Names of the maps that are fluxes
FLUXES = (
    *("flux", "flux_corr", "flux_corr_errn", "flux_corr_errp"),
    *("flux_corr_ul", "flux_corr_sensitivity"),
)


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

    n_obs = 1

    @property
    def covered(self):
        """Pixels of which both the background and the exposure are known."""
        return (self.bkg > 0) & (self.exposure > 0)

    @property
    def livetime_image(self):
        """Livetime on axis in s that gives the exposure of each pixel."""
        if not self.exposure_on_axis > 0:
            return np.zeros(self.exposure.shape)
        return self.livetime * self.exposure / self.exposure_on_axis


def image_units(for_integral_flux):
    """Units of the images and maps that have one, by kind, as FITS text."""
    flux = "cm-2 s-1" if for_integral_flux else "cm-2 s-1 TeV-1"
    return {
        "exposure": exposure_unit(for_integral_flux),
        "livetime": "s",
        **dict.fromkeys(FLUXES, flux),
    }


def run_images(
    observation,
    geometry,
    energy_bands,
    offset_band,
    *,
    spectral_index=2.3,
    for_integral_flux=False,
):
    """Images of a run in several energy bands; counts only if it was read without responses.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation
    geometry : ImageGeometry
        The field's whole image.
    energy_bands : sequence of tuple of float
        In TeV.
    offset_band : tuple of float
        In deg.
    spectral_index, for_integral_flux
        See `gammastack.runs.exposure.exposure_image`.

    Returns
    -------
    list of RunImages
        One per band, all on the same cutout.

    Raises
    ------
    gammastack.errors.InputError
        If a response does not cover a band or the offsets.
    """
    pointing = observation.pointing
    view = field_of_view(geometry, pointing.ra, pointing.dec, offset_band)

    start, stop = (time.utc.isot for time in (observation.start, observation.stop))

    def one_band(band):
        events = observation.events, observation.gti
        n_events = np.sum(select_events(*events, pointing, band, offset_band))
        bkg, exposure, on_axis = None, None, 0.0
        if observation.bkg is not None:
            bkg = background_image(observation.bkg, observation, view, band)
        if observation.aeff is not None:
            exposure, on_axis = exposure_image(
                observation.aeff,
                observation.livetime,
                view,
                band,
                spectral_index,
                for_integral_flux,
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
        )

    return [one_band(band) for band in energy_bands]
