"""The same datasets with gammapy 2.1, field by field, with point spread and energy dispersion."""

import argparse
import json
from pathlib import Path

from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore
from gammapy.datasets import MapDataset
from gammapy.makers import (
    DatasetsMaker,
    FoVBackgroundMaker,
    MapDatasetMaker,
    SafeMaskMaker,
)
from gammapy.maps import MapAxis, WcsGeom
from gammapy_peer import exclusion_mask


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fields", type=Path, help="JSON file written by datasets.py")
    parser.add_argument("folder", type=Path, help="for the datasets")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--oversampling", type=int, help="of the background in energy")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, field in json.loads(arguments.fields.read_text()).items():
        dataset = stacked_dataset(field, arguments.jobs, arguments.oversampling)
        dataset.write(arguments.folder / f"{name}.fits.gz", overwrite=True)


def stacked_dataset(field, jobs, oversampling):
    """Sum of the runs of a field, the background of each scaled outside the exclusions."""
    axes = field["axes"]
    energy, energy_true = (
        MapAxis.from_energy_edges(axes[name] * u.TeV, name=name)
        for name in ("energy", "energy_true")
    )
    geometry = WcsGeom.create(
        skydir=SkyCoord(*field["center"], unit="deg"),
        npix=tuple(round(width / field["binsz"]) for width in field["width"]),
        binsz=field["binsz"],
        frame=field["frame"],
        proj=field["projection"],
        axes=[energy],
    )
    empty = MapDataset.create(
        geometry,
        energy_axis_true=energy_true,
        rad_axis=MapAxis.from_edges(axes["rad"] * u.deg, name="rad"),
        binsz_irf=field["binsz_irf"] * u.deg,
        name="stacked",
    )
    makers = [
        MapDatasetMaker(background_oversampling=oversampling),
        SafeMaskMaker(methods=["offset-max"], offset_max=field["offset_max"] * u.deg),
        FoVBackgroundMaker(
            method="scale", exclusion_mask=exclusion_mask(field, geometry)
        ),
    ]
    observations = DataStore.from_dir(field["store"]).get_observations(field["obs_ids"])
    maker = DatasetsMaker(makers, stack_datasets=True, n_jobs=jobs)
    return maker.run(empty, observations)["stacked"]


if __name__ == "__main__":
    main()
