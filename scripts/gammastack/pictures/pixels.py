"""Images as PNG files with a palette, without axes."""

from functools import cache
from io import BytesIO

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
    factor = -(-max(data.shape) // largest)
    if factor <= 1:
        return data, 1
    known = np.isfinite(data)
    padding = [(0, -size % factor) for size in data.shape]
    total, number = (
        _sum_of_blocks(np.pad(image, padding), factor)
        for image in (np.where(known, data, 0.0), known.astype(float))
    )
    return np.divide(
        total, number, np.full(total.shape, np.nan), where=number > 0
    ), factor


def _sum_of_blocks(image, factor):
    ny, nx = (size // factor for size in image.shape)
    return image.reshape(ny, factor, nx, factor).sum(axis=(1, 3))
