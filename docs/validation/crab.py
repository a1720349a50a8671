"""Section 3.3: the flux of the Crab nebula against the published one."""

import numpy as np
from astropy.io import fits

from gammastack.dl3.hdus import hdu_types
from gammastack.dl3.observation import read_observation
from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.flux import flux_maps, point_flux_maps
from gammastack.runs.images import run_images
from gammastack.sky.exclusion import exclusion_mask
from gammastack.sky.kernels import radius_of_area
from gammastack.sky.sphere import separation, unit_vectors
from gammastack.stacking.stack import final_images, stack_runs
from validation.disks import PULL
from validation.gammapy_cases import case
from validation.report import table
from validation.simulation import IRF, RING

POSITION = 83.6333, 22.0145
BAND = 1.0, 100.0  # TeV
RADIUS = 0.3  # deg
INDEX = 2.6
INDICES = 2.4, INDEX, 2.8
# Largest difference of the two ways to correct for the point spread
POINT_TOLERANCE = 0.01
FAR = 1.0  # deg from the pointing
PER_M2 = 1e-7  # 1e-11 cm-2 s-1 in m-2 s-1
# Aharonian et al. (2006), DOI 10.1051/0004-6361:20065351: above 1 TeV, in 1e-11 cm-2 s-1
PUBLISHED, STATISTICAL, SYSTEMATIC = 2.26, 0.08, 0.45
# Nigro et al. (2019), DOI 10.1051/0004-6361/201834938: the same runs, fitted with gammapy.
# amplitude (E / TeV)^-(alpha + beta log10(E / TeV)) in 1e-11 cm-2 s-1 TeV-1, with the
# covariance of amplitude, alpha and beta in their results
LOG_PARABOLA = np.array([4.4744, 2.39290, 0.37193])
COVARIANCE = np.array(
    [
        [8.2361e-2, 2.20653e-2, -1.05218e-2],
        [2.20653e-2, 3.34039e-2, -3.65553e-2],
        [-1.05218e-2, -3.65553e-2, 5.01803e-2],
    ]
)


def log_parabola_flux(parameters):
    """Integral of a log parabola over the band."""
    amplitude, alpha, beta = parameters
    energy = np.geomspace(*BAND, 2001)
    spectrum = amplitude * energy ** -(alpha + beta * np.log10(energy))
    return np.trapezoid(spectrum * energy, np.log(energy))


def flux_of_same_runs():
    """Flux that was fitted to the same runs, and its error."""
    flux = log_parabola_flux(LOG_PARABOLA)
    steps = 1e-4 * np.eye(3)
    slope = [(log_parabola_flux(LOG_PARABOLA + one) - flux) / 1e-4 for one in steps]
    return flux, float(np.sqrt(slope @ COVARIANCE @ slope))


def point_spread(path):
    """Part of the point spread function in the disk, of what is in its table.

    Returns
    -------
    energy, offset : ndarray
        Nodes of the table in TeV and deg.
    in_disk : ndarray, shape (n_offset, n_energy)
    """
    psf = fits.getdata(path, "PSF")
    low, high = (np.radians(psf[f"RAD_{end}"][0].astype(float)) for end in ("LO", "HI"))
    density = psf["RPSF"][0].astype(float)

    def within(radius):
        edges = (np.clip(edge, None, np.radians(radius)) for edge in (low, high))
        inner, outer = (np.cos(edge) for edge in edges)
        return np.tensordot(2 * np.pi * (inner - outer), density, axes=1)

    energy = np.sqrt(psf["ENERG_LO"][0] * psf["ENERG_HI"][0])
    in_disk, in_table = within(RADIUS), within(180)
    # There is nothing below the threshold
    filled = in_table.min(axis=0) > 0
    return energy[filled], psf["THETA_LO"][0], in_disk[:, filled] / in_table[:, filled]


def offset_of(observation):
    """Angle in deg between the source and the pointing."""
    pointing = observation.pointing
    return separation(unit_vectors(*POSITION), unit_vectors(pointing.ra, pointing.dec))


def containment(observation, path, index):
    """Part of the gamma rays of a run that is found in the disk, and their number."""
    energy, nodes, in_disk = point_spread(path)
    offset = offset_of(observation)
    fine = np.geomspace(*BAND, 401)
    area = [observation.aeff.evaluate(e, np.array([offset]))[0] for e in fine]
    # Steps are equal in the logarithm of the energy
    weight = observation.livetime * np.array(area) * fine ** (1 - index)
    of_energy = [np.interp(offset, nodes, column) for column in in_disk.T]
    inside = np.interp(np.log(fine), np.log(energy), of_energy)
    return (weight @ inside) / weight.sum(), weight.sum()


def mean_containment(field, index):
    """Part of the gamma rays in the disk of all runs together."""
    parts = [
        containment(
            field.observation(obs_id), field.store.hdus(obs_id)["events"].path, index
        )
        for obs_id in field.obs_ids
    ]
    values, weights = np.transpose(parts)
    return np.average(values, weights=weights)


def fluxes(field, index, method):
    """Counts and background in the disk, and fluxes with errors in 1e-11 cm-2 s-1.

    The flux in the disk, that of a point source, and the mean exposure in the disk over that
    at the source.
    """
    types = hdu_types(("aeff", "bkg", "psf"))
    mask, _ = exclusion_mask(field.geometry, field.exclusions)
    runs = (
        run_images(
            read_observation(obs_id, field.store.hdus(obs_id, types)),
            field.geometry,
            [BAND],
            field.offset_band,
            spectral_index=index,
            for_integral_flux=True,
        )[0]
        for obs_id in field.obs_ids
    )
    radius = field.geometry.in_pixels(RADIUS)
    area = radius_of_area(radius, field.geometry)
    stack, _ = stack_runs(
        field.geometry, runs, mask, background=method, radii={"": area}
    )
    images = final_images(stack.images)
    measured = counts_in_disk(images, radius)
    exposure = mean_in_disk(images["exposure"], radius)
    maps = flux_maps(measured, exposure, confidence=0.95, n_sigma=5)
    contained = images["exposure"] * images["psf_containment"]
    maps |= point_flux_maps(maps, exposure, contained)
    ((row,), (column,), _) = field.geometry.pixel_index(*map(np.atleast_1d, POSITION))
    names = "flux_corr", "flux_corr_errn", "flux_corr_errp"
    names += "flux_point", "flux_point_errn", "flux_point_errp"
    n = measured.excess + measured.background
    counts = round(float(n[row, column])), float(measured.background[row, column])
    mean = float(exposure[row, column] / images["exposure"][row, column])
    return *counts, *(float(maps[name][row, column]) / PER_M2 for name in names), mean


def corrected(field, index, method):
    """Row of the first table; the flux of a point source, and its error."""
    inside = mean_containment(field, index)
    n, background, found, down, up, *point, mean = fluxes(field, index, method)
    by_hand = found * mean / inside
    row = (
        *(len(field.obs_ids), method["method"], index, n, f"{background:.1f}"),
        f"{found:.2f} -{down:.2f} +{up:.2f}",
        f"{inside:.4f}",
        f"{by_hand:.3f}",
        "{:.3f} -{:.2f} +{:.2f}".format(*point),
        abs(point[0] / by_hand - 1) <= POINT_TOLERANCE,
    )
    return row, point[0], max(point[1:])


def selections():
    """The runs at small and at large offsets of the source, by their description."""
    near, far = case("crab_exact"), case("crab_exact")
    is_far = {
        obs_id: offset_of(near.observation(obs_id)) > FAR for obs_id in near.obs_ids
    }
    near.obs_ids = [obs_id for obs_id, yes in is_far.items() if not yes]
    far.obs_ids = [obs_id for obs_id, yes in is_far.items() if yes]
    return {f"closer than {FAR:g} deg": near, f"farther than {FAR:g} deg": far}


def comparison(text, ours, theirs):
    """Row that compares two fluxes and their errors."""
    (flux, error), (published, *errors) = ours, theirs
    total = np.sqrt(error**2 + sum(one**2 for one in errors))
    pull = (flux - published) / total
    return (
        *(text, f"{flux:.2f} ± {error:.2f}"),
        " ± ".join(f"{value:.2f}" for value in theirs),
        *(f"{flux / published - 1:+.0%}", f"{pull:+.1f}", abs(pull) <= PULL),
    )


def section():
    """The section of the page."""
    field = case("crab_exact")
    settings = [(index, IRF) for index in INDICES] + [(INDEX, RING)]
    rows, *ours = zip(*(corrected(field, *one) for one in settings), strict=True)
    middle = [values[INDICES.index(INDEX)] for values in ours]
    published = PUBLISHED, STATISTICAL, SYSTEMATIC
    comparisons = [
        comparison("Nigro et al., the same runs", middle, flux_of_same_runs()),
        comparison("Aharonian et al.", middle, published),
    ]
    parts = {
        text: corrected(part, INDEX, IRF)[1:] for text, part in selections().items()
    }
    comparisons += [
        comparison(f"Aharonian et al., runs {text}", flux, published)
        for text, flux in parts.items()
    ]
    beyond = sum(abs(float(pull)) > 1 for *_, pull, _ in comparisons)
    (near, near_error), (far, far_error) = parts.values()
    ratio, error = far / near, far / near * np.hypot(near_error / near, far_error / far)
    columns = (
        "runs|background|index|counts|background counts|flux_corr|in the disk|corrected"
        "|flux_point|ok"
    )
    compared = "published by|found|published|difference|in errors|ok"
    low, high = BAND
    return f"""\
### 3.3 Flux of the Crab nebula

{len(field.obs_ids)} runs, {low:g} to {high:g} TeV, in a disk of {RADIUS} deg as integral flux in 1e-11 cm-2 s-1. `flux_point` is that of the workflow, without
a correction by hand. For comparison, corrected: `flux_corr` with the exposure at the source in place of the mean in the disk, divided by the part of the point spread function in a circle, computed here
from the `PSF` tables of the runs at the offset of the source; the two may differ by {POINT_TOLERANCE:.0%}.

{table(columns.split("|"), rows)}

Published fluxes above {low:g} TeV with their errors: Aharonian et al. 2006, statistical and systematic
([DOI 10.1051/0004-6361:20065351](https://doi.org/10.1051/0004-6361:20065351)), from other observations; Nigro et al. 2019
([DOI 10.1051/0004-6361/201834938](https://doi.org/10.1051/0004-6361/201834938)), statistical, the integral of the log parabola that gammapy fitted to the spectrum of the same runs with
energy dispersion. Found: `flux_point`, index {INDEX}, background irf. A difference may be up to {PULL:g} errors, ours and theirs together.

{table(compared.split("|"), comparisons)}

{beyond} of the {len(comparisons)} differences are larger than one error. Not corrected: energy dispersion, gamma rays above {high:g} TeV, the curvature of the spectrum. The runs farther than {FAR:g} deg give {ratio:.2f} ± {error:.2f} times
the flux of the others with the effective areas of the release; how far the exposure is that of gammapy, section 3.2 says. This is a test of the program, no measurement of the source.
"""
