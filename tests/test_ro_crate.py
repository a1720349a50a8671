import json
from hashlib import sha256

import pytest

from crates import validator_issues
from gammastack.archive.ro_crate import About, crate_metadata

# The JSON-LD parser of rdflib uses what rdflib itself deprecates
pytestmark = pytest.mark.filterwarnings(
    "ignore:ConjunctiveGraph is deprecated:DeprecationWarning"
)
ABOUT = About(
    "Crab", "Sky maps of the Crab", "https://creativecommons.org/licenses/by/4.0/"
)
REGIONS = b"icrs; circle(83.6, 22.0, 0.3)"
FILES = {
    "README.md": b"# Crab",
    "manifest-sha256.txt": b"00  README.md",
    "products/runs.csv": b"obs_id\n1\n",
    "products/1TeV-10TeV/significance map.fits": b"SIMPLE  =",
    "provenance/prov.json": b"{}",
    "provenance/system-1.json": b"{}",
    "provenance/run_images-1.json": b"{}",
    "code/Snakefile": b"rule all:",
    "code/CITATION.cff": b"""
title: gammastack
license: BSD-3-Clause
date-released: 2026-11-22
authors: [{name: The developers}, {given-names: Ada, family-names: Lovelace}]
""",
    "code/config/config.yaml": b"fields: {}",
    "inputs/1/excluded.reg": REGIONS,
    "data-terms/terms.txt": b"Cite us",
}
SYSTEMS = {
    "system-1.json": {
        "user": "jane",
        "platform": {
            "node": "node-7",
            "system": "Linux",
            "release": "6.1",
            "machine": "x86_64",
            "n_cpus": 2,
        },
        "python": {
            "version": ["3", "11", "7"],
            "packages": [
                {"name": "snakemake", "version": "9.14.0"},
                {"name": "yte", "version": "1"},
            ],
        },
    }
}


def data(role, url, content):
    digest = sha256(content).hexdigest()
    size = len(content)
    return {"role": role, "kind": "data", "url": url, "sha256": digest, "size": size}


def activity(number):
    return {
        "start": {"time_utc": f"2026-11-22T18:49:{number:02}.250"},
        "stop": {"time_utc": f"2026-11-22T18:49:{number:02}.750"},
        "user": "jane",
        "system": "system-1.json",
        "arguments": ["snakemake", "--cores", "2"],
        "software": {"version": "0.1.0", "packages": {"numpy": "2.4.6"}},
        "input": [
            data("dl3", f"/data/run_{number}.fits.gz", b"%d" % number),
            data("exclusion", "excluded.reg", REGIONS),
            {**data("counts", "counts.fits", b""), "kind": "result"},
        ],
    }


ACTIVITIES = [activity(number) for number in range(3)]


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "archive"


def metadata(folder, about=ABOUT, activities=ACTIVITIES, systems=SYSTEMS):
    return crate_metadata(folder, about, activities, systems)


def graph(*args, **kwargs):
    return {one["@id"]: one for one in json.loads(metadata(*args, **kwargs))["@graph"]}


def refs(value):
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


@pytest.fixture
def issues(folder):
    """Return a function that returns what rocrate-validator objects to."""

    def run(severity, text):
        (folder / "ro-crate-metadata.json").write_text(text, encoding="utf-8")
        return validator_issues(folder, severity)

    return run


# The workflow is a file of the crate, so its name is relative, as the profile allows.
# No institute is known, neither that of the users nor that of a publisher
RECOMMENDATIONS = {
    "The SoftwareApplication id SHOULD be an absolute URI",
    "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`",
    "The author SHOULD have an organizational affiliation.",
    "The author SHOULD have a Contextual Entity which specifies the organizational "
    "`affiliation`.",
}


@pytest.mark.parametrize("about", [ABOUT, About("Crab", "Maps", "Ask us")])
def test_validator_accepts_the_crate(folder, issues, about):
    text = metadata(folder, about)
    assert issues("REQUIRED", text) == set()
    assert {message for _, message in issues("RECOMMENDED", text)} == RECOMMENDATIONS


def test_validator_sees_errors(folder, issues):
    text = metadata(folder).replace("CreateAction", "Action")
    assert issues("REQUIRED", text)
    text = metadata(folder).replace('"contentSize"', '"contentSized"')
    assert issues("REQUIRED", text)
    text = metadata(folder)
    (folder / "products/runs.csv").unlink()
    assert issues("REQUIRED", text)


def test_validator_accepts_a_crate_of_unknown_machines(folder, issues):
    assert issues("REQUIRED", metadata(folder, systems={})) == set()


def test_files_are_those_of_the_folder(folder):
    entities = graph(folder)
    names = refs(entities["./"]["hasPart"])
    assert [name.replace("%20", " ") for name in names] == sorted(
        set(FILES) - {"manifest-sha256.txt"}
    )
    for name in names:
        content = FILES[name.replace("%20", " ")]
        assert entities[name]["sha256"] == sha256(content).hexdigest()
        assert entities[name]["contentSize"] == str(len(content))
    assert (
        entities["products/1TeV-10TeV/significance%20map.fits"]["encodingFormat"]
        == "application/fits"
    )
    assert (
        entities["products/runs.csv"]["description"]
        == "what became of each run, also of those that are excluded"
    )
    assert "description" not in entities["code/Snakefile"]


def test_run_has_the_times_and_files_of_the_records(folder):
    entities = graph(folder)
    (action,) = (one for one in entities.values() if one["@type"] == "CreateAction")
    assert action["startTime"] == "2026-11-22T18:49:00.250+00:00"
    assert action["endTime"] == "2026-11-22T18:49:02.750+00:00"
    assert entities["./"]["datePublished"] == action["endTime"]
    assert refs(action["result"]) == [
        "products/1TeV-10TeV/significance%20map.fits",
        "products/runs.csv",
    ]
    digests = [sha256(b"%d" % number).hexdigest() for number in range(3)]
    assert refs(action["object"]) == [
        *(f"#sha256-{digest}" for digest in digests),
        "inputs/1/excluded.reg",
        "code/config/config.yaml",
    ]
    assert entities[f"#sha256-{digests[1]}"]["name"] == "run_1.fits.gz"
    assert entities[f"#sha256-{digests[1]}"]["sha256"] == digests[1]
    assert refs(action["instrument"]) == ["code/Snakefile"]
    assert entities[refs(action["agent"])[0]]["name"] == "jane"


def test_software_and_machine_are_those_of_the_records(folder):
    entities = graph(folder)
    workflow = entities["code/Snakefile"]
    assert workflow["version"] == "0.1.0"
    needed = [entities[one] for one in refs(workflow["softwareRequirements"])]
    assert {(one["name"], one["softwareVersion"]) for one in needed} == {
        ("Python", "3.11.7"),
        ("numpy", "2.4.6"),
        ("snakemake", "9.14.0"),
    }
    creators = [entities[one] for one in refs(workflow["creator"])]
    assert [(one["@type"], one["name"]) for one in creators] == [
        ("Organization", "The developers"),
        ("Person", "Ada Lovelace"),
    ]
    machine = entities["#machine-system-1.json"]
    assert machine["value"] == "Linux 6.1 x86_64, 2 CPUs"


def test_profiles(folder):
    entities = graph(folder)
    assert refs(entities["./"]["conformsTo"]) == [
        "https://w3id.org/ro/wfrun/process/0.5",
        "https://w3id.org/ro/wfrun/workflow/0.5",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    ]


def test_same_archive_gives_the_same_text(folder):
    assert metadata(folder) == metadata(folder)
