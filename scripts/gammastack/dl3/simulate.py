"""Simulated DL3 observations with known truth, in valid GADF files.

The instrument is fictitious, similar to today's arrays. All of its responses
are closed formulas, so that expected counts can be computed by hand.
"""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from gammastack.dl3.hdus import GADF
from gammastack.dl3.spectrum import power_law_integral
from gammastack.dl3.zenith import SECONDS_PER_DAY, zenith_angle

FIRST_OBS_ID = 1001
ENERGY_RANGE = 0.3, 100.0  # TeV
FOV_HALF_WIDTH = 3.0  # deg
ONTIME, GAP, DEADC = 1680.0, 60.0, 0.95  # s, s, livetime per ontime
PSF_SIGMA = 0.06  # deg
ENERGY_RESOLUTION = 0.1
MJDREF = 59000
FIRST_START, SIDEREAL_DAY, DELAY = 1e6, 86164.1, 900.0  # s
LA_PALMA = {"GEOLON": -17.8920, "GEOLAT": 28.7619, "ALTITUDE": 2200.0}
TELESCOPE = {"TELESCOP": "GAMMASTACK", "INSTRUME": "SIMULATION", "ORIGIN": "gammastack"}
TIME = {
    "MJDREFI": MJDREF,
    "MJDREFF": 0.0,
    "TIMEUNIT": "s",
    "TIMESYS": "TT",
    "TIMEREF": "LOCAL",
}


@dataclass(frozen=True)
class SimulatedRun:
    """Truth of one simulated run: its pointing, time and background norm.

    Attributes
    ----------
    obs_id : int
    ra, dec : float
        Pointing in deg.
    start : float
        In s since MJDREF.
    norm : float
        True background rate over the rate in the file.
    """

    obs_id: int
    ra: float
    dec: float
    start: float
    norm: float

    @property
    def zenith(self):
        """Return the zenith angle in deg in the middle of the run; it has no influence on it."""
        mjd = MJDREF + (self.start + self.stop) / 2 / SECONDS_PER_DAY
        site = tuple(LA_PALMA.values())
        return float(zenith_angle(self.ra, self.dec, mjd, TIME["TIMESYS"], site)[0])

    @property
    def stop(self):
        """Return the end of the run, including the gap between the good time intervals."""
        return self.start + ONTIME + GAP

    def gti(self):
        """Return the start and stop of the two good time intervals."""
        middle = self.start + ONTIME / 2
        return [self.start, middle + GAP], [middle, self.stop]


def simulated_runs(center, wobble, n_runs, seed):
    """Return runs that wobble in turn to the north, south, east and west of a position."""
    rng = np.random.default_rng(seed)
    center = SkyCoord(*center, unit="deg")
    pointings = center.directional_offset_by(
        np.array([0, 180, 90, 270])[np.arange(n_runs) % 4] * u.deg, wobble * u.deg
    )
    norms = rng.uniform(0.8, 1.2, n_runs).round(3)
    # A run each night, and each one a little farther from culmination
    starts = FIRST_START + (SIDEREAL_DAY + DELAY) * np.arange(n_runs)
    return [
        SimulatedRun(*truth)
        for truth in zip(
            range(FIRST_OBS_ID, FIRST_OBS_ID + n_runs),
            pointings.ra.deg.tolist(),
            pointings.dec.deg.tolist(),
            starts.tolist(),
            norms.tolist(),
            strict=True,
        )
    ]


def effective_area(energy, offset):
    """Return the effective area in m2 at a true energy in TeV and an offset in deg."""
    return 4e5 * (1 - np.exp(-energy / 0.8)) * np.exp(-0.5 * (offset / 2.2) ** 2)


@dataclass(frozen=True)
class BackgroundModel:
    """Rate in s-1 TeV-1 sr-1: power law in energy, Gaussian with a gradient in position.

    ``amplitude E^-index exp(-(lon^2 + lat^2) / (2 width^2) + gradient lat)``.
    """

    gradient: float
    amplitude: float = 450.0
    index: float = 2.7
    width: float = 1.7

    def rate(self, energy, lon, lat):
        """Return the rate at an energy in TeV and a field-of-view position in deg."""
        shape = -(lon**2 + lat**2) / (2 * self.width**2) + self.gradient * lat
        return self.amplitude * energy**-self.index * np.exp(shape)

    def sample(self, rng, ontime, norm):
        """Draw the energies and field-of-view positions of the events of a run.

        ``exp(-lat^2 / (2 w^2) + g lat)`` is a Gaussian around ``g w^2`` times
        ``exp(g^2 w^2 / 2)``; events outside the field of view are thrown away, and the
        solid angle ``cos(lat)`` is applied by rejection.
        """
        peak = np.exp(0.5 * (self.gradient * self.width) ** 2)
        area = 2 * np.pi * np.radians(self.width) ** 2 * peak
        rate = self.amplitude * power_law_integral(ENERGY_RANGE, self.index, 1.0) * area
        n = rng.poisson(norm * ontime * rate)
        lon = rng.normal(0, self.width, n)
        lat = rng.normal(self.gradient * self.width**2, self.width, n)
        energy = sample_power_law(rng, self.index, n)
        keep = (np.abs(lon) < FOV_HALF_WIDTH) & (np.abs(lat) < FOV_HALF_WIDTH)
        keep &= rng.uniform(size=n) < np.cos(np.radians(lat))
        return energy[keep], lon[keep], lat[keep]


def sample_power_law(rng, index, n):
    """Draw energies in TeV, distributed as E^-index over `ENERGY_RANGE`."""
    low, high = (edge ** (1 - index) for edge in ENERGY_RANGE)
    return (low + rng.uniform(size=n) * (high - low)) ** (1 / (1 - index))


def _source_events(rng, run, source):
    """Draw reconstructed energies and positions of the gamma rays of a source in a run."""
    center = SkyCoord(*source["center"], unit="deg")
    pointing = SkyCoord(run.ra, run.dec, unit="deg")
    largest = effective_area(ENERGY_RANGE[1], 0.0)
    flux = source["flux"] * 1e4 * power_law_integral(ENERGY_RANGE, source["index"], 1.0)
    n = rng.poisson(flux * largest * (ONTIME + GAP))
    energy = sample_power_law(rng, source["index"], n)
    true = center.directional_offset_by(
        rng.uniform(0, 360, n) * u.deg, rng.rayleigh(source["sigma"], n) * u.deg
    )
    area = effective_area(energy, true.separation(pointing).deg)
    keep = rng.uniform(size=n) < area / largest
    seen = true[keep].directional_offset_by(
        rng.uniform(0, 360, keep.sum()) * u.deg,
        rng.rayleigh(PSF_SIGMA, keep.sum()) * u.deg,
    )
    return energy[keep] * rng.normal(1, ENERGY_RESOLUTION, keep.sum()), seen


def simulate_events(run, model, sources, seed):
    """Simulate the event list of a run, with events in the gap between the intervals, too.

    Returns
    -------
    astropy.table.Table
        GADF columns.
    """
    rng = np.random.default_rng([seed, run.obs_id])
    energy, lon, lat = model.sample(rng, ONTIME + GAP, run.norm)
    frame = SkyCoord(run.ra, run.dec, unit="deg").skyoffset_frame()
    # In GADF the field-of-view longitude grows to the west.
    background = SkyCoord(-lon, lat, unit="deg", frame=frame).icrs
    energies, positions = [energy], [background]
    for source in sources:
        energy, position = _source_events(rng, run, source)
        energies.append(energy)
        positions.append(position)
    energy = np.concatenate(energies)
    # Dead time loses an event with the same probability at any time.
    time = rng.uniform(run.start, run.stop, energy.size)
    alive = np.concatenate(
        [np.ones(energies[0].size, bool)]
        + [rng.uniform(size=part.size) < DEADC for part in energies[1:]]
    )
    order = np.argsort(time[alive])
    columns = {
        "TIME": time * u.s,
        "RA": np.concatenate([part.ra.deg for part in positions]) * u.deg,
        "DEC": np.concatenate([part.dec.deg for part in positions]) * u.deg,
        "ENERGY": energy * u.TeV,
    }
    table = Table({name: values[alive][order] for name, values in columns.items()})
    table.add_column(np.arange(len(table)), name="EVENT_ID", index=0)
    return table


def _axis(name, edges, unit):
    edges = np.asarray(edges, dtype=np.float32)
    return {f"{name}_LO": edges[None, :-1] * unit, f"{name}_HI": edges[None, 1:] * unit}


def _centers(edges, log=False):
    return np.sqrt(edges[:-1] * edges[1:]) if log else (edges[:-1] + edges[1:]) / 2


def _response(name, columns, classes):
    hdu = fits.BinTableHDU(Table(columns), name=name)
    hdu.header.update({**GADF, **TELESCOPE, "HDUCLAS1": "RESPONSE"})
    for number, value in enumerate(classes, 2):
        hdu.header[f"HDUCLAS{number}"] = value
    return hdu


def responses(model):
    """Return HDUs with effective area, energy dispersion, PSF and background.

    Arrays have the axis order that GADF recommends: the energy is the fastest.
    """
    offset = np.arange(0, 4.6, 0.1)
    energy = np.geomspace(0.1, 200, 67)
    e, t = _centers(energy, log=True), _centers(offset)
    area = effective_area(e, t[:, None])
    axes = {**_axis("ENERG", energy, u.TeV), **_axis("THETA", offset, u.deg)}
    full = "FULL-ENCLOSURE"
    aeff = _response(
        "AEFF",
        {**axes, "EFFAREA": area[None].astype(np.float32) * u.m**2},
        ("EFF_AREA", full, "AEFF_2D"),
    )
    migra = np.linspace(0.2, 1.8, 81)
    pdf = np.exp(-0.5 * ((_centers(migra) - 1) / ENERGY_RESOLUTION) ** 2)
    pdf /= np.sum(pdf * np.diff(migra))
    # It is the same everywhere, but gammapy needs two bins of the offset.
    halves = offset[[0, len(offset) // 2, -1]]
    matrix = np.broadcast_to(pdf[:, None], (2, len(pdf), len(e)))
    edisp = _response(
        "EDISP",
        {
            **_axis("ENERG", energy, u.TeV),
            **_axis("MIGRA", migra, u.one),
            **_axis("THETA", halves, u.deg),
            "MATRIX": matrix[None].astype(np.float32),
        },
        ("EDISP", full, "EDISP_2D"),
    )
    flat = np.ones((1, len(t), len(e)), dtype=np.float32)
    amplitude = flat / (2 * np.pi * np.radians(PSF_SIGMA) ** 2)
    gauss = {
        "SCALE": amplitude / u.sr,
        "SIGMA_1": PSF_SIGMA * flat * u.deg,
        "AMPL_2": 0 * flat,
        "SIGMA_2": 0 * flat * u.deg,
        "AMPL_3": 0 * flat,
        "SIGMA_3": 0 * flat * u.deg,
    }
    psf = _response("PSF", {**axes, **gauss}, ("RPSF", full, "PSF_3GAUSS"))
    energy, fov = (
        np.geomspace(*ENERGY_RANGE, 31),
        np.linspace(-1, 1, 61) * FOV_HALF_WIDTH,
    )
    x = _centers(fov)
    rate = model.rate(_centers(energy, log=True), x[:, None], x[:, None, None])
    bkg = _response(
        "BKG",
        {
            **_axis("ENERG", energy, u.TeV),
            **_axis("DETX", fov, u.deg),
            **_axis("DETY", fov, u.deg),
            "BKG": (rate[None] * u.Unit("s-1 TeV-1 sr-1")).to("s-1 MeV-1 sr-1"),
        },
        ("BKG", full, "BKG_3D"),
    )
    bkg.header["FOVALIGN"] = "RADEC"
    return [aeff, edisp, psf, bkg]


def observation_header(run):
    """Return the header keys of the EVENTS HDU of a run."""
    return {
        **GADF,
        **TELESCOPE,
        **TIME,
        **LA_PALMA,
        "HDUCLAS1": "EVENTS",
        "OBS_ID": run.obs_id,
        "OBJECT": "simulated field",
        "OBS_MODE": "POINTING",
        "RADECSYS": "ICRS",
        "EQUINOX": 2000.0,
        "RA_PNT": run.ra,
        "DEC_PNT": run.dec,
        "TSTART": run.start,
        "TSTOP": run.stop,
        "ONTIME": ONTIME,
        "LIVETIME": ONTIME * DEADC,
        "DEADC": DEADC,
        "BKG_NORM": (run.norm, "simulated background over the BKG HDU"),
    }


def observation_hdus(run, model, sources, seed):
    """Return all HDUs of a run."""
    events = fits.BinTableHDU(simulate_events(run, model, sources, seed), name="EVENTS")
    events.header.update(observation_header(run))
    start, stop = run.gti()
    gti = fits.BinTableHDU(
        Table({"START": start * u.s, "STOP": stop * u.s}), name="GTI"
    )
    gti.header.update({**GADF, **TIME, "HDUCLAS1": "GTI"})
    return [fits.PrimaryHDU(), events, gti, *responses(model)]


def simulated_index(center, wobble, n_runs, seed, **_):
    """Return the observation index and the HDU index of a store with one file per run."""
    runs = simulated_runs(center, wobble, n_runs, seed)
    return index_hdus(runs, [f"run_{run.obs_id}.fits" for run in runs])


def index_hdus(runs, file_names):
    """Return the observation index and the HDU index of simulated runs."""
    keys = ("OBS_ID", "OBJECT", "TSTART", "TSTOP", "ONTIME", "LIVETIME", "DEADC")
    headers = [observation_header(run) for run in runs]
    observations = Table({key: [header[key] for header in headers] for key in keys})
    for key, name in (("RA_PNT", "ra"), ("DEC_PNT", "dec")):
        observations[key] = [getattr(run, name) for run in runs] * u.deg
    for key in ("TSTART", "TSTOP", "ONTIME", "LIVETIME"):
        observations[key].unit = "s"
    observations["ZEN_PNT"] = [run.zenith for run in runs] * u.deg
    classes = {
        "events": "events",
        "gti": "gti",
        "aeff": "aeff_2d",
        "edisp": "edisp_2d",
        "psf": "psf_3gauss",
        "bkg": "bkg_3d",
    }
    rows = [
        (run.obs_id, kind, hdu_class, "", name, kind.upper())
        for run, name in zip(runs, file_names, strict=True)
        for kind, hdu_class in classes.items()
    ]
    names = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
    hdus = []
    for table, name, kind in (
        (observations, "OBS_INDEX", "OBS"),
        (Table(rows=rows, names=names), "HDU_INDEX", "HDU"),
    ):
        hdu = fits.BinTableHDU(table, name=name)
        hdu.header.update({**GADF, **TELESCOPE, "HDUCLAS1": "INDEX", "HDUCLAS2": kind})
        hdus.append(hdu)
    hdus[0].header.update(TIME)
    return hdus
