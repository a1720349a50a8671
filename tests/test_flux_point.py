"""Fluxes of point sources: the part of the point spread in a disk, against closed forms."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose
from scipy.stats import norm

from gammastack.dl3.hdus import HDU_INDEX, hdu_types
from gammastack.dl3.irf import EffectiveArea2D
from gammastack.dl3.observation import read_observation
from gammastack.dl3.point_spread import PSF3Gauss, PSFKing, PSFTable
from gammastack.dl3.simulate import PSF_SIGMA
from gammastack.maps.in_disks import MapsInDisks
from gammastack.runs.images import run_images
from gammastack.runs.point_exposure import point_exposure
from gammastack.runs.run import RAD
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.kernels import disk_kernel, radius_of_area
from gammastack.sky.radius import Radius
from gammastack.sky.strips import Strip
from gammastack.stacking.containment import containment_table
from gammastack.stacking.stack import final_images, stack_runs
from project import BAND

ENERGY = np.geomspace(0.1, 100, 4)
AXES = (ENERGY[:-1], ENERGY[1:]), (np.array([0.0, 1.0]), np.array([1.0, 2.0]))
FLAT = np.ones((2, 3))
NONE = dict.fromkeys(("ampl_2", "ampl_3", "sigma_2", "sigma_3"), 0 * FLAT)
PLACE = np.array([1.0]), np.array([0.5]), RAD[:101]


def test_part_in_a_gaussian():
    psf = PSF3Gauss(*AXES, {"scale": FLAT, "sigma_1": 0.1 * FLAT, **NONE})
    expected = 1 - np.exp(-0.5 * (RAD[:101] / 0.1) ** 2)
    assert_allclose(psf.containment(*PLACE)[0, :, 0], expected)


def test_part_in_a_king_profile():
    psf = PSFKing(*AXES, {"sigma": 0.1 * FLAT, "gamma": 2 * FLAT})
    expected = 1 - 1 / (1 + (RAD[:101] / 0.1) ** 2 / 4)
    assert_allclose(psf.containment(*PLACE)[0, :, 0], expected)


def test_part_in_a_table():
    """A flat density within 0.3 deg: the part grows with the square of the angle."""
    edges = np.linspace(0, 0.3, 4)
    psf = PSFTable(*AXES, (edges[:-1], edges[1:]), np.full((3, 2, 3), 7.0))
    expected = np.minimum(RAD[:101] / 0.3, 1) ** 2
    assert_allclose(psf.containment(*PLACE)[0, :, 0], expected, rtol=1e-5)


def test_spectrum_and_area_weight_the_energies():
    """The width is 0.2 deg at 0.3 TeV and 0.1 deg at 30 TeV, at both offsets."""
    sigma = np.array([[0.2, 0.15, 0.1]] * 2)
    psf = PSF3Gauss(*AXES, {"scale": FLAT, "sigma_1": sigma, **NONE})
    area = EffectiveArea2D(*AXES, np.array([[1e4, 2e4, 3e4]] * 2))
    observation = SimpleNamespace(psf=psf, aeff=area)
    points = point_exposure(observation, 1.5, (1, 10), 2.5, lambda offset: 5.0 + offset)
    energy = np.geomspace(1, 10, 4001)
    nodes = np.log(np.sqrt(ENERGY[:-1] * ENERGY[1:]))
    width = np.interp(np.log(energy), nodes, sigma[0])
    weights = np.interp(np.log(energy), nodes, area.area[0]) * energy**-1.5
    expected = np.average(-np.expm1(-0.5 * (0.2 / width) ** 2), weights=weights)
    assert_allclose(points.part(0.2, np.array([0.0, 0.72])), expected, rtol=2e-4)
    assert_allclose(points.at([0.5])[0, -1], 5.5)
    assert_allclose(points.part(7.0, np.array([0.5])), 1)


def pixel_parts(geometry, position, sigma):
    """Part of a Gaussian around a pixel (row, column) in each pixel of a flat image."""
    step, _ = 1 / np.array(geometry.in_pixels(1.0))
    rows, columns = (
        np.diff(norm.cdf((np.arange(n + 1) - 0.5 - center) * step / sigma))
        for n, center in zip(geometry.shape, position, strict=True)
    )
    return np.outer(rows, columns)


@pytest.fixture(scope="module")
def runs(simulated_store):
    """Images of four runs that wobble by 0.7 deg, without their counts."""
    store, *_ = simulated_store
    geometry = ImageGeometry.create((83.63, 22.01), "icrs", "TAN", (4.02, 4.02), 0.02)
    made = []
    for obs_id in (1001, 1002, 1003, 1004):
        types = hdu_types(("aeff", "bkg", "psf"))
        observation = read_observation(obs_id, store.available(obs_id, types))
        made += run_images(
            observation, geometry, [(1, 10)], (0, 2), for_integral_flux=True
        )
    return geometry, made


@pytest.mark.parametrize("radius", [0.1, 0.3])
@pytest.mark.parametrize("distance", [0, 0.7, 1.5])
def test_flux_of_a_point_source(runs, radius, distance):
    """The counts expected of it, in pixels, give its flux within 0.3 %, at any offset."""
    geometry, images = runs
    flux, disk = 1e-7, Radius(None, radius)
    stack, _ = stack_runs(
        geometry,
        images[:1],
        bkg_norm=False,
        radii={"": radius_of_area(disk.on(geometry), geometry)},
    )
    sums = final_images(stack.images)
    column, row = (
        round(float(axis))
        for axis in geometry.pixel_coordinates(images[0].ra, images[0].dec)
    )
    source = row, column - round(distance / 0.02)
    signal = flux * sums["exposure"][source]
    sums["counts"] = sums["bkg"] + signal * pixel_parts(geometry, source, PSF_SIGMA)
    rows = slice(0, geometry.shape[0])
    maps = MapsInDisks(disk.on(geometry), 0.95, 5).maps(
        sums, np.ones(geometry.shape, bool), Strip(rows, rows)
    )
    assert_allclose(maps["flux_point"][source], flux, rtol=0.003)
    if radius == 0.1:
        assert maps["flux_corr"][source] < 0.8 * flux
    ratio = maps["flux_point"][source] / maps["flux_corr"][source]
    for name in ("errn", "errp", "ul"):
        found = maps[f"flux_point_{name}"][source] / maps[f"flux_corr_{name}"][source]
        assert_allclose(found, ratio)


def test_circle_with_the_area_of_the_disk(runs):
    geometry, _ = runs
    radius = Radius(None, 0.1)
    n_pixels = disk_kernel(radius.on(geometry)).sum()
    assert n_pixels == 81
    assert_allclose(
        radius_of_area(radius.on(geometry), geometry),
        0.02 * np.sqrt(81 / np.pi),
        rtol=1e-6,
    )


def test_run_without_point_spread(runs):
    _, images = runs
    run = replace(images[0], point_exposure=None)
    assert not run.part_in_disk(0.1).any()
    assert not run.point_exposures([0.0, 1.0]).any()


def test_radii_of_a_gaussian(runs):
    """Parts of 68 and 95 % are within sigma sqrt(-2 ln(1 - part))."""
    geometry, images = runs
    stack, _ = stack_runs(geometry, images, radii={"": 0.1})
    table = containment_table(stack.points)
    assert table["place"].tolist() == [
        "on axis",
        "1 deg off axis",
        "centre of the image",
    ]
    for name, part in (("r68", 0.68), ("r95", 0.95)):
        expected = PSF_SIGMA * np.sqrt(-2 * np.log(1 - part))
        assert_allclose(table[name], expected, rtol=2e-3)
    assert containment_table(0.0)["r68"].isna().all()


def test_products(built):
    folder = built.folder / "results" / "sky" / BAND
    with fits.open(folder / "psf_containment.fits") as hdus:
        part = hdus[0].data
    # The disk of 0.2 deg has 49 pixels of 0.05 deg, which blur the point spread.
    variance = PSF_SIGMA**2 + 0.05**2 / 12
    expected = 1 - np.exp(-0.5 * 49 * 0.05**2 / np.pi / variance)
    assert_allclose(part[30, 30], expected, rtol=1e-3)
    table = pd.read_csv(folder / "psf.csv")
    assert_allclose(table["r68"], PSF_SIGMA * np.sqrt(-2 * np.log(0.32)), rtol=2e-3)
    with fits.open(folder / "flux_point.fits") as hdus:
        assert hdus[0].header["BUNIT"] == "m-2 s-1 TeV-1"


def test_store_without_point_spread(project):
    """The maps are made without fluxes of point sources."""
    index = project.folder / "store" / HDU_INDEX
    with fits.open(index) as hdus:
        rows = hdus[1].copy()
    rows.data = rows.data[rows.data["HDU_TYPE"] != "psf"]
    rows.writeto(index, overwrite=True)
    folder = project.folder / "results" / "sky" / BAND
    shutil.rmtree(folder)
    done = project.snakemake()
    assert done.code == 0, done.text
    assert (folder / "flux_corr.fits").exists()
    assert not [*folder.glob("flux_point*"), *folder.glob("psf*")]
