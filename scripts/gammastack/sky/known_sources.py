"""The brightest sources at TeV energies.

Positions and sizes are after the catalogue gamma-cat, https://github.com/gammapy/gamma-cat,
above 2 % of the flux of the Crab Nebula at 1 TeV.
"""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_suffix(".csv")


class KnownSource(NamedTuple):
    """A source, with angles in deg.

    Attributes
    ----------
    name : str
    ra, dec : float
        ICRS.
    radius : float
        What to exclude: 0.2 deg, and the extension of the source.
    """

    name: str
    ra: float
    dec: float
    radius: float


@cache
def known_sources():
    """Return the `KnownSource` of each line of the table."""
    with open(TABLE, encoding="utf-8", newline="") as file:
        return [
            KnownSource(
                row["name"], float(row["ra"]), float(row["dec"]), float(row["radius"])
            )
            for row in csv.DictReader(file)
        ]
