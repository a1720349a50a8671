"""gammapy's default, one energy bin for an image, against the exact integral."""

import numpy as np
from matplotlib import colormaps

from validation.gammapy_cases import case, image
from validation.report import new_figure, save

N_COLOURS = 15


def one_bin():
    """gammapy's background in one energy bin over the exact one, and both significances."""
    exact, one = case("crab_exact"), case("crab_onebin")
    covered = image(exact, "background") > 0
    ratio = np.full(covered.shape, np.nan)
    ratio[covered] = (
        image(one, "background")[covered] / image(exact, "background")[covered]
    )
    difference = image(one, "sqrt_ts") - image(exact, "sqrt_ts")
    return ratio, np.where(covered, difference, np.nan), exact.geometry


def draw_one_bin(folder):
    """Map of the ratio of backgrounds, and of the difference of significances."""
    ratio, difference, geometry = one_bin()
    figure = new_figure(9, 3.9)
    names = (
        (ratio, "background, one bin / exact", 1.0, 0.15),
        (difference, "significance, one bin - exact", 0.0, 0.5),
    )
    ny, nx = geometry.shape
    step = 1 / geometry.in_pixels(1.0)[0]
    extent = np.array([nx, -nx, -ny, ny]) / 2 * step
    for axes, (values, label, middle, span) in zip(
        figure.subplots(1, 2), names, strict=True
    ):
        shown = axes.imshow(
            values,
            interpolation="nearest",
            cmap=colormaps["RdBu_r"].resampled(N_COLOURS),
            vmin=middle - span,
            vmax=middle + span,
            origin="lower",
            extent=extent,
        )
        axes.set(
            aspect="equal",
            facecolor="lightgray",
            xlabel="galactic longitude from the centre (deg)",
            ylabel="galactic latitude (deg)",
        )
        figure.colorbar(shown, ax=axes, label=label, extend="both", shrink=0.9)
    caption = (
        "Crab: gammapy's default image of one energy bin against the exact integral."
    )
    return ratio, difference, save(figure, "one_bin", caption, folder)


def paragraph(folder):
    """Text and figure of the page."""
    ratio, difference, figure = draw_one_bin(folder)
    return f"""\
With its default, one energy bin for the whole image, gammapy's background of the Crab is {np.nanmin(ratio):.3f} to {np.nanmax(ratio):.3f} times the exact one across the field, both
normalised, and the significance of single pixels differs by {np.nanmin(difference):+.2f} to {np.nanmax(difference):+.2f}.

{figure}
"""
