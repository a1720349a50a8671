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


class Response:
    """What responses share: the axes ``energy`` and ``offset``, and ``where`` they come from."""

    @property
    def offset_max(self):
        """Return the largest offset in deg that it covers."""
        return float(self.offset[1][-1])

    def require(self, band, offset_max, key="energy_bands"):
        """Raise `NotCoveredError` if the response does not cover a band or an offset.

        Parameters
        ----------
        band : tuple of float
            In TeV.
        offset_max : float
            In deg.
        key : str
            Of the configuration that gives the band.
        """
        if not covers(self.energy, np.asarray(band)).all():
            low, high = self.energy[0][0], self.energy[1][-1]
            raise NotCoveredError(
                f"{self.where}: {key}: {band[0]:g} TeV to {band[1]:g} TeV is not inside the"
                f" energy axis of the response, {low:g} TeV to {high:g} TeV"
            )
        if offset_max > self.offset_max * (1 + EDGE_TOLERANCE):
            raise NotCoveredError(
                f"{self.where}: offset_band: {offset_max:g} deg is beyond the response, which"
                f" ends at {self.offset_max:g} deg"
            )
