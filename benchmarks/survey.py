"""What a survey of the Galactic plane costs: N runs in images of 9400 x 500 pixels.

For each N: all maps from the start, nothing to do, one more night of 20 runs, a new exclusion
region, and a new radius. The runs are simulated: background only, with the responses of all of
them in one file. The result is a Markdown table on the standard output, and the exponents of
the growth of time from the smallest to the largest N.
"""

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from math import log
from pathlib import Path

import numpy as np
import yaml
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from measure import measure

from compare import NOT_COPIED

HERE = Path(__file__).resolve().parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
NIGHT = 20
KNOWN, NEW = (
    {"center": {"galactic": [longitude, 0.0]}, "radius": "0.3 deg"}
    for longitude in (0.0, 1.0)
)
FIELD = {
    "datastore": "store",
    "center": {"galactic": [0.0, 0.0]},
    "frame": "galactic",
    "projection": "CAR",
    "width": ["188 deg", "10 deg"],
    "binsz": "0.02 deg",
    "energy_bands": [["1 TeV", "10 TeV"]],
    "exclusion_mask": [KNOWN],
    "radius": "0.1 deg",
}
COLUMNS = [
    *("N", "update", "wall time, s", "CPU time, s", "largest process, MB"),
    *("all processes, MB", "files", "GB"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--cores", default="2")
    parser.add_argument("--binsz", default=FIELD["binsz"], help="size of a pixel")
    parser.add_argument("--width", nargs=2, default=FIELD["width"], metavar="ANGLE")
    parser.add_argument("--cold", action="store_true", help="without updates")
    parser.add_argument("--scratch", help="folder for temporary files, 1.5 MB per run")
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}", sep="\n")
    seconds = {}
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        image = {"binsz": arguments.binsz, "width": arguments.width}
        survey = Survey(Path(scratch) / "project", arguments.cores, image)
        for n_runs in sorted(arguments.runs):
            updates = survey.updates(n_runs)
            for name, measured in islice(updates, 1) if arguments.cold else updates:
                n_files, size = survey.on_disk()
                row = (
                    *(n_runs, name, f"{measured.seconds:.1f}"),
                    f"{measured.cpu_seconds:.1f}",
                    *(f"{measured.process_mb:.0f}", f"{measured.tree_mb:.0f}"),
                    *(n_files, f"{size / 1e9:.2f}"),
                )
                print(f"| {' | '.join(map(str, row))} |", flush=True)
                seconds.setdefault(name, []).append(measured.seconds)
    factor = log(max(arguments.runs) / min(arguments.runs))
    for name, times in seconds.items():
        if factor:
            print(f"\n{name}: N^{log(times[-1] / times[0]) / factor:.2f}")


class Survey:
    """A project with a store that grows."""

    def __init__(self, project, cores, image):
        self.project, self.cores = project, cores
        self.field = {**FIELD, **image}
        shutil.copytree(HERE.parent, project, ignore=NOT_COPIED)
        sys.path.insert(0, str(project / "scripts"))

    def updates(self, n_runs):
        """Yield the name and the `measure.Measurement` of each update."""
        for name in ("results", ".snakemake", "store"):
            shutil.rmtree(self.project / name, ignore_errors=True)
        self.store(n_runs)
        yield "cold", self.make()
        yield "nothing to do", self.make()
        self.store(n_runs + NIGHT)
        yield "one more night", self.make()
        yield "a new exclusion", self.make(exclusion_mask=[KNOWN, NEW])
        radii = ["0.1 deg", "0.2 deg"]
        yield "a new radius", self.make(exclusion_mask=[KNOWN, NEW], radius=radii)

    def store(self, n_runs):
        """Write the files of runs that are not there yet, and the index."""
        from gammastack.dl3.simulate import index_hdus, responses
        from gammastack.files.gadf import write_hdus

        store = self.project / "store"
        store.mkdir(exist_ok=True)
        runs = pointings(n_runs)
        new = [run for run in runs if not (store / f"run_{run.obs_id}.fits").exists()]
        with ProcessPoolExecutor() as pool:
            list(pool.map(write_run, [store] * len(new), new, chunksize=50))
        write_hdus(store / "irf.fits", responses(background()))
        tables = index_hdus(runs, [f"run_{run.obs_id}.fits" for run in runs])
        hdus = tables[1].data
        of_responses = ~np.isin(hdus["HDU_TYPE"], ["events", "gti"])
        hdus["FILE_NAME"][of_responses] = "irf.fits"
        for name, table in zip(("obs-index", "hdu-index"), tables, strict=True):
            write_hdus(store / f"{name}.fits.gz", [table])

    def make(self, **changes):
        """Run the workflow and measure it."""
        config = {"fields": {"plane": {**self.field, **changes}}}
        (self.project / "config" / "config.yaml").write_text(yaml.safe_dump(config))
        command = [SNAKEMAKE, "--cores", self.cores]
        return measure(command, self.project / "invocation.log", cwd=self.project)

    def on_disk(self):
        """Return number and size of the files of results and records."""
        files = [
            path
            for name in ("results", ".snakemake")
            for path in (self.project / name).rglob("*")
            if path.is_file()
        ]
        return len(files), sum(path.stat().st_size for path in files)


def pointings(n_runs):
    """Return the first runs of the survey; those of a night are near each other."""
    from gammastack.dl3.simulate import SimulatedRun

    nights = []
    for night in range(-(-n_runs // NIGHT)):
        # Later nights do not change earlier ones.
        rng = np.random.default_rng(night)
        nights.append(rng.normal([rng.uniform(-90, 90), 0], 1, (NIGHT, 2)))
    longitude, latitude = np.concatenate(nights)[:n_runs].T
    position = SkyCoord(longitude, latitude, unit=u.deg, frame="galactic").icrs
    return [
        SimulatedRun(1001 + number, ra, dec, 1e6 + 2000.0 * number, 1.0)
        for number, (ra, dec) in enumerate(
            zip(position.ra.deg.tolist(), position.dec.deg.tolist(), strict=True)
        )
    ]


def background():
    """Return the true background: a tenth of that of the demo, so that files are small."""
    from gammastack.dl3.simulate import BackgroundModel

    return BackgroundModel(gradient=0.1, amplitude=45.0)


def write_run(store, run):
    """Write events and good time intervals of a run."""
    from gammastack.dl3.simulate import observation_hdus

    hdus = fits.HDUList(observation_hdus(run, background(), [], seed=1)[:3])
    hdus.writeto(store / f"run_{run.obs_id}.fits")


if __name__ == "__main__":
    main()
