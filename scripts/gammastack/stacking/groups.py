"""Stable groups of runs, whose sums are kept: one more run changes only one group.

The group of a run depends only on the set of runs, not on the order in which they came.
"""

from hashlib import sha256

import numpy as np

from gammastack.sky.sphere import unit_vectors

# A changed run costs the runs of its group and the sums of all groups: groups of up to
# 64 runs are close to the minimum, 2 sqrt(N), for N of a few hundred to 10,000.
CAPACITY = 64
# Cells are 5.6 deg along RA: the sums of a survey stay as small as a field of view.
POSITION_DIGITS = 6
# Few runs that are far apart are divided, too: the sums of a group have about so many pixels
# along an axis, and the field of view of a run.
WIDEST = 2500
# Two digits of base 4 for each of base 16
BASE_4 = str.maketrans({f"{n:x}": f"{n >> 2}{n & 3}" for n in range(16)})


def stable_groups(obs_ids, ra, dec, capacity=CAPACITY, binsz=None):
    """Divide runs into groups of neighbours on the sky.

    The sky, and where runs point to the same place their hashes, are divided into
    quarters until no group has too many runs, or runs that are too far apart.

    Parameters
    ----------
    obs_ids : sequence of int
    ra, dec : sequence of float
        Pointings in deg.
    capacity : int
        Largest number of runs in a group.
    binsz : float, optional
        Size of a pixel in deg, on which depends how far the runs of a group may be apart; by
        default it does not matter.

    Returns
    -------
    dict of str to list of int
        OBS_IDs in ascending order by the name of their group.
    """
    keys = {
        int(obs_id): position + _hash_digits(obs_id)
        for obs_id, position in zip(obs_ids, _position_digits(ra, dec), strict=True)
    }
    pointings = unit_vectors(np.asarray(ra, float), np.asarray(dec, float)).T
    pointings = dict(zip(map(int, obs_ids), pointings, strict=True))

    def is_small(members, prefix):
        if len(members) > capacity:
            return False
        # Hashes do not tell where runs are.
        if binsz is None or len(prefix) >= POSITION_DIGITS:
            return True
        return _extent([pointings[obs_id] for obs_id in members]) <= WIDEST * binsz

    return dict(sorted(_divide(sorted(keys), keys, "", is_small)))


def _divide(obs_ids, keys, prefix, is_small):
    if is_small(obs_ids, prefix):
        yield prefix or "all", obs_ids
        return
    quarters = {}
    for obs_id in obs_ids:
        quarters.setdefault(keys[obs_id][len(prefix)], []).append(obs_id)
    for digit, inside in sorted(quarters.items()):
        yield from _divide(inside, keys, prefix + digit, is_small)


def _extent(vectors):
    """Return the diagonal of the box around unit vectors in deg; one more makes it no smaller."""
    # Runs that have failed may have no pointing.
    known = [vector for vector in vectors if np.isfinite(vector).all()]
    return np.degrees(np.linalg.norm(np.ptp(known, axis=0))) if known else 0.0


def _position_digits(ra, dec):
    """Return the path to the cell of each position in a tree of quarters of equal areas."""
    cells = 2**POSITION_DIGITS
    # Runs that have failed may have no pointing.
    ra, dec = (np.nan_to_num(np.asarray(angle, float)) for angle in (ra, dec))
    x = ra % 360 / 360 * cells
    y = (np.sin(np.radians(dec)) + 1) / 2 * cells
    x, y = (np.clip(axis.astype(int), 0, cells - 1) for axis in (x, y))
    levels = range(POSITION_DIGITS - 1, -1, -1)
    return [
        "".join(str(2 * (row >> level & 1) + (column >> level & 1)) for level in levels)
        for column, row in zip(x.tolist(), y.tolist(), strict=True)
    ]


def _hash_digits(obs_id):
    """Return 128 digits of base 4."""
    return sha256(str(int(obs_id)).encode()).hexdigest().translate(BASE_4)
