"""Examination of a run without making its images."""

from contextlib import contextmanager

from gammastack.dl3.checks import findings
from gammastack.dl3.finding import NOTE, WARNING, texts
from gammastack.dl3.observation import read_observation
from gammastack.dl3.threshold import aeff_threshold
from gammastack.errors import NotCoveredError, in_words

# The effective area on axis at the energy threshold, relative to the largest one
THRESHOLD = 0.1
# These HDUs can only be read together; each response is then tried on its own.
ALONE = ("events", "gti")


def examine(obs_id, hdus, index_row, bands, offset_max):
    """Return what is wrong with a run, and its most important numbers.

    Parameters
    ----------
    obs_id : int
    hdus : dict of str to gammastack.dl3.datastore.HDULocation
    index_row : dict
        See `gammastack.dl3.checks.findings`.
    bands : iterable of tuple of float
        Energy bands in TeV that the responses are to cover.
    offset_max : float
        Offset in deg that the responses are to cover.

    Returns
    -------
    dict
        ``error``, ``warning`` and ``note`` are texts, empty if there are none. What cannot
        be read is left out of the numbers.
    """
    observation, errors, warnings = _read(obs_id, hdus)
    if observation is None:
        return {"error": "; ".join(errors), "warning": "", "note": ""}
    found, numbers = [], {}
    with _in_words(errors, hdus):
        found = findings(observation, index_row)
        warnings += filter(None, [texts(found, WARNING)])
        warnings += _not_covered(observation, bands, offset_max)
        numbers = _numbers(observation)
    return {
        "error": "; ".join(errors),
        "warning": "; ".join(warnings),
        "note": texts(found, NOTE),
        **numbers,
    }


@contextmanager
def _in_words(errors, hdus):
    """Append the error of damaged data in some HDUs to `errors`, in words.

    Those of the machine, which has too little memory or a broken disk, say nothing about
    the data.
    """
    try:
        yield
    except MemoryError:
        raise
    # Damaged data can cause any error.
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        paths = sorted({location.path for location in hdus.values()})
        errors.append(in_words(error, paths))


def _read(obs_id, hdus):
    """Return as much of an observation as can be read, or None, with errors and warnings."""
    readable, errors, warnings, observation = {}, [], [], None
    together = {kind: hdus[kind] for kind in ALONE if kind in hdus}
    for added in (
        together,
        *({kind: hdus[kind]} for kind in hdus if kind not in ALONE),
    ):
        with _in_words(errors, added):
            try:
                observation = read_observation(obs_id, {**readable, **added})
                readable |= added
            except NotCoveredError as error:
                paths = [location.path for location in added.values()]
                warnings.append(in_words(error, paths))
        if observation is None:
            break
    return observation, errors, warnings


def _not_covered(observation, bands, offset_max):
    """Yield what the responses do not cover."""
    for response in filter(None, (observation.aeff, observation.bkg)):
        for band in bands:
            try:
                response.require(band, offset_max)
            except NotCoveredError as error:
                yield in_words(error, [response.where.rpartition("[")[0]])


def _numbers(observation):
    pointing = observation.pointing
    numbers = {
        "RA_PNT": pointing.ra,
        "DEC_PNT": pointing.dec,
        "start": observation.start.utc.isot,
        "ontime": observation.ontime,
        "livetime": observation.livetime,
        "n_events": len(observation.events.time),
    }
    for name, response in (("aeff", observation.aeff), ("bkg", observation.bkg)):
        if response is not None:
            low, high = response.energy
            numbers[f"{name}_energy_min"] = float(low[0])
            numbers[f"{name}_energy_max"] = float(high[-1])
    if (aeff := observation.aeff) is not None:
        numbers["aeff_offset_max"] = aeff.offset_max
        numbers["aeff_max"] = float(aeff.area.max())
        threshold = aeff_threshold(aeff, THRESHOLD, 0.0)
        numbers["energy_threshold"] = threshold or float("nan")
    return numbers
