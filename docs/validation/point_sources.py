"""Section 2.8: fluxes of point sources at several offsets."""

import numpy as np

from gammastack.dl3.simulate import SimulatedRun
from gammastack.dl3.spectrum import power_law_integral
from gammastack.maps.in_disks import MapsInDisks
from gammastack.sky.kernels import radius_of_area
from gammastack.sky.strips import Strip
from validation.disks import PULL
from validation.report import table
from validation.simulation import (
    CENTER,
    Experiment,
    field_geometry,
    in_parallel,
    in_pixels,
    stacked,
)
from validation.sources import SOURCE, folded_counts

BAND = 1.0, 10.0
OFFSETS = 0.0, 0.7, 1.5  # deg
RADII = 0.1, 0.3  # deg
# Of as many runs, so many realisations
N_RUNS, SEEDS = 40, (1, 2, 3, 4)
# Of the errors, and of the upper limit
NOMINAL, CONFIDENCE = 0.6827, 0.9
FLUX = "flux_point"
# Largest difference from the true flux beyond what energy resolution explains
TOLERANCE = 0.01
# Integral flux in m-2 s-1
TRUE = 1e4 * SOURCE["flux"] * power_law_integral(BAND, SOURCE["index"], 1.0)


def runs_at(offset):
    """Runs that all point to the same place, to the north of the source."""
    ra, dec = CENTER
    return [
        SimulatedRun(1001 + number, ra, dec + offset, 1e6 + 86400.0 * number, 1.0)
        for number in range(N_RUNS)
    ]


def rows_of(offset):
    """Rows of an offset, one for each radius."""
    experiment = Experiment(
        N_RUNS, BAND, sources=[SOURCE], spectral_index=SOURCE["index"]
    )
    runs = runs_at(offset)
    geometry = field_geometry()
    areas = {
        f"_{radius}": radius_of_area(in_pixels(radius), geometry) for radius in RADII
    }
    made = [image for seed in SEEDS for image in experiment.images(seed, runs)]
    images, _ = stacked(made, bkg_norm=False, radii=areas)
    alone = [stacked([image], bkg_norm=False, radii=areas)[0] for image in made]
    for radius in RADII:
        found = at_source(images, radius)
        in_band = len(made) * folded_counts(BAND, offset) / TRUE / found["exposure"]
        down, up = found[f"{FLUX}_errn"], found[f"{FLUX}_errp"]
        error, difference = (down + up) / 2, found[FLUX] - in_band
        pull = difference / error
        covered, below = coverage([at_source(one, radius) for one in alone], in_band)
        is_right = abs(difference) <= TOLERANCE + error and abs(pull) <= PULL
        is_right &= abs(covered - NOMINAL) <= PULL * spread(NOMINAL, len(alone))
        is_right &= below >= CONFIDENCE - PULL * spread(CONFIDENCE, len(alone))
        yield (
            *(offset, radius, f"{found['flux_corr']:.4f}", f"{found['part']:.4f}"),
            *(f"{in_band:.4f}", f"{found[FLUX]:.4f} ± {error:.4f}", f"{pull:+.1f}"),
            *(f"{covered:.3f}", f"{below:.3f}", is_right),
        )


def at_source(images, radius):
    """Maps in the pixel of the source; fluxes in units of the true one."""
    ny, nx = field_geometry().shape
    rows, column = slice(ny // 2, ny // 2 + 1), nx // 2
    disk = {**images, "psf_containment": images[f"psf_containment_{radius}"]}
    maps = MapsInDisks(in_pixels(radius), CONFIDENCE, 5).maps(
        disk, np.ones((ny, nx), bool), Strip(rows, slice(0, ny))
    )
    found = {
        name: float(image[0, column]) / (TRUE if name.startswith("flux") else 1)
        for name, image in maps.items()
    }
    known = {"exposure": images["exposure"], "part": disk["psf_containment"]}
    return found | {name: image[rows, column].item() for name, image in known.items()}


def coverage(fluxes, truth):
    """How often the truth is within the errors, and how often it is below the limit."""
    columns = (FLUX, f"{FLUX}_errn", f"{FLUX}_errp", f"{FLUX}_ul")
    point, down, up, limit = (np.array([one[key] for one in fluxes]) for key in columns)
    inside = (point - down <= truth) & (truth <= point + up)
    return np.mean(inside), np.mean(truth <= limit)


def spread(probability, n):
    """Standard deviation of a relative frequency."""
    return np.sqrt(probability * (1 - probability) / n)


def rows_in_list(offset):
    """Rows in a list, for a pool of processes."""
    return [*rows_of(offset)]


def section(offsets=OFFSETS):
    """The section of the page."""
    rows = [row for rows in in_parallel(rows_in_list, offsets) for row in rows]
    columns = (
        "offset (deg)|disk (deg)|flux_corr|in the disk|in the band|flux_point|pull"
        "|within errors|below limit|ok"
    )
    return f"""\
### 2.8 Point sources at several offsets

{N_RUNS * len(SEEDS)} runs for each offset of the source of section 2.3, in units of its true flux, {BAND[0]:g} to {BAND[1]:g} TeV. `flux_point` is to be what
"in the band" says, which the energy resolution does: energy dispersion is not corrected for. Allowed are {TOLERANCE:.0%} and the error, and a pull of {PULL:g}.

{table(columns.split("|"), rows)}

"Within errors" and "below limit": how often this is so for each of the {N_RUNS * len(SEEDS)} runs alone, {NOMINAL:.3f} and {CONFIDENCE:g} are nominal. Allowed are {PULL:g} standard
deviations, {PULL * spread(NOMINAL, N_RUNS * len(SEEDS)):.2f} and {PULL * spread(CONFIDENCE, N_RUNS * len(SEEDS)):.2f}. Section 2.2 tells what whole numbers of counts do to both.
"""
