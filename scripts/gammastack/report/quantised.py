"""Maps as short texts: values in steps of 0.01, compressed, in ASCII."""

import base64
import zlib

import numpy as np

STEP = 0.01
UNKNOWN = np.iinfo(np.int16).min


def encode(image):
    """Return an image as text: 16-bit numbers, all low bytes before all high ones.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Values beyond +-327 are clipped.

    Returns
    -------
    str
    """
    steps = np.rint(np.clip(image / STEP, UNKNOWN + 1, -UNKNOWN - 1))
    steps = np.where(np.isfinite(steps), steps, UNKNOWN).astype("<i2")
    planes = steps.view(np.uint8).reshape(-1, 2).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")


def decode(text, shape):
    """Return the image that `encode` made, NaN where it is unknown."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    steps = planes.reshape(2, -1).T.copy().view("<i2").reshape(shape)
    return np.where(steps == UNKNOWN, np.nan, steps * STEP)


def rounded(values, digits=5):
    """Return floats with so many digits as a list for JSON, None where they are unknown."""
    return [
        float(f"{value:.{digits}g}") if np.isfinite(value) else None
        for value in np.asarray(values, dtype=float).tolist()
    ]
