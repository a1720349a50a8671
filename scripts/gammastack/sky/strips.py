"""Strips of an image: rows that are handled together, so that a large image need not fit into memory."""

from dataclasses import dataclass

import numpy as np

# The arrays of a step take so much memory at most, in bytes.
MEMORY = 1e9
# Measured with 9 million pixels: the step that makes the maps takes 170 bytes of memory for
# each pixel, and 200 with a ring.
BYTES_PER_PIXEL = 200


@dataclass(frozen=True)
class Strip:
    """Some rows of an image, with a margin of rows above and below.

    Attributes
    ----------
    rows : slice
        Without the margin.
    around : slice
        With it; the margin ends where the image does.
    """

    rows: slice
    around: slice

    def inner(self, image):
        """Return an image of all rows without those of the margin."""
        first = self.rows.start - self.around.start
        return image[first : first + self.rows.stop - self.rows.start]


def strips(shape, margin=0):
    """Divide an image into strips; one is enough for an image that fits into `MEMORY`.

    Parameters
    ----------
    shape : tuple of int
    margin : int
        Rows around a strip that its pixels depend on.

    Yields
    ------
    Strip
    """
    ny, nx = shape
    fitting = int(MEMORY / BYTES_PER_PIXEL / nx)
    # A strip that is lower than its margin would take longer than it saves.
    height = ny if ny <= fitting else max(1, margin, fitting - 2 * margin)
    for start in range(0, ny, height):
        stop = min(ny, start + height)
        around = slice(max(0, start - margin), min(ny, stop + margin))
        yield Strip(slice(start, stop), around)


def positive(rows, shape):
    """Return where an image is positive, without having all of its values in the memory.

    Parameters
    ----------
    rows : callable
        Returns some rows of the image, given a slice.
    shape : tuple of int

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    mask = np.empty(shape, bool)
    for strip in strips(shape):
        mask[strip.rows] = rows(strip.rows) > 0
    return mask
