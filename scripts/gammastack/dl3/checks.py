"""Checks of an observation against itself, its header and the observation index.

The limits are such that none of the 105 runs of the H.E.S.S. data release 1 gives a
warning, except for one that has no events in its last 503 s.
"""

import numpy as np

from gammastack.dl3.finding import NOTE, WARNING, Finding
from gammastack.errors import InputError
from gammastack.sky.sphere import separation, unit_vectors

# Float32 columns and rounding explain such differences between index and header.
POINTING_ROUNDING = 1e-4  # deg
TIME_ROUNDING = 1e-5  # relative
# Larger ones cannot be seen in the images, or can.
POINTING_TOLERANCE = 0.01  # deg
TIME_TOLERANCE = 0.01  # relative
ZENITH_TOLERANCE = 2.0  # deg; it changes by 7 deg in a run of 28 min
# No telescope sees farther than this from its pointing.
FIELD_OF_VIEW = 10.0  # deg
# H.E.S.S. runs have up to 0.4 % of their events farther away.
MOST = 0.9
# A source moves the centre of the events by less; H.E.S.S. runs have up to 0.2 deg.
CENTER_TOLERANCE = 0.5  # deg
# Clouds may take some of the good time; H.E.S.S. runs have up to 0.1 % of their events outside.
LARGEST_OUTSIDE = 0.2
# A gap is longer than this many times the expected longest one; H.E.S.S. has up to 4.3.
GAP_FACTOR = 20.0
# Fewer events say nothing about their distribution.
FEW_EVENTS = 100
# Largest effective areas in m2 of a single small telescope, and of a large array
PLAUSIBLE_AREA = 1e2, 1e8
# H.E.S.S. models have up to 3 such holes.
MANY_HOLES = 10


def require_events_in_field(observation, where):
    """Raise `InputError` if most events are where the telescopes did not look."""
    far = _offset(observation) > FIELD_OF_VIEW
    if len(far) and far.mean() > MOST:
        raise InputError(
            f"{where}: {far.sum()} of {len(far)} events are more than {FIELD_OF_VIEW:g} deg"
            " from the pointing; RA and DEC, or RA_PNT and DEC_PNT, are wrong"
        )


def findings(observation, index_row):
    """Return what is odd about an observation, but does not prevent its use.

    Parameters
    ----------
    observation : gammastack.dl3.observation.Observation
    index_row : dict
        Any of RA_PNT, DEC_PNT, ONTIME, LIVETIME, DEADC, ZENITH, EVENT_COUNT of the
        observation index; where they differ from the EVENTS header, the header is used.

    Returns
    -------
    list of gammastack.dl3.finding.Finding
        Includes what the reader found.
    """
    return [
        *observation.findings,
        *_times(observation, index_row),
        *_pointing(observation, index_row),
        *_events(observation, index_row),
        *_responses(observation),
    ]


def _offset(observation):
    pointing = observation.pointing
    events = unit_vectors(observation.events.ra, observation.events.dec)
    return separation(events, unit_vectors(pointing.ra, pointing.dec))


def _graded(difference, tolerance, text):
    # NaN is not within any tolerance.
    return Finding(NOTE if difference <= tolerance else WARNING, text)


def _times(observation, index_row):
    ours = {
        "ONTIME": observation.ontime,
        "LIVETIME": observation.livetime,
        "DEADC": observation.deadc,
    }
    sources = {
        "observation index": index_row,
        "EVENTS header": observation.declared,
    }
    for key, value in ours.items():
        for source, theirs in sources.items():
            difference = abs(theirs.get(key, value) - value)
            if not difference <= TIME_ROUNDING * value:
                yield _graded(
                    difference,
                    TIME_TOLERANCE * value,
                    f"{key} {theirs[key]:g} in the {source}, {value:g} from the GTIs and"
                    " DEADC",
                )
    start = observation.declared.get("TSTART", -np.inf)
    stop = observation.declared.get("TSTOP", np.inf)
    gti, slack = observation.gti, TIME_TOLERANCE * observation.ontime
    if gti.start.min() < start - slack or gti.stop.max() > stop + slack:
        yield Finding(
            WARNING, "good time intervals reach beyond TSTART and TSTOP of the events"
        )


def _pointing(observation, index_row):
    pointing = observation.pointing
    if {"RA_PNT", "DEC_PNT"} <= index_row.keys():
        ra, dec = index_row["RA_PNT"], index_row["DEC_PNT"]
        center = unit_vectors(pointing.ra, pointing.dec)
        difference = float(separation(unit_vectors(ra, dec), center))
        if not difference <= POINTING_ROUNDING:
            yield _graded(
                difference,
                POINTING_TOLERANCE,
                f"pointing {ra:g} {dec:g} in the observation index, {pointing.ra:g}"
                f" {pointing.dec:g} in the EVENTS header",
            )
    zenith = index_row.get("ZENITH", 0.0)
    ours = 90 - observation.declared.get("ALT_PNT", 90 - zenith)
    if not 0 <= zenith <= 90 or abs(zenith - ours) > ZENITH_TOLERANCE:
        yield Finding(
            WARNING,
            f"zenith angle {zenith:g} deg in the observation index, {ours:g} deg from"
            " ALT_PNT of the events",
        )


def _events(observation, index_row):
    events, gti = observation.events, observation.gti
    n_events = len(events.time)
    expected = index_row.get("EVENT_COUNT", n_events)
    if n_events != expected:
        yield Finding(
            WARNING, f"{n_events} events, EVENT_COUNT in the index is {expected:g}"
        )
    if n_events < FEW_EVENTS:
        return
    good = gti.contains(events.time)
    if (outside := np.mean(~good)) > LARGEST_OUTSIDE:
        yield Finding(
            WARNING, f"{outside:.0%} of the events are outside the good time intervals"
        )
    if good.sum() >= FEW_EVENTS:
        yield from _gap(gti, np.sort(events.time[good]))
    near = _offset(observation) < FIELD_OF_VIEW
    pointing = observation.pointing
    center = unit_vectors(events.ra[near], events.dec[near]).mean(axis=1)
    center /= np.linalg.norm(center)
    shift = float(separation(center, unit_vectors(pointing.ra, pointing.dec)))
    if shift > CENTER_TOLERANCE:
        yield Finding(
            WARNING, f"the centre of the events is {shift:.1f} deg from the pointing"
        )


def _gap(gti, time):
    """Compare the longest time without events with that of a constant rate."""
    # Good time that has passed; a gap between two intervals has none.
    passed = np.interp(
        [gti.start[0], *time, gti.stop[-1]],
        np.stack([gti.start, gti.stop], axis=1).ravel(),
        np.repeat(np.cumsum(gti.stop - gti.start), 2)
        - np.stack([gti.stop - gti.start, np.zeros(len(gti.start))], axis=1).ravel(),
    )
    gap = float(np.diff(passed).max())
    if gap > GAP_FACTOR * gti.ontime / len(time) * np.log(len(time)):
        yield Finding(WARNING, f"no events during {gap:.0f} s of good time")


def _responses(observation):
    if (aeff := observation.aeff) is not None:
        if n_negative := aeff.n_negative:
            yield Finding(NOTE, f"EFFAREA has {n_negative} negative values, taken as 0")
        low, high = PLAUSIBLE_AREA
        if not low < (largest := aeff.area.max()) < high:
            yield Finding(
                WARNING,
                f"the largest effective area is {largest:.3g} m2: is the unit right?",
            )
        if n_holes := _n_holes(aeff.area > 0, axes=[1]):
            yield Finding(
                WARNING, f"EFFAREA is 0 in {n_holes} bins between bins that are not"
            )
    if (bkg := observation.bkg) is not None:
        n_holes = _n_holes(bkg.rate > 0, axes=range(bkg.rate.ndim))
        if n_holes > MANY_HOLES:
            yield Finding(
                WARNING,
                f"the background rate is 0 in {n_holes} bins between bins that are not",
            )


def _n_holes(filled, axes):
    """Return how many bins are empty, while both neighbours along each of some axes are filled."""
    hole = ~filled
    for axis in axes:
        along = np.moveaxis(filled, axis, 0)
        enclosed = np.zeros(along.shape, bool)
        enclosed[1:-1] = along[:-2] & along[2:]
        hole &= np.moveaxis(enclosed, 0, axis)
    return int(hole.sum())
