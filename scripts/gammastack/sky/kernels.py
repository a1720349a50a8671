"""Disks and rings of pixels, and sums of images under them."""

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2


def disk_kernel(radius):
    """Return the pixels whose centre is within an elliptic disk, including its rim.

    Parameters
    ----------
    radius : float or tuple of float
        Radius in pixels, or its two values along x and y.

    Returns
    -------
    ndarray of float, shape (odd, odd)
        1 inside, 0 outside.
    """
    # 0.1 deg / 0.02 deg must be 5 pixels, despite rounding.
    rx, ry = np.broadcast_to(np.asarray(radius, dtype=float), 2) * (1 + 1e-9)
    y, x = np.mgrid[-int(ry) : int(ry) + 1, -int(rx) : int(rx) + 1]
    return (elliptic_distance(x, y, (rx, ry)) <= 1).astype(float)


def radius_of_area(radius, geometry):
    """Return the radius in deg of a circle with the area of the pixels of a disk.

    Parameters
    ----------
    radius : tuple of float
        Of the disk, in pixels.
    geometry : gammastack.sky.geometry.ImageGeometry
    """
    x, y = geometry.in_pixels(1.0)
    return float(np.sqrt(disk_kernel(radius).sum() / (np.pi * x * y)))


def reach(radius):
    """Return how many rows beyond a pixel its disk reaches."""
    return disk_kernel(radius).shape[0] // 2


def elliptic_distance(x, y, radius):
    """Return the distance from (0, 0) in units of the radii (rx, ry) of an ellipse."""
    rx, ry = radius
    return np.hypot(x / max(rx, 1e-9), y / max(ry, 1e-9))


def correlate(image, kernel):
    """Sum an image under a kernel around each pixel, with zeros beyond the image's edges."""
    return next(correlate_all([image], [kernel]))[0]


def correlate_all(images, kernels):
    """Apply `correlate` to several images, with each of several kernels.

    Each image and each kernel is transformed once.

    Parameters
    ----------
    images : list of ndarray, shape (ny, nx)
    kernels : list of ndarray, shape (odd, odd)
        Kernels that are the same if they are turned by 180 deg.

    Yields
    ------
    list of ndarray, shape (ny, nx)
        For each kernel, the sums of all images, with noise of 1e-16 of the sum of the image.
    """
    ny, nx = images[0].shape
    # What a kernel carries beyond one edge comes back at the opposite one; it does not reach
    # the image if half of the kernel is in between.
    largest = np.max([kernel.shape for kernel in kernels], axis=0)
    size = np.maximum(largest, largest // 2 + (ny, nx))
    size = [next_fast_len(int(n), real=True) for n in size]
    transforms = [rfft2(image, size) for image in images]
    for kernel in kernels:
        y, x = (n // 2 for n in kernel.shape)
        kernel = rfft2(kernel, size)
        yield [
            irfft2(transform * kernel, size)[y : y + ny, x : x + nx]
            for transform in transforms
        ]


def sum_in_disk(image, kernel):
    """Sum an image in a disk around each pixel, with zeros beyond the image's edges.

    Only pixels are added: the sum of whole numbers is exact, and where the disk
    is empty it is zero, without the noise of a transform.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
    kernel : ndarray, shape (odd, odd)
        Result of `disk_kernel`: each row is 1 in the middle and 0 on both sides.

    Returns
    -------
    ndarray of float, shape (ny, nx)
    """
    (ny, nx), (y, x) = image.shape, (n // 2 for n in kernel.shape)
    half_widths = kernel.sum(axis=1) // 2
    padded = np.pad(image, ((y, y), (x, x))).astype(float, copy=False)
    in_disk, in_row = np.zeros(image.shape), padded[:, x : x + nx].copy()
    for half_width in range(x + 1):
        # Rows of the disk that are longer by two pixels are the sum of the shorter rows
        # and these two pixels.
        if half_width > 0:
            in_row += padded[:, x - half_width : x - half_width + nx]
            in_row += padded[:, x + half_width : x + half_width + nx]
        for row in np.flatnonzero(half_widths == half_width):
            in_disk += in_row[row : row + ny]
    return in_disk


def ring_kernel(r_in, r_out):
    """Return the pixels whose centre is in a ring, including both rims.

    Parameters
    ----------
    r_in, r_out : tuple of float
        Radii in pixels along x and y.

    Returns
    -------
    ndarray of float, shape (odd, odd)
    """
    kernel = disk_kernel(r_out)
    ny, nx = kernel.shape
    y, x = np.mgrid[-(ny // 2) : ny // 2 + 1, -(nx // 2) : nx // 2 + 1]
    return kernel * (elliptic_distance(x, y, r_in) >= 1 - 1e-9)
