"""Interpolation between the nodes of responses, and the ranges that they cover.

Nodes are the bin centres, geometric in energy. The straight lines continue from the
outermost nodes to the outer bin edges.
"""

import numpy as np

from gammastack.errors import NotCoveredError

# Edges in files are often float32.
EDGE_TOLERANCE = 1e-6


def line(nodes, x):
    """Return lower nodes, and weights of the upper nodes, for lines between and beyond nodes."""
    lower = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    return lower, (x - nodes[lower]) / (nodes[lower + 1] - nodes[lower])


def interpolation_matrix(nodes, x):
    """Return the matrix (len(x), len(nodes)) of a piecewise linear interpolation."""
    matrix = np.zeros((len(x), len(nodes)))
    if len(nodes) == 1:
        matrix[:] = 1
        return matrix
    lower, weight = line(nodes, x)
    rows = np.arange(len(x))
    matrix[rows, lower] = 1 - weight
    matrix[rows, lower + 1] = weight
    return matrix


def log_centers(axis):
    """Return the logarithms of the nodes of an energy axis, lower and upper bin edges."""
    low, high = axis
    return np.log(np.sqrt(low * high))


def centers(axis):
    """Return the nodes of another axis, lower and upper bin edges."""
    low, high = axis
    return (low + high) / 2


def covers(axis, x):
    """Return whether values lie within the outer edges of an axis."""
    low, high = axis[0][0], axis[1][-1]
    return (x >= low * (1 - EDGE_TOLERANCE)) & (x <= high * (1 + EDGE_TOLERANCE))


def require_band(axis, band, where, key="energy_bands"):
    """Raise `NotCoveredError` if a band in TeV is not inside an energy axis.

    Parameters
    ----------
    axis : tuple of ndarray
        Lower and upper bin edges in TeV.
    band : tuple of float
    where : str
        File and HDU of the response.
    key : str
        Of the configuration that gives the band.
    """
    if not covers(axis, np.asarray(band)).all():
        raise NotCoveredError(
            f"{where}: {key}: {band[0]:g} TeV to {band[1]:g} TeV is not inside the energy"
            f" axis of the response, {axis[0][0]:g} TeV to {axis[1][-1]:g} TeV"
        )


def require_offset(largest, offset_max, where):
    """Raise `NotCoveredError` if an offset in deg is beyond the largest one of a response."""
    if offset_max > largest * (1 + EDGE_TOLERANCE):
        raise NotCoveredError(
            f"{where}: offset_band: {offset_max:g} deg is beyond the response, which ends"
            f" at {largest:g} deg"
        )
