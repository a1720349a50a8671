"""Zenith angle of a pointing, from its position, time and site."""

import warnings

import numpy as np

SECONDS_PER_DAY = 86400.0
MJD_ZERO = 2400000.5  # as a Julian date
# The scale is behind TAI by so many seconds; others are taken for UTC.
BEHIND_TAI = {"TT": -32.184, "TDB": -32.184, "TAI": 0.0}
# Years 1858 to 2405: the formulas are of no use far from them.
POSSIBLE_MJD = 0, 200_000


def listed_zenith(zenith, altitude):
    """Return the zenith angles in deg that are listed, as such or as altitudes.

    Values that cannot be, such as -1 or 999, are what writers give where they know none;
    the result is NaN where neither is known.
    """
    listed = np.array([zenith, 90.0 - altitude])
    first, second = np.where((listed >= 0) & (listed <= 90), listed, np.nan)
    return np.where(np.isnan(first), second, first)


def zenith_angle(ra, dec, mjd, scale, site):
    """Compute zenith angles without refraction, good to 0.01 deg.

    The rotation of the Earth is taken from UTC, which differs from UT1 by less than 0.9 s
    (0.004 deg), so that no tables of it are needed.

    Parameters
    ----------
    ra, dec : array_like
        ICRS, in deg.
    mjd : array_like
        Time as modified Julian date.
    scale : array_like of str
        Of the time: ``TT``, ``TAI``, ``TDB`` or ``UTC``.
    site : tuple of array_like
        Geodetic longitude (to the east) and latitude in deg, height in m.

    Returns
    -------
    ndarray
        In deg; NaN where an argument is not finite, or no time of ours.
    """
    # Most stores have their zenith angles in the index.
    import erfa

    arguments = [np.atleast_1d(x).astype(float) for x in (ra, dec, mjd, *site)]
    ra, dec, mjd, lon, lat, height = np.broadcast_arrays(*arguments)
    scales = [str(one).strip().upper() for one in np.ravel(scale)]
    behind = np.array([BEHIND_TAI.get(one, np.nan) for one in scales])
    behind = np.broadcast_to(behind, mjd.shape)
    low, high = POSSIBLE_MJD
    good = np.isfinite(ra + dec + lon + lat + height) & (low <= mjd) & (mjd <= high)
    good &= np.abs(dec) <= 90
    result = np.full(mjd.shape, np.nan)
    with warnings.catch_warnings():
        # Leap seconds of years to come are not known; one is 0.004 deg.
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        utc = mjd[good]
        is_atomic = np.isfinite(behind[good])
        tai = utc[is_atomic] + behind[good][is_atomic] / SECONDS_PER_DAY
        utc[is_atomic] = erfa.taiutc(MJD_ZERO, tai)[1]
        observed = erfa.atco13(
            *np.radians([ra[good], dec[good]]),
            *(0.0, 0.0, 0.0, 0.0),  # no motion, parallax or velocity of the source
            *(MJD_ZERO, utc, 0.0),
            *np.radians([lon[good], lat[good]]),
            height[good],
            *(0.0, 0.0),  # no motion of the pole
            *(0.0, 0.0, 0.0, 1.0),  # no pressure, so no refraction
        )
    result[good] = np.degrees(observed[1])
    return result
