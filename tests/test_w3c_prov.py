import json
from copy import deepcopy
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import pytest
from prov.model import ProvDocument

from gammastack.archive.w3c_prov import prov_json

SYSTEM = {
    "executable": "/opt/bin/python",
    "user": "jane doe",
    "platform": {
        "architecture_bits": "64bit",
        "architecture_linkage": "ELF",
        "machine": "x86_64",
        "processor": "",
        "node": "node-7",
        "version": "#1 SMP PREEMPT",
        "system": "Linux",
        "release": "6.18.44",
        "libcver": ["glibc", "2.36"],
        "n_cpus": 2,
        "boot_time": "2026-11-22T15:18",
    },
    "python": {
        "version_string": "3.11.7 (main) [GCC 12.2.0]",
        "version": ["3", "11", "7"],
        "compiler": "GCC 12.2.0",
        "implementation": "CPython",
        "packages": [{"name": "numpy", "version": "2.4.6"}],
    },
    "environment": {"PATH": "/opt/bin:/bin", "SLURM_JOB_ID": None},
}
SYSTEMS = {"system-afa237ed9dac.json": SYSTEM}
N_RUNS = 3


def file(role, url, kind="result"):
    digest = sha256(url.encode()).hexdigest()
    return {"role": role, "kind": kind, "url": url, "sha256": digest, "size": len(url)}


def activity(number, name, inputs, outputs):
    return {
        "activity_name": name,
        "activity_uuid": str(UUID(int=number)),
        "status": "completed",
        "exit_code": 0,
        "start": {"time_utc": f"2026-11-22T18:49:{number:02}.250"},
        "stop": {"time_utc": f"2026-11-22T18:49:{number:02}.750"},
        "duration_min": 0.5 / 60,
        "peak_memory_mb": 200.777728,
        "host": "telescope1",
        "user": "jane doe",
        "system": "system-afa237ed9dac.json",
        "arguments": ["snakemake", "--cores", "2"],
        "config": {"number": number, "bands": {"1TeV-10TeV": [1.0, 10.0]}},
        "software": {
            "version": "0.1.0",
            "modules": {f"steps/{name}.py": "72ee7f906f023159"},
            "packages": {"numpy": "2.4.6"},
        },
        "input": inputs,
        "output": outputs,
    }


def records():
    """Return records of runs, a group and its excess, with names unfit for an id."""
    runs = [
        activity(
            number,
            "run_images",
            [file("dl3", f"/data (Größe)/run {number}:=,.fits", "data")],
            [file(role, f"runs/{number}/{role}.fits") for role in ("counts", "bkg")],
        )
        for number in range(N_RUNS)
    ]
    images = [one for run in runs for one in run["output"]]
    sums = [file("sums", "groups/all.fits")]
    group = activity(10, "stack_group", images, sums)
    maps = [file("excess", "1TeV-10TeV/excess.fits")]
    return [*runs, group, activity(11, "excess", sums, maps)]


def exported(activities):
    return json.loads(prov_json(activities, SYSTEMS))


def test_document_is_read_back_as_it_was():
    text = prov_json(records(), SYSTEMS)
    document = ProvDocument.deserialize(content=text)
    again = ProvDocument.deserialize(content=document.serialize())
    assert document == again
    assert len(document.get_records()) == sum(
        len(table) for name, table in json.loads(text).items() if name != "prefix"
    )


def test_same_records_give_the_same_text():
    assert prov_json(records(), SYSTEMS) == prov_json(deepcopy(records()), SYSTEMS)


def test_counts_are_those_of_the_records():
    activities, document = records(), exported(records())
    files = {
        (f["url"], f["sha256"]) for a in activities for f in a["input"] + a["output"]
    }
    names = {one["activity_name"] for one in activities}
    assert len(document["activity"]) == len(activities)
    # There is one machine
    assert len(document["entity"]) == len(files) + len(names) + 1
    n_used = sum(len(one["input"]) + 1 for one in activities)
    assert len(document["used"]) == n_used
    n_made = sum(len(one["output"]) for one in activities)
    assert len(document["wasGeneratedBy"]) == n_made
    assert len(document["wasAssociatedWith"]) == len(activities)
    assert len(document["agent"]) == 2
    assert len(document["actedOnBehalfOf"]) == 1


def test_chain_from_a_product_to_the_data():
    document = exported(records())
    maker = {
        one["prov:entity"]: one["prov:activity"]
        for one in document["wasGeneratedBy"].values()
    }
    used = [
        (one["prov:activity"], one["prov:entity"])
        for one in document["used"].values()
        if one["prov:role"] != "environment"
    ]
    (todo,) = document["wasAttributedTo"].values()
    todo, ends = [todo["prov:entity"]], set()
    while todo:
        entity = todo.pop()
        if entity not in maker:
            ends.add(document["entity"][entity]["prov:location"])
        todo += [read for activity, read in used if activity == maker.get(entity)]
    assert ends == {f"/data (Größe)/run {number}:=,.fits" for number in range(N_RUNS)}


def test_agents_are_the_software_and_its_user():
    document = exported(records())
    (behalf,) = document["actedOnBehalfOf"].values()
    software = document["agent"][behalf["prov:delegate"]]
    person = document["agent"][behalf["prov:responsible"]]
    assert software["prov:type"]["$"] == "prov:SoftwareAgent"
    assert person["prov:type"]["$"] == "prov:Person"
    assert person["gammastack:user"] == "jane doe"
    for one in document["wasAssociatedWith"].values():
        assert one["prov:agent"] == behalf["prov:delegate"]
        assert document["entity"][one["prov:plan"]]["prov:type"]["$"] == "prov:Plan"


def test_times_are_utc():
    activities = exported(records())["activity"]
    start = activities[f"gammastack:activity/{UUID(int=2)}"]["prov:startTime"]
    assert datetime.fromisoformat(start) == datetime.fromisoformat(
        "2026-11-22T18:49:02.250+00:00"
    )


def leaves(node):
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        return {leaf for one in node for leaf in leaves(one)}
    return {node}


def plain(value):
    """Return the value of an attribute of PROV-JSON, which is typed or JSON text."""
    if isinstance(value, dict):
        return plain(value["$"])
    try:
        return json.loads(value)
    except ValueError:
        return value


@pytest.mark.parametrize(
    "name",
    [
        *("executable", "platform.architecture_bits", "platform.architecture_linkage"),
        *("platform.machine", "platform.processor", "platform.node"),
        *("platform.version", "platform.system", "platform.release"),
        *("platform.libcver", "platform.n_cpus", "platform.boot_time"),
        *("python.version_string", "python.version", "python.compiler"),
        *("python.implementation", "python.packages"),
        *("environment.PATH", "environment.SLURM_JOB_ID"),
    ],
)
def test_fields_of_a_machine_in_a_ctapipe_record(name):
    entity = exported(records())["entity"]["gammastack:system-afa237ed9dac.json"]
    section, _, key = name.partition(".")
    expected = SYSTEM[section][key] if key else SYSTEM[section]
    assert plain(entity[f"gammastack:{name}"]) == expected


@pytest.mark.parametrize(
    "name",
    ["activity_name", "status", "exit_code", "duration_min", "config", "arguments"],
)
def test_fields_of_an_activity_in_a_ctapipe_record(name):
    document = exported(records())
    for one in records():
        identifier = f"gammastack:activity/{one['activity_uuid']}"
        assert (
            plain(document["activity"][identifier][f"gammastack:{name}"]) == one[name]
        )


def test_files_of_a_ctapipe_record():
    document = exported(records())
    for relation, side in (("used", "input"), ("wasGeneratedBy", "output")):
        found = {
            (
                one["prov:activity"].split("/")[1],
                one["prov:role"],
                document["entity"][one["prov:entity"]]["prov:location"],
            )
            for one in document[relation].values()
            if one["prov:role"] != "environment"
        }
        assert found == {
            (one["activity_uuid"], file["role"], file["url"])
            for one in records()
            for file in one[side]
        }


def test_code_and_content_of_files():
    document = exported(records())
    entities = document["entity"].values()
    found = leaves([plain(value) for one in entities for value in one.values()])
    modules = [one["software"]["modules"] for one in records()]
    outputs = [file for one in records() for file in one["output"]]
    contents = [[file["sha256"], file["size"]] for file in outputs]
    assert found >= leaves(modules) | leaves(contents)


def test_activity_of_an_unknown_machine():
    one = activity(0, "excess", [], [file("excess", "excess.fits")])
    document = exported([one | {"system": "system-0.json"}])
    machine = document["entity"]["gammastack:system-0.json"]
    assert machine["gammastack:host"] == "telescope1"
    kinds = {one["prov:type"]["$"] for one in document["agent"].values()}
    assert kinds == {"prov:SoftwareAgent", "prov:Person"}


def test_unknown_memory():
    one = activity(0, "excess", [], []) | {"peak_memory_mb": None}
    (found,) = exported([one])["activity"].values()
    assert found["gammastack:peak_memory_mb"] == "null"
