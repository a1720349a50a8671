"""requirements.txt, environment.yml and pyproject.toml name the same versions."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

import gammastack

ROOT = Path(__file__).parents[1]
# Names on bioconda and conda-forge that differ from those on PyPI
CONDA_NAMES = {"matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned(file="requirements.txt"):
    text = (ROOT / file).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def direct():
    extras = project()["optional-dependencies"].values()
    lines = [*project()["dependencies"], *(line for extra in extras for line in extra)]
    return [Requirement(line) for line in lines]


def test_conda_environment_has_the_pinned_versions():
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (from_pypi,) = (line["pip"] for line in lines if isinstance(line, dict))
    lines = [one for one in lines if isinstance(one, str) and " =" in one]
    conda = dict(line.split(" =") for line in lines if not line.startswith("python "))
    conda |= dict(line.split("==") for line in from_pypi)
    conda = {CONDA_NAMES.get(name, name): version for name, version in conda.items()}
    assert conda == {req.name: pinned()[req.name] for req in direct()}


def test_pinned_versions_meet_the_requirements_of_the_package():
    for requirement in direct():
        assert pinned()[requirement.name] in requirement.specifier


def test_documentation_is_made_with_the_same_versions():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    docs, others = pinned("docs/requirements.txt"), pinned()
    for requirement in map(Requirement, groups["docs"]):
        assert docs[requirement.name] in requirement.specifier
    shared = docs.keys() & others.keys()
    assert "jinja2" in shared
    assert {name: docs[name] for name in shared} == {
        name: others[name] for name in shared
    }


def test_one_version_and_a_hash_for_each_package():
    text = (ROOT / "requirements.txt").read_text()
    names = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
    assert len(names) == len(set(names))
    assert len(
        re.findall(r"^[^#\s].*\\\n    --hash=sha256:", text, re.MULTILINE)
    ) == len(names)
    assert "://" not in text


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == gammastack.__version__


def test_lowest_snakemake_is_the_one_that_the_workflow_asks_for():
    (snakemake,) = (one for one in direct() if one.name == "snakemake")
    (lowest,) = (one.version for one in snakemake.specifier if one.operator == ">=")
    assert f'min_version("{lowest}")' in (ROOT / "Snakefile").read_text()
    internals = ROOT / "workflow" / "rules" / "snakemake_internals.smk"
    tried = re.findall(r"\d+\.\d+\.\d+", internals.read_text())
    assert tried[0].startswith(f"{lowest}.") and tried[1] == pinned()["snakemake"]
