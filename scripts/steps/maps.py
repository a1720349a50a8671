"""Make the maps of a field in one energy band, and find candidates for sources in them."""

import numpy as np
import pandas as pd

from gammastack.files.band import read_band, with_radius, write_images
from gammastack.files.candidates import write_candidates, write_regions
from gammastack.files.fits import read
from gammastack.files.layout import of_radius
from gammastack.maps.candidates import find_candidates
from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.empty_sky import (
    BINS,
    histogram,
    not_as_expected,
    off_significance,
    off_statistics,
)
from gammastack.maps.flux import flux, flux_maps
from gammastack.products import EXPOSURE, FLUX
from gammastack.sky.geometry import ImageGeometry


def run(
    inputs,
    outputs,
    origin,
    *,
    image,
    radii,
    candidate_threshold,
    ul_confidence,
    n_sigma_sensitivity,
):
    geometry = ImageGeometry.create(**image)
    inputs = dict(inputs)
    mask = read(inputs.pop("mask"))["PRIMARY"].image > 0
    images, provenance, units = read_band(inputs, origin)
    exposure, integral = images.get("exposure"), units.get("exposure") == EXPOSURE[True]
    maps = {"excess": images["counts"] - images["bkg"]}
    if exposure is not None:
        maps["flux"] = flux(maps["excess"], exposure)
    paths = {name: outputs[name] for name in maps}
    write_images(paths, maps, geometry, provenance, integral)
    settings = {
        "ul_confidence": ul_confidence,
        "n_sigma_sensitivity": n_sigma_sensitivity,
    }
    warnings, rows, significances = [], [], {}
    columns = {"from": BINS[:-1].round(3), "to": BINS[1:].round(3)}
    for suffix, radius in radii.items():
        in_pixels = radius.on(geometry)
        measured = counts_in_disk(images, in_pixels)
        maps = {"excess_corr": measured.excess, "significance": measured.significance()}
        if exposure is not None:
            in_disk = mean_in_disk(exposure, in_pixels)
            maps |= flux_maps(measured, in_disk, ul_confidence, n_sigma_sensitivity)
        if "off" in images:
            maps["alpha"] = measured.alpha
        significances[radius.label.replace(" ", "")] = maps["significance"]
        significance, bkg = off_significance(images, mask, in_pixels)
        row = off_statistics(significance, bkg, in_pixels)
        rows.append({"radius": radius.label, **row})
        columns[radius.label] = histogram(significance)
        cards = _summary(images, maps["significance"], geometry)
        if row["n_pixels"]:
            cards += [
                ("OFFMEAN", row["mean"], "of the significance outside the exclusions"),
                ("OFFWIDTH", row["width"], "its standard deviation"),
            ]
        of_maps = with_radius(provenance, radius, settings, cards)
        write_images(of_radius(outputs, suffix), maps, geometry, of_maps, integral)
        if odd := not_as_expected(row):
            where = geometry.position(*_peak(significance))
            warnings.append(
                f"radius {radius.label}: {odd}; the largest value is at RA {where[0]:.3f},"
                f" Dec {where[1]:+.3f}: exclude what is there, or search for sources with"
                " exclusion_mask: [{threshold: 5}]"
            )
    pd.DataFrame(rows).to_csv(outputs["off_statistics"], index=False)
    pd.DataFrame(columns).to_csv(outputs["off_histogram"], index=False)
    radius = next(iter(radii.values()))
    candidates, search = find_candidates(
        *(images, significances, mask, geometry, radius.on(geometry)),
        *(candidate_threshold, ul_confidence),
    )
    meta = {
        "field": provenance.field_name,
        "band": provenance.band,
        "energy_band": provenance.energy_band,
        "energy_unit": "TeV",
        "radius": radius.label,
        "threshold": candidate_threshold,
        "ul_confidence": ul_confidence,
        **search,
    }
    write_candidates(outputs["candidates"], candidates, FLUX[integral], meta)
    in_deg = radius.on(geometry)[1] / geometry.in_pixels(1)[1]
    write_regions(outputs["candidates_reg"], candidates, in_deg)
    return [*warnings, *_too_many(search, candidate_threshold)]


def _too_many(search, threshold):
    """Describe candidates that were left out, if any were."""
    if search["n_found"] > search["n_kept"]:
        yield (
            f"{search['n_found']} peaks are above {threshold:g} sigma, of which"
            f" the {search['n_kept']} most significant ones are kept; is the background"
            " right?"
        )


def _peak(image):
    """Return x and y of the largest value."""
    y, x = np.unravel_index(np.nanargmax(image), image.shape)
    return x, y


def _summary(images, significance, geometry):
    """Return header cards with the sums and the peak of a band."""
    cards = [
        ("SUMCOUNT", int(images["counts"].sum()), "sum of the counts image"),
        ("SUMBKG", float(np.nansum(images["bkg"])), "sum of the bkg image"),
    ]
    if np.any(np.isfinite(significance)):
        x, y = _peak(significance)
        ra, dec = geometry.position(x, y)
        cards += [
            ("PEAK", float(significance[y, x]), "largest significance"),
            ("PEAK_RA", ra, "[deg] its ICRS position"),
            ("PEAK_DEC", dec, "[deg] its ICRS position"),
        ]
    return cards
