"""Write the distribution of the significance outside the exclusions, for all radii."""

import pandas as pd

from gammastack.files.band import label_of_radius, read_band
from gammastack.files.header import read_data
from gammastack.maps.empty_sky import (
    BINS,
    histogram,
    off_significance,
    off_statistics,
)


def run(inputs, outputs, params, origin):
    mask, _ = read_data(inputs.pop("mask"))
    images, geometry, _ = read_band(inputs, origin)
    rows, columns = [], {"from": BINS[:-1].round(3), "to": BINS[1:].round(3)}
    for radius in params["radii"].values():
        in_pixels = geometry.pixels(*radius)
        significance, bkg = off_significance(images, mask > 0, in_pixels)
        label = label_of_radius(radius)
        rows.append({"radius": label, **off_statistics(significance, bkg, in_pixels)})
        columns[label] = histogram(significance)
    pd.DataFrame(rows).to_csv(outputs["statistics"], index=False)
    pd.DataFrame(columns).to_csv(outputs["histogram"], index=False)
