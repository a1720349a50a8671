"""Time of the datasets of the H.E.S.S. DL3 release, cold and with one more run, and of gammapy's.

    python benchmarks/datasets.py --gammapy-python gammapy-env/bin/python

gammapy keeps nothing: after one more run it needs the time of all again. With ``--runs 100 400``
it tells instead what a dataset of as many simulated runs takes.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from measure import measure

from compare import ATTEMPTS, CONFIG, HERE, NOT_COPIED, SNAKEMAKE, STORE

sys.path.insert(0, str(HERE.parent / "scripts"))
from gammastack.config.fields import read_config
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.selection import select_observations

DATASET = {
    "energy": {"min": "0.5 TeV", "max": "50 TeV", "bins": 12},
    "energy_true": {"min": "0.3 TeV", "max": "100 TeV", "bins": 24},
}
DEMO = "config/config.yaml"
# It is added to the others.
NEW_RUN = "crab", 23592


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--gammapy-python", help="python of an environment with gammapy"
    )
    parser.add_argument("--data", default=os.environ.get("GAMMAPY_DATA"), type=Path)
    parser.add_argument("--oversampling", type=int, help="of gammapy's background")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--fields", help="names with commas between, instead of all")
    parser.add_argument("--runs", type=int, nargs="+", help="simulated ones instead")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        if arguments.runs:
            print(table(dict(growth(scratch, arguments))))
            return
        project = Datasets(scratch, arguments)
        times = [project.repeat(number) for number in range(arguments.repeats)]
        rows = {name: [time[name] for time in times] for name in times[0]}
        if arguments.gammapy_python:
            name = f"gammapy 2.1, {arguments.cores} jobs"
            peer = arguments.gammapy_python, arguments.oversampling
            rows[name] = [project.gammapy(*peer)]
        print(table(rows))


class Datasets:
    """A copy of the project that makes the datasets of all fields."""

    def __init__(self, scratch, arguments):
        self.scratch, self.cores = scratch, arguments.cores
        self.environment = {**os.environ, "GAMMAPY_DATA": str(arguments.data)}
        self.store = arguments.data / STORE
        self.folder = scratch / "project"
        shutil.copytree(HERE.parent, self.folder, ignore=NOT_COPIED)
        settings = yaml.safe_load((self.folder / CONFIG).read_text())
        if arguments.fields:
            names = arguments.fields.split(",")
            settings["fields"] = {name: settings["fields"][name] for name in names}
        self.settings = {**settings, "datastore": str(self.store), "dataset": DATASET}
        self.write(self.settings)
        self.targets = [
            f"results/{name}/dataset.fits.gz" for name in settings["fields"]
        ]

    def write(self, settings):
        text = yaml.safe_dump(settings, sort_keys=False)
        (self.folder / CONFIG).write_text(text)

    def repeat(self, number):
        """Measure a cold build without a run, that run added, and nothing to do."""
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        field, obs_id = NEW_RUN
        fields = self.settings["fields"]
        before = {**fields[field]}
        before["observations"] = {**before["observations"], "exclude": [obs_id]}
        self.write({**self.settings, "fields": {**fields, field: before}})
        times = {"all but one run, cold": self.snakemake(number)}
        self.write(self.settings)
        times["one run more"] = self.snakemake(number)
        times["nothing to do"] = self.snakemake(number)
        return times

    def snakemake(self, number):
        command = [SNAKEMAKE, "--cores", self.cores, *self.targets]
        command += ["--configfile", CONFIG]
        log = self.scratch / f"log{number}"
        return measure([*map(str, command)], log, cwd=self.folder, env=self.environment)

    def gammapy(self, python, oversampling):
        """Measure gammapy once."""
        path = self.scratch / "fields.json"
        path.write_text(json.dumps({name: values for name, values in self.fields()}))
        command = [python, HERE / "gammapy_datasets.py", path, self.scratch / "gammapy"]
        command += ["--jobs", str(self.cores)]
        if oversampling:
            command += ["--oversampling", str(oversampling)]
        for attempt in range(ATTEMPTS):
            try:
                return measure(
                    [*map(str, command)], self.scratch / "log", time_limit=7200
                )
            except subprocess.CalledProcessError as error:
                print(f"attempt {attempt + 1}: {error}", file=sys.stderr)
        raise SystemExit("gammapy failed too often")

    def fields(self):
        """Yield what gammapy needs to know of each field."""
        store = DataStore.from_dir(self.store)
        for name, field in read_config(self.settings).fields.items():
            center = field.image["center"]
            circles = [item for item in field.exclusion_mask if "radius" in item]
            yield (
                name,
                {
                    **field.image,
                    **field.dataset,
                    "store": str(self.store),
                    "obs_ids": select_observations(store, field.observations, center),
                    "offset_max": field.offset_band[1],
                    "exclusions": circles,
                },
            )


def growth(scratch, arguments):
    """Yield a name and what the dataset of the demo takes with different numbers of runs."""
    demo = yaml.safe_load((HERE.parent / DEMO).read_text())
    folder = scratch / "project"
    for n_runs in arguments.runs:
        shutil.copytree(HERE.parent, folder, ignore=NOT_COPIED)
        settings = demo | {"dataset": DATASET}
        settings["simulation"] = demo["simulation"] | {"n_runs": n_runs}
        (folder / DEMO).write_text(yaml.safe_dump(settings, sort_keys=False))
        command = [str(SNAKEMAKE), "--cores", str(arguments.cores)]
        log = scratch / "log"
        # The simulation does not count.
        measure([*command, "--until", "simulate_index"], log, cwd=folder)
        dataset = [*command, "results/demo/dataset.fits.gz"]
        yield f"{n_runs} simulated runs", [measure(dataset, log, cwd=folder)]
        shutil.rmtree(folder)


def table(rows):
    """Return wall times and memory as Markdown."""
    lines = [
        "| what | wall time, s | range | largest process, MB | all processes, MB |",
        "|---|---|---|---|---|",
    ]
    for name, measured in rows.items():
        seconds = [one.seconds for one in measured]
        lines.append(
            f"| {name} | {statistics.median(seconds):.1f} | {min(seconds):.1f}-{max(seconds):.1f}"
            f" | {max(one.process_mb for one in measured):.0f}"
            f" | {max(one.tree_mb for one in measured):.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
