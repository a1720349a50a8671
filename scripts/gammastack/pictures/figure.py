"""Figures of images for talks and papers: a sky frame, a colour bar, marks and contours."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gammastack.errors import InputError
from gammastack.pictures.sky import HALO, draw_marks, sky_axes

# Inches
LEFT, BOTTOM, RIGHT, TOP = 0.85, 0.55, 0.95, 0.12
GAP, BAR, TITLE = 0.1, 0.15, 0.3
WIDTH, MIN_SIDE = 6.0, 0.6
DPI = 150
# An image that is wider than this in relation to its height has its colour bar on top.
WIDE = 2.5
BAR_ON_TOP = 0.65
# Unknown pixels must differ from white, the middle of diverging colours.
UNKNOWN = "0.85"
# The numbers at a colour bar are not longer than this.
MAX_EXPONENT = 3
CONTOURS = "#00b000"
# Journals take PDF files only with TrueType or OpenType fonts.
STYLE = {"font.size": 9, "font.family": "sans-serif", "pdf.fonttype": 42}
# The default metadata are the time of writing and the versions of libraries.
METADATA = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class Contours:
    """Contour lines of an image, which can have another pixel grid.

    Attributes
    ----------
    image : ndarray, shape (ny, nx)
    wcs : astropy.wcs.WCS
    levels : sequence of float
    """

    image: np.ndarray
    wcs: WCS
    levels: tuple


def contours_at(levels, image, geometry, name):
    """Return contours of an image.

    Parameters
    ----------
    levels : sequence of float
        In any order.
    image : ndarray, shape (ny, nx)
    geometry : gammastack.sky.geometry.ImageGeometry
    name : path
        Of the image, for messages.

    Raises
    ------
    InputError
        If the image crosses none of the levels.
    """
    levels = sorted(set(levels))
    if min(image.shape) < 2 or not any(
        (image < level).any() and (image > level).any() for level in levels
    ):
        listed = ", ".join(f"{level:g}" for level in levels)
        raise InputError(f"{name}: no pixels are on both sides of {listed}: no contour")
    return Contours(image, geometry.wcs, tuple(levels))


def sky_figure(shown, scale, marks, contours=None, title="", width=WIDTH):
    """Draw an image of the sky.

    Parameters
    ----------
    shown : gammastack.pictures.product.ImageProduct
    scale : gammastack.pictures.scale.Scale
    marks : gammastack.pictures.sky.Marks
    contours : Contours, optional
        Those of the image itself are lines in its colour bar, too.
    title : str
    width : float
        Of the figure in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    exponent = _exponent(scale)
    size, box, bar_box = _layout(shown.geometry.shape, width, bool(title))
    with rc_context(STYLE):
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        axes = sky_axes(figure, box, shown.geometry, shown.frame)
        axes.set_facecolor(UNKNOWN)
        image = axes.imshow(
            shown.image,
            cmap=scale.colors,
            vmin=scale.low,
            vmax=scale.high,
            origin="lower",
            interpolation="none",
        )
        bar_axes = figure.add_axes(bar_box)
        on_top = bar_box[1] > box[1]
        bar = figure.colorbar(
            image,
            bar_axes,
            orientation="horizontal" if on_top else "vertical",
            ticklocation="top" if on_top else "right",
            extend=_extend(*scale.clipped(shown.image)),
            format=lambda value, _: _number(value / 10.0**exponent),
        )
        bar.set_label(shown.label(exponent), wrap=True)
        if contours is not None:
            lines = _draw_contours(axes, contours)
            if contours.image is shown.image:
                bar.add_lines(lines)
        draw_marks(axes, marks)
        if title:
            middle, top = box[0] + box[2] / 2, 1 - TOP / size[1]
            figure.text(
                *(middle, top, title),
                horizontalalignment="center",
                verticalalignment="top",
                fontsize="large",
                parse_math=False,
            )
    return figure


def _layout(shape, width, has_title):
    """Return the size of a figure in inches, and the boxes of the image and of its colour bar."""
    ny, nx = shape
    on_top = nx > WIDE * ny
    right, top = (TOP, BAR_ON_TOP) if on_top else (RIGHT, TOP)
    top += TITLE * has_title
    across = max(width - LEFT - right, MIN_SIDE)
    height = max(across * ny / nx, MIN_SIDE)
    if height > 2 * across:
        across, height = 2 * across * nx / ny, 2 * across
    full = LEFT + across + right, BOTTOM + height + top
    inches = [LEFT, BOTTOM, across, height]
    bar = [LEFT + across + GAP, BOTTOM, BAR, height]
    if on_top:
        bar = [LEFT, BOTTOM + height + GAP, across, BAR]
    box, bar_box = (np.array(of) / (full * 2) for of in (inches, bar))
    return full, box, bar_box


def _exponent(scale):
    """Return the power of 10 for the label of a colour bar, so that its numbers are short."""
    exponent = int(np.floor(np.log10(max(abs(scale.low), abs(scale.high)))))
    return 0 if abs(exponent) <= MAX_EXPONENT else exponent


def _number(value):
    """Return a number with the minus sign of the other axes."""
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


def _extend(n_below, n_above):
    """Return which ends of a colour bar have an arrow: those where values are clipped."""
    return {
        (False, False): "neither",
        (True, False): "min",
        (False, True): "max",
        (True, True): "both",
    }[n_below > 0, n_above > 0]


def _draw_contours(axes, contours):
    return axes.contour(
        contours.image,
        contours.levels,
        transform=axes.get_transform(contours.wcs),
        colors=CONTOURS,
        linewidths=1.2,
        path_effects=HALO,
    )


def save(figure, path, dpi=DPI):
    """Write a figure as PNG or PDF, the same at any time.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        The suffix is the format.
    dpi : float
        Pixels of a PNG per inch.

    Raises
    ------
    InputError
        If there is no such format.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in METADATA:
        raise InputError(f"{path}: a figure is a file that ends in .png or .pdf")
    with rc_context(STYLE):
        figure.savefig(path, dpi=dpi, format=suffix[1:], metadata=METADATA[suffix])
