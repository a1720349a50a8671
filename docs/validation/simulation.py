"""Simulated fields with known truth, in memory.

Of all runs of an experiment the pointings are the same, so that the images of responses
are made once, and the counts for each field.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gammastack.dl3.hdus import HDULocation
from gammastack.dl3.observation import EventList, Pointing, read_observation
from gammastack.dl3.simulate import (
    BackgroundModel,
    observation_hdus,
    simulate_events,
    simulated_runs,
)
from gammastack.files.gadf import write_hdus
from gammastack.runs.counts import counts_cube, select_events
from gammastack.runs.images import run_images
from gammastack.sky.geometry import ImageGeometry, field_of_view
from gammastack.stacking.stack import final_images, stack_runs

CENTER = 83.63, 22.01
WOBBLE = 0.7  # deg
OFFSET_BAND = 0.0, 2.0  # deg
BAND = 1.0, 10.0  # TeV
RADIUS = 0.1  # deg
MODEL = BackgroundModel(gradient=0.15)
IRF = {"method": "irf"}
RING = {"method": "ring", "r_in": 0.5, "width": 0.3}
PROCESSES = min(2, os.cpu_count())


@cache
def field_geometry(width=3.02):
    """An image with an odd number of pixels: its centre is the centre of a pixel."""
    return ImageGeometry.create(CENTER, "icrs", "TAN", (width, width), 0.02)


@cache
def in_pixels(radius):
    """An angle in deg as pixels along x and y."""
    return field_geometry().in_pixels(radius)


@cache
def example(model):
    """A simulated run without sources, read back from its file: time and responses."""
    (run,) = simulated_runs(CENTER, WOBBLE, 1, seed=0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.fits"
        write_hdus(path, observation_hdus(run, model, [], seed=0))
        classes = {"events": "events", "gti": "gti", "aeff": "aeff_2d", "bkg": "bkg_3d"}
        classes["psf"] = "psf_3gauss"
        return read_observation(
            run.obs_id,
            {
                kind: HDULocation(path, kind.upper(), hdu_class)
                for kind, hdu_class in classes.items()
            },
        )


def events_of(run, model, sources, seed):
    """Simulated events of a run as they would be read from its file."""
    table = simulate_events(run, model, sources, seed)
    columns = ("TIME", "RA", "DEC", "ENERGY")
    return EventList(*(np.asarray(table[name], float) for name in columns))


class Experiment:
    """Wobble runs on one position, of which any number of realisations can be made.

    Parameters
    ----------
    n_runs : int
    band : tuple of float
        In TeV.
    model : gammastack.dl3.simulate.BackgroundModel
        The background in the files.
    truth : gammastack.dl3.simulate.BackgroundModel, optional
        Of which the events are drawn; without it that in the files.
    sources : sequence of dict
        See `gammastack.dl3.simulate.simulate_events`.
    spectral_index : float
        Assumed for the exposure, as integral flux.
    responses : callable, optional
        Changes a `gammastack.dl3.observation.Observation` before its images are made.
    """

    def __init__(
        self,
        n_runs=4,
        band=BAND,
        model=MODEL,
        truth=None,
        sources=(),
        spectral_index=2.3,
        responses=None,
    ):
        self.n_runs, self.band, self.sources = n_runs, band, sources
        self.truth = model if truth is None else truth
        self._responses = responses
        self._observation = example(model)
        self._spectral_index = spectral_index
        self._parts = {}

    def runs(self, seed):
        """Truth of the runs: other norms for each seed."""
        return simulated_runs(CENTER, WOBBLE, self.n_runs, seed)

    def observation(self, run, events=None):
        """A run with the time and the responses of the example."""
        observation = replace(
            self._observation,
            obs_id=run.obs_id,
            pointing=Pointing(run.ra, run.dec),
            gti=type(self._observation.gti)(*map(np.array, run.gti())),
        )
        if events is not None:
            observation = replace(observation, events=events)
        return observation if self._responses is None else self._responses(observation)

    def _part(self, run):
        """Images of a run and the pixels that it sees."""
        place = run.ra, run.dec
        if place not in self._parts:
            (images,) = run_images(
                self.observation(run),
                field_geometry(),
                [self.band],
                OFFSET_BAND,
                spectral_index=self._spectral_index,
                for_integral_flux=True,
            )
            view = field_of_view(field_geometry(), *place, OFFSET_BAND)
            self._parts[place] = images, view
        return self._parts[place]

    def images(self, seed, runs=None):
        """Images of the runs of one realisation.

        Parameters
        ----------
        seed : int
        runs : list of gammastack.dl3.simulate.SimulatedRun, optional
            With other norms.

        Returns
        -------
        list of gammastack.runs.run.RunImages
        """
        return [self._realised(run, seed) for run in runs or self.runs(seed)]

    def _realised(self, run, seed):
        images, view = self._part(run)
        events = events_of(run, self.truth, self.sources, seed)
        observation = self.observation(run, events)
        selected = select_events(
            events, observation.gti, observation.pointing, self.band, OFFSET_BAND
        )
        return replace(
            images,
            obs_id=run.obs_id,
            counts=counts_cube(events, observation.gti, view, [self.band])[0],
            n_events=int(selected.sum()),
        )


def stacked(runs, mask=None, background=IRF, **options):
    """Images of a stack of runs, as users see them, and the records of the runs."""
    stack, records = stack_runs(
        field_geometry(), runs, mask, background=background, **options
    )
    return final_images(stack.images), records


def in_parallel(function, arguments):
    """Results of a function for each argument, in their order."""
    # Threads of the numerics libraries do not survive a fork
    context = get_context("forkserver")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        return list(pool.map(function, arguments, chunksize=5))
