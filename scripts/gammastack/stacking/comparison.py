"""What is odd about a run beside the others: its background norm, its effective area."""

import numpy as np
import pandas as pd

from gammastack.stacking.norm import OUTLIER, norm_pulls

# The areas of H.E.S.S. runs are 0.78 to 1.13 times the median of those like them.
AREA_FACTOR = 1.7
SIMILAR = 0.05  # largest difference of cos(zenith)
# A median of fewer runs says little.
FEWEST = 4


def compare_runs(runs):
    """Add warnings of the used runs that are not like the others to a table.

    Parameters
    ----------
    runs : pandas.DataFrame
        Table of `gammastack.stacking.run_table.run_table` for one band.

    Returns
    -------
    pandas.DataFrame
    """
    used = runs[runs["status"] == "used"]
    texts = [used["warning"], odd_norms(used), odd_areas(used)]
    warnings = runs["warning"].copy()
    warnings[used.index] = [
        "; ".join(filter(None, of_run)) for of_run in zip(*texts, strict=True)
    ]
    return runs.assign(warning=warnings)


def odd_norms(runs):
    """Describe the norms that are outliers, for each run; nothing for the others."""
    _, outlier = norm_pulls(
        runs["bkg_scale"].to_numpy(), runs["bkg_scale_err"].to_numpy()
    )
    text = f"bkg_scale is more than {OUTLIER:g} standard deviations from that of the others"
    return np.where(outlier, text, "")


def odd_areas(runs):
    """Describe the effective areas that are not those at similar zenith angles, for each run."""
    cosine = np.cos(np.radians(runs["ZENITH"]))
    area = (runs["exposure_on_axis"] / runs["livetime"])[cosine.notna()]
    area = area[area > 0]
    ratio = area / _similar_median(area.to_numpy(), cosine[area.index].to_numpy())
    odd = ratio[(ratio > AREA_FACTOR) | (ratio < 1 / AREA_FACTOR)]
    texts = pd.Series("", runs.index)
    texts[odd.index] = [
        f"effective area on axis is {value:.2g} times that at similar zenith angles"
        for value in odd
    ]
    return texts


def _similar_median(values, position):
    """Return the median of the values at similar positions; NaN where there are too few."""
    order = np.argsort(position)
    sorted_values, sorted_position = values[order], position[order]
    first = np.searchsorted(sorted_position, position - SIMILAR, "left")
    stop = np.searchsorted(sorted_position, position + SIMILAR, "right")
    return np.array(
        [
            np.median(sorted_values[i:j]) if j - i >= FEWEST else np.nan
            for i, j in zip(first, stop, strict=True)
        ]
    )
