"""Make the maps of a field in one energy band, for all correlation radii."""

import numpy as np
import pandas as pd

from gammastack.files.band import read_band, with_radius, write_images
from gammastack.files.fits import read
from gammastack.files.layout import of_radius
from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.empty_sky import BINS, histogram, off_significance, off_statistics
from gammastack.maps.flux import flux, flux_maps
from gammastack.products import EXPOSURE
from gammastack.sky.geometry import ImageGeometry


def run(inputs, outputs, origin, *, image, radii, ul_confidence, n_sigma_sensitivity):
    geometry = ImageGeometry.create(**image)
    inputs = dict(inputs)
    mask = read(inputs.pop("mask"))["PRIMARY"].image > 0
    images, provenance, units = read_band(inputs, origin)
    integral = units["exposure"] == EXPOSURE[True]
    excess = images["counts"] - images["bkg"]
    maps = {"excess": excess, "flux": flux(excess, images["exposure"])}
    paths = {name: outputs[name] for name in maps}
    write_images(paths, maps, geometry, provenance, integral)
    rows, columns = [], {"from": BINS[:-1].round(3), "to": BINS[1:].round(3)}
    for suffix, radius in radii.items():
        in_pixels = radius.on(geometry)
        measured = counts_in_disk(images, in_pixels)
        exposure = mean_in_disk(images["exposure"], in_pixels)
        maps = flux_maps(measured, exposure, ul_confidence, n_sigma_sensitivity)
        maps["significance"] = measured.significance()
        if "off" in images:
            maps["alpha"] = measured.alpha
        more = {
            "ul_confidence": ul_confidence,
            "n_sigma_sensitivity": n_sigma_sensitivity,
        }
        cards = _summary(images, maps["significance"], geometry)
        of_maps = with_radius(provenance, radius, more, cards)
        write_images(of_radius(outputs, suffix), maps, geometry, of_maps, integral)
        significance, bkg = off_significance(images, mask, in_pixels)
        row = off_statistics(significance, bkg, in_pixels)
        rows.append({"radius": radius.label, **row})
        columns[radius.label] = histogram(significance)
    pd.DataFrame(rows).to_csv(outputs["off_statistics"], index=False)
    pd.DataFrame(columns).to_csv(outputs["off_histogram"], index=False)


def _summary(images, significance, geometry):
    """Return header cards with the sums and the peak of a band."""
    cards = [
        ("SUMCOUNT", int(images["counts"].sum()), "sum of the counts image"),
        ("SUMBKG", float(np.nansum(images["bkg"])), "sum of the bkg image"),
    ]
    if np.any(np.isfinite(significance)):
        y, x = np.unravel_index(np.nanargmax(significance), significance.shape)
        ra, dec = geometry.position(x, y)
        cards += [
            ("PEAK", float(significance[y, x]), "largest significance"),
            ("PEAK_RA", ra, "[deg] its ICRS position"),
            ("PEAK_DEC", dec, "[deg] its ICRS position"),
        ]
    return tuple(cards)
