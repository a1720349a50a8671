"""Checks of an observation against itself, its header and the observation index.

The limits are such that none of the 105 runs of the H.E.S.S. data release 1 gives a
warning, except for one that has no events in its last 503 s.
"""

import numpy as np

from gammastack.dl3.finding import NOTE, WARNING, Finding
from gammastack.dl3.interpolation import centers, covers, log_centers
from gammastack.dl3.zenith import SECONDS_PER_DAY, zenith_angle
from gammastack.errors import InputError
from gammastack.sky.sphere import separation, unit_vectors

# Float32 columns and rounding explain such differences between index and header.
POINTING_ROUNDING = 1e-4  # deg
TIME_ROUNDING = 1e-5  # relative
# Larger ones cannot be seen in the images, or can.
POINTING_TOLERANCE = 0.01  # deg
TIME_TOLERANCE = 0.01  # relative
ZENITH_TOLERANCE = 5.0  # deg; it changes by 7 deg in a run of 28 min
# No telescope sees farther than this from its pointing.
FIELD_OF_VIEW = 10.0  # deg
# H.E.S.S. runs have up to 0.4 % of their events farther away.
MANY, MOST = 0.05, 0.9
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
# Integrals of a point spread function or energy dispersion; those of H.E.S.S. differ by 0.004
# where the effective area is more than a hundredth of the largest one.
NORM_TOLERANCE, LARGEST_NORM_ERROR, SMALL_AREA = 0.01, 0.1, 0.01
# Mean number of the bin, in units of the number of bins, weighted with the area or the rate.
# Those of H.E.S.S. are at 0.70 to 0.79 (area by energy), 0.41 to 0.48 (area by offset), and
# 0.15 to 0.36 (rate by energy).
AREA_ENERGY, AREA_OFFSET, RATE_ENERGY = 0.5, 0.55, 0.5
LARGEST_FIRST_OFFSET = 0.1  # deg
LARGEST_OFFSET, LARGEST_ENERGY = 15.0, 1e4  # deg, TeV
# Of the events of H.E.S.S. up to 0.6 % have energies for which a response is empty.
LARGEST_UNKNOWN = 0.2


def require_events_in_field(observation, where):
    """Raise `InputError` if events are where the telescopes did not look.

    These are most of the events, or a right ascension that is not wrapped is not one.
    """
    far = observation.event_offset > FIELD_OF_VIEW
    ra = observation.events.ra
    if n_odd := int(np.sum(far & ((ra < 0) | (ra > 360)))):
        raise InputError(
            f"{where}: {n_odd} of {len(ra)} events cannot be: RA is not between 0 and 360"
            " deg, and they are not in the field of view"
        )
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
    yield from _zenith(observation, index_row)


def _zenith(observation, index_row):
    """Compare what is said of the zenith angle with pointing, time and site."""
    known = {}
    if "ZENITH" in index_row:
        known["the observation index"] = index_row["ZENITH"]
    if "ALT_PNT" in observation.declared:
        known["the EVENTS header"] = 90 - observation.declared["ALT_PNT"]
    pointing, time = observation.pointing, observation.time_ref
    computed = np.nan
    if pointing.site is not None:
        middle = (observation.gti.start[0] + observation.gti.stop[-1]) / 2
        mjd = time.mjd + middle / SECONDS_PER_DAY
        site = pointing.site
        (computed,) = zenith_angle(pointing.ra, pointing.dec, mjd, time.scale, site)
    for source, zenith in known.items():
        if not 0 <= zenith <= 90:
            yield Finding(WARNING, f"zenith angle {zenith:g} deg in {source}")
        elif abs(zenith - computed) > ZENITH_TOLERANCE:
            yield Finding(
                WARNING,
                f"zenith angle {zenith:.1f} deg in {source}, {computed:.1f} deg from"
                " pointing, time and site",
            )
    if computed > 90:
        yield Finding(
            WARNING, "the pointing is below the horizon, from its time and site"
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
    start = observation.declared.get("TSTART", -np.inf) - 1
    stop = observation.declared.get("TSTOP", np.inf) + 1
    if n_beyond := int(np.sum((events.time < start) | (events.time > stop))):
        yield Finding(WARNING, f"{n_beyond} events are not between TSTART and TSTOP")
    if (n_zero := int(np.sum((events.ra == 0) | (events.dec == 0)))) > 1:
        yield Finding(WARNING, f"RA or DEC of {n_zero} events is exactly 0")
    near = observation.event_offset < FIELD_OF_VIEW
    if (far := np.mean(~near)) > MANY:
        yield Finding(
            WARNING,
            f"{far:.0%} of the events are more than {FIELD_OF_VIEW:g} deg from the pointing",
        )
    if not near.any():
        return
    pointing = observation.pointing
    center = observation.event_vectors[:, near].mean(axis=1)
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
    yield from _axes(observation)
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

    yield from _norms(observation)


def _norms(observation):
    """Compare the integrals of point spread and energy dispersion with 1 where there are events."""
    aeff = observation.aeff
    for name, response in (
        ("point spread function", observation.psf),
        ("energy dispersion", observation.edisp),
    ):
        if response is None or aeff is None:
            continue
        energy = np.exp(log_centers(response.energy))
        area = aeff.evaluate(energy, centers(response.offset)).T
        area = area * covers(aeff.energy, energy)
        integral = response.integral[area > SMALL_AREA * area.max()]
        wrong = np.abs(integral - 1) > NORM_TOLERANCE
        if wrong.any():
            odd = integral[wrong]
            is_far = np.abs(odd - 1).max() > LARGEST_NORM_ERROR
            yield Finding(
                WARNING if is_far else NOTE,
                f"the {name} is not normalised to 1 within {NORM_TOLERANCE:g} in"
                f" {len(odd)} of {len(integral)} bins with effective area: its integrals"
                f" are {odd.min():.3g} to {odd.max():.3g}; datasets normalise it",
            )


def _axes(observation):
    """Compare the shape of responses with what all telescopes have in common."""
    texts = []
    if (aeff := observation.aeff) is not None and (aeff.area > 0).any():
        if _mean_bin(aeff.area, axis=1) < AREA_ENERGY:
            texts.append("the effective area is largest at low energies")
        if _mean_bin(aeff.area, axis=0) > AREA_OFFSET:
            texts.append("the effective area grows with the offset")
        if aeff.offset[0][0] > LARGEST_FIRST_OFFSET:
            texts.append(f"the effective area begins at {aeff.offset[0][0]:g} deg")
        texts += _extent("effective area", aeff)
        filled = (aeff.area > 0).any(axis=0)
        texts += _unknown("effective area", aeff, filled, observation)
    if (bkg := observation.bkg) is not None and bkg.rate.any():
        if _mean_bin(bkg.rate, axis=0) > RATE_ENERGY:
            texts.append("the background rate is largest at high energies")
        if not bkg.is_centred:
            texts.append("the background model is not centred on the pointing")
        texts += _extent("background model", bkg)
        filled = bkg.rate.reshape(len(bkg.rate), -1).any(axis=1)
        texts += _unknown("background model", bkg, filled, observation)
    return [Finding(WARNING, f"{text}: are the axes right?") for text in texts]


def _extent(name, response):
    """Yield what is larger than that of any telescope."""
    if response.offset_max > LARGEST_OFFSET:
        yield f"the {name} reaches to {response.offset_max:g} deg"
    if (high := response.energy[1][-1]) > LARGEST_ENERGY:
        yield f"the {name} reaches to {high:g} TeV"


def _unknown(name, response, filled, observation):
    """Yield that many events have energies in bins that are not filled, if they have."""
    energy = observation.events.energy
    if len(energy) < FEW_EVENTS:
        return
    low, high = response.energy
    bins = np.searchsorted(low, energy, side="right") - 1
    known = (bins >= 0) & (energy < high[-1]) & filled[np.maximum(bins, 0)]
    if (unknown := np.mean(~known)) > LARGEST_UNKNOWN:
        yield f"the {name} is empty at the energies of {unknown:.0%} of the events"


def _mean_bin(values, axis):
    """Return the weighted mean of the numbers of the bins along an axis, from 0 to 1."""
    weights = np.moveaxis(np.clip(values, 0, None), axis, 0)
    weights = weights.reshape(len(weights), -1).sum(axis=1)
    return np.average(np.arange(len(weights)) + 0.5, weights=weights) / len(weights)


def _n_holes(filled, axes):
    """Return how many bins are empty, while both neighbours along each of some axes are filled."""
    hole = ~filled
    for axis in axes:
        along = np.moveaxis(filled, axis, 0)
        enclosed = np.zeros(along.shape, bool)
        enclosed[1:-1] = along[:-2] & along[2:]
        hole &= np.moveaxis(enclosed, 0, axis)
    return int(hole.sum())
