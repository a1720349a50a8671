"""Updates that fail: no later invocation takes maps of old data for up to date."""

import pytest
from astropy.io import fits

from dl3_files import edit
from gammastack.archive.bundle import open_bundle
from gammastack.archive.verify import report, verify
from project import BAND, ROOT

MAP = f"results/sky/{BAND}/significance.fits"
STEPS = ["run_images", "stack_group", "stack", "maps"]
SAID = {"killed": "a worker process was killed", "full": "OSError", "terminated": ""}
# Each fault in each step, when a single map is asked for, and some by default
FAULTS = [
    ((), ["killed", "full", "terminated", "killed"]),
    ((MAP,), ["killed", "full", "terminated", "killed"]),
    ((MAP,), ["full", "terminated", "killed", "full"]),
    ((MAP,), ["terminated", "killed", "full", "terminated"]),
]


def change_events(project):
    """Change a run, in the same way each time."""
    with fits.open(project.folder / "store" / "run_1002.fits") as hdus:
        edit(hdus["EVENTS"]).data["ENERGY"][::10] *= 1.5
        hdus.writeto(project.folder / "store" / "run_1002.fits", overwrite=True)


@pytest.fixture(scope="module")
def changed(built, tmp_path_factory):
    """The built project after an undisturbed update."""
    project = built.copy(tmp_path_factory.mktemp("changed") / "project")
    change_events(project)
    assert project.snakemake().code == 0
    return project


def verdict(project):
    """Exit code of `verify`: 0, 1 for damage, 3 for what would be made differently."""
    bundle = open_bundle(project.folder / "results" / "sky")
    findings = verify(bundle, project.folder / "scripts", project.folder / "store")
    return report(findings)[1]


@pytest.mark.parametrize("target, faults", FAULTS)
def test_update_that_fails_in_one_step_after_the_other(
    project, changed, target, faults
):
    change_events(project)
    for step, fault in zip(STEPS, faults, strict=True):
        done = project.snakemake(
            *target,
            FAULT=f"{step}:{fault}",
            PYTHONPATH=str(ROOT / "tests" / "faults"),
        )
        assert done.code != 0, done.text
        assert "Nothing to be done" not in done.text
        assert SAID[fault] in done.text
        assert verdict(project) in (1, 3)
    expected = changed.products()
    if target:
        assert project.snakemake(*target).code == 0
        name = MAP.removeprefix("results/")
        assert project.products()[name] == expected[name]
    assert project.snakemake().code == 0
    assert project.products() == expected
    assert verdict(project) == 0


def test_update_with_a_bad_event_file(project, built):
    """It fails in the same way until the file is replaced, whatever the target."""
    project.change_config(on_bad_run="stop")
    path = project.folder / "store" / "run_1002.fits"
    whole = path.read_bytes()
    path.write_bytes(whole[:100_000])
    for target in ((), (MAP,), ()):
        done = project.snakemake(*target)
        assert done.code != 0
        assert "1 of 4 runs cannot be used: 1002: run_1002.fits: truncated" in done.text
        assert "observations: {exclude: [1002]}" in done.text
        assert verdict(project) in (1, 3)
    path.write_bytes(whole)
    project.change_config()
    assert project.snakemake().code == 0
    assert project.products() == built.products()


def test_update_with_a_bad_intermediate_file(project, built):
    """The same for a flipped bit in a result that a step reads, until it is deleted as told."""
    step = project.folder / "scripts" / "steps" / "stack.py"
    code = step.read_text()
    changes = {
        "runs/1002.fits": lambda: project.change_config(ncounts_min=1),
        "groups/all.fits": lambda: step.write_text(f"{code}EDITED = True\n"),
        f"{BAND}/counts.fits": lambda: project.change_config(
            ncounts_min=1, radius="0.3 deg"
        ),
    }
    for name, change in changes.items():
        path = project.folder / "results" / "sky" / name
        change()
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        for _ in range(2):
            done = project.snakemake(MAP)
            assert done.code != 0 and "Nothing to be done" not in done.text
            assert f"results/sky/{name}: damaged result" in done.text
        path.unlink()
        assert project.snakemake(MAP).code == 0
    project.change_config()
    step.write_text(code)
    assert project.snakemake().code == 0
    expected = built.products()
    ours = project.products()
    assert {name: ours[name] for name in expected} == expected
