"""Images as PNG files with a palette, without axes."""

from functools import cache
from io import BytesIO
from math import ceil, sqrt

import numpy as np
from matplotlib import colormaps
from PIL import Image

from gammastack.pictures.scale import N_COLORS, Scale

# Unknown pixels are transparent.
UNKNOWN = 0


@cache
def _palette(colors):
    values = colormaps[colors](np.linspace(0, 1, N_COLORS), bytes=True)[:, :3]
    return np.concatenate([np.full((1, 3), 255, np.uint8), values]).tobytes()


def png(data, scale):
    """Return an image as a PNG with one pixel for each of its pixels, north up.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
    scale : gammastack.pictures.scale.Scale

    Returns
    -------
    bytes
    """
    index = scale.palette_index(data)[::-1]
    image = Image.fromarray(np.ascontiguousarray(index))
    image.putpalette(_palette(scale.colors))
    file = BytesIO()
    image.save(file, "PNG", transparency=UNKNOWN)
    return file.getvalue()


@cache
def color_bar(colors):
    """Return the colours of a scale from low to high as a PNG of one row.

    Parameters
    ----------
    colors : str
        See `gammastack.pictures.scale.Scale`.
    """
    return png(np.linspace(0, 1, N_COLORS)[None], Scale(0, 1, colors))


def reduced(data, largest):
    """Return an image in blocks, so that no side has more than `largest` pixels.

    A block has the mean of its known pixels: extremes would make noise look like sources.

    Parameters
    ----------
    data : ndarray, shape (ny, nx)
    largest : int

    Returns
    -------
    image : ndarray
    factor : int
        Pixels in a row of a block.
    """
    factor = max(1, -(-max(data.shape) // largest))
    return _in_blocks(data, factor), factor


def coarse(rows, shape, n_pixels):
    """Return an image in blocks, as `reduced` does, of which only parts are in the memory.

    Parameters
    ----------
    rows : callable
        Returns some rows of the image, given a slice.
    shape : tuple of int
        Of the image.
    n_pixels : int
        A larger image has about so many pixels then.

    Returns
    -------
    image : ndarray
    factor : int
    """
    factor = ceil(sqrt(max(1, shape[0] * shape[1] / n_pixels)))
    height = factor * max(1, n_pixels // (factor * shape[1]))
    starts = range(0, shape[0], height)
    parts = [_in_blocks(rows(slice(y, y + height)), factor) for y in starts]
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), factor


def _in_blocks(data, factor):
    if factor == 1:
        return data
    known = np.isfinite(data)
    padding = [(0, -size % factor) for size in data.shape]
    total, number = (
        _sum_of_blocks(np.pad(image, padding), factor)
        for image in (np.where(known, data, 0.0), known.astype(float))
    )
    return np.divide(total, number, np.full(total.shape, np.nan), where=number > 0)


def _sum_of_blocks(image, factor):
    ny, nx = (size // factor for size in image.shape)
    return image.reshape(ny, factor, nx, factor).sum(axis=(1, 3))
