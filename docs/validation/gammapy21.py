"""Fields of gammapy 2.1, and its recipes on the readers of this program."""

import json
from dataclasses import replace

import numpy as np
from astropy.io import fits

from gammastack.dl3.interpolation import log_centers
from gammastack.dl3.irf import _interpolate
from gammastack.dl3.observation import read_observation
from gammastack.runs.counts import counts_cube
from gammastack.runs.images import run_images
from gammastack.sky.exclusion import exclusion_mask
from gammastack.sky.geometry import ImageGeometry, field_of_view, icrs_position
from gammastack.stacking.norm import fit_bkg_norm
from gammastack.stacking.ring import RingBackground
from gammastack.stacking.stack import final_images


class Case:
    """A field of gammapy 2.1, with the background integrated exactly (`crab_exact`, ...)."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        self.params = json.loads((folder / "params.json").read_text())
        par = self.params["parameters"]
        self.band, self.offset_band = (par["emin"], par["emax"]), (0, par["offset_max"])
        center = icrs_position(par["lon"], par["lat"], par["frame"])
        width = tuple(n * par["binsz"] for n in par["npix"])
        self.geometry = ImageGeometry.create(
            center, par["frame"], par["proj"], width, par["binsz"]
        )
        self.exclusions = [
            {"center": (circle["ra"], circle["dec"]), "radius": circle["radius"]}
            for circle in par["exclusion"]
        ]
        self.obs_ids = par["runs"]

    def image(self, name):
        return fits.getdata(self.folder / f"{name}.fits.gz")

    def observation(self, obs_id):
        return read_observation(obs_id, self.store.hdus(obs_id))

    def run(self, obs_id):
        (images,) = run_images(
            self.observation(obs_id),
            self.geometry,
            [self.band],
            self.offset_band,
            for_integral_flux=True,
        )
        return images

    def on_field(self, images, values):
        image = np.zeros(self.geometry.shape)
        image[self.geometry.placement(images.geometry)] = values
        return image

    def exposure_in_40_bins(self, obs_id):
        """A at the log centres of the bins of the reference, with its weights."""
        observation = self.observation(obs_id)
        pointing = observation.pointing
        view = field_of_view(self.geometry, pointing.ra, pointing.dec, self.offset_band)
        edges = np.geomspace(*self.band, 41)
        offset = view.offset[view.selected]
        area = sum(
            weight * observation.aeff.evaluate(energy, offset)
            for weight, energy in zip(
                self.params["weights_true"],
                np.sqrt(edges[:-1] * edges[1:]),
                strict=True,
            )
        )
        return self.on_field(view, view.image(observation.livetime * area))


def events_outside_gti(case, run):
    """Selected events that the reference keeps outside the good time intervals."""
    observation = case.observation(run.obs_id)
    everything = np.array([-np.inf]), np.array([np.inf])
    gti = type(observation.gti)(*everything)
    pointing = observation.pointing
    view = field_of_view(case.geometry, pointing.ra, pointing.dec, case.offset_band)
    events = observation.events
    kept = counts_cube(events, gti, view, [case.band])[0]
    return kept - counts_cube(events, observation.gti, view, [case.band])[0]


def ring_of(case):
    par = case.params["parameters"]["ring"]
    return RingBackground.create(case.geometry.in_pixels, par["r_in"], par["width"])


def between_edges(bkg, edges):
    """A background that is a power law between energies: gammapy's integral over bins."""
    # Nodes of the responses are the centres of their bins
    at_edges = np.exp(
        _interpolate(log_centers(bkg.energy), bkg._log_rate, np.log(edges))
    )
    return replace(bkg, energy=(edges, edges), rate=at_edges)


def gammapy_run(case, obs_id):
    """Counts and background of a run on the whole image, as gammapy has them for a ring.

    Events are not cut on the good times, nothing is cut on the offset, and the
    background is integrated over 20 bins in energy.
    """
    observation = case.observation(obs_id)
    pointing, bkg = observation.pointing, observation.bkg
    edges = np.geomspace(*case.band, case.params["parameters"]["bkg_oversampling"] + 1)
    bkg = between_edges(bkg, edges)
    view = field_of_view(case.geometry, pointing.ra, pointing.dec, (0, 5))
    covered = np.maximum(np.abs(view.lon), np.abs(view.lat)) < bkg.lon[1][-1]
    rate = np.zeros(view.lon.shape)
    rate[covered] = bkg.band_rate(case.band, view.lon[covered], view.lat[covered])
    always = type(observation.gti)(np.array([-np.inf]), np.array([np.inf]))
    counts = counts_cube(observation.events, always, view, [case.band])[0]
    model = view.image(view.solid_angle * observation.ontime * rate)
    return (
        case.on_field(view, counts),
        case.on_field(view, model),
        case.on_field(view, view.offset < case.offset_band[1]) > 0,
    )


def rings_run_by_run(case):
    """gammapy's RingBackgroundMaker: the rings of each run, then the sums."""
    mask, _ = exclusion_mask(case.geometry, case.exclusions)
    ring = ring_of(case)
    kinds = ("counts", "acceptance", "off", "acceptance_off", "bkg")
    sums = {kind: np.zeros(case.geometry.shape) for kind in kinds}
    for obs_id in case.obs_ids:
        counts, model, selected = gammapy_run(case, obs_id)
        norm = fit_bkg_norm(counts, model, mask & selected)
        # gammapy has OFF counts also where there is no background
        acceptance = norm.scale * np.maximum(model, 1e-30)
        off, acceptance_off = ring.estimate(counts, acceptance, mask)
        of_run = {
            "counts": counts,
            "acceptance": acceptance,
            "off": off,
            "acceptance_off": acceptance_off,
            "bkg": acceptance * off / np.where(selected, acceptance_off, 1),
        }
        for kind, image in of_run.items():
            sums[kind] += np.where(selected, image, 0)
    return final_images({**sums, "model": sums["acceptance"]})
