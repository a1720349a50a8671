"""Fields that gammapy 2.1 has made."""

import os
from pathlib import Path

from gammastack.dl3.datastore import DataStore
from validation.gammapy21 import Case


def case(name):
    """A field of the reference."""
    store = DataStore.from_dir(Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1")
    return Case(Path(os.environ["GAMMASTACK_REFERENCE"]) / "gammapy21" / name, store)


def image(field, name):
    """An image of the reference in float64."""
    return field.image(name).astype(float).squeeze()
