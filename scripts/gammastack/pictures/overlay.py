"""A sky frame as a transparent SVG that lies over images without axes."""

import re
from dataclasses import dataclass
from io import StringIO

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from gammastack.pictures.sky import draw_marks, sky_axes

# Inches
LEFT, BOTTOM, RIGHT, TOP = 0.72, 0.48, 0.1, 0.1
WIDTH = 4.0
# Wide images get more width, so that their height is not too small for the labels.
MIN_HEIGHT, MAX_WIDTH = 1.4, 15.0
STYLE = {
    "svg.fonttype": "none",
    # Otherwise the identifiers in the file were random.
    "svg.hashsalt": "gammastack",
    "font.size": 8,
    "font.family": "sans-serif",
}


@dataclass(frozen=True)
class Overlay:
    """A frame that is drawn over an image.

    Attributes
    ----------
    svg : str
    width, height : float
        Of the frame in points, 1/72 inch.
    box : tuple of float
        Left, top, width and height of the image in the frame, in percent.
    """

    svg: str
    width: float
    height: float
    box: tuple


def overlay(geometry, frame, marks):
    """Return the frame of an image, with a sky grid and marks.

    Parameters
    ----------
    geometry : gammastack.sky.geometry.ImageGeometry
    frame : str
        ``icrs`` or ``galactic``.
    marks : gammastack.pictures.sky.Marks

    Returns
    -------
    Overlay
    """
    ny, nx = geometry.shape
    width = min(max(WIDTH, MIN_HEIGHT * nx / ny), MAX_WIDTH)
    height = min(width * ny / nx, 2 * WIDTH)
    width = height * nx / ny if height == 2 * WIDTH else width
    full = LEFT + width + RIGHT, BOTTOM + height + TOP
    box = LEFT / full[0], BOTTOM / full[1], width / full[0], height / full[1]
    with rc_context(STYLE):
        figure = Figure(figsize=full)
        FigureCanvasSVG(figure)
        axes = sky_axes(figure, box, geometry, frame)
        draw_marks(axes, marks)
        axes.patch.set_visible(False)
        file = StringIO()
        # The default metadata hold the time and the version of the library.
        nothing = dict.fromkeys(["Date", "Creator", "Format", "Type"])
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    svg = file.getvalue()
    left, _, relative_width, relative_height = box
    top = TOP / full[1]
    percent = (100 * part for part in (left, top, relative_width, relative_height))
    # HTML has no declarations of XML, and the page decides on the size.
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg[svg.index("<svg") :], count=2)
    return Overlay(svg, 72 * full[0], 72 * full[1], tuple(percent))
