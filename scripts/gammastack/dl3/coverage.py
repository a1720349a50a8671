"""What holds for all runs of a store, found in a few of them before any image is made."""

from gammastack.dl3.hdus import hdu_types
from gammastack.dl3.observation import read_observation
from gammastack.dl3.table import Table, open_file
from gammastack.errors import InputError, NotCoveredError

# So many runs are looked at.
N_PROBES = 3


def has_effective_areas(store, obs_ids):
    """Return whether the runs have effective areas that hold for a whole field of view.

    Parameters
    ----------
    store : gammastack.dl3.datastore.DataStore
    obs_ids : list of int

    Returns
    -------
    bool
        True also if none of the files that are looked at can be read.
    """
    listed = (_location(store, obs_id) for obs_id in obs_ids)
    listed = [location for location in listed if location is not None]
    for location in _some(listed):
        try:
            with (
                store.at_hand({"aeff": location}) as hdus,
                open_file(hdus["aeff"].path) as file,
            ):
                return not Table(file, hdus["aeff"]).is_point_like
        except (InputError, OSError):
            continue
    return bool(listed)


def _location(store, obs_id):
    try:
        return store.hdus(obs_id, ["aeff"])["aeff"]
    except InputError:
        return None


def readable_observations(store, obs_ids, responses, not_covered=None):
    """Return some of the runs: those that can be read of a few.

    Parameters
    ----------
    store : gammastack.dl3.datastore.DataStore
    obs_ids : list of int
    responses : sequence of str
        Types of the responses that are read.
    not_covered : list of str, optional
        Gets the reasons of runs whose responses give no image.

    Returns
    -------
    list of gammastack.dl3.observation.Observation
    """
    observations = []
    for obs_id in _some(obs_ids):
        try:
            with store.at_hand(store.available(obs_id, hdu_types(responses))) as hdus:
                observations.append(read_observation(obs_id, hdus))
        except NotCoveredError as error:
            if not_covered is not None:
                not_covered.append(str(error))
        # A run that cannot be read says nothing about the others.
        except (InputError, OSError):
            continue
    return observations


def require_covered(store, obs_ids, responses, wanted, offset_max):
    """Refuse settings that fit the responses of no run.

    Parameters
    ----------
    store : gammastack.dl3.datastore.DataStore
    obs_ids : list of int
    responses : sequence of str
        Types of the responses that are read from the store.
    wanted : iterable of (sequence of str, tuple of float, str)
        Types of responses, the energies in TeV that they are to cover, and the key of the
        configuration that gives these.
    offset_max : float
        Largest offset in deg.

    Raises
    ------
    InputError
        If the responses of all runs that are looked at do not cover a band or the offsets.
    """
    reasons = []
    observations = readable_observations(store, obs_ids, responses, reasons)
    for kinds, band, key in wanted:
        found = [
            _not_covered([getattr(one, kind) for kind in kinds], band, offset_max, key)
            for one in observations
        ]
        if all(found) and (found + reasons):
            raise InputError(f"{(found + reasons)[0]}. It is the same for other runs")


def _not_covered(responses, band, offset_max, key):
    """Return why a band or the offsets are not covered, or nothing."""
    try:
        for response in filter(None, responses):
            response.require(band, offset_max, key)
    except NotCoveredError as error:
        return str(error)
    return ""


def _some(items):
    """Return the first, the middle and the last of some items, each once."""
    n_some, last = min(N_PROBES, len(items)), len(items) - 1
    return [items[number * last // max(1, n_some - 1)] for number in range(n_some)]
