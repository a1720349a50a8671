"""The same images with gammapy 2.1, field by field in one process."""

import argparse
import json
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore
from gammapy.datasets import MapDataset
from gammapy.estimators import ExcessMapEstimator
from gammapy.makers import (
    DatasetsMaker,
    FoVBackgroundMaker,
    MapDatasetMaker,
    SafeMaskMaker,
)
from gammapy.maps import MapAxis, WcsGeom
from regions import CircleSkyRegion

# Bins of the true energy in the band; its exposure is then right to some 1e-4
TRUE_ENERGY_BINS = 40


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fields", type=Path, help="JSON file written by compare.py")
    parser.add_argument("folder", type=Path, help="for the images")
    parser.add_argument("--only", help="name of a field, instead of all")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--oversampling", type=int, help="of the background in energy")
    arguments = parser.parse_args()
    fields = json.loads(arguments.fields.read_text())
    for name in [arguments.only] if arguments.only else fields:
        dataset = stacked_dataset(fields[name], arguments.jobs, arguments.oversampling)
        write_images(dataset, fields[name], arguments.folder / name)


def stacked_dataset(field, jobs, oversampling):
    """Sum of the runs of a field, the background of each scaled outside the exclusions."""
    band = field["energy_band"] * u.TeV
    energy = MapAxis.from_energy_bounds(*band, nbin=1)
    energy_true = MapAxis.from_energy_bounds(
        *band, nbin=TRUE_ENERGY_BINS, name="energy_true"
    )
    geometry = WcsGeom.create(
        skydir=SkyCoord(*field["center"], unit="deg"),
        npix=tuple(round(width / field["binsz"]) for width in field["width"]),
        binsz=field["binsz"],
        frame=field["frame"],
        proj=field["projection"],
        axes=[energy],
    )
    # Without the maps of PSF and energy dispersion, which nothing here needs
    empty = MapDataset.from_geoms(
        geometry,
        geom_exposure=geometry.to_image().to_cube([energy_true]),
        name="stacked",
    )
    makers = [
        MapDatasetMaker(
            selection=["counts", "exposure", "background"],
            background_oversampling=oversampling,
        ),
        SafeMaskMaker(methods=["offset-max"], offset_max=field["offset_max"] * u.deg),
        FoVBackgroundMaker(
            method="scale", exclusion_mask=exclusion_mask(field, geometry)
        ),
    ]
    observations = DataStore.from_dir(field["store"]).get_observations(field["obs_ids"])
    maker = DatasetsMaker(makers, stack_datasets=True, n_jobs=jobs)
    return maker.run(empty, observations)["stacked"]


def exclusion_mask(field, geometry):
    """True where the background is scaled; None without exclusions."""
    regions = [
        CircleSkyRegion(
            SkyCoord(*circle["center"], unit="deg"), circle["radius"] * u.deg
        )
        for circle in field["exclusions"]
    ]
    return geometry.region_mask(regions, inside=False) if regions else None


def write_images(dataset, field, folder):
    """Write counts, background, exposure and significance as 2D images."""
    estimator = ExcessMapEstimator(
        field["radius"] * u.deg,
        energy_edges=field["energy_band"] * u.TeV,
        correlate_off=False,
    )
    images = {
        "counts": (dataset.counts * dataset.mask_safe).slice_by_idx({"energy": 0}),
        "bkg": dataset.npred_background().slice_by_idx({"energy": 0}),
        "exposure": mean_exposure(dataset.exposure, field["spectral_index"]),
        "significance": estimator.run(dataset)["sqrt_ts"].slice_by_idx({"energy": 0}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind, image in images.items():
        image.write(folder / f"{kind}.fits", overwrite=True)


def mean_exposure(exposure, index):
    """Image of the exposure, weighted with a power law over the true energy."""
    edges = exposure.geom.axes["energy_true"].edges.value
    weights = -np.diff(edges ** (1 - index))
    weighted = exposure * (weights / weights.sum())[:, None, None]
    return weighted.sum_over_axes(keepdims=False)


if __name__ == "__main__":
    main()
