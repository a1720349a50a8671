"""Compare gammastack with its floor and with gammapy on the H.E.S.S. DL3 release.

All measurements are repeated in turn, so that whatever else the machine does
meets all of them. The result is a Markdown report on the standard output.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import report
from checks import differing_files, image_differences, last_jobs
from measure import measure
from workload import (
    event_file,
    fields_of,
    keep_fields,
    read_calls,
    write_with_fewer_events,
)

HERE = Path(__file__).resolve().parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
CONFIG = "config/hess_dl3_dr1.yaml"
STORE = "hess-dl3-dr1"
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".snakemake", ".venv", ".*_cache", "__pycache__", "results", "benchmarks"
)
# Jobs and background oversampling by the name of the measurement
GAMMAPY = {
    report.GAMMAPY_2: (2, 20),
    report.GAMMAPY_1: (1, 20),
    report.GAMMAPY_2_DEFAULT: (2, None),
    report.GAMMAPY_1_DEFAULT: (1, None),
}
# A race in its DatasetsMaker ends gammapy with two jobs now and then
ATTEMPTS = 5


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        benchmark = Benchmark(Path(scratch), arguments)
        for number in range(arguments.repeats):
            benchmark.repeat(number)
            print(f"{number + 1} of {arguments.repeats} repeats done", file=sys.stderr)
        print(report.text(benchmark))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--gammapy-python",
        help="python of an environment with gammapy; without it gammapy is not measured",
    )
    parser.add_argument(
        "--against", help="commit of gammastack that is measured, too, in turn"
    )
    parser.add_argument(
        "--data",
        default=os.environ.get("GAMMAPY_DATA"),
        type=Path,
        help=f"folder that holds {STORE} (default: the variable GAMMAPY_DATA)",
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2, help="of gammastack")
    parser.add_argument("--fields", help="names with commas between, instead of all")
    parser.add_argument("--scratch", type=Path, help="folder for a temporary folder")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("give --data or set GAMMAPY_DATA")
    return arguments


class Benchmark:
    """Measurements in a scratch folder, with a private copy of the data store.

    Parameters
    ----------
    scratch : pathlib.Path
    arguments : argparse.Namespace
        See `parse_arguments`.

    Attributes
    ----------
    measurements : dict of str to list of measure.Measurement
    recordings : list of (measure.Measurement, list of dict)
        Cold runs with the calls of their steps.
    fields : dict
        See `workload.fields_of`.
    changed : (str, int)
        Field and observation of the run that changes.
    changed_jobs : list
        What Snakemake ran after the last change, see `checks.last_jobs`.
    differing_files : list of str
        Results of the floor that are not those of gammastack, byte by byte.
    image_differences : dict of str to dict
        By the name of the measurement with gammapy.
    failures : list of (str, str)
        Name of the measurement and the error, for each time that gammapy died.
    """

    def __init__(self, scratch, arguments):
        self.scratch = scratch
        self.cores = arguments.cores
        self.gammapy_python = arguments.gammapy_python
        self.measurements = defaultdict(list)
        self.recordings = []
        self.failures = []
        shutil.copytree(HERE.parent, scratch / "project", ignore=NOT_COPIED)
        sys.path.insert(0, str(scratch / "project" / "scripts"))
        self.against = arguments.against
        if self.against:
            extract(self.against, scratch / "project-before")
        if arguments.fields:
            for config in scratch.glob(f"project*/{CONFIG}"):
                keep_fields(config, arguments.fields.split(","))
        store = shutil.copytree(arguments.data / STORE, scratch / "data" / STORE)
        _, calls = self.record()
        self.fields = fields_of(calls, store)
        (scratch / "fields.json").write_text(json.dumps(self.fields))
        # The largest stack is the most work after a change
        name = max(self.fields, key=lambda name: len(self.fields[name]["obs_ids"]))
        self.changed = name, self.fields[name]["obs_ids"][0]
        self.event_file = event_file(calls, *self.changed)
        self.contents = scratch / "all.fits.gz", scratch / "fewer.fits.gz"
        shutil.copy(self.event_file, self.contents[0])
        write_with_fewer_events(*self.contents)

    def repeat(self, number):
        """Measure everything once."""
        self.recordings.append(self.record())
        cold, floor = self.fresh_project("cold"), self.fresh_project("floor")
        before = self.fresh_project("before") if self.against else None
        self.measure(report.COLD, self.workflow, cold)
        self.measure_before(report.COLD, before)
        self.measure(report.FLOOR, self.floor, floor)
        self.differing_files = differing_files(cold / "results", floor / "results")
        self.measure(report.NOTHING, self.workflow, cold)
        self.measure_before(report.NOTHING, before)
        self.replace_event_file(number)
        self.measure(report.CHANGED, self.workflow, cold)
        self.measure_before(report.CHANGED, before)
        self.changed_jobs = last_jobs(cold)
        self.image_differences = {}
        if self.gammapy_python:
            self.measure_gammapy(cold)

    def measure_before(self, name, folder):
        """The same with the other commit, if there is one."""
        if folder:
            self.measure(
                name.replace("gammastack", self.against), self.workflow, folder
            )

    def measure_gammapy(self, cold):
        """Measure gammapy, and compare its images with those of a cold build."""
        for name, (jobs, oversampling) in GAMMAPY.items():
            images = self.gammapy(name, jobs, oversampling)
            self.image_differences[name] = image_differences(
                cold / "results", images, self.fields
            )
        self.gammapy(report.GAMMAPY_FIELD, 2, 20, f"--only={self.changed[0]}")

    def fresh_project(self, name):
        """A copy of the project in which nothing was run."""
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        original = "project-before" if name == "before" else "project"
        return shutil.copytree(self.scratch / original, folder)

    def record(self):
        """Run the workflow from the start and record the calls of its steps."""
        project = self.fresh_project("recorded")
        scripts, calls = project / "scripts", project / "calls.pickle"
        (scripts / "pool.py").rename(scripts / "plain_pool.py")
        shutil.copy(HERE / "recorded_pool.py", scripts / "pool.py")
        measured = self.run(self.workflow, project, RECORDED_CALLS=str(calls))
        return measured, read_calls(calls)

    @property
    def workflow(self):
        """Command of gammastack."""
        return [SNAKEMAKE, f"--cores={self.cores}", f"--configfile={CONFIG}"]

    @property
    def floor(self):
        """Command of the floor, with the calls of the last recorded run."""
        calls = self.scratch / "recorded" / "calls.pickle"
        return [sys.executable, HERE / "floor.py", calls, f"--cores={self.cores}"]

    def replace_event_file(self, number):
        """Give the event file of one run another content than it had before."""
        new = shutil.copyfile(self.contents[(number + 1) % 2], self.scratch / "new")
        new.replace(self.event_file)

    def gammapy(self, name, jobs, oversampling, *options):
        """Run gammapy, again if it dies; return the folder of its images."""
        folder = self.scratch / "gammapy" / name
        script = [self.gammapy_python, HERE / "gammapy_peer.py", f"--jobs={jobs}"]
        if oversampling:
            script.append(f"--oversampling={oversampling}")
        arguments = [self.scratch / "fields.json", folder, *options]
        self.measure_again(name, [*script, *arguments])
        return folder

    def measure(self, name, command, folder):
        """Run a command and keep its measurement."""
        self.measurements[name].append(self.run(command, folder))

    def measure_again(self, name, command):
        """Measure a command that may fail now and then."""
        for attempt in range(ATTEMPTS):
            try:
                return self.measure(name, command, self.scratch)
            except subprocess.CalledProcessError:
                self.failures.append((name, self.log.read_text().splitlines()[-1]))
                if attempt == ATTEMPTS - 1:
                    raise

    def run(self, command, folder, **variables):
        """Run a command on the private data store, with more environment variables."""
        environment = {
            **os.environ,
            "GAMMAPY_DATA": str(self.scratch / "data"),
            **variables,
        }
        return measure(command, self.log, cwd=folder, env=environment)

    @property
    def log(self):
        """What the last command wrote."""
        return self.scratch / "log.txt"


def extract(commit, folder):
    """Write the files of a commit of this repository into a folder."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit], cwd=HERE.parent, check=True, capture_output=True
    )
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)


if __name__ == "__main__":
    main()
