"""Names and configurations of bad will: nothing is executed, nothing is written elsewhere."""

import shutil

import pytest
import yaml

from dl3_files import refused
from gammastack.archive.pack import pinned_config
from gammastack.config.fields import read_config
from hostile import yaml_bomb
from project import SETTINGS, Project

COMMON = {
    "datastore": "store",
    "center": [83.63, 22.01],
    "energy_bands": [["1 TeV", "10 TeV"]],
}


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """A project without results and without observations."""
    return Project(tmp_path_factory.mktemp("safety") / "project", SETTINGS)


def planned(project, text):
    """What a dry run says to a configuration file of this text."""
    (project.folder / "my.yaml").write_text(text)
    done = project.snakemake("--dry-run", "--configfile", "my.yaml")
    assert done.code != 0
    assert "Traceback" not in done.text
    return " ".join(done.text.split())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("width: 4 deg", "the key 'width' is there already, in line 17; keep one"),
        (yaml_bomb(), "more than 100000 values"),
        ("results: !!python/tuple [a]", "results: the tag !!python/tuple"),
        # Snakemake itself refuses it.
        ("results: !!python/object/apply:os.mkdir [made]", "not valid JSON or YAML"),
    ],
)
def test_configuration_that_is_no_plain_data_is_refused(configured, more, message):
    assert message in planned(configured, yaml.safe_dump(SETTINGS) + more)
    assert not (configured.folder / "made").exists()


def test_default_configuration_is_read_as_strictly(configured, tmp_path):
    project = configured.copy(tmp_path / "project")
    project.append("config/config.yaml", "\nwidth: 4 deg\n")
    done = project.snakemake("--dry-run")
    assert done.code != 0
    assert "config/config.yaml, line" in done.text and "'width' is there" in done.text


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../up", "a/b", "/a", "a\\b", ".a", "-n", "a b", "a;touch b"),
        *(
            "$(touch a)",
            "`a`",
            "a'b",
            'a"b',
            "a&b",
            "a|b",
            "a>b",
            "a*",
            "{field}",
            "$HOME",
        ),
        *(
            "\u00fc",
            "a\n",
            "a\nb",
            "a\0",
            "\u202e",
            "provenance",
            "summary.csv",
            "nights",
        ),
    ],
)
def test_names_of_fields(name):
    """They are names of folders and parts of targets."""
    with refused("fields"):
        read_config({**COMMON, "fields": {name: None}})


@pytest.mark.parametrize(
    "path", ["a{b}.reg", "a\nb.reg", "a\x1b[2J.reg", "\u202eb.reg"]
)
@pytest.mark.parametrize(
    "given",
    [
        lambda path: {"results": path},
        lambda path: {"datastore": path},
        lambda path: {"observations": {"table": path}},
        lambda path: {"exclusion_mask": [path]},
        lambda path: {"exclusion_mask": [{"catalog": path}]},
    ],
)
def test_paths_that_are_read_differently_elsewhere(path, given):
    with refused(repr(path), "rename"):
        read_config({**COMMON, **given(path), "fields": {"sky": None}})


def test_names_of_files_in_an_archive():
    names = ["../a\nb.reg", "c/$(d);'e'\\f \u00fc.fits", "icrs; circle(1, 2, 3)"]
    pinned, files = pinned_config(
        {"exclusion_mask": names, "fields": {"sky": {}}}, "sky", []
    )
    assert list(files) == ["inputs/1/a_b.reg", "inputs/2/__d___e__f \u00fc.fits"]
    assert pinned["fields"]["sky"]["exclusion_mask"] == [
        *(f"../{name}" for name in files),
        names[2],
    ]


SHELL = "a b;touch made 'q\" \u00fc `touch made` & | touch made > made *"


@pytest.fixture
def observed(configured, simulated_store, tmp_path):
    """The same project with observations, whose paths a shell would not only read."""
    project = configured.copy(tmp_path / "project")
    shutil.copytree(simulated_store[0].folder, project.folder / SHELL)
    (project.folder / f"{SHELL}.reg").write_text("icrs; circle(83.63, 22.01, 0.3)")
    exclusions = {"exclusion_mask": [f"{SHELL}.reg"]}
    project.change_config(
        results=f"{SHELL} results", datastore=SHELL, fields={"sky": exclusions}
    )
    return project


def test_no_shell_reads_a_path(observed):
    """Without the profile, the command of each job goes through a shell."""
    before = {path.name for path in observed.folder.iterdir()}
    target = f"{SHELL} results/sky/exclusion_mask.fits"
    done = observed.snakemake("--workflow-profile", "none", target)
    assert done.code == 0, done.text
    assert (observed.folder / target).is_file()
    new = {path.name for path in observed.folder.iterdir()} - before
    assert new == {f"{SHELL} results", ".snakemake"}


@pytest.mark.parametrize(
    "target",
    [
        "results/sky/../../made/runs.csv",
        "results/sky/1TeV-10TeV/counts.fits;touch made",
        "results/$(touch made)/runs.csv",
    ],
)
def test_targets_that_are_none(observed, target):
    observed.change_config(datastore=SHELL)
    before = sorted(path.name for path in observed.folder.iterdir())
    done = observed.snakemake(target)
    assert done.code != 0 and "There is no target" in done.text
    after = sorted(path.name for path in observed.folder.iterdir())
    assert after == sorted({*before, ".snakemake"})
