"""Sections 2.1 and 2.2: empty simulated fields, significances and coverage."""

from dataclasses import replace
from functools import cache

import numpy as np
from scipy.stats import norm, poisson

from gammastack.maps.counting import KnownBackground
from gammastack.maps.empty_sky import (
    BINS,
    expected_moments,
    histogram,
)
from gammastack.maps.significance import significance
from validation.disks import MEAN, WIDTH, Disks, disks_of_field
from validation.report import BLUE, ORANGE, new_figure, save, table
from validation.simulation import (
    IRF,
    RADIUS,
    RING,
    Experiment,
    in_parallel,
)

# "truth": the background of each run with its true norm
METHODS = {"truth": IRF, "irf": IRF, "ring": RING}
SIGNALS = 0, 5, 20
CONFIDENCES = 0.9, 0.95
# Largest difference of a coverage from the exact one
COVERAGE = 0.01
# By how much the coverage of a limit may be below its confidence
TOO_FEW = 0.005


@cache
def experiment():
    return Experiment()


def empty_field(seed):
    """For each method the statistics of a field, and its `Disks`."""
    runs = experiment().images(seed)
    truth = [
        replace(run, bkg=run.bkg * true.norm)
        for run, true in zip(runs, experiment().runs(seed), strict=True)
    ]
    return {
        name: disks_of_field(
            truth if name == "truth" else runs, method, name != "truth"
        )
        for name, method in METHODS.items()
    }


def empty_fields(n_fields):
    """For each method the statistics of each field, and the disks of all of them."""
    fields = in_parallel(empty_field, range(1, n_fields + 1))
    return {
        name: (
            [field[name][0] for field in fields],
            Disks.together([field[name][1] for field in fields]),
        )
        for name in METHODS
    }


def moments_row(name, fields, disks):
    """Mean and width of the significance, and of the pulls of the means of the fields."""
    mean, width = disks.significance.mean(), disks.significance.std()
    expected_mean, expected_width = expected_moments(disks.background)
    n = len(disks.significance)
    pulls = [
        (field["mean_independent"] - field["mean_expected"]) / field["mean_error"]
        for field in fields
    ]
    return (
        *(name, n, f"{disks.background.mean():.1f}"),
        f"{mean:+.4f} ± {width / n**0.5:.4f}",
        f"{expected_mean:+.4f}",
        f"{width:.4f} ± {width / (2 * n) ** 0.5:.4f}",
        f"{expected_width:.4f}",
        f"{np.mean(pulls):+.2f}, {np.std(pulls):.2f}",
        abs(mean - expected_mean) <= MEAN and abs(width / expected_width - 1) <= WIDTH,
    )


def possible_counts(background, signal):
    """Some backgrounds, all counts that can occur, and their probabilities."""
    mu = background[:: max(1, len(background) // 3000), None]
    n = np.arange(int(poisson.isf(1e-9, mu.max() + signal)) + 1)
    return mu, n, poisson.pmf(n, mu + signal)


def in_errors(measured, signal):
    """Whether a true signal is within the errors of the excess."""
    down, up = measured.errors()
    excess = measured.excess
    return (excess - down <= signal) & (signal <= excess + up)


def covers(kind):
    """Function of measured counts and a signal: whether an interval holds the signal."""
    if kind == "errors":
        return in_errors
    return lambda measured, signal: signal <= measured.upper_limit(kind)


def exact_coverage(kind, background, signal):
    """Coverage of Poisson counts over a known background, from all counts that can occur."""
    mu, n, probability = possible_counts(background, signal)
    inside = covers(kind)(KnownBackground(n, mu), signal)
    return float((inside * probability).sum(axis=1).mean())


def with_signal(disks, signal):
    """Measured counts with the counts of a source added to each disk."""
    rng = np.random.default_rng(signal)
    first, *others = vars(disks.measured).values()
    counts = first + rng.poisson(signal, len(first))
    return type(disks.measured)(counts, *others)


def coverage_rows(results):
    """For errors and limits, each signal and method: measured, exact and nominal coverage."""
    for kind in ("errors", *CONFIDENCES):
        nominal = 2 * norm.cdf(1) - 1 if kind == "errors" else kind
        for signal in SIGNALS:
            exact = exact_coverage(kind, results["truth"][1].background, signal)
            shares = [
                float(covers(kind)(with_signal(disks, signal), signal).mean())
                for _, disks in results.values()
            ]
            ok = all(abs(share - exact) <= COVERAGE for share in shares)
            if kind != "errors":
                ok &= min(shares) >= kind - TOO_FEW
            label = "errors" if kind == "errors" else f"limit {kind:.0%}"
            shown = [f"{share:.4f}" for share in shares]
            yield label, signal, *shown, f"{exact:.4f}", f"{nominal:.4f}", ok


def exact_histogram(background):
    """Number of Poisson counts over the backgrounds in `BINS` of their significance."""
    mu, n, probability = possible_counts(background, 0)
    values = np.clip(significance(n, mu), BINS[0], BINS[-1])
    share = np.histogram(values, BINS, weights=probability)[0] / len(mu)
    return share * len(background)


def draw(results, folder):
    """Significances of all fields with a normal curve and the exact expectation."""
    figure = new_figure(9, 4)
    middle = (BINS[:-1] + BINS[1:]) / 2
    for axes, name in zip(
        figure.subplots(1, 2, sharey=True), ("irf", "ring"), strict=True
    ):
        disks = results[name][1]
        n = len(disks.significance)
        axes.stairs(
            *(histogram(disks.significance), BINS),
            fill=True,
            color="lightgray",
            label="simulated",
        )
        axes.stairs(
            *(exact_histogram(disks.background), BINS),
            color=BLUE,
            label="exact for Poisson counts",
        )
        curve = norm.pdf(middle) * n * (BINS[1] - BINS[0])
        axes.plot(middle, curve, color=ORANGE, label="standard normal")
        axes.set(
            title=f"background: {name}",
            xlabel="significance",
            yscale="log",
            ylim=(0.5, None),
            xlim=(-5.5, 5.5),
        )
        axes.legend(loc="lower center")
    figure.axes[0].set_ylabel(f"disks of {RADIUS} deg per bin")
    caption = "Significance of empty disks that do not overlap."
    return save(figure, "empty_fields", caption, folder)


def section(folder, n_fields=300):
    """The sections of the page."""
    results = empty_fields(n_fields)
    moments = [moments_row(name, *result) for name, result in results.items()]
    columns = "background|disks|counts in a disk|mean|expected|width|expected"
    coverage = "interval|signal|truth|irf|ring|exact|nominal|ok"
    return f"""\
### 2.1 Empty fields

{n_fields} empty fields of {experiment().n_runs} wobble runs each, whose backgrounds differ from those in their files by factors between
0.8 and 1.2, in an image of 3 deg. Background: with the true factors, with the norm of each run fitted (`irf`), and from
a ring of {RING["r_in"]} + {RING["width"]} deg. Positions are the centres of disks of {RADIUS} deg that do not overlap. Expected: mean and width for Poisson
counts over the backgrounds found (`off_statistics.expected_moments`); tolerances {MEAN} and {WIDTH:.0%}.

{table([*columns.split("|"), "pulls of the fields: mean, width", "ok"], moments)}

The pull of a field is the distance of its mean from the expected mean over its error. A norm or a ring follows the counts of the field itself, so
that pulls should scatter by less than 1 with them.

{draw(results, folder)}

### 2.2 Coverage

How often the true signal is within the errors of the excess, and how often it is not above the upper limit, in the same disks; Poisson
counts of a source are added to each disk (signal: their mean). Exact: all counts that can occur over the true backgrounds, with their
probabilities. Nominal: what counts without steps would give. A measured coverage may differ from the exact one by {COVERAGE}, and that of a limit
may be below its confidence by {TOO_FEW}.

{table(coverage.split("|"), coverage_rows(results))}

Counts are whole numbers, so that no interval can cover exactly what is nominal. A limit for a flat prior of signals >= 0 is always above 0, and for small
signals it has to cover more than its confidence.
"""
