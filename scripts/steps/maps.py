"""Make the maps of a field in one energy band, and find candidates for sources in them."""

import pandas as pd

from gammastack.files.band import ImageWriter, read_band, with_radius
from gammastack.files.candidates import write_candidates, write_regions
from gammastack.files.fits import read
from gammastack.files.layout import of_radius
from gammastack.maps.candidates import find_candidates
from gammastack.maps.empty_sky import BINS, not_as_expected
from gammastack.maps.flux import flux
from gammastack.maps.in_disks import MapsInDisks
from gammastack.products import EXPOSURE, FLUX
from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.kernels import reach
from gammastack.sky.strips import strips


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
    mask = _rows(inputs.pop("mask"))
    images, provenance, units = read_band(inputs, origin)
    integral = units.get("exposure") == EXPOSURE[True]
    settings = {
        "ul_confidence": ul_confidence,
        "n_sigma_sensitivity": n_sigma_sensitivity,
    }
    in_disks = {
        suffix: MapsInDisks(radius.on(geometry), **settings)
        for suffix, radius in radii.items()
    }

    def described(suffix):
        radius, cards = radii[suffix], in_disks[suffix].cards(geometry)
        return with_radius(provenance, radius, settings, cards)

    names = ["excess", "flux"] if "exposure" in images else ["excess"]
    paths = {name: outputs[name] for name in names}
    plain = ImageWriter(paths, geometry, provenance, integral)
    writers = {
        suffix: ImageWriter(
            of_radius(outputs, suffix), geometry, described(suffix), integral
        )
        for suffix in radii
    }
    margin = max(reach(radius.on(geometry)) for radius in radii.values())
    for strip in strips(geometry.shape, margin):
        parts = {name: rows(strip.around) for name, rows in images.items()}
        use = mask(strip.around) > 0
        plain.add(_without_radius(parts, strip))
        for suffix, writer in writers.items():
            images_of = {**parts, **_contained(parts, suffix)}
            writer.add(in_disks[suffix].maps(images_of, use, strip))
    plain.finish(provenance)
    for suffix, writer in writers.items():
        writer.finish(described(suffix))
    off = {radius.label: in_disks[suffix].off for suffix, radius in radii.items()}
    warnings = _write_statistics(outputs, off, geometry)
    significances = {
        radius.label.replace(" ", ""): _rows(of_radius(outputs, suffix)["significance"])
        for suffix, radius in radii.items()
    }
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


def _rows(path):
    """Return the function that returns rows of the image in a file."""
    return read(path)["PRIMARY"].rows


def _contained(images, suffix):
    """Return the part of the point spread in the disks of a radius, if it is known."""
    name = f"psf_containment{suffix}"
    return {"psf_containment": images[name]} if name in images else {}


def _without_radius(images, strip):
    """Return the maps of a strip that have no correlation radius."""
    excess = images["counts"] - images["bkg"]
    maps = {"excess": excess}
    if "exposure" in images:
        maps["flux"] = flux(excess, images["exposure"])
    return {name: strip.inner(image) for name, image in maps.items()}


def _write_statistics(outputs, off, geometry):
    """Write the tables on empty sky; return what is not as expected of it.

    Parameters
    ----------
    outputs : dict of str to str
    off : dict of str to gammastack.maps.empty_sky.OffStatistics
        By the label of the radius.
    geometry : gammastack.sky.geometry.ImageGeometry
    """
    rows = {label: statistics.row() for label, statistics in off.items()}
    table = [{"radius": label, **row} for label, row in rows.items()]
    pd.DataFrame(table).to_csv(outputs["off_statistics"], index=False)
    columns = {"from": BINS[:-1].round(3), "to": BINS[1:].round(3)}
    columns |= {label: statistics.histogram for label, statistics in off.items()}
    pd.DataFrame(columns).to_csv(outputs["off_histogram"], index=False)
    warnings = []
    for label, row in rows.items():
        if odd := not_as_expected(row):
            where = geometry.position(*off[label].peak[1:])
            warnings.append(
                f"radius {label}: {odd}; the largest value is at RA {where[0]:.3f},"
                f" Dec {where[1]:+.3f}: exclude what is there, or search for sources with"
                " exclusion_mask: [{threshold: 5}]"
            )
    return warnings


def _too_many(search, threshold):
    """Describe candidates that were left out, if any were."""
    if search["n_found"] > search["n_kept"]:
        yield (
            f"{search['n_found']} peaks are above {threshold:g} sigma, of which"
            f" the {search['n_kept']} most significant ones are kept; is the background"
            " right?"
        )
