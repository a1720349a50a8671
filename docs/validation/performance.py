"""Section 4: time and memory of all products on the image of a survey.

As a program, with the name of a background method: measure it and print the result.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.empty_sky import histogram, off_significance, off_statistics
from gammastack.maps.flux import flux_maps
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.stack import Stack, final_images, kinds_of_sums
from validation.report import table
from validation.simulation import IRF, RING

SHAPE = 500, 9400
BINSZ = 0.02  # deg
N_GROUPS = 20
RADIUS = 0.1  # deg
# ExcessMapEstimator of gammapy 2.1 on an image of this size, measured on the same machine
# as the references, in GB
GAMMAPY_MEMORY = 2.6


def survey():
    """The geometry of the whole image."""
    width = tuple(n * BINSZ for n in SHAPE[::-1])
    return ImageGeometry.create((266.4, -28.9), "galactic", "CAR", width, BINSZ)


def simulated_group(geometry, number, kinds):
    """Sums of a group of runs: Poisson counts over backgrounds of 0.01 to 3 per pixel."""
    rng = np.random.default_rng(number)
    columns = SHAPE[1] // N_GROUPS
    part = geometry._box(
        slice(0, SHAPE[0]), slice(number * columns, (number + 1) * columns)
    )
    mu = 10 ** rng.uniform(-2, 0.5, (1, columns)) * np.ones((SHAPE[0], 1))
    values = {
        "counts": rng.poisson(mu).astype(np.int32),
        "n_runs": np.ones(mu.shape, np.int32),
        "n_without_off": np.zeros(mu.shape, np.int32),
        "exposure": np.full(mu.shape, 1e10),
        "livetime": np.full(mu.shape, 1e4),
        "off": rng.poisson(100 * mu).astype(float),
        "acceptance_off": 100 * mu,
    }
    return Stack(part, {kind: values.get(kind, mu) for kind in kinds})


def measure(background):
    """Seconds of each step, and the largest memory so far in GB."""
    geometry, kinds = survey(), kinds_of_sums(background)
    found = {"start": (0.0, memory())}

    def timed(name, function):
        start = time.perf_counter()
        result = function()
        found[name] = time.perf_counter() - start, memory()
        return result

    def stacked():
        stack = Stack.empty(geometry, kinds)
        for number in range(N_GROUPS):
            stack.add(simulated_group(geometry, number, kinds))
        return final_images(stack.images)

    images, radius = timed("simulated sums, stack", stacked), geometry.in_pixels(RADIUS)
    timed("significance", lambda: counts_in_disk(images, radius).significance())

    def fluxes():
        exposure = mean_in_disk(images["exposure"], radius)
        measured = counts_in_disk(images, radius)
        return flux_maps(measured, exposure, confidence=0.95, n_sigma=5)

    timed("flux maps: errors, limits, sensitivity", fluxes)

    def empty_sky():
        everywhere = np.ones(SHAPE, bool)
        values, background = off_significance(images, everywhere, radius)
        return off_statistics(values, background, radius), histogram(values)

    timed("off statistics", empty_sky)
    return found


def memory():
    """Largest resident memory of this process so far in GB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def measured(method):
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "validation.performance", method]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def section():
    """The section of the page."""
    results = {method: measured(method) for method in ("irf", "ring")}
    rows = []
    for name in results["irf"]:
        row = [name]
        for steps in results.values():
            seconds, largest = steps[name]
            row += [f"{seconds:.1f}" if seconds else "", f"{largest:.2f}"]
        rows.append(row)
    columns = ("step", "irf: s", "irf: GB", "ring: s", "ring: GB")
    ny, nx = SHAPE
    return f"""\
## 4. Time and memory

Measured in this run, and other in each: all products of an image of {nx} x {ny} pixels (simulated sums of {N_GROUPS} groups), one process, one core, all images of the
band kept in memory. GB: the largest resident memory up to the end of the step.

{table(columns, rows)}

For comparison, `ExcessMapEstimator` of gammapy 2.1 took {GAMMAPY_MEMORY:g} GB for an image of this size.
"""


if __name__ == "__main__":
    print(json.dumps(measure({"irf": IRF, "ring": RING}[sys.argv[1]])))
