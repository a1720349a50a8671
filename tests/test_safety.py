"""Names and configurations of bad will: nothing is executed, nothing is written elsewhere."""

import pytest
import yaml

from hostile import yaml_bomb
from project import SETTINGS, Project


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
