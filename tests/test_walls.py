"""Which rooms of the library know of which, and of which ones the steps are made.

A step is rerun when a module changes that it depends on: what it does not need must not
be among them.
"""

from functools import cache
from pathlib import Path

import pytest

from gammastack.products import STEPS
from gammastack.provenance.software import software

SCRIPTS = Path(__file__).parents[1] / "scripts"
# What each room may import beside itself. The modules of files/ are rooms of their own:
# each knows the room whose results it writes
MAY_IMPORT = {
    "errors": "",
    "version": "",
    "products": "",
    "regression": "",
    "checksum": "",
    "failures": "errors",
    "memory": "",
    "names": "",
    "words": "",
    "sky": "errors",
    "remote": "errors",
    "dl3": "checksum errors memory remote words sky",
    # What others need to know of a run
    "runs.run": "sky",
    "runs": "dl3 errors runs.run sky",
    "acceptance": "dl3 errors regression sky",
    "datasets": "dl3 errors runs runs.run sky",
    "stacking": "errors names regression runs.run sky",
    "maps": "errors sky",
    "files.fits": "checksum errors",
    "files.gadf": "",
    "files.summary": "files.fits",
    "files.tables": "",
    "files.layout": "errors products",
    "provenance": "errors files.layout memory version",
    "files.header": "files.fits files.tables provenance sky version",
    "files.band": "files.fits files.header files.layout provenance",
    "files.histogram": "acceptance files.fits files.header provenance",
    "files.bands": "files.fits files.layout",
    "files.candidates": "files.tables",
    "files.run": "files.bands files.fits files.header files.layout provenance runs.run",
    "files.group": "files.bands files.fits files.header files.layout provenance stacking",
    "files.dataset": "files.fits files.header files.run provenance runs.run",
    "run_data": "dl3 errors files.fits files.header provenance",
    "config": "errors files.layout products remote sky",
    "archive": (
        "config dl3 errors files.fits files.header files.layout products provenance remote sky"
    ),
    "pictures": "errors files.fits files.header files.layout sky",
    "report": "files.candidates files.layout files.run maps pictures provenance stacking",
    "maker": "dl3 errors files.header files.layout maps runs sky stacking",
    "at": "config errors files.fits files.header files.layout files.run maps products sky stacking",
    "draft": "config dl3 errors remote sky",
    "doctor": "failures words",
    "summary": "failures",
    "targets": "",
    "lock": "errors",
    "invocation": "errors",
    "disk": "files.layout invocation nights products provenance words",
    "nights": "errors failures summary words",
}
SCIENCE = (
    *("regression", "dl3", "sky", "runs", "runs.run"),
    *("acceptance", "datasets", "stacking", "maps"),
)
# The rooms of the stages that each step may depend on
STAGES = {*SCIENCE, "archive", "config", "maker", "pictures", "report"}
STEPS_MAY_NEED = {
    "simulate_run": "dl3",
    "simulate_index": "dl3",
    "run_histogram": "acceptance dl3 regression sky",
    "acceptance": "acceptance dl3 regression sky",
    "run_images": "dl3 runs runs.run sky",
    "exclusion_mask": "sky",
    "search_sources": "maps regression runs.run sky stacking",
    "stack_group": "regression runs.run sky stacking",
    "stack": "regression runs.run sky stacking",
    "run_dataset": "datasets dl3 runs runs.run sky",
    "dataset_group": "datasets dl3 regression runs.run sky stacking",
    "dataset": "datasets dl3 regression runs.run sky stacking",
    "maps": "maps sky",
    "check_run": "dl3 sky",
    "doctor": "",
    "provenance": "archive",
    "report": "maps pictures regression report runs.run sky stacking",
    "figure": "pictures sky",
    "archive_of_field": "archive sky",
    "summary": "pictures report sky",
}


def room(path):
    """Room of a module, by its path in the folder of the library."""
    parts = Path(path).with_suffix("").parts
    if parts[-1] != "__init__" and (parts[0] == "files" or parts == ("runs", "run")):
        return ".".join(parts)
    return parts[0]


def rooms_of(module):
    """All rooms that a module depends on."""
    paths = software(module, SCRIPTS)["modules"]
    in_library = [
        one
        for one in paths
        if one.startswith("gammastack/") and not one.endswith("/__init__.py")
    ]
    names = {room(one.removeprefix("gammastack/")) for one in in_library}
    return names


@cache
def reach(name):
    """A room with all rooms behind those that it may import."""
    return {name}.union(*(reach(one) for one in MAY_IMPORT[name].split()))


def modules():
    folder = SCRIPTS / "gammastack"
    for path in sorted(folder.rglob("*.py")):
        if path.name != "__init__.py":
            name = path.relative_to(SCRIPTS).with_suffix("").as_posix()
            yield name.replace("/", "."), room(path.relative_to(folder))


MODULES = dict(modules())


def test_tables_are_complete():
    assert set(MODULES.values()) == MAY_IMPORT.keys()
    assert STEPS_MAY_NEED.keys() == STEPS.keys()


@pytest.mark.parametrize("module", MODULES)
def test_walls_between_rooms(module):
    own = MODULES[module]
    # The version counts as no code
    assert rooms_of(module) - {"version"} <= reach(own)


@pytest.mark.parametrize("step", STEPS)
def test_steps_depend_on_what_they_need(step):
    found = rooms_of(f"steps.{step}") & STAGES
    assert found <= set(STEPS_MAY_NEED[step].split())


@pytest.mark.parametrize("module", [one for one in MODULES if MODULES[one] in SCIENCE])
def test_science_does_not_know_the_workflow(module):
    made_of = software(module, SCRIPTS)
    assert not made_of["packages"].keys() & {
        "snakemake",
        "yaml",
        "jsonschema",
        "rocrate",
    }
    assert not [one for one in made_of["modules"] if "/config/" in one]


@pytest.mark.parametrize("step", STEPS)
def test_no_step_knows_snakemake_or_the_configuration(step):
    """Both would make all results again: they are the business of the rules."""
    made_of = software(f"steps.{step}", SCRIPTS)
    assert "snakemake" not in made_of["packages"]
    assert not [one for one in made_of["modules"] if "/config/" in one]
