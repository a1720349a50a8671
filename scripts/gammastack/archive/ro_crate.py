"""Description of an archive of results as a Workflow Run RO-Crate.

The profile is Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5, DOI
10.1371/journal.pone.0309210), which includes Process Run Crate 0.5 and Workflow
RO-Crate 1.0, on RO-Crate 1.1 (https://w3id.org/ro/crate/1.1).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml
from rocrate.model import ComputationalWorkflow, ContextEntity
from rocrate.rocrate import ROCrate

from gammastack.archive.bundle import CONFIG, MANIFEST, PRODUCTS
from gammastack.files.layout import product_at
from gammastack.provenance.origin import sha256_of
from gammastack.provenance.records import FOLDER

# The description itself is not described, nor is the manifest, which holds its hash.
UNLISTED = "ro-crate-metadata.json", MANIFEST
README = "README.md"
WORKFLOW = "code/Snakefile"
CITATION = "code/CITATION.cff"
ENGINE = "snakemake"
# The times in the records have no time zone.
UTC = "+00:00"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
# These terms are not in the vocabulary of RO-Crate 1.1.
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
# All other files are text.
ENCODINGS = {
    ".csv": "text/csv",
    # RFC 4047
    ".fits": "application/fits",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}


@dataclass(frozen=True)
class About:
    """Information on an archive that is neither in the records nor in the files.

    Attributes
    ----------
    name : str
    description : str
    license : str
        URL, or text that says how the archive may be used.
    """

    name: str
    description: str
    license: str


def crate_metadata(folder, about, activities, systems):
    """Return the content of ``ro-crate-metadata.json`` for an archive.

    Parameters
    ----------
    folder : path
        The archive, complete except for this file and the manifest.
    about : About
    activities : list of dict
    systems : dict of str to dict
        Both as `gammastack.provenance.records.read_records` returns them; systems may be missing.

    Returns
    -------
    str
    """
    folder = Path(folder)
    names = dict.fromkeys(activity["system"] for activity in activities)
    systems = {name: systems[name] for name in names if name in systems}
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms = TERMS
    files = _add_files(crate, folder)
    data = _add_data(crate, activities, files)
    products = [file for name, file in files.items() if name.startswith("products/")]
    people = _add_people(crate, activities)
    workflow = _set(
        files[WORKFLOW],
        **_citation(crate, folder),
        version=activities[-1]["software"]["version"],
        url=files[WORKFLOW],
        conformsTo={"@id": BIOSCHEMAS},
        sdPublisher=people,
        softwareRequirements=_software(crate, activities, systems),
        input=[_parameter(crate, role, used) for role, used in data.items()],
        output=_parameter(crate, "products", products),
    )
    action = _add_action(crate, about, activities)
    action["agent"], action["instrument"] = people, workflow
    used = [file for of_role in data.values() for file in of_role]
    action["object"], action["result"] = [*used, files[CONFIG]], products
    action["additionalProperty"] = _machines(crate, systems)
    root = _describe_root(crate, about)
    root["author"], root["mentions"] = people, action
    root["datePublished"] = action["endTime"]
    files[README]["about"] = root
    for name, file in files.items():
        if name.startswith(f"{FOLDER}/"):
            file["about"] = action
    metadata = crate.metadata.generate()
    metadata["@graph"] = [_compact(entity) for entity in metadata["@graph"]]
    return json.dumps(metadata, indent=1, sort_keys=True, ensure_ascii=False)


def _describe_root(crate, about):
    profiles = [
        _add(crate, url, "CreativeWork", name=name, version=url.rsplit("/")[-1])
        for url, name in PROFILES.items()
    ]
    return _set(
        crate.root_dataset,
        name=about.name,
        description=about.description,
        license=_license(crate, about.license),
        conformsTo=profiles,
    )


def _add_action(crate, about, activities):
    commands = sorted({" ".join(activity["arguments"]) for activity in activities})
    return _add(
        crate,
        "#run",
        "CreateAction",
        name=f"Run of gammastack for {about.name}",
        description="\n".join(commands),
        startTime=min(activity["start"]["time_utc"] for activity in activities) + UTC,
        endTime=max(activity["stop"]["time_utc"] for activity in activities) + UTC,
        actionStatus="http://schema.org/CompletedActionStatus",
    )


def _set(entity, **properties):
    for key, value in properties.items():
        entity[key] = value
    return entity


def _add(crate, identifier, kind, **properties):
    return crate.add(ContextEntity(crate, identifier, {"@type": kind, **properties}))


def _compact(entity):
    """Return the entity without empty lists, and with lists of one item unpacked."""
    unlisted = {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
    }
    return {key: value for key, value in unlisted.items() if value != []}


def _add_files(crate, folder):
    """Add the files of the archive; return their entities by name."""
    entities = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        properties = _file(name, sha256_of(path), path.stat().st_size)
        if name == WORKFLOW:
            kinds = [*ComputationalWorkflow.TYPES, "SoftwareApplication"]
            entities[name] = crate.add_workflow(
                path,
                name,
                properties={"@type": kinds, **properties},
                main=True,
                lang=ENGINE,
            )
        elif name not in UNLISTED:
            entities[name] = crate.add_file(path, name, properties=properties)
    return entities


def _file(name, digest, size):
    product = product_at(name.removeprefix(f"{PRODUCTS}/"))
    described = {} if product is None else {"description": product.description}
    return {
        **described,
        "name": name,
        "encodingFormat": ENCODINGS.get(Path(name).suffix, "text/plain"),
        "contentSize": str(size),
        "sha256": digest,
    }


def _add_data(crate, activities, files):
    """Add the data that were read and are not in the archive; return all data by role.

    A file whose identifier begins with # is not one of the data entities of the crate: it
    need not be there, and nobody tries to download it.
    """
    archived = {file["sha256"]: file for file in files.values()}
    inputs = (file for activity in activities for file in activity["input"])
    data = {file["sha256"]: file for file in inputs if file["kind"] == "data"}
    by_role = {}
    for digest, file in data.items():
        entity = archived.get(digest)
        if entity is None:
            properties = _file(Path(file["url"]).name, digest, file["size"])
            properties["alternateName"] = file["url"]
            entity = _add(crate, f"#sha256-{digest}", "File", **properties)
        by_role.setdefault(file["role"], []).append(entity)
    return by_role


def _parameter(crate, name, files):
    """Add a parameter of the workflow, and refer to it from its files."""
    identifier = f"#parameter-{name}"
    parameter = _add(
        crate, identifier, "FormalParameter", name=name, additionalType="File"
    )
    for file in files:
        file["exampleOfWork"] = parameter
    return parameter


def _add_people(crate, activities):
    """Add the users."""
    users = dict.fromkeys(activity["user"] for activity in activities)
    return [_add(crate, f"#user-{quote(user)}", "Person", name=user) for user in users]


def _citation(crate, folder):
    """Return the properties of the workflow that its CITATION.cff states."""
    citation = yaml.safe_load((folder / CITATION).read_text(encoding="utf-8"))
    creators = []
    for author in citation["authors"]:
        # In this format only a group has its name in a single field.
        kind = "Organization" if "name" in author else "Person"
        parts = (author.get(key) for key in ("name", "given-names", "family-names"))
        name = " ".join(filter(None, parts))
        creator = _add(crate, f"#author-{quote(name)}", kind, name=name)
        creator["url"] = author.get("website", {"@id": CITATION})
        creators.append(creator)
    return {
        "name": citation["title"],
        "license": _license(crate, f"https://spdx.org/licenses/{citation['license']}"),
        "dateCreated": str(citation["date-released"]),
        "creator": creators,
    }


def _license(crate, text):
    if text.startswith(("http://", "https://")):
        return _add(crate, text, "CreativeWork", name=text)
    name = "Terms of use"
    return _add(crate, "#license", "CreativeWork", name=name, description=text)


def _software(crate, activities, systems):
    """Add Python, Snakemake and the packages that the steps import."""
    versions = {
        item
        for activity in activities
        for item in activity["software"]["packages"].items()
    }
    pythons = [system["python"] for system in systems.values()]
    packages = (package for python in pythons for package in python["packages"])
    versions |= {
        (ENGINE, package["version"])
        for package in packages
        if package["name"] == ENGINE
    }
    urls = {
        (name, version): f"https://pypi.org/project/{name}/{version}/"
        for name, version in sorted(versions)
    }
    for version in sorted({".".join(python["version"]) for python in pythons}):
        urls["Python", version] = f"https://docs.python.org/release/{version}/"
    return [
        _add(
            crate,
            url,
            "SoftwareApplication",
            name=name,
            url=url,
            softwareVersion=version,
        )
        for (name, version), url in urls.items()
    ]


def _machines(crate, systems):
    return [
        _add(
            crate,
            f"#machine-{name}",
            "PropertyValue",
            name=f"machine {system['platform']['node']}",
            value="{system} {release} {machine}, {n_cpus} CPUs".format(
                **system["platform"]
            ),
            subjectOf={"@id": f"{FOLDER}/{name}"},
        )
        for name, system in systems.items()
    ]
