"""Images as PNG files with a palette, without axes."""

from functools import cache
from io import BytesIO

import numpy as np
from matplotlib import colormaps
from PIL import Image

from gammastack.pictures.scale import N_COLORS

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


def color_bar(scale):
    """Return the colours of a scale from low to high as a PNG of one row."""
    ramp = np.linspace(scale.low, scale.high, N_COLORS)[None]
    return png(ramp, scale)


def reduced(data, largest):
    """Return an image in blocks, so that no side has more than `largest` pixels.

    A block has the value with the largest distance from zero, so that no peak is lost.

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
    padding = [(0, -size % factor) for size in data.shape]
    padded = np.pad(data.astype(float, copy=False), padding, constant_values=np.nan)
    ny, nx = (size // factor for size in padded.shape)
    blocks = padded.reshape(ny, factor, nx, factor).swapaxes(1, 2)
    blocks = blocks.reshape(ny, nx, factor**2)
    size = np.where(np.isfinite(blocks), np.abs(blocks), -1)
    place = size.argmax(axis=-1)[..., None]
    return np.take_along_axis(blocks, place, axis=-1)[..., 0], factor
