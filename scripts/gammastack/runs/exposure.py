"""Exposure images."""

import numpy as np

from gammastack.dl3.spectrum import power_law_integral


def exposure_at(offset, aeff, livetime, band, spectral_index, for_integral_flux):
    """Compute the exposure at offsets for an assumed power law.

    ``livetime * integral of A(E, offset) (E / e_ref)^-index dE``, e_ref the log centre
    of the band. Counts divided by it are dN/dE at e_ref; with `for_integral_flux` it is
    divided by the integral of the spectrum, and counts divided by it are the integral flux
    in the band.

    Parameters
    ----------
    offset : ndarray, shape (n,)
        In deg.
    aeff : gammastack.dl3.irf.EffectiveArea2D
    livetime : float
        In s.
    band : tuple of float
        In TeV.
    spectral_index : float
        Positive for a falling spectrum.
    for_integral_flux : bool

    Returns
    -------
    ndarray, shape (n,)
        In m2 s TeV, or m2 s for the integral flux.
    """
    exposure = livetime * aeff.integral(band, spectral_index, offset)
    if for_integral_flux:
        e_ref = (band[0] * band[1]) ** 0.5
        exposure = exposure / power_law_integral(band, spectral_index, e_ref)
    return exposure


def exposure_image(aeff, livetime, view, band, spectral_index, for_integral_flux):
    """Compute the exposure at the offset of each pixel centre, and at the pointing.

    Parameters
    ----------
    aeff, livetime, band, spectral_index, for_integral_flux
        See `exposure_at`.
    view : gammastack.sky.geometry.FieldOfView

    Returns
    -------
    image : ndarray, shape (ny, nx)
        In m2 s TeV, or m2 s for the integral flux; zero in pixels not selected.
    on_axis : float
        The exposure at offset 0.
    """
    aeff.require(band, view.offset_max)
    offset = np.append(view.offset[view.selected], 0.0)
    exposure = exposure_at(
        offset, aeff, livetime, band, spectral_index, for_integral_flux
    )
    return view.image(exposure[:-1]), float(exposure[-1])
