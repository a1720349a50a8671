"""Section 1: statistics of counts against numbers that were computed in other ways."""

import numpy as np

from gammastack.maps.counting import KnownBackground, OnOff
from gammastack.maps.disks import counts_in_disk
from gammastack.maps.significance import li_ma, significance
from validation.exact import (
    errors_known,
    errors_on_off,
    li_ma_exact,
    limit_known,
    limit_on_off,
)
from validation.report import table

# Computed independently for the design of the program, to the digits that are given
KNOWN = [
    ((11, 9), "0.6440149844"),
    ((7, 9), "-0.6939726249"),
    ((5, 1), "2.84506"),
    ((100, 23), "11.82942"),
]
ON_OFF = [
    ((10, 20, 0.1), "3.6850322319"),
    ((11, 27, 1 / 3), "0.5528530398"),
    ((10, 5, 0.3), "3.58538"),
    ((1, 20, 1), "-4.59037"),
]
FLAT_MAP = {"counts": "162", "excess": "81", "significance": "7.910732"}
# Review of Particle Physics (2020), DOI 10.1093/ptep/ptaa104, chapter Statistics
PDG = {
    0.90: ["2.30", "3.89", "5.32", "6.68", "7.99", "9.27"],
    0.95: ["3.00", "4.74", "6.30", "7.75", "9.15", "10.51"],
}
PAIRS = [
    *[(n, 20, alpha) for n in (1, 3, 10, 40) for alpha in (0.01, 0.1, 1.0)],
    *[(5, n, alpha) for n in (1, 7, 90) for alpha in (0.05, 0.5, 3.0)],
    *[(1000, 10, 3.0), (120, 160, 0.7), (3, 500, 0.02)],
    *[(10**6 + 50, 10**7, 0.1), (10**8 + 9000, 10**8, 1.0)],
]
COUNTS = np.array([0, 1, 2, 3, 5, 8, 20, 100])
BACKGROUNDS = np.array([0.3, 1.0, 4.0, 25.0])
RINGS = [(0, 3, 0.5), (1, 20, 0.1), (3, 90, 0.1), (8, 8, 0.4), (20, 0, 0.2)]
RINGS += [(11, 27, 1 / 3), (40, 300, 0.1), (100, 90, 1.0)]
CONFIDENCES = 0.9, 0.95
# Largest differences, relative to the value or, below 1, absolute; for limits with a
# ring what `gammastack.maps.counting.OnOff.upper_limit` states for alpha up to 1
TOLERANCES = {
    "significance (Li & Ma, eq. 17), 60 digits": 1e-10,
    "errors, known background": 1e-8,
    "errors, ON and OFF": 1e-7,
    "upper limits, known background": 1e-8,
    "upper limits, ON and OFF": 3e-3,
    "sensitivity, known background": 1e-8,
    "sensitivity, ON and OFF": 1e-8,
}


def given_numbers():
    """Rows of the numbers that must be met to all their digits."""
    found = [
        *(
            (f"n = {n}, mu = {mu}", float(significance(n, mu)), text)
            for (n, mu), text in KNOWN
        ),
        *(
            (
                f"n_on = {n_on}, n_off = {n_off}, alpha = {alpha:.4g}",
                float(li_ma(n_on, n_off, alpha)),
                text,
            )
            for (n_on, n_off, alpha), text in ON_OFF
        ),
        *(
            (f"flat map, disk of 0.1 deg: {name}", flat_map()[name], text)
            for name, text in FLAT_MAP.items()
        ),
        *(
            (
                f"upper limit {confidence:.0%}, n = {n}, no background",
                float(KnownBackground(n, 1e-12).upper_limit(confidence)),
                text,
            )
            for confidence, texts in PDG.items()
            for n, text in enumerate(texts)
        ),
    ]
    return [row(name, value, text) for name, value, text in found]


def row(name, value, text):
    """Name, expected and found value, and whether all digits agree."""
    digits = len(text.partition(".")[2])
    found = f"{value:.{digits}f}"
    return name, text, found, found == text


def flat_map():
    """Counts, excess and significance in the middle of a map of 20 x 20 equal pixels."""
    flat = np.ones((20, 20))
    measured = counts_in_disk({"counts": 2 * flat, "bkg": flat}, 5)
    of_disk = {
        "counts": measured.n,
        "excess": measured.excess,
        "significance": measured.significance(),
    }
    return {name: float(image[10, 10]) for name, image in of_disk.items()}


def differences():
    """Largest difference to each independent computation, and the number of cases."""
    pairs = [(n, mu) for n in COUNTS.tolist() for mu in BACKGROUNDS.tolist()]
    known, rings = KnownBackground(*np.transpose(pairs)), OnOff(*np.transpose(RINGS))
    mu = BACKGROUNDS
    n_off, alpha = np.transpose(RINGS)[1:]
    found = [
        (li_ma(*np.transpose(PAIRS)), [li_ma_exact(*pair) for pair in PAIRS]),
        (known.errors(), np.transpose([errors_known(n) for n, _ in pairs])),
        (rings.errors(), np.transpose([errors_on_off(*ring) for ring in RINGS])),
        (
            [known.upper_limit(one) for one in CONFIDENCES],
            [[limit_known(*pair, one) for pair in pairs] for one in CONFIDENCES],
        ),
        (
            [rings.upper_limit(one) for one in CONFIDENCES],
            [[limit_on_off(*ring, one) for ring in RINGS] for one in CONFIDENCES],
        ),
        (significance(mu + KnownBackground(0, mu).sensitivity(5), mu), np.full(4, 5.0)),
        (li_ma(rings.background + rings.sensitivity(5), n_off, alpha), np.full(8, 5.0)),
    ]
    return {
        name: largest_difference(ours, np.asarray(exact))
        for name, (ours, exact) in zip(TOLERANCES, found, strict=True)
    }


def largest_difference(ours, exact):
    """Relative to the exact value or, below 1, absolute; and the number of values."""
    difference = np.abs(ours - exact) / np.maximum(np.abs(exact), 1)
    return float(difference.max()), exact.size


def section():
    """The section of the page."""
    rows = [
        (
            name,
            n,
            f"{difference:.1e}",
            f"{TOLERANCES[name]:.0e}",
            difference <= TOLERANCES[name],
        )
        for name, (difference, n) in differences().items()
    ]
    given = given_numbers()
    return f"""\
## 1. Statistics

{len(given)} numbers that were computed elsewhere, to all digits that are given there: significances for a known
background and for ON and OFF counts, a map of 20 x 20 pixels of 0.02 deg with 2 counts over a background of 1 in each, and
upper limits of the Review of Particle Physics ([DOI 10.1093/ptep/ptaa104](https://doi.org/10.1093/ptep/ptaa104)).

{table(("case", "expected", "found", "ok"), given)}

Against other ways of computing the same: Li & Ma's equation with 60 digits, errors as crossings of the (profile) likelihood,
limits from sums over all counts and integrals over the background. The significance of the sensitivity must be 5.
Differences are relative, and absolute for values below 1.

{table(("quantity", "values", "largest difference", "tolerance", "ok"), rows)}
"""
