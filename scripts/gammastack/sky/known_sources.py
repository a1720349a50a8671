"""The brightest sources at TeV energies.

Positions and sizes are after the catalogue gamma-cat, https://github.com/gammapy/gamma-cat,
above 2 % of the flux of the Crab Nebula at 1 TeV.
"""

import csv
import difflib
import re
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


def plain_name(name):
    """Return a name in the spelling in which names are compared."""
    return re.sub(r"[^a-z0-9+.-]", "", str(name).lower())


def known_source(name):
    """Return the `KnownSource` of a name, whatever its capitals and blanks, or None."""
    return _by_plain_name().get(plain_name(name))


def similar_names(name):
    """Return the names that are most like a name, which may be only a part of one."""
    wanted, names = plain_name(name), _by_plain_name()
    near = [plain for plain in names if wanted and wanted in plain]
    near += difflib.get_close_matches(wanted, names)
    return [names[plain].name for plain in dict.fromkeys(near)][:3]


@cache
def _by_plain_name():
    return {plain_name(source.name): source for source in known_sources()}
