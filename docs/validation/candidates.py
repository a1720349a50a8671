"""Section 2.7: positions of candidates and their errors, and candidates of empty sky."""

import numpy as np
from scipy.special import ndtr

from gammastack.maps.counting import KnownBackground
from gammastack.maps.disks import counts_in_disk
from gammastack.maps.peaks import find_peaks
from gammastack.maps.source_fit import RADIUS_68, fit_source, nearest_peak
from gammastack.maps.trials import expected_peaks
from validation.report import table

N_COLUMNS = 20
N_SOURCES = 1500
# Radius of the disk, background of a pixel, range of significances and of widths
SOURCES = [
    (5, 0.15, (6, 30), (2, 4)),
    (5, 0.15, (6, 10), (2, 4)),
    (5, 0.02, (6, 30), (2, 4)),
    (5, 1.0, (6, 30), (2, 4)),
    (5, 0.15, (6, 30), (4, 7)),
    (10, 0.05, (6, 30), (3, 8)),
]
EMPTY = [
    (1.5, 0.5),
    (2.5, 0.3),
    (2.5, 0.02),
    (5, 1.0),
    (5, 0.15),
    (5, 0.02),
    (10, 0.03),
]
SIZE, N_MAPS = 600, 10
INSIDE, POSITIONS, PEAKS = 0.6827, 0.03, 0.25


def gaussian(shape, x, y, width):
    """A Gaussian of integral 1, integrated over the pixels of an image."""
    rows, columns = (np.arange(n) for n in shape)
    along_x, along_y = (
        ndtr((axis + 0.5 - center) / width) - ndtr((axis - 0.5 - center) / width)
        for axis, center in ((columns, x), (rows, y))
    )
    return np.outer(along_y, along_x)


def sources_of(significance, width, mu, radius, rng):
    """Simulate Gaussian sources far from each other.

    Parameters
    ----------
    significance, width : ndarray, shape (n,)
        Expected significance in the disk around the source, and width in pixels.
    mu : float
        Background of a pixel.
    radius : float
        In pixels.
    rng : numpy.random.Generator

    Returns
    -------
    counts, bkg : ndarray, shape (ny, nx)
    truth : ndarray, shape (n, 2)
        Row and column of each source, anywhere in a pixel.
    """
    spacing, n_mu = int(6 * radius), mu * np.pi * radius**2
    n = n_mu + np.linspace(0.5, 200, 10_000) * np.sqrt(n_mu)
    of_n = np.sqrt(2 * (n * np.log(n / n_mu) - n + n_mu))
    excess = np.interp(significance, of_n, n) - n_mu
    excess /= 1 - np.exp(-(radius**2) / 2 / width**2)
    cells = [divmod(number, N_COLUMNS) for number in range(len(width))]
    corners = spacing * np.array(cells)
    places = spacing / 2 + rng.uniform(-0.5, 0.5, (len(width), 2))
    model = np.full((corners[-1, 0] + spacing, N_COLUMNS * spacing), mu)
    for (row, column), (y, x), total, w in zip(
        corners, places, excess, width, strict=True
    ):
        cell = slice(row, row + spacing), slice(column, column + spacing)
        model[cell] += total * gaussian((spacing, spacing), x, y, w)
    return rng.poisson(model), np.full(model.shape, mu), corners + places


def distances(counts, bkg, truth, radius):
    """Distance of each source to its candidate in units of the 68 % radius; NaN if not found."""
    size = radius, radius
    significance = counts_in_disk({"counts": counts, "bkg": bkg}, radius).significance()
    rows, columns = find_peaks(significance.__getitem__, counts.shape, 4, size)
    nearest = nearest_peak(counts.shape, rows, columns, size)
    found = np.full(len(truth), np.nan)
    for source, (y, x) in enumerate(truth):
        apart = np.hypot(rows - y, columns - x)
        number = apart.argmin()
        if apart[number] < 2 * radius:
            peak = columns[number], rows[number]
            fit = fit_source(counts, bkg, nearest == number, peak, size)
            error = RADIUS_68 * np.sqrt(np.diag(fit.covariance).mean())
            found[source] = np.hypot(fit.x - x, fit.y - y) / error
    return found


def peaks_of_empty_sky(radius, mu, threshold, size, rng):
    """Number of peaks in a map of Poisson counts, and the expected number."""
    counts = rng.poisson(mu, (size, size))
    images = {"counts": counts, "bkg": np.full(counts.shape, mu)}
    measured = counts_in_disk(images, radius)
    significance = measured.significance().__getitem__
    rows, _ = find_peaks(significance, counts.shape, threshold, (radius, radius))
    flat = KnownBackground(measured.n.ravel(), measured.mu.ravel())
    return len(rows), expected_peaks(flat, (radius, radius), threshold)[0]


def position_row(number, radius, mu, strength, width, n_sources=N_SOURCES):
    rng = np.random.default_rng(number)
    drawn = (rng.uniform(*limits, n_sources) for limits in (strength, width))
    counts, bkg, truth = sources_of(*drawn, mu, radius, rng)
    apart = distances(counts, bkg, truth, radius)
    found = apart[np.isfinite(apart)]
    inside = np.mean(found < 1)
    return (
        *(f"{radius} pix", mu),
        *(f"{low} to {high}" for low, high in (strength, width)),
        f"{len(found)} of {n_sources}",
        f"{inside:.3f} ± {np.sqrt(inside * (1 - inside) / len(found)):.3f}",
        abs(inside - INSIDE) < POSITIONS,
    )


def empty_row(radius, mu):
    cells = []
    for threshold in (3, 3.5, 4):
        rng = np.random.default_rng(5)
        maps = [
            peaks_of_empty_sky(radius, mu, threshold, SIZE, rng) for _ in range(N_MAPS)
        ]
        found, expected = np.sum(maps, axis=0)
        cells.append((int(found), expected))
    texts = (f"{n} / {expected:.1f}" for n, expected in cells)
    ok = all(
        abs(n / expected - 1) < PEAKS + 3 / np.sqrt(expected) for n, expected in cells
    )
    return f"{radius} pix", mu, *texts, ok


def section():
    """Text of the section."""
    heads = "radius", "bkg per pixel", "significance", "width (pix)", "found"
    positions = [position_row(n, *source) for n, source in enumerate(SOURCES)]
    limits = [f"above {threshold} sigma" for threshold in (3, 3.5, 4)]
    empty = [empty_row(*one) for one in EMPTY]
    return f"""\
### 2.7 Candidates

Gaussian sources anywhere in a pixel on a known background, found as peaks of the significance and fitted. Expected: {INSIDE:.1%}
within the 68 % radius; tolerance {POSITIONS:.0%}.

{table((*heads, "within 68 % radius", "ok"), positions)}

Peaks of {N_MAPS} maps of Poisson counts of {SIZE} x {SIZE} pixels each, and the expected number from the trials. Tolerance: {PEAKS:.0%},
and three errors. The formula is for squares: small disks have more peaks, and large ones fewer. For a peak of 5 sigma,
{PEAKS:.0%} more trials are 0.05 sigma less.

{table(("radius", "bkg per pixel", *limits, "ok"), empty)}
"""
