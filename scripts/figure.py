#!/usr/bin/env python3
"""Draw an image of a field as a figure for talks and papers.

The target `snakemake results/FIELD/BAND/IMAGE.png` draws one, and the target `figures` the
main images of all fields; this command decides on all details.

Exit codes: 0 done; 2 the image cannot be drawn like this.
"""

import argparse
import sys
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from matplotlib import colormaps

from gammastack.archive.screen import show
from gammastack.config.positions import position
from gammastack.config.quantities import quantity
from gammastack.errors import InputError
from gammastack.pictures.figure import DPI, WIDTH, contours_at, save, sky_figure
from gammastack.pictures.product import (
    read_beside,
    read_contours,
    read_product,
    scale_of_product,
)
from gammastack.pictures.sky import Marks

# Attributes of `Marks`
MARKS = {
    "exclusions": "mask",
    "target": "target",
    "sources": "sources",
    "pointings": "pointings",
    "disk": "radius",
}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("image", help="such as results/crab/1TeV-10TeV/significance.fits")
    add("--output", metavar="FILE", help="by default IMAGE.png in this folder; or .pdf")
    add("--range", nargs=2, type=float, metavar=("LOW", "HIGH"), help="of the values")
    add("--colors", metavar="NAME", help="a colormap of matplotlib, such as viridis")
    add("--contours", nargs="+", type=float, metavar="LEVEL", help="of this image")
    add("--contours-of", metavar="FILE", help="or of another image, on any pixel grid")
    position = "the middle: RA and Dec (ICRS, numbers are in deg), or a known source"
    add("--center", nargs="+", metavar="POSITION", help=position)
    width = "what is shown around it, or around the target: 2 deg"
    add("--width", nargs="+", metavar="ANGLE", help=width)
    marks = [*MARKS, "none"]
    add("--marks", nargs="+", choices=marks, default=[*MARKS], help="by default all")
    add("--title", default="")
    size = {"type": between(2.5, 50), "default": WIDTH, "metavar": "INCHES"}
    add("--size", **size, help=f"width of the figure, by default {WIDTH:g}")
    dpi = {"type": between(10, 2400), "default": DPI, "metavar": "N"}
    add("--dpi", **dpi, help=f"pixels per inch of a .png, by default {DPI}")
    try:
        draw(parser.parse_args(arguments))
    except (InputError, OSError) as error:
        show(f"ERROR: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def draw(wanted):
    """Draw the figure that the options describe."""
    shown = read_product(wanted.image)
    mask = read_beside(wanted.image, "exclusion_mask")
    exposure = read_beside(wanted.image, "exposure") if "flux" in shown.name else None
    if mask is None and "exclusions" in wanted.marks:
        show("NOTE: there is no exclusion_mask.fits: no exclusions are drawn")
    if wanted.center or wanted.width:
        part = part_of(wanted, shown.config["image"]["center"])
        shown, mask, exposure = (
            one and one.around(*part) for one in (shown, mask, exposure)
        )
    marks = shown.marks(mask)
    chosen = [MARKS[name] for name in wanted.marks if name in MARKS]
    figure = sky_figure(
        shown,
        scale_with(wanted, scale_of_product(shown, exposure)),
        Marks(**{name: getattr(marks, name) for name in chosen}),
        contours_of(wanted, shown),
        wanted.title,
        wanted.size,
    )
    output = wanted.output or Path(wanted.image).with_suffix(".png").name
    save(figure, output, wanted.dpi)
    show(output)


def between(low, high):
    """Return a type of argument: a number between two others."""

    def number(text):
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    return number


def part_of(wanted, target):
    """Return the ICRS position in deg, and the width in deg, of what is shown."""
    if not wanted.width:
        raise InputError("--center needs a width, such as --width 2 deg")
    width = quantity(" ".join(wanted.width), "deg", "--width")
    if not 0 < width < 180:
        raise InputError(f"--width: {width:g} deg is not between 0 and 180 deg")
    return position_of(wanted.center) if wanted.center else target, width


def position_of(words):
    """Return the ICRS position in deg of two numbers in deg, or of a text or name."""
    try:
        ra, dec = map(float, words)
    except ValueError:
        return position(" ".join(words), "--center")
    return position([ra, dec], "--center")


def scale_with(wanted, scale):
    """Return a scale with the range and the colours that were given."""
    if wanted.range:
        low, high = wanted.range
        if not low < high:
            raise InputError(f"--range: {low:g} is not below {high:g}")
        scale = replace(scale, low=low, high=high)
    if wanted.colors:
        if wanted.colors not in colormaps:
            near = get_close_matches(wanted.colors, list(colormaps)) or ["viridis"]
            raise InputError(
                f"--colors: matplotlib has no '{wanted.colors}'; similar is {near[0]}"
            )
        scale = replace(scale, colors=wanted.colors)
    return scale


def contours_of(wanted, shown):
    """Return the contours that were asked for, or None."""
    if wanted.contours_of and not wanted.contours:
        raise InputError("--contours-of needs levels, such as --contours 5 7 9")
    if not wanted.contours:
        return None
    if wanted.contours_of:
        return read_contours(wanted.contours_of, wanted.contours)
    return contours_at(wanted.contours, shown.image, shown.geometry, wanted.image)


if __name__ == "__main__":
    sys.exit(main())
