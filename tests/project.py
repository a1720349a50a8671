"""A copy of the project to run Snakemake in, and what an invocation did."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml
from astropy.io import fits

import warm

ROOT = Path(__file__).parents[1]
PARTS = ["Snakefile", "config", "workflow", "scripts", "profiles"]
# What else an archive takes from the project
MORE_PARTS = [
    "CITATION.cff",
    "LICENSE",
    "Makefile",
    "README.md",
    "environment.yml",
    "pyproject.toml",
    "requirements.txt",
]
BAND = "1TeV-10TeV"
RUNS = [1001, 1002, 1003, 1004]
# Of the project `built`, see conftest.py
SETTINGS = {
    "datastore": "store",
    "center": [83.63, 22.01],
    "width": "3 deg",
    "binsz": "0.05 deg",
    "energy_bands": [["1 TeV", "10 TeV"]],
    "radius": "0.2 deg",
    "fields": {
        "sky": {"exclusion_mask": [{"center": [83.63, 22.01], "radius": "0.3 deg"}]}
    },
}


@dataclass
class Invocation:
    """Exit code, text on the screen, and executed jobs such as ``stack demo 1TeV-10TeV``."""

    code: int
    text: str
    jobs: list

    @property
    def rules(self):
        """Names of the rules that were executed."""
        return sorted({job.split()[0] for job in self.jobs})


class Project:
    """A copy of the project in a folder."""

    def __init__(self, folder, config=None, parts=PARTS):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for part in parts:
            if (ROOT / part).is_dir():
                # With what Python has compiled, which its times make valid
                shutil.copytree(ROOT / part, self.folder / part)
            else:
                shutil.copy(ROOT / part, self.folder)
        self.config = config
        if config is not None:
            self.write_config(**config)

    def copy(self, folder, copy_function=shutil.copy2):
        """This project with its results, in another folder."""
        shutil.copytree(self.folder, folder, copy_function=copy_function)
        return Project(folder, self.config, parts=[])

    def write_config(self, **settings):
        """Write the configuration of the project, in place of the demo's."""
        text = yaml.safe_dump(settings, sort_keys=False)
        (self.folder / "config" / "config.yaml").write_text(text)

    def change_config(self, **settings):
        """Write the configuration with some keys changed."""
        self.write_config(**{**self.config, **settings})

    def append(self, name, text):
        """Add text to the end of a file."""
        with open(self.folder / name, "a", encoding="utf-8") as file:
            file.write(text)

    def replace(self, name, old, new):
        """Replace a text in a file."""
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        (self.folder / name).write_text(text.replace(old, new), encoding="utf-8")

    def snakemake(self, *arguments, cores=2, **environment):
        """Run Snakemake and return the `Invocation`."""
        before = set(self._logs())
        code, text = warm.run(
            "snakemake",
            ["--cores", cores, *arguments],
            self.folder,
            shell_environment() | environment,
        )
        logs = [log.read_text() for log in self._logs() if log not in before]
        jobs = sorted(job for log in logs for job in executed_jobs(log))
        return Invocation(code, text, jobs)

    def plan(self, **environment):
        """Jobs that an invocation would execute, by a dry run, which prints them all.

        What else it says is in ``said``.
        """
        profile = self.folder / "profiles" / "plain"
        profile.mkdir(exist_ok=True)
        text = (self.folder / "profiles" / "default" / "config.yaml").read_text()
        text = text.replace("logger: rich\n", "")
        (profile / "config.yaml").write_text(text)
        options = "--dry-run", "--workflow-profile", "profiles/plain"
        done = self.snakemake(*options, **environment)
        assert done.code == 0, done.text
        self.said = done.text
        return sorted(executed_jobs(done.text))

    def _logs(self):
        return sorted((self.folder / ".snakemake" / "log").glob("*.log"))

    def maps(self):
        """Images of the band by name."""
        folder = self.folder / "results" / "sky" / BAND
        return {
            path.stem: fits.getdata(path)
            for path in folder.glob("*.fits")
            if not path.stem.startswith("table")
        }

    def products(self):
        """Content of all results by path, but for records and pages, which hold times."""
        results = self.folder / "results"
        files = (
            path
            for path in results.rglob("*")
            if path.is_file() and path.suffix != ".json" and path.name != "report.html"
        )
        return {str(path.relative_to(results)): path.read_bytes() for path in files}


def shell_environment():
    environment = {**os.environ, "COLUMNS": "200"}
    if "GAMMAPY_DATA" in environment:
        # A relative folder would not be found from the copy
        environment["GAMMAPY_DATA"] = os.path.abspath(environment["GAMMAPY_DATA"])
    return environment


def executed_jobs(log):
    """Rule and wildcards of the jobs in the text of a Snakemake log, but for rule all."""
    pattern = r"^(?:local)?rule (\w+):$(.*?)(?=^\[|^\S|\Z)"
    for rule, body in re.findall(pattern, log, re.MULTILINE | re.DOTALL):
        wildcards = re.search(r"wildcards: (.*)", body)
        values = re.findall(r"=([^,\n]*)", wildcards[1]) if wildcards else []
        if rule != "all":
            yield " ".join([rule, *filter(None, values)])
