"""Records of activities as a W3C provenance document.

The serialisation is PROV-JSON (W3C member submission, 24 April 2013,
https://www.w3.org/submissions/prov-json/) of the data model PROV-DM (W3C
recommendation, 30 April 2013, https://www.w3.org/TR/prov-dm/). Attributes have the
names of the fields of the records; values that are neither text nor numbers are JSON text.

The records do not say which input went into which output of an activity, so there is
no wasDerivedFrom: used and wasGeneratedBy connect the files.
"""

import json
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

from prov.constants import PROV, PROV_LOCATION, PROV_ROLE, PROV_TYPE
from prov.identifier import Namespace
from prov.model import ProvDocument
from prov.serializers.provjson import ProvJSONEncoder

from gammastack.provenance.origin import code_hash

TERMS = Namespace("gammastack", "urn:x-gammastack:")
# This is the type of a machine with its packages, and its role in activities.
ENVIRONMENT = "environment"
# The other fields of an activity are in identifiers, entities and agents.
FIELDS = (
    "activity_name",
    "status",
    "exit_code",
    "duration_min",
    "peak_memory_mb",
    "arguments",
    "config",
)


def prov_json(activities, systems):
    """Return the provenance of results as PROV-JSON.

    Parameters
    ----------
    activities : list of dict
    systems : dict of str to dict
        Both as `gammastack.provenance.records.read_records` returns them; systems may be missing.

    Returns
    -------
    str
        Its entities are the files, the code of the steps (as plans) and the machines
        with their packages; its agents are the software and the people who ran it.
    """
    document = ProvDocument(namespaces=[TERMS])
    _add_entities(document, activities, systems)
    _add_agents(document, activities, systems)
    for activity in activities:
        _add_activity(document, activity)
    # With an indent, json does not use its fast encoder.
    return json.dumps(document, cls=ProvJSONEncoder, sort_keys=True)


def _add_entities(document, activities, systems):
    files = {_file(file): file for activity in activities for file in _files(activity)}
    for identifier, file in files.items():
        attributes = _attributes({"sha256": file["sha256"], "size": file["size"]})
        kind = {PROV_TYPE: TERMS[file["kind"]], PROV_LOCATION: file["url"]}
        document.entity(identifier, kind | attributes)
    plans = {_plan(activity): activity["software"] for activity in activities}
    for identifier, software in plans.items():
        # This hash is the one in the headers of the products.
        attributes = _attributes({"code": code_hash(software["modules"])} | software)
        document.entity(identifier, {PROV_TYPE: PROV["Plan"]} | attributes)
    # Of a machine that made results found in a cache, only the name may be known.
    hosts = {activity["system"]: {"host": activity["host"]} for activity in activities}
    for name, host in hosts.items():
        attributes = _attributes(_flat(systems.get(name, host)))
        document.entity(TERMS[name], {PROV_TYPE: TERMS[ENVIRONMENT]} | attributes)


def _add_agents(document, activities, systems):
    """Add software and people, and who is responsible for software and products."""
    versions = {
        _software(activity): activity["software"]["version"] for activity in activities
    }
    for identifier, version in versions.items():
        attributes = _attributes({"version": version})
        document.agent(identifier, {PROV_TYPE: PROV["SoftwareAgent"]} | attributes)
    for user in dict.fromkeys(activity["user"] for activity in activities):
        attributes = _attributes({"user": user})
        document.agent(_person(user), {PROV_TYPE: PROV["Person"]} | attributes)
    on_behalf = (
        (_software(activity), _person(activity["user"])) for activity in activities
    )
    for software, person in dict.fromkeys(on_behalf):
        document.delegation(software, person)
    read = {_file(file) for activity in activities for file in activity["input"]}
    for activity in activities:
        for file in activity["output"]:
            if _file(file) not in read:
                document.attribution(_file(file), _person(activity["user"]))


def _add_activity(document, activity):
    identifier = TERMS[f"activity/{activity['activity_uuid']}"]
    start, stop = (_utc(activity[key]["time_utc"]) for key in ("start", "stop"))
    fields = _attributes({key: activity[key] for key in FIELDS})
    document.activity(identifier, start, stop, fields)
    for file in activity["input"]:
        role = {PROV_ROLE: file["role"]}
        document.usage(identifier, _file(file), other_attributes=role)
    system, role = TERMS[activity["system"]], {PROV_ROLE: ENVIRONMENT}
    document.usage(identifier, system, other_attributes=role)
    for file in activity["output"]:
        role = {PROV_ROLE: file["role"]}
        document.generation(_file(file), identifier, other_attributes=role)
    document.association(identifier, _software(activity), _plan(activity))


def _attributes(fields):
    plain = str, int, float
    return {
        TERMS[key]: value if isinstance(value, plain) else json.dumps(value)
        for key, value in fields.items()
    }


def _flat(system):
    """Merge the fields of the sections platform, python and environment into the others."""
    flat = {}
    for name, value in system.items():
        section = value if isinstance(value, dict) else {}
        flat |= {f"{name}.{key}": part for key, part in section.items()} or {
            name: value
        }
    return flat


def _utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _files(activity):
    return activity["input"] + activity["output"]


def _file(file):
    return TERMS[f"file/{quote(file['url'])}/{file['sha256']}"]


def _plan(activity):
    software = json.dumps(activity["software"], sort_keys=True)
    digest = sha256(software.encode()).hexdigest()[:16]
    return TERMS[f"code/{activity['activity_name']}/{digest}"]


def _software(activity):
    return TERMS[f"software/{activity['software']['version']}"]


def _person(user):
    return TERMS[f"user/{quote(user)}"]
