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
    mask = read(inputs.pop("mask"))["PRIMARY"].rows
    images, provenance, units = read_band(inputs, origin)
    integral = units.get("exposure") == EXPOSURE[True]
    settings = {
        "ul_confidence": ul_confidence,
        "n_sigma_sensitivity": n_sigma_sensitivity,
    }
    names = ["excess", "flux"] if "exposure" in images else ["excess"]
    paths = {name: outputs[name] for name in names}
    plain = ImageWriter(paths, geometry, provenance, integral)
    in_disks = {
        suffix: MapsInDisks(radius.on(geometry), **settings)
        for suffix, radius in radii.items()
    }

    def described(suffix):
        radius, cards = radii[suffix], in_disks[suffix].cards(geometry)
        return with_radius(provenance, radius, settings, cards)

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
        excess = parts["counts"] - parts["bkg"]
        maps = {"excess": strip.inner(excess)}
        if "exposure" in parts:
            maps["flux"] = strip.inner(flux(excess, parts["exposure"]))
        plain.add(maps)
        for suffix, writer in writers.items():
            writer.add(in_disks[suffix].maps(parts, use, strip))
    plain.finish(provenance)
    warnings, rows, columns = [], [], {}
    for suffix, radius in radii.items():
        found = in_disks[suffix]
        writers[suffix].finish(described(suffix))
        row = {"radius": radius.label, **found.off.row()}
        rows.append(row)
        columns[radius.label] = found.off.histogram
        if odd := not_as_expected(row):
            where = geometry.position(*found.off.peak[1:])
            warnings.append(
                f"radius {radius.label}: {odd}; the largest value is at RA {where[0]:.3f},"
                f" Dec {where[1]:+.3f}: exclude what is there, or search for sources with"
                " exclusion_mask: [{threshold: 5}]"
            )
    edges = {"from": BINS[:-1].round(3), "to": BINS[1:].round(3)}
    pd.DataFrame(rows).to_csv(outputs["off_statistics"], index=False)
    pd.DataFrame(edges | columns).to_csv(outputs["off_histogram"], index=False)
    radius = next(iter(radii.values()))
    significances = {
        radius.label.replace(" ", ""): read(of_radius(outputs, suffix)["significance"])[
            "PRIMARY"
        ].rows
        for suffix, radius in radii.items()
    }
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
