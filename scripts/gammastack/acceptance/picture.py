"""Pictures of background models beside the events that they were made from."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gammastack.acceptance.model import expected_counts

# Widths are in deg.
RING_WIDTH = 0.25
CELL_WIDTH = 0.5
# With fewer expected events a cell of the map shows only chance.
N_EXPECTED_MIN = 10
RATIO_RANGE = 0.5, 1.5


def radial_profile(histogram, expected, band):
    """Compute the rates of data and model in rings around the pointing.

    Parameters
    ----------
    histogram : gammastack.acceptance.model.FieldOfViewHistogram
    expected : ndarray, shape histogram.counts.shape
        See `gammastack.acceptance.model.expected_counts`.
    band : tuple of float
        In TeV; its edges are among the edges of the histogram.

    Returns
    -------
    edges : ndarray, shape (n + 1,)
        Edges of the rings in deg.
    rate, error, model : ndarray, shape (n,)
        In s-1 sr-1; NaN where no sky is left.
    """
    n = int(np.ceil(histogram.offset_max / RING_WIDTH))
    edges = np.linspace(0, histogram.offset_max, n + 1)
    offset = np.hypot(*histogram.positions)
    ring = np.clip(np.searchsorted(edges, offset, side="right") - 1, 0, n - 1)

    def in_rings(image):
        return np.bincount(ring, image[histogram.filled], minlength=n)

    exposure = in_rings(histogram.exposure)
    exposure[exposure == 0] = np.nan
    counts = in_rings(_in_band(histogram, histogram.counts, band))
    model = in_rings(_in_band(histogram, expected, band))
    return edges, counts / exposure, np.sqrt(counts) / exposure, model / exposure


def _in_band(histogram, values, band):
    low, high = histogram.energy[:-1], histogram.energy[1:]
    return values[(low >= band[0]) & (high <= band[1])].sum(axis=0)


def _ratio_map(histogram, expected, band):
    """Return edges in deg of square cells, and data / model by longitude and latitude."""
    n = len(histogram.fov) - 1
    per_cell = max(1, round(CELL_WIDTH / (histogram.fov[1] - histogram.fov[0])))
    starts = np.arange(0, n, per_cell)

    def in_cells(image):
        return np.add.reduceat(np.add.reduceat(image, starts, axis=0), starts, axis=1)

    counts = in_cells(_in_band(histogram, histogram.counts, band))
    model = in_cells(_in_band(histogram, expected, band))
    model[model < N_EXPECTED_MIN] = np.nan
    return histogram.fov[[*starts, -1]], counts / model


def write_picture(path, histogram, model, bands, title=""):
    """Write a PNG with a row per band: radial profile of data and model, map of data / model.

    Parameters
    ----------
    path : str or pathlib.Path
    histogram : gammastack.acceptance.model.FieldOfViewHistogram
        With energy bins fine enough to include the edges of all bands.
    model : gammastack.dl3.irf.Background2D or gammastack.dl3.irf.Background3D
    bands : sequence of tuple of float
        In TeV.
    title : str
    """
    expected = expected_counts(model, histogram)
    figure = Figure(figsize=(9, 0.6 + 3.4 * len(bands)), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title)
    axes = figure.subplots(len(bands), 2, squeeze=False)
    for (left, right), band in zip(axes, bands, strict=True):
        left.set_title(f"{band[0]:g} TeV to {band[1]:g} TeV")
        _draw_profile(left, histogram, expected, band)
        ratio = _draw_map(right, histogram, expected, band)
    figure.colorbar(ratio, ax=axes[:, 1], label="data / model", extend="both")
    # The default metadata name the version of the library, so the file would change with it.
    figure.savefig(path, dpi=100, format="png", metadata={"Software": None})


def _draw_profile(axes, histogram, expected, band):
    edges, rate, error, model = radial_profile(histogram, expected, band)
    middle, half = (edges[:-1] + edges[1:]) / 2, np.diff(edges) / 2
    counted = rate > 0
    axes.errorbar(
        middle[counted],
        rate[counted],
        yerr=error[counted],
        xerr=half[counted],
        fmt="k.",
        label="data",
    )
    axes.stairs(model, edges, color="C1", label="model")
    axes.set(
        xlim=(0, edges[-1]),
        ylim=(0, None),
        xlabel="offset (deg)",
        ylabel="rate (s$^{-1}$ sr$^{-1}$)",
    )
    axes.legend()


def _draw_map(axes, histogram, expected, band):
    edges, ratio = _ratio_map(histogram, expected, band)
    low, high = RATIO_RANGE
    # White stands for a ratio of 1, so the background needs another colour.
    axes.set_facecolor("lightgray")
    mesh = axes.pcolormesh(edges, edges, ratio.T, cmap="RdBu_r", vmin=low, vmax=high)
    axes.set(
        aspect="equal",
        xlabel="longitude, to the west (deg)",
        ylabel="latitude, to the north (deg)",
    )
    return mesh
