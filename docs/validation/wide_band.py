"""Section 2.4: a wide band, in which the background is not a power law."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from gammastack.dl3.simulate import ONTIME, BackgroundModel
from gammastack.dl3.spectrum import power_law_integral
from gammastack.sky.geometry import field_of_view
from validation.disks import Disks, disks_of_field, moments
from validation.gammapy21 import between_edges
from validation.report import table
from validation.simulation import (
    IRF,
    OFFSET_BAND,
    Experiment,
    field_geometry,
    in_parallel,
)

WIDE_BAND = 0.5, 50.0
# Relative; linear interpolation of the log of a Gaussian between bins of 0.1 deg and of
# the sum of two power laws between bins in energy
RAW = 0.005


@dataclass(frozen=True)
class TwoComponents:
    """Sum of two models: no power law in energy, and wider at high energies."""

    steep: BackgroundModel
    hard: BackgroundModel

    def rate(self, energy, lon, lat):
        """Rate in s-1 TeV-1 sr-1."""
        return self.steep.rate(energy, lon, lat) + self.hard.rate(energy, lon, lat)

    def rate_in_band(self, band, lon, lat):
        """Integral of the rate over a band, in closed form."""
        return sum(
            part.rate(1.0, lon, lat) * power_law_integral(band, part.index, 1.0)
            for part in (self.steep, self.hard)
        )

    def sample(self, rng, ontime, norm):
        """Energies and field-of-view positions of the events of a run."""
        parts = [part.sample(rng, ontime, norm) for part in (self.steep, self.hard)]
        return tuple(map(np.concatenate, zip(*parts, strict=True)))


CURVED = TwoComponents(
    BackgroundModel(gradient=0.0, index=4.0, width=1.0),
    BackgroundModel(gradient=0.0, amplitude=10.0, index=2.0, width=2.5),
)


def one_power_law(observation):
    """The background as one power law over the whole band."""
    edges = np.array(WIDE_BAND)
    return replace(observation, bkg=between_edges(observation.bkg, edges))


@cache
def wide_experiments():
    """The background integrated exactly, and as one power law."""
    options = {"n_runs": 16, "band": WIDE_BAND, "model": CURVED}
    return {
        "exact": Experiment(**options),
        "one power law": Experiment(**options, responses=one_power_law),
    }


def raw_ratio(experiment):
    """Background of a run before any norm over the formula, in its pixels."""
    run = experiment.runs(1)[0]
    (images,) = experiment.images(1, [run])
    view = field_of_view(field_geometry(), run.ra, run.dec, OFFSET_BAND)
    rate = CURVED.rate_in_band(WIDE_BAND, view.lon, view.lat)
    return images.bkg[view.selected] / (view.solid_angle * ONTIME * rate)


def wide_field(seed):
    """Disks of a field for both integrals."""
    return [
        disks_of_field(experiment.images(seed), IRF, True)[1]
        for experiment in wide_experiments().values()
    ]


def wide_band(n_fields):
    """Rows for both integrals: background over formula, and significance of empty sky."""
    fields = in_parallel(wide_field, range(1, n_fields + 1))
    for (name, experiment), parts in zip(
        wide_experiments().items(), zip(*fields, strict=True), strict=True
    ):
        ratio = raw_ratio(experiment)
        cells, ok = moments(Disks.together(parts))
        ok = bool(np.abs(ratio - 1).max() <= RAW) and ok
        shown = (f"{value:.4f}" for value in (ratio.min(), ratio.mean(), ratio.max()))
        yield name, *shown, *cells, ok if name == "exact" else "not ours"


def section(n_fields=50):
    """The section of the page."""
    columns = (
        "integral|smallest|mean|largest background / formula|mean of S / expected"
        "|width of S / expected|ok"
    )
    low, high = WIDE_BAND
    return f"""\
### 2.4 A wide band

Background with E^-{CURVED.steep.index:g} and, wider in the field of view, E^-{CURVED.hard.index:g}, from {low:g} to {high:g} TeV. Background of one run before any norm over the
closed formula of the simulation, pixel by pixel (tolerance {RAW:.1%}), and the significance S of empty disks in {n_fields} fields of 16 runs with the norms
fitted. "one power law": rates at the edges of the band alone, as gammapy integrates an image with one energy bin.

{table(columns.split("|"), wide_band(n_fields))}
"""
