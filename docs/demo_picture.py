"""Draw docs/demo.png from the results of the demo. Needs matplotlib.

python docs/demo_picture.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
from astropy.io import fits
from astropy.wcs import WCS

ROOT = Path(__file__).parents[1]
FIELD = ROOT / "results" / "demo"
PANELS = [
    ("counts", "counts per pixel", {"cmap": "viridis", "vmin": 0, "vmax": 4}),
    ("exposure", "exposure (m2 s)", {"cmap": "viridis"}),
    ("significance", "significance", {"cmap": "coolwarm", "vmin": -8, "vmax": 8}),
]


def main():
    mask = fits.getdata(FIELD / "exclusion_mask.fits")
    figure = plt.figure(figsize=(14, 4.3), layout="constrained")
    for number, (kind, title, style) in enumerate(PANELS, 1):
        data, header = fits.getdata(FIELD / "1TeV-10TeV" / f"{kind}.fits", header=True)
        axes = figure.add_subplot(1, 3, number, projection=WCS(header))
        image = axes.imshow(data, origin="lower", **style)
        axes.contour(mask, levels=[0.5], colors="white" if number < 3 else "black")
        axes.set(title=title, xlabel="l", ylabel="b" if number == 1 else " ")
        figure.colorbar(image, ax=axes, shrink=0.85)
    figure.savefig(ROOT / "docs" / "demo.png", dpi=80)


if __name__ == "__main__":
    main()
