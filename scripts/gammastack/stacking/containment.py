"""Radii that contain a part of the point spread of all runs together."""

import numpy as np
import pandas as pd

from gammastack.runs.run import RAD
from gammastack.stacking.stack import OFFSET

PLACES = "on axis", f"{OFFSET:g} deg off axis", "centre of the image"
PARTS = {"r68": 0.68, "r95": 0.95}


def containment_table(points):
    """Return the radii in deg that contain 68 % and 95 % of the point spread, at some places.

    Parameters
    ----------
    points : ndarray, shape (3, n_rad)
        Of a `gammastack.stacking.stack.Stack`.

    Returns
    -------
    pandas.DataFrame
        With the columns place, r68, r95; NaN without exposure.
    """
    rows = []
    for place, exposure in zip(
        PLACES, np.broadcast_to(points, (3, len(RAD))), strict=True
    ):
        known = exposure[-1] > 0
        part = exposure / exposure[-1] if known else np.full(len(RAD), np.nan)
        radii = {
            name: _radius(part, limit) if known else np.nan
            for name, limit in PARTS.items()
        }
        rows.append({"place": place, **radii})
    return pd.DataFrame(rows)


def _radius(part, limit):
    """Return the angle within which the part is the limit.

    Between the nodes the log of what is outside is linear in the squared angle, as for a Gaussian.
    """
    outside = -np.log(np.clip(1 - part, 1e-12, 1))
    return float(np.sqrt(np.interp(-np.log(1 - limit), outside, RAD**2)))
