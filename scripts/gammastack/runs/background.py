"""Background model images."""

import numpy as np
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.utils import iers

from gammastack.errors import InputError

# The field of view may turn by this angle in deg between two evaluations of the model.
ROTATION_STEP = 1.0


def background_cube(bkg, observation, view, bands, key="energy_bands"):
    """Compute the expected background counts per pixel in bands, before any normalisation.

    ``solid angle * ontime * integral of B(E, position) dE``. B is a rate per ontime
    (GADF v0.3, DOI 10.5281/zenodo.7304668), so there is no dead-time correction.

    Parameters
    ----------
    bkg : gammastack.dl3.irf.Background2D or gammastack.dl3.irf.Background3D
    observation : gammastack.dl3.observation.Observation
        Run with the pointing and the good time intervals.
    view : gammastack.sky.geometry.FieldOfView
    bands : sequence of tuple of float
        In TeV.
    key : str
        Of the configuration that gives the bands, for messages.

    Returns
    -------
    ndarray, shape (n_bands, ny, nx)
        Zero in pixels that are not selected.
    """
    span = min(low for low, _ in bands), max(high for _, high in bands)
    bkg.require(span, view.offset_max, key)
    if bkg.alignment == "ALTAZ":
        rates = _turning_rates(bkg, observation, view, bands)
    elif bkg.alignment == "RADEC":
        # In GADF the longitude grows to the west.
        rates = bkg.band_rates(bands, -view.lon, view.lat)
    else:
        rates = bkg.band_rates(bands, view.lon, view.lat)
    return view.image(view.solid_angle * observation.ontime * rates)


def _turning_rates(bkg, observation, view, bands):
    """Return the mean rates over the run in a field of view that is fixed to the horizon."""
    rates = [
        bkg.band_rates(bands, *_turned(view.lon, view.lat, angle))
        for angle in zenith_angles(observation)
    ]
    return sum(rates) / len(rates)


def _turned(lon, lat, angle):
    """Return field-of-view coordinates with the latitude axis at a position angle (deg, N to E).

    The longitude grows with the sky's east when the zenith is in the north, that is,
    against the azimuth, as the reversed longitude of GADF requires.
    """
    lon, lat = np.radians(lon), np.radians(lat)
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    y, z = cos * y - sin * z, sin * y + cos * z
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))


def zenith_angles(observation):
    """Return the position angles of the zenith at the pointing during a run.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation

    Returns
    -------
    ndarray, shape (n,)
        Angles in deg from north to east at the middle of n equal slices of the ontime,
        in each of which the field turns by at most `ROTATION_STEP`.

    Raises
    ------
    gammastack.errors.InputError
        If the site of the telescope is not known.
    """
    pointing = observation.pointing
    if pointing.site is None:
        raise InputError(
            f"{observation.bkg.where}: FOVALIGN = ALTAZ needs the site of the telescope:"
            " GEOLON, GEOLAT and ALTITUDE in the header of the EVENTS HDU"
        )
    lon, lat, height = pointing.site
    site = EarthLocation(lon=lon * u.deg, lat=lat * u.deg, height=height * u.m)
    center = SkyCoord(pointing.ra, pointing.dec, unit="deg")

    def angles_at(times):
        frame = AltAz(obstime=observation.time_ref + times * u.s, location=site)
        zenith = SkyCoord(np.zeros(len(times)), 90, unit="deg", frame=frame)
        # Earth orientation data would turn the axes by < 0.01 deg: they are not downloaded.
        with (
            iers.conf.set_temp("auto_download", False),
            iers.conf.set_temp("iers_degraded_accuracy", "warn"),
        ):
            return center.position_angle(zenith.icrs).deg

    def middles_of_slices(n):
        return observation.gti.after((np.arange(n) + 0.5) / n * observation.ontime)

    some = middles_of_slices(64)
    turn = (angles_at(some + 1) - angles_at(some) + 180) % 360 - 180  # in 1 s
    n = 1 + int(np.abs(turn).max() * observation.ontime / ROTATION_STEP)
    return angles_at(middles_of_slices(n))
