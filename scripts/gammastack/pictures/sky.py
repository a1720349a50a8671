"""The sky around an image: axes with a grid, and what is marked on them."""

from dataclasses import dataclass, field

import numpy as np
from astropy.visualization.wcsaxes import WCSAxes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from gammastack.pictures.pixels import coarse

# Marks are visible on dark and on light colours.
HALO_WIDTH = 2.2
HALO = [withStroke(linewidth=HALO_WIDTH, foreground="white")]
# Rims of larger masks are drawn from blocks of pixels.
MASK_PIXELS = 8_000_000
AXES = {
    "icrs": ("Right ascension", "Declination"),
    "galactic": ("Galactic longitude", "Galactic latitude"),
}
# Positions that are closer than this are drawn once.
APART = 3  # points
# Distance of a name from its source in points, and mean width of a letter as part of its height
NAME_AWAY, NAME_WIDTH = 5, 0.6


@dataclass(frozen=True)
class Marks:
    """What is marked on a picture of the sky. All positions are pixel coordinates.

    Attributes
    ----------
    mask : ndarray of bool, shape (ny, nx), or None
        True = outside the exclusions, whose rims are drawn.
    target : tuple of float, or None
    sources : dict of str to tuple of float
        Positions by name.
    pointings : ndarray, shape (n, 2)
    radius : tuple of float, or None
        Of the correlation disk, in pixels along x and y.
    """

    mask: np.ndarray | None = None
    target: tuple | None = None
    sources: dict = field(default_factory=dict)
    pointings: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    radius: tuple | None = None


def sky_axes(figure, box, geometry, frame):
    """Add axes with a sky grid to a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    box : sequence of float
        Left, bottom, width and height as fractions of the figure.
    geometry : gammastack.sky.geometry.ImageGeometry
    frame : str
        ``icrs`` or ``galactic``, which the axes of the image are.

    Returns
    -------
    astropy.visualization.wcsaxes.WCSAxes
    """
    axes = WCSAxes(figure, box, wcs=geometry.wcs)
    figure.add_axes(axes)
    ny, nx = geometry.shape
    axes.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5))
    axes.coords.grid(color="0.5", alpha=0.5, linewidth=0.5)
    for coordinate, label in zip(axes.coords, AXES[frame], strict=True):
        coordinate.set_axislabel(label)
        coordinate.set_ticklabel(exclude_overlapping=True)
    if frame == "icrs":
        # The default ones are mathematical text, which takes ten times as long to draw.
        axes.coords[0].set_separator(("h", "m", "s"))
        axes.coords[1].set_separator(
            ("\N{DEGREE SIGN}", "\N{PRIME}", "\N{DOUBLE PRIME}")
        )
    return axes


def draw_marks(axes, marks):
    """Draw the exclusions, the target, known sources, pointings and the correlation disk."""
    if marks.mask is not None and not marks.mask.all() and min(marks.mask.shape) > 1:
        mask, factor = coarse(marks.mask.__getitem__, marks.mask.shape, MASK_PIXELS)
        y, x = ((np.arange(n) + 0.5) * factor - 0.5 for n in mask.shape)
        axes.contour(
            *(x, y, mask, [0.5]), colors="black", linewidths=0.9, path_effects=HALO
        )
    line = {"linestyle": "none", "color": "black", "path_effects": HALO}
    if len(marks.pointings):
        _draw_pointings(axes, marks.pointings)
    for x, y in marks.sources.values():
        axes.plot(x, y, marker="D", markersize=4, fillstyle="none", **line)
    _draw_names(axes, marks.sources)
    if marks.target is not None:
        axes.plot(*marks.target, marker="x", markersize=6, markeredgewidth=1, **line)
    if marks.radius is not None:
        _draw_disk(axes, marks.radius)


def _draw_pointings(axes, pointings):
    """Draw crosses. They may be thousands: a path effect would draw each of them anew."""
    per_point = axes.figure.dpi / 72
    places = axes.transData.transform(pointings) / per_point
    _, apart = np.unique(np.rint(places / APART), axis=0, return_index=True)
    for color, width in ("white", HALO_WIDTH), ("black", 0.8):
        axes.plot(
            *pointings[apart].T,
            linestyle="none",
            marker="+",
            markersize=5,
            color=color,
            markeredgewidth=width,
        )


def _draw_names(axes, sources):
    """Draw the names of sources beside them, but not on each other: from the middle outwards."""
    middle = np.mean([axes.get_xlim(), axes.get_ylim()], axis=1)
    order = sorted(sources, key=lambda name: np.hypot(*(sources[name] - middle)))
    per_point = axes.figure.dpi / 72
    size = FontProperties(size="small").get_size_in_points()
    taken = []
    for name in order:
        x, y = sources[name]
        side = -1 if x > 0.7 * axes.get_xlim()[1] else 1
        place = axes.transData.transform((x, y)) / per_point
        place += NAME_AWAY * side, 0
        extent = np.array([side * NAME_WIDTH * size * len(name), size])
        box = Bbox([place, place + extent])
        if any(box.overlaps(known) for known in taken):
            continue
        taken.append(box)
        axes.annotate(
            name,
            (x, y),
            (NAME_AWAY * side, 4),
            horizontalalignment="left" if side > 0 else "right",
            textcoords="offset points",
            fontsize="small",
            parse_math=False,
            path_effects=HALO,
            annotation_clip=True,
            clip_on=True,
        )


def _draw_disk(axes, radius):
    """Draw the correlation disk to scale in the lower left corner."""
    rx, ry = radius
    center = rx + 0.02 * axes.get_xlim()[1], ry + 0.02 * axes.get_ylim()[1]
    axes.add_patch(
        Ellipse(center, 2 * rx, 2 * ry, fill=False, linewidth=1, path_effects=HALO)
    )
