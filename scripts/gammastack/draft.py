"""Draft of a configuration for a store: fields, bands, sizes and exclusions from its runs."""

import difflib
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from gammastack.config.fields import TAKEN, datastore_cache, store_place
from gammastack.dl3.coverage import has_effective_areas, readable_observations
from gammastack.dl3.examination import THRESHOLD
from gammastack.dl3.remote_store import open_store
from gammastack.dl3.threshold import aeff_threshold
from gammastack.errors import InputError
from gammastack.remote.files import RemoteFiles
from gammastack.sky.known_sources import known_sources, plain_name
from gammastack.sky.sphere import lonlat, separation, unit_vectors
from gammastack.words import counted

# Pointings that are closer than this belong to one field.
LINK = 2.0  # deg
# Those that differ by less than 0.06 deg are the same: digits of unit vectors
POINTING_DIGITS = 3
# Energies that a band may begin or end with, in each decade
ROUND = np.array([1, 1.5, 2, 3, 5, 7])
# Without effective areas, a band begins where so many of the events have less energy.
LOWEST_EVENTS = 0.3
LARGEST_OFFSET = 2.4  # deg
# So much of a field of view is used: its rim is the least known.
WITHOUT_RIM = 0.8
LARGEST_IMAGE = 1000  # pixels
LARGEST_PLANE = 30.0  # deg; wider images are cylindrical


@dataclass(frozen=True)
class Responses:
    """What the responses of a few runs allow.

    Attributes
    ----------
    band : tuple of float
        In TeV.
    offset_max : float
        In deg.
    has_background : bool
        Whether the store has background models.
    """

    band: tuple
    offset_max: float
    has_background: bool


def given_store(text):
    """Open the store that a command is given, a folder or an address."""
    return open_store(store_place(text, "STORE"), RemoteFiles(datastore_cache({})))


def draft_responses(store, obs_ids):
    """Return the `Responses` of some runs.

    Parameters
    ----------
    store : gammastack.dl3.datastore.DataStore
    obs_ids : list of int

    Raises
    ------
    InputError
        If none of the runs that are looked at can be read, or they allow nothing.
    """
    types = [kind for kind in ("aeff", "bkg") if _lists(store, obs_ids, kind)]
    if "aeff" in types and not has_effective_areas(store, obs_ids):
        types.remove("aeff")
    observations = [
        observation
        for observation in readable_observations(store, obs_ids, types)
        if len(observation.events.energy)
    ]
    if not observations:
        raise InputError(
            f"datastore: '{store.folder}': none of the runs that were looked at can be"
            " read and has events; scripts/doctor.py says why"
        )
    low, high, offsets = [], [], [LARGEST_OFFSET]
    for observation in observations:
        for response in filter(None, (observation.aeff, observation.bkg)):
            low.append(response.energy[0][0])
            high.append(response.energy[1][-1])
            offsets.append(response.offset_max * WITHOUT_RIM)
        if observation.aeff is not None:
            low.append(aeff_threshold(observation.aeff, THRESHOLD, 0.0))
        else:
            energy = observation.events.energy
            low.append(np.quantile(energy, LOWEST_EVENTS))
            high.append(energy.max())
            offsets.append(_offset_of_most(observation))
    low, high = max(low), min(high)
    # The axis of a response may begin at 0.
    band = (_rounded(low, up=True), _rounded(high, up=False)) if low > 0 else (0, 0)
    offset_max = np.floor(min(offsets) * 10) / 10
    if not (band[0] < band[1] and offset_max > 0):
        raise InputError(
            f"datastore: '{store.folder}': the runs that were looked at have no round"
            f" energies between {low:.3g} TeV and {high:.3g} TeV, or offsets only up to"
            f" {min(offsets):.2g} deg; write the configuration yourself, see"
            " config/README.md"
        )
    return Responses(band, float(offset_max), "bkg" in types)


def _lists(store, obs_ids, kind):
    return any(store.lists(obs_id, kind) for obs_id in obs_ids)


def _offset_of_most(observation):
    """Return the offset within which 95 % of the events are."""
    pointing = observation.pointing
    events = unit_vectors(observation.events.ra, observation.events.dec)
    offset = separation(events, unit_vectors(pointing.ra, pointing.dec))
    return float(np.quantile(offset, 0.95))


def _rounded(energy, up):
    decade = 10.0 ** np.floor(np.log10(energy))
    values = np.append(ROUND, 10) * decade
    return float(
        values[values >= energy * (1 - 1e-6)][0]
        if up
        else values[values <= energy * (1 + 1e-6)][-1]
    )


@dataclass(frozen=True)
class FieldDraft:
    """A field of a draft.

    Attributes
    ----------
    name : str
    center : tuple of float
        RA and Dec in deg.
    radius : float
        Angle in deg within which its pointings are.
    cone : float
        Angle in deg that selects its runs.
    obs_ids : list of int
    """

    name: str
    center: tuple
    radius: float
    cone: float
    obs_ids: list


def find_fields(store):
    """Divide the runs of a store into fields, by their pointings.

    Parameters
    ----------
    store : gammastack.dl3.datastore.DataStore

    Returns
    -------
    list of FieldDraft
        Those with the most runs first; of as many, that with the first run.

    Raises
    ------
    InputError
        If no run has a pointing.
    """
    rows = np.flatnonzero(np.isfinite(store.pointings(store.obs_ids)).all(axis=0))
    if not len(rows):
        raise InputError(
            f"datastore: '{store.folder}': no run has a pointing (RA_PNT, DEC_PNT) in the"
            " observation index"
        )
    obs_ids = np.array(store.obs_ids)
    vectors = unit_vectors(*store.pointings(store.obs_ids))
    labels = _linked(vectors[:, rows])
    members = [rows[labels == label] for label in range(labels.max() + 1)]
    members.sort(key=lambda rows: (-len(rows), rows[0]))
    names = _unique([_name(store, rows, vectors) for rows in members])
    return [
        _field(store, name, rows, obs_ids, vectors)
        for name, rows in zip(names, members, strict=True)
    ]


def _linked(vectors):
    """Return a number for each of some positions, the same for those that are linked."""
    # Many runs have few pointings, and all pairs of runs take much memory.
    vectors, distinct = np.unique(
        np.round(vectors, POINTING_DIGITS), axis=1, return_inverse=True
    )
    chord = 2 * np.sin(np.radians(LINK) / 2)
    pairs = KDTree(vectors.T).query_pairs(chord, output_type="ndarray")
    n = vectors.shape[1]
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (n, n))
    _, labels = connected_components(graph, directed=False)
    return labels[distinct]


def without_pointing(store):
    """Return the OBS_IDs of the runs without a pointing, which can be in no draft."""
    is_unknown = np.isnan(store.pointings(store.obs_ids)).any(axis=0)
    return np.array(store.obs_ids)[is_unknown].tolist()


def _field(store, name, rows, obs_ids, vectors):
    center = vectors[:, rows].mean(axis=1)
    center /= np.linalg.norm(center)
    target = _target(store, rows)
    if target is not None and separation(target, center) < LINK:
        center = target
    radius = float(separation(vectors[:, rows], center).max())
    position = tuple(round(float(angle), 3) for angle in lonlat(center))
    # Runs at the rim are selected, too.
    cone = float(np.ceil(radius * 10 + 1) / 10)
    return FieldDraft(name, position, radius, cone, obs_ids[rows].tolist())


def _target(store, rows):
    """Return the position that most runs were meant for, as a vector; None if not known."""
    table = store.observations
    if not {"RA_OBJ", "DEC_OBJ"} <= table.keys():
        return None
    positions = zip(table["RA_OBJ"][rows], table["DEC_OBJ"][rows], strict=True)
    (ra, dec), _ = Counter(positions).most_common(1)[0]
    return unit_vectors(float(ra), float(dec)) if np.isfinite(ra + dec) else None


def _name(store, rows, vectors):
    """Return the name of the object of most runs, or one from the position."""
    objects = store.observations.get("OBJECT")
    if objects is not None:
        text, _ = Counter(map(str, objects[rows])).most_common(1)[0]
        if name := re.sub(r"[^a-z0-9+.-]+", "-", text.lower()).strip("-+."):
            return name
    ra, dec = lonlat(vectors[:, rows].mean(axis=1))
    return f"ra{ra:.0f}dec{dec:+.0f}"


def _unique(names):
    """Return names with a number where a name was there before, or cannot be that of a field."""
    unique = {}
    for name in names:
        numbered, number = name, 1
        while numbered in unique or numbered in TAKEN:
            number += 1
            numbered = f"{name}-{number}"
        unique[numbered] = None
    return [*unique]


def field_of_target(store, fields, target):
    """Return the field of a target, given by the name of an object or of a known source.

    Raises
    ------
    InputError
        If no run has such an object, and no field contains such a source.
    """
    wanted = plain_name(target)
    if not wanted:
        raise InputError(f"--target: '{target}' has no letters or digits")
    objects = store.observations.get("OBJECT", np.full(len(store.obs_ids), ""))
    by_run = dict(zip(store.obs_ids, map(plain_name, objects), strict=True))
    sources = {plain_name(name): (ra, dec) for name, ra, dec, _ in known_sources()}
    for same in (wanted.__eq__, lambda name: wanted in name):
        for field in fields:
            if any(same(by_run[obs_id]) for obs_id in field.obs_ids):
                return field
        found = [position for name, position in sources.items() if same(name)]
        if len(found) == 1:
            return field_at(store, found[0])
    near = difflib.get_close_matches(wanted, {*by_run.values(), *sources})
    raise InputError(
        f"--target: no run has the object '{target}', and it is no known source"
        f"{' (similar: ' + ', '.join(near) + ')' if near else ''}; give --position"
    )


def field_at(store, center, radius=LINK):
    """Return a field around a position, with the runs that point to within a radius in deg.

    Raises
    ------
    InputError
        If no run does, or the position is not on the sky.
    """
    ra, dec = center
    if not (0 <= ra <= 360 and abs(dec) <= 90):
        raise InputError(
            f"--position: RA {ra:g}, Dec {dec:g} is not on the sky: give deg, RA from 0 to"
            " 360 and Dec from -90 to 90"
        )
    vectors = unit_vectors(*store.pointings(store.obs_ids))
    near = separation(vectors, unit_vectors(*center)) < radius
    obs_ids = np.array(store.obs_ids)[near].tolist()
    if not obs_ids:
        raise InputError(
            f"no run points to within {radius:g} deg of RA {ra:g}, Dec {dec:g}"
        )
    name = f"ra{ra:.0f}dec{dec:+.0f}"
    return FieldDraft(name, (ra, dec), radius, radius, obs_ids)


def config_text(store, fields):
    """Return the text of a configuration for some fields of a store.

    Parameters
    ----------
    store : gammastack.dl3.datastore.DataStore
    fields : list of FieldDraft

    Returns
    -------
    str
        YAML with comments.
    """
    responses = draft_responses(store, fields[0].obs_ids)
    low, high = responses.band
    background = "irf" if responses.has_background else "acceptance"
    why = (
        "the store has background models"
        if responses.has_background
        else "the store has no background models: they are made from the runs"
    )
    lines = [
        "# A draft for this store; change what you like. All keys: config/README.md",
        f"datastore: {_quoted(store.place)}",
        "",
        "# Where the responses are good: above the energy threshold",
        f'energy_bands: [["{low:g} TeV", "{high:g} TeV"]]',
        f'offset_band: ["0 deg", "{responses.offset_max:g} deg"]',
        f"background: {background}  # {why}",
        'radius: "0.1 deg"  # of the disk for significance and flux',
        "",
        "fields:",
    ]
    for field in fields:
        lines += _field_lines(field, responses.offset_max)
    return "\n".join(lines) + "\n"


def _field_lines(field, offset_max):
    size = np.ceil(2 * (field.radius + offset_max) * 2) / 2
    pixel = 0.02 * max(1, np.ceil(size / 0.02 / LARGEST_IMAGE))
    ra, dec = field.center
    lines = [
        # Quoted, since an object may be called 2012 or null.
        f"  {_quoted(field.name)}:  # {counted(len(field.obs_ids), 'run')}",
        f"    center: {{icrs: [{ra:g}, {dec:g}]}}",
        f'    width: "{size:g} deg"',
        f'    binsz: "{pixel:g} deg"',
        f'    observations: {{cone: "{field.cone} deg"}}',
    ]
    if size > LARGEST_PLANE:
        lines.append("    projection: CAR")
    lines.append("    exclusion_mask:  # known sources in the image, and a search")
    center = unit_vectors(ra, dec)
    for name, source_ra, source_dec, radius in known_sources():
        distance = separation(unit_vectors(source_ra, source_dec), center)
        if distance < field.radius + offset_max + radius:
            lines.append(
                f"      - {{center: [{source_ra:g}, {source_dec:g}],"
                f' radius: "{radius:g} deg"}}  # {name}'
            )
    lines.append("      - {threshold: 5}")
    return lines


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
