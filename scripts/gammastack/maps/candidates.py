"""Candidates for sources: peaks of the significance with positions, errors and fluxes."""

from dataclasses import replace

import numpy as np

from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.flux import flux_maps
from gammastack.maps.peaks import find_peaks
from gammastack.maps.source_fit import RADIUS_68, fit_source, nearest_peak
from gammastack.maps.trials import after_trials, expected_peaks, peaks_per_pixel
from gammastack.sky.kernels import disk_kernel
from gammastack.sky.known_sources import known_sources
from gammastack.sky.sphere import offset_coordinates, separation, unit_vectors

# A broken background has peaks everywhere; the most significant ones are enough to see it.
MOST = 200


def find_candidates(images, significance, mask, geometry, radius, threshold, limit):
    """Find candidates for sources in a significance map.

    Parameters
    ----------
    images : dict of str to ndarray, shape (ny, nx)
        As in `gammastack.maps.disks.counts_in_disk`, also with a ring its ``bkg``; and
        ``exposure`` if there is one.
    significance : dict of str to ndarray, shape (ny, nx)
        By the label of the radius. Peaks are those of the first.
    mask : ndarray of bool, shape (ny, nx)
        True = outside the exclusions.
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
    rows, columns = find_peaks(first, threshold, radius)
    n_found = len(rows)
    rows, columns = rows[:MOST], columns[:MOST]
    in_disk = counts_in_disk(images, radius)
    searched = np.isfinite(first)
    expected, trials = expected_peaks(_at(in_disk, searched), radius, threshold)
    n_pixels = int(searched.sum())
    search = {
        "n_found": n_found,
        "n_kept": len(rows),
        "n_pixels": n_pixels,
        "n_disks": n_pixels / float(disk_kernel(radius).sum()),
        "n_trials": trials,
        "n_expected": expected,
    }
    peaks = rows, columns
    measured = _at(in_disk, peaks)
    n, background = measured.background + measured.excess, measured.background
    per_pixel = peaks_per_pixel(radius, n, background)
    log_expected = measured.log_p_value() + np.log(n_pixels * per_pixel)
    places = _places(images, peaks, geometry, radius)
    negative, positive = measured.errors()
    table = {
        "name": [f"C{number}" for number in range(1, len(rows) + 1)],
        **places,
        "significance": first[peaks],
        "significance_post": after_trials(log_expected),
        "n_expected": np.exp(log_expected),
        **{
            f"significance_{label}": image[peaks]
            for label, image in significance.items()
        },
        "counts": np.rint(n).astype(int),
        "bkg": background,
        "excess": measured.excess,
        "excess_errn": negative,
        "excess_errp": positive,
    }
    if "exposure" in images:
        exposure = mean_in_disk(images["exposure"], radius)[peaks]
        fluxes = flux_maps(measured, exposure, limit, threshold)
        for suffix in ("", "_errn", "_errp", "_ul"):
            table[f"flux{suffix}"] = fluxes[f"flux_corr{suffix}"]
    at = geometry.pixel_coordinates(table["ra"], table["dec"])
    scale = geometry.in_pixels(1)
    table["exclusion_sep"] = _to_exclusion(mask, *at, scale)
    table["excluded"] = table["exclusion_sep"] == 0
    return table | _nearest_known(table["ra"], table["dec"]), search


def _at(measured, pixels):
    """Return the counts of some pixels."""
    return replace(measured, **{name: v[pixels] for name, v in vars(measured).items()})


def _places(images, peaks, geometry, radius):
    """Return positions on the sky with errors, and widths, of the sources at the peaks."""
    counts, bkg = images["counts"], images["bkg"]
    known = np.isfinite(bkg)
    nearest = nearest_peak(counts.shape, *peaks, radius)
    fits = [
        fit_source(counts, bkg, known & (nearest == number), (column, row), radius)
        for number, (row, column) in enumerate(zip(*peaks, strict=True))
    ]
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


def _to_exclusion(mask, x, y, scale):
    """Return the distance in deg of pixel coordinates to the edge of the nearest excluded pixel."""
    rows, columns = np.nonzero(~mask)
    if not len(rows):
        return np.full(len(x), np.nan)
    return np.array(
        [
            np.hypot(
                np.clip(np.abs(columns - px) - 0.5, 0, None) / scale[0],
                np.clip(np.abs(rows - py) - 0.5, 0, None) / scale[1],
            ).min()
            for px, py in zip(x, y, strict=True)
        ]
    )


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
