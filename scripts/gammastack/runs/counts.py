"""Counts images."""

import numpy as np

from gammastack.sky.sphere import separation, unit_vectors


def select_events(events, gti, pointing, energy_band, offset_band):
    """Select the events in the good time intervals, the energy band and the offset band.

    Lower edges of the bands are included, upper edges are not.

    Parameters
    ----------
    events : gammastack.dl3.observation.EventList
    gti : gammastack.dl3.observation.GoodTimeIntervals
    pointing : gammastack.dl3.observation.Pointing
    energy_band : tuple of float
        In TeV.
    offset_band : tuple of float
        Range of the event's own position, in deg.

    Returns
    -------
    ndarray of bool, shape (n_events,)
    """
    selected = gti.contains(events.time) & _in_band(events.energy, energy_band)
    center = unit_vectors(pointing.ra, pointing.dec)
    position = unit_vectors(events.ra[selected], events.dec[selected])
    selected[selected] = _in_band(separation(position, center), offset_band)
    return selected


def _in_band(values, band):
    return (values >= band[0]) & (values < band[1])


def counts_cube(events, gti, view, bands):
    """Count the events per energy band and pixel, in the pixels that the offset band selects.

    Events are kept or dropped with their pixel, so that counts, background and
    exposure cover the same sky.

    Parameters
    ----------
    events : gammastack.dl3.observation.EventList
    gti : gammastack.dl3.observation.GoodTimeIntervals
    view : gammastack.sky.geometry.FieldOfView
    bands : sequence of tuple of float
        In TeV, lower edges included.

    Returns
    -------
    ndarray of int32, shape (n_bands, ny, nx)
    """
    span = min(low for low, _ in bands), max(high for _, high in bands)
    use = gti.contains(events.time) & _in_band(events.energy, span)
    ny, nx = view.geometry.shape
    rows, columns, inside = view.geometry.pixel_index(events.ra[use], events.dec[use])
    pixel, energy = rows * nx + columns, events.energy[use][inside]
    counts = [
        np.bincount(pixel[_in_band(energy, band)], minlength=ny * nx) for band in bands
    ]
    counts = np.reshape(counts, (len(bands), ny, nx))
    return np.where(view.selected, counts, 0).astype(np.int32)
