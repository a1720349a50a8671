"""Flux maps."""

from dataclasses import replace

import numpy as np


def flux(excess, exposure):
    """Divide the excess by the exposure.

    Parameters
    ----------
    excess : ndarray
    exposure : ndarray
        In m2 s for the integral flux, or m2 s TeV for dN/dE.

    Returns
    -------
    ndarray
        In m-2 s-1, or m-2 s-1 TeV-1; NaN where there is no exposure.
    """
    excess, exposure = np.broadcast_arrays(excess, exposure)
    known = exposure > 0
    return np.divide(excess, exposure, out=np.full(excess.shape, np.nan), where=known)


def flux_maps(measured, exposure, confidence, n_sigma):
    """Make the maps of the flux in a disk, for a power law as in the exposure.

    The part of the point spread function outside the disk is missing; `point_flux_maps`
    add it for a point source.

    Parameters
    ----------
    measured : gammastack.maps.counting.KnownBackground or gammastack.maps.counting.OnOff
        Counts in a disk around each pixel.
    exposure : ndarray, shape (ny, nx)
        Mean exposure in the disk.
    confidence : float
        Of the upper limit, such as 0.95.
    n_sigma : float
        Significance that defines the sensitivity, such as 5.

    Returns
    -------
    dict of str to ndarray
        The fluxes ``flux_corr``, its errors to smaller and to
        larger values ``flux_corr_errn`` and ``flux_corr_errp``, the upper limit
        ``flux_corr_ul`` and ``flux_corr_sensitivity``.
    """
    maps, known = {}, exposure > 0
    measured = replace(
        measured, **{name: image[known] for name, image in vars(measured).items()}
    )
    errn, errp = measured.errors()
    counts = {
        "flux_corr": measured.excess,
        "flux_corr_errn": errn,
        "flux_corr_errp": errp,
        "flux_corr_ul": measured.upper_limit(confidence),
        "flux_corr_sensitivity": measured.sensitivity(n_sigma),
    }
    exposure_known = exposure[known]
    for name in list(counts):
        maps[name] = np.full(exposure.shape, np.nan)
        maps[name][known] = flux(counts.pop(name), exposure_known)
    return maps


def point_flux_maps(maps, exposure, point_exposure):
    """Return the fluxes for a point source at the centre of each disk.

    Parameters
    ----------
    maps : dict of str to ndarray, shape (ny, nx)
        Of `flux_maps`.
    exposure : ndarray, shape (ny, nx)
        Mean exposure in the disk, to which these belong.
    point_exposure : ndarray, shape (ny, nx)
        Exposure at the centre of the disk times the part of the point spread in it.

    Returns
    -------
    dict of str to ndarray
        ``flux_point``, ``flux_point_errn``, ``flux_point_errp``, ``flux_point_ul``; NaN where
        the point spread is not known.
    """
    factor = flux(exposure, point_exposure)
    return {
        f"flux_point{ending}": maps[f"flux_corr{ending}"] * factor
        for ending in ("", "_errn", "_errp", "_ul")
    }
