"""The page from its sections."""

import time

import numpy as np

from gammastack import __version__
from validation import (
    backgrounds,
    candidates,
    counting,
    crab,
    datasets,
    empty_fields,
    peers,
    performance,
    point_sources,
    real_fields,
    sources,
    wide_band,
)
from validation.report import n_failed

ATTRIBUTION = (
    "This work made use of data from the H.E.S.S. DL3 public test data release 1"
    " (HESS DL3 DR1, H.E.S.S. collaboration, 2018)."
)
CLOSURE = """\
## 2. Simulations with known truth

Runs of the simulated instrument (`simulate.py`), read and analysed with the functions of the workflow. Band 1 to 10 TeV if nothing else
is said; all random numbers have fixed seeds.
"""
REAL = f"""\
## 3. Real data

{ATTRIBUTION} No scientific results may be derived from it, and none are here: its sky tests the program.
"""


def sections(folder):
    """The sections in their order, with what takes part of it in words."""
    yield counting.section
    yield lambda: CLOSURE
    yield lambda: empty_fields.section(folder)
    yield sources.section
    yield wide_band.section
    yield backgrounds.section
    yield candidates.section
    yield point_sources.section
    yield lambda: REAL
    yield lambda: real_fields.section(folder)
    yield lambda: peers.section(folder)
    yield crab.section
    yield datasets.section
    yield performance.section


def page(folder, tell=print):
    """The whole page; figures go to a folder."""
    parts = []
    for section in sections(folder):
        start = time.perf_counter()
        text = section()
        parts.append(text)
        tell(f"{time.perf_counter() - start:6.1f} s  {text.splitlines()[0]}")
    body = "\n".join(parts)
    failed = n_failed(body)
    n_rows = body.count("| yes |") + failed
    return f"""\
# Validation

Of gammastack {__version__} with numpy {np.__version__}. Written by `make validation`: each number, figure and verdict is computed by that command, with
the tolerance that is stated. {failed} of {n_rows} tests fail ("no" in the last column).

{body}"""
