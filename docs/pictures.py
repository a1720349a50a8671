"""Draw docs/demo.png and docs/gallery/ from the results of the demo and of the H.E.S.S. fields.

make pictures
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import figure

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "results"
BAND = "1TeV-10TeV"
DPI = "120"
# The panels of docs/demo.png
DEMO = {
    "counts": "--range 0 4 --marks exclusions",
    "exposure": "--marks exclusions pointings",
    "significance": "--marks exclusions disk",
}
WIDTH = "4.6"
OF_SIGNIFICANCE = "--contours-of {folder}/significance.fits --contours"
# Field, image, and the options of scripts/figure.py, by the name of the picture
GALLERY = {
    "crab": ("crab", "significance", ""),
    "crab_flux": ("crab", "flux_corr", f"--width 2 deg {OF_SIGNIFICANCE} 5 10 20 40"),
    "msh15-52": ("msh15-52", "significance", ""),
    "msh15-52_flux": (
        "msh15-52",
        "flux_corr",
        f"--width 2 deg {OF_SIGNIFICANCE} 5 10 15",
    ),
    "rxj1713": (
        "rxj1713",
        "significance",
        "--marks exclusions target pointings disk",
    ),
    "rxj1713_excess": (
        "rxj1713",
        "excess_corr",
        f"--width 3 deg {OF_SIGNIFICANCE} 4 6 8",
    ),
    "pks2155-flare": ("pks2155-flare", "significance", ""),
    "pks2155-flare_bkg": ("pks2155-flare", "bkg", "--marks target pointings"),
    "47tuc": ("47tuc", "significance", ""),
}


def draw(path, image, *options):
    """Draw a figure with few colours, so that its file is small."""
    if figure.main([str(image), "--output", str(path), "--dpi", DPI, *options]):
        raise SystemExit(2)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(method=Image.Quantize.MAXCOVERAGE)
    few.save(path, optimize=True)


def draw_demo(path):
    """Draw figures of the demo beside each other."""
    with TemporaryDirectory() as folder:
        panels = []
        for name, options in DEMO.items():
            panel, image = Path(folder, f"{name}.png"), RESULTS / "demo" / BAND
            draw(panel, image / f"{name}.fits", "--size", WIDTH, *options.split())
            panels.append(Image.open(panel).convert("RGB"))
        width, height = panels[0].size
        whole = Image.new("RGB", (width * len(panels), height))
        for number, panel in enumerate(panels):
            whole.paste(panel, (number * width, 0))
    whole.save(path, optimize=True)


def main():
    draw_demo(DOCS / "demo.png")
    (DOCS / "gallery").mkdir(exist_ok=True)
    for name, (field, image, options) in GALLERY.items():
        folder = RESULTS / field / BAND
        options = options.format(folder=folder).split()
        draw(DOCS / "gallery" / f"{name}.png", folder / f"{image}.fits", *options)


if __name__ == "__main__":
    main()
