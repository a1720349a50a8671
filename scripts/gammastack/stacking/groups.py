"""Stable groups of runs, whose sums are kept: one more run changes only one group.

The group of a run depends only on the set of runs, not on the order in which they came.
"""

from hashlib import sha256

import numpy as np

# A changed run costs the runs of its group and the sums of all groups: groups of up to
# 64 runs are close to the minimum, 2 sqrt(N), for N of a few hundred to 10,000.
CAPACITY = 64
# Cells are 5.6 deg along RA: the sums of a survey stay as small as a field of view.
POSITION_DIGITS = 6
# Two digits of base 4 for each of base 16
BASE_4 = str.maketrans({f"{n:x}": f"{n >> 2}{n & 3}" for n in range(16)})


def stable_groups(obs_ids, ra, dec, capacity=CAPACITY):
    """Divide runs into groups of neighbours on the sky.

    The sky, and where runs point to the same place their hashes, are divided into
    quarters until no group is too large.

    Parameters
    ----------
    obs_ids : sequence of int
    ra, dec : sequence of float
        Pointings in deg.
    capacity : int
        Largest number of runs in a group.

    Returns
    -------
    dict of str to list of int
        OBS_IDs in ascending order by the name of their group.
    """
    keys = {
        int(obs_id): position + _hash_digits(obs_id)
        for obs_id, position in zip(obs_ids, _position_digits(ra, dec), strict=True)
    }
    return dict(sorted(_divide(sorted(keys), keys, "", capacity)))


def _divide(obs_ids, keys, prefix, capacity):
    if len(obs_ids) <= capacity:
        yield prefix or "all", obs_ids
        return
    quarters = {}
    for obs_id in obs_ids:
        quarters.setdefault(keys[obs_id][len(prefix)], []).append(obs_id)
    for digit, inside in sorted(quarters.items()):
        yield from _divide(inside, keys, prefix + digit, capacity)


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
