"""Candidates for sources: peaks of the significance with positions, errors and fluxes."""

from dataclasses import fields, replace

import numpy as np

from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.flux import flux_maps
from gammastack.maps.peaks import find_peaks
from gammastack.maps.source_fit import (
    RADIUS_68,
    fit_source,
    nearest_peak,
    pixels_around,
)
from gammastack.maps.trials import after_trials, expected_peaks, peaks_per_pixel
from gammastack.sky.kernels import disk_kernel, reach
from gammastack.sky.known_sources import known_sources
from gammastack.sky.sphere import offset_coordinates, separation, unit_vectors
from gammastack.sky.strips import strips

# A broken background has peaks everywhere; the most significant ones are enough to see it.
MOST = 200
# So many pixels stand for the background of all that are searched.
SAMPLE = 5_000_000


def find_candidates(images, significance, mask, geometry, radius, threshold, limit):
    """Find candidates for sources in a significance map.

    The images are functions that return some rows, given a slice: large ones need not be in
    the memory as a whole.

    Parameters
    ----------
    images : dict of str to callable
        As in `gammastack.maps.disks.counts_in_disk`, also with a ring its ``bkg``; and
        ``exposure`` if there is one.
    significance : dict of str to callable
        By the label of the radius. Peaks are those of the first.
    mask : callable
        Positive = outside the exclusions.
    geometry : gammastack.sky.geometry.ImageGeometry
    radius : tuple of float
        The first radius, in pixels along x and y.
    threshold : float
        In sigma, before trials.
    limit : float
        Confidence of the upper limits.

    Returns
    -------
    columns : dict of str to list or ndarray, shape (n_candidates,)
        From the most significant one; angles in deg, NaN for what is not known.
    search : dict
        ``n_found``, ``n_kept``, ``n_pixels`` (positions searched), ``n_disks`` (as many would
        cover them), ``n_trials`` and ``n_expected`` (of empty sky) at the threshold.
    """
    first = next(iter(significance.values()))
    rows, columns = find_peaks(first, geometry.shape, threshold, radius)
    n_found = len(rows)
    rows, columns = rows[:MOST], columns[:MOST]
    sample, n_pixels = _searched(images, first, geometry.shape, radius)
    expected, trials = expected_peaks(sample, radius, threshold, n_pixels)
    search = {
        "n_found": n_found,
        "n_kept": len(rows),
        "n_pixels": n_pixels,
        "n_disks": n_pixels / float(disk_kernel(radius).sum()),
        "n_trials": trials,
        "n_expected": expected,
    }
    peaks = list(zip(rows.tolist(), columns.tolist(), strict=True))
    windows = [_Window(peak, geometry.shape, radius) for peak in peaks]
    parts = [
        {name: window.of(image) for name, image in images.items()} for window in windows
    ]
    measured = _together(
        [
            _at(counts_in_disk(part, radius), window.peak)
            for window, part in zip(windows, parts, strict=True)
        ],
        type(sample),
    )
    n, background = measured.background + measured.excess, measured.background
    per_pixel = peaks_per_pixel(radius, n, background)
    log_expected = measured.log_p_value() + np.log(n_pixels * per_pixel)
    fits = [
        _fit(window, part, number, windows, radius)
        for number, (window, part) in enumerate(zip(windows, parts, strict=True))
    ]
    negative, positive = measured.errors()
    values = {
        label: np.array([image(slice(y, y + 1))[0, x] for y, x in peaks])
        for label, image in significance.items()
    }
    table = {
        "name": [f"C{number}" for number in range(1, len(rows) + 1)],
        **_places(fits, geometry, radius),
        "significance": next(iter(values.values())),
        "significance_post": after_trials(log_expected),
        "n_expected": np.exp(log_expected),
        **{f"significance_{label}": of_radius for label, of_radius in values.items()},
        "counts": np.rint(n).astype(int),
        "bkg": background,
        "excess": measured.excess,
        "excess_errn": negative,
        "excess_errp": positive,
    }
    if "exposure" in images:
        exposure = [
            mean_in_disk(part["exposure"], radius)[window.peak]
            for window, part in zip(windows, parts, strict=True)
        ]
        fluxes = flux_maps(measured, np.array(exposure, float), limit, threshold)
        for suffix in ("", "_errn", "_errp", "_ul"):
            table[f"flux{suffix}"] = fluxes[f"flux_corr{suffix}"]
    at = geometry.pixel_coordinates(table["ra"], table["dec"])
    table["exclusion_sep"] = _to_exclusion(mask, geometry, *at)
    table["excluded"] = table["exclusion_sep"] == 0
    return table | _nearest_known(table["ra"], table["dec"]), search


def _searched(images, significance, shape, radius):
    """Return the counts of a sample of the pixels that are searched, and how many they are."""
    samples, n_pixels, step = [], 0, max(1, -(-shape[0] * shape[1] // SAMPLE))
    for strip in strips(shape, margin=reach(radius)):
        parts = {name: rows(strip.around) for name, rows in images.items()}
        searched = np.isfinite(significance(strip.rows))
        measured = counts_in_disk(parts, radius)
        measured = type(measured)(
            *(
                # A copy: a view would keep all of them in the memory.
                strip.inner(values)[searched][::step].copy()
                for values in vars(measured).values()
            )
        )
        samples.append(measured)
        n_pixels += int(searched.sum())
    return _together(samples, type(measured)), n_pixels


def _together(measured, kind):
    """Return the counts of several places as one."""
    parts = zip(*(vars(one).values() for one in measured), strict=True)
    arrays = [
        np.concatenate([np.atleast_1d(part) for part in of_name]) for of_name in parts
    ]
    return kind(*(arrays or [np.zeros(0)] * len(fields(kind))))


def _at(measured, pixels):
    """Return the counts of some pixels."""
    return replace(measured, **{name: v[pixels] for name, v in vars(measured).items()})


class _Window:
    """The pixels around a peak on which its numbers depend.

    Attributes
    ----------
    rows, columns : slice
        In the image.
    peak : tuple of int
        Row and column in the window.
    """

    def __init__(self, peak, shape, radius):
        # As in the fit
        radius = [max(length, 0.5) for length in radius]
        self.rows, self.columns = pixels_around(shape, peak[::-1], radius)
        self.peak = peak[0] - self.rows.start, peak[1] - self.columns.start
        self.shape = (
            self.rows.stop - self.rows.start,
            self.columns.stop - self.columns.start,
        )

    def of(self, image):
        """Return the part of an image."""
        return image(self.rows)[:, self.columns]

    def peak_of(self, other):
        """Return row and column of the peak of another window in this one; it may be outside."""
        return (
            other.peak[0] + other.rows.start - self.rows.start,
            other.peak[1] + other.columns.start - self.columns.start,
        )


def _fit(window, images, number, windows, radius):
    """Fit the source at the peak of a window, with positions in the whole image."""
    peaks = np.array([window.peak_of(other) for other in windows])
    nearest = nearest_peak(window.shape, *peaks.T, radius)
    use = np.isfinite(images["bkg"]) & (nearest == number)
    found = fit_source(images["counts"], images["bkg"], use, window.peak[::-1], radius)
    return found._replace(
        x=found.x + window.columns.start, y=found.y + window.rows.start
    )


def _places(fits, geometry, radius):
    """Return positions on the sky with errors, and widths, of fitted sources."""
    places = [_on_sky(geometry, fit, radius) for fit in fits]
    names = "ra", "dec", "pos_err", "ra_err", "dec_err", "sigma", "sigma_err"
    columns = np.array(places).reshape(-1, len(names)).T
    table = dict(zip(names, columns, strict=True))
    return table | {"fit": ["ok" if fit.converged else "not converged" for fit in fits]}


def _on_sky(geometry, fit, radius):
    """Return position, its errors (68 % radius; along RA and Dec as true angles), and width."""
    ra, dec = geometry.position(fit.x, fit.y)
    steps = (fit.x + 0.5, fit.y), (fit.x, fit.y + 0.5)
    beside = unit_vectors(*np.transpose([geometry.position(*step) for step in steps]))
    per_pixel = 2 * np.array(offset_coordinates(beside, ra, dec))
    variance = np.diag(per_pixel @ fit.covariance @ per_pixel.T)
    in_deg = np.sqrt(abs(np.linalg.det(per_pixel)) * radius[0] * radius[1])
    return (
        ra,
        dec,
        RADIUS_68 * np.sqrt(variance.mean()),
        *np.sqrt(variance),
        fit.width * in_deg,
        fit.width_error * in_deg,
    )


def _to_exclusion(mask, geometry, x, y):
    """Return the distance in deg of pixel coordinates to the edge of the nearest excluded pixel."""
    scale = geometry.in_pixels(1)
    nearest = np.full(len(x), np.nan)
    for strip in strips(geometry.shape):
        rows, columns = np.nonzero(mask(strip.rows) == 0)
        rows += strip.rows.start
        if not len(rows):
            continue
        for number, (px, py) in enumerate(zip(x, y, strict=True)):
            distance = np.hypot(
                np.clip(np.abs(columns - px) - 0.5, 0, None) / scale[0],
                np.clip(np.abs(rows - py) - 0.5, 0, None) / scale[1],
            ).min()
            nearest[number] = np.fmin(nearest[number], distance)
    return nearest


def _nearest_known(ra, dec):
    """Return the nearest known source of each position, and its separation in deg."""
    known = known_sources()
    vectors = unit_vectors(*np.transpose([(one.ra, one.dec) for one in known]))
    apart = [
        separation(vectors, unit_vectors(*place)) for place in zip(ra, dec, strict=True)
    ]
    apart = np.reshape(apart, (-1, len(known)))
    return {
        "source": [known[number].name for number in apart.argmin(axis=1)],
        "source_sep": apart.min(axis=1),
    }
