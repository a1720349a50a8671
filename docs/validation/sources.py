"""Section 2.3: the flux of a simulated source that is known."""

import numpy as np
from scipy.stats import norm

from gammastack.dl3.simulate import (
    DEADC,
    ENERGY_RANGE,
    ENERGY_RESOLUTION,
    ONTIME,
    PSF_SIGMA,
    effective_area,
)
from gammastack.dl3.spectrum import power_law_integral
from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.flux import flux_maps
from gammastack.sky.exclusion import exclusion_mask
from gammastack.sky.kernels import disk_kernel
from gammastack.sky.sphere import separation, unit_vectors
from validation.disks import PULL
from validation.report import table
from validation.simulation import (
    CENTER,
    IRF,
    RING,
    Experiment,
    field_geometry,
    in_parallel,
    in_pixels,
    stacked,
)

# dN/dE at 1 TeV in cm-2 s-1 TeV-1
SOURCE = {"center": CENTER, "flux": 1e-9, "index": 2.3, "sigma": 0.0}
EXCLUDED = 0.4  # deg
BANDS = (1.0, 10.0), (1.0, 10**0.5), (0.5, 50.0)
RADII = 0.1, 0.3


def contained(radius):
    """Part of the point spread function in a circle, and in the pixels of a disk."""
    kernel = disk_kernel(in_pixels(radius))
    step = radius / in_pixels(radius)[0]
    edges = (np.arange(len(kernel) + 1) - len(kernel) / 2) * step
    in_columns = np.diff(norm.cdf(edges / PSF_SIGMA))
    in_disk = float((kernel * np.outer(in_columns, in_columns)).sum())
    return 1 - np.exp(-(radius**2) / (2 * PSF_SIGMA**2)), in_disk


def folded_counts(band, offset):
    """Gamma rays of the source in a band of reconstructed energy, in one run.

    Integral over the true energy of spectrum, effective area and the part of the
    energy dispersion that is in the band.
    """
    energy = np.geomspace(*ENERGY_RANGE, 20001)
    low, high = ((edge / energy - 1) / ENERGY_RESOLUTION for edge in band)
    rate = SOURCE["flux"] * 1e4 * energy ** -SOURCE["index"]
    rate *= effective_area(energy, offset) * (norm.cdf(high) - norm.cdf(low))
    return ONTIME * DEADC * np.trapezoid(rate * energy, np.log(energy))


def simulate(band):
    """Images of runs with the source in one band, and the counts of it expected."""
    experiment = Experiment(40, band, sources=[SOURCE], spectral_index=SOURCE["index"])
    source = unit_vectors(*CENTER)
    truth = experiment.runs(1)
    offsets = [
        float(separation(unit_vectors(run.ra, run.dec), source)) for run in truth
    ]
    expected = sum(folded_counts(band, offset) for offset in offsets)
    return experiment.images(1), expected


def fluxes_of_band(band):
    """Rows of a band: fluxes in units of the true one."""
    runs, expected = simulate(band)
    # 1 m2 = 1e4 cm2
    true = 1e4 * SOURCE["flux"] * power_law_integral(band, SOURCE["index"], 1.0)
    exclusion = {"center": CENTER, "radius": EXCLUDED}
    mask, _ = exclusion_mask(field_geometry(), [exclusion])
    middle = tuple(n // 2 for n in field_geometry().shape)
    for method in (IRF, RING):
        images, _ = stacked(runs, mask, method)
        in_band = expected / images["exposure"][middle] / true
        for radius in RADII:
            exposure = mean_in_disk(images["exposure"], in_pixels(radius))
            by_mean = float((images["exposure"] / exposure)[middle])
            maps = flux_maps(
                counts_in_disk(images, in_pixels(radius)),
                exposure,
                confidence=0.95,
                n_sigma=5,
            )
            found, down, up = (
                float(maps[name][middle]) / true
                for name in ("flux_corr", "flux_corr_errn", "flux_corr_errp")
            )
            factors = in_band, by_mean
            yield band, method["method"], radius, factors, found, (down + up) / 2


def row(band, method, radius, factors, found, error):
    """Row of the table."""
    circle, disk = contained(radius)
    expected = disk * np.prod(factors)
    return (
        f"{band[0]:g} - {band[1]:.3g}",
        *(method, radius, f"{circle:.4f}", f"{disk:.4f}"),
        *(f"{factor:.4f}" for factor in factors),
        *(f"{expected:.4f}", f"{found:.4f} ± {error:.4f}"),
        f"{(found - expected) / error:+.1f}",
        abs(found - expected) <= PULL * error,
    )


def all_fluxes(band):
    """Rows of a band in a list, for a pool of processes."""
    return [row(*values) for values in fluxes_of_band(band)]


def section(bands=BANDS):
    """The section of the page."""
    rows = [one for rows in in_parallel(all_fluxes, bands) for one in rows]
    columns = (
        "band (TeV)|background|disk (deg)|in a circle|in the pixels|in the band|exposure"
        "|expected|flux / true flux|pull|ok"
    )
    return f"""\
### 2.3 A source of known flux

40 runs on a point source with dN/dE = {SOURCE["flux"]:g} (E / 1 TeV)^-{SOURCE["index"]} cm-2 s-1 TeV-1, an energy resolution of
{ENERGY_RESOLUTION:.0%} and a point spread function with sigma = {PSF_SIGMA} deg. `flux_corr` in the pixel of the source, as
integral flux over the true one. Expected is the product of

- the part of the point spread function in the disk: for a circle 1 - exp(-r^2 / (2 sigma^2)); for the pixels of the disk, which are those that count;
- "in the band": the gamma rays that are found in the band (spectrum, area and resolution folded) over those that the exposure stands for;
- "exposure": exposure at the source over its mean in the disk, which `flux_corr` is divided by.

A pull, the distance in errors, may be up to {PULL:g}. All rows are from the same events, so that their pulls are alike.

{table(columns.split("|"), rows)}

Fluxes are corrected for none of them. How far "in the band" is from 1 depends on the spectrum and on the growth of the effective area at the edges of
the band.
"""
