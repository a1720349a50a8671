"""Records of the activities that made the results of a field, and the links between them.

`gammastack.provenance.activity` writes them as JSON files: in the folder ``provenance`` of the field,
and those of single runs beside their images, with which they travel through a cache.
"""

import json
import os
import re
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from gammastack.errors import DamagedResult, InputError
from gammastack.files.layout import products_at

FOLDER = "provenance"
EXPORT = f"{FOLDER}/prov.json"
# The name of a file that is not complete begins with a dot.
RECORD = re.compile(rf"{FOLDER}/[^/.][^/]*\.json|(dataset_)?runs/\d+\.json")

FILE = {"role": str, "kind": str, "url": str, "sha256": str}
# A completed activity has at least these keys, with values of these types.
ACTIVITY = {
    "activity_name": str,
    "activity_uuid": str,
    "stop": {"time_utc": str},
    "config": {},
    "software": {"modules": {...: str}, "packages": {...: str}},
    "input": [FILE],
    "output": [FILE],
}
REMEDY = "restore the file, or make the results again with --forceall"


def field_folder(record):
    """Return the folder of the field that a record belongs to."""
    return Path(record).parents[1]


def require_as_recorded(files, folder):
    """Refuse results that are not what the records of their makers say.

    Parameters
    ----------
    files : list of dict
        As `gammastack.provenance.origin.entities` describes them.
    folder : pathlib.Path
        From which they are named: that of a field, or of all fields.

    Raises
    ------
    gammastack.errors.DamagedResult
    """
    found = {
        folder / file["url"]: file["sha256"]
        for file in files
        if file["kind"] == "result"
    }
    records = _records_of(found, folder)
    written = {}
    for record in sorted(records):
        for file in _parse(record, record.read_bytes()).get("output", []):
            path = field_folder(record) / file["url"]
            written.setdefault(path, set()).add(file["sha256"])
    for path, digest in found.items():
        if digest not in written.get(path, [digest]):
            raise DamagedResult(path, "its content is not what was written")


def altered_results(records, sha256):
    """Return results that were changed after they were made: time and content are others.

    Parameters
    ----------
    records : iterable of pathlib.Path
        Damaged ones are passed over.
    sha256 : callable
        Returns the hash of a file.

    Returns
    -------
    list of pathlib.Path
    """
    made = {}
    for record in sorted(records, key=_time):
        folder, time = str(field_folder(record)), _time(record)
        with suppress(DamagedResult):
            for file in _parse(record, record.read_bytes()).get("output", []):
                made[os.path.join(folder, file["url"])] = time, file["sha256"]
    return [
        Path(path)
        for path, (time, digest) in made.items()
        if os.path.isfile(path)
        and os.stat(path).st_mtime_ns > time
        and sha256(path) != digest
    ]


def _time(path):
    return path.stat().st_mtime_ns


def _records_of(paths, folder):
    """Return the records of the steps that may have made some results."""
    records, patterns = set(), set()
    for path in paths:
        parts = path.relative_to(folder).parts
        for depth in (0, 1):
            field = folder.joinpath(*parts[:depth])
            for product in products_at("/".join(parts[depth:])):
                if product.name == "images":
                    records.add(path.with_suffix(".json"))
                else:
                    patterns.add((field, f"{FOLDER}/{product.step}.json"))
                    patterns.add((field, f"{FOLDER}/{product.step}-*.json"))
    records = {record for record in records if record.is_file()}
    return records.union(*(field.glob(pattern) for field, pattern in patterns))


def _parse(name, content):
    """Return a record, or the description of a machine."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedResult(name, error) from error
    if not isinstance(record, dict):
        raise DamagedResult(name, "no JSON object")
    is_activity = record.get("status") == "completed"
    if is_activity and (fault := _fault(record, ACTIVITY)):
        raise DamagedResult(name, fault)
    return record


def is_record(name):
    """Return whether a file, named from the folder of its field, is a record."""
    return bool(RECORD.fullmatch(name)) and name != EXPORT


def read_folder(folder):
    """Return activities and systems in the folder of a field, see `read_records`."""
    folder = Path(folder)
    paths = [
        path
        for part in (FOLDER, "runs", "dataset_runs")
        for path in folder.glob(f"{part}/*.json")
    ]
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    try:
        return read_records({name: (folder / name).read_bytes() for name in names})
    except DamagedResult as damaged:
        raise DamagedResult(folder / damaged.path, damaged.reason) from damaged


def read_records(files):
    """Read the records of a field.

    Parameters
    ----------
    files : dict of str to bytes
        Content by name, from the folder of the field; files that are not records are ignored.

    Returns
    -------
    activities : list of dict
        The completed ones in the order in which they ended, with the names of their files in
        ``record``.
    systems : dict of str to dict
        Machines and their software, by the name by which activities refer to them. The
        system of an activity in a cache may be missing.

    Raises
    ------
    gammastack.errors.DamagedResult
        If a file is damaged.
    """
    activities, systems = [], {}
    for name in filter(is_record, files):
        content = _parse(name, files[name])
        file = name.rsplit("/", 1)[-1]
        if file.startswith("system-"):
            systems[file] = content
        elif content.get("status") == "completed":
            activities.append({"record": name, **content})
    # What several steps can make, such as a mask, was made by the last one.
    return sorted(activities, key=lambda one: one["stop"]["time_utc"]), systems


def made_by(activities):
    """Return the hashes of what activities made, by the name of the file."""
    return {
        file["url"]: file["sha256"]
        for activity in activities
        for file in activity["output"]
    }


def _fault(value, shape, key="it"):
    """Return what is wrong with a value of JSON; None if it has a shape like `ACTIVITY`."""
    kind = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, kind):
        return f"{key} is not of the type {kind.__name__}"
    parts = []
    if isinstance(shape, list):
        parts = [(f"an item of {key}", item, shape[0]) for item in value]
    elif isinstance(shape, dict) and ... in shape:
        parts = [(name, part, shape[...]) for name, part in value.items()]
    elif isinstance(shape, dict):
        if missing := shape.keys() - value.keys():
            return f"{key} has no {', '.join(sorted(missing))}"
        parts = [(name, value[name], part) for name, part in shape.items()]
    faults = (_fault(part, inner, name) for name, part, inner in parts)
    return next(filter(None, faults), None)


def history(activities, products):
    """Return the activities that led to some products, each after those that it depends on.

    Parameters
    ----------
    activities : list of dict
        As `read_records` returns them.
    products : iterable of str
        Files, named from the folder of the field.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        If activities depend on each other.
    """
    maker = {
        file["url"]: activity for activity in activities for file in activity["output"]
    }
    order, found, todo = TopologicalSorter(), {}, list(products)
    while todo:
        activity = maker.get(todo.pop())
        if activity is None or activity["activity_uuid"] in found:
            continue
        uuid = activity["activity_uuid"]
        found[uuid] = activity
        results = [
            file["url"] for file in activity["input"] if file["kind"] == "result"
        ]
        makers = {maker[url]["activity_uuid"] for url in results if url in maker}
        order.add(uuid, *sorted(makers))
        todo += results
    try:
        return [found[uuid] for uuid in order.static_order()]
    except CycleError as error:
        names = sorted({found[uuid].get("record", uuid) for uuid in error.args[1]})
        raise InputError(
            f"{', '.join(names)}: damaged records (each depends on the other); {REMEDY}"
        ) from error


def contradictions(activities):
    """Return results that an activity read with other content than they were made with.

    Parameters
    ----------
    activities : list of dict
        As `history` returns them.

    Returns
    -------
    list of (dict, str)
        The activity, and what is wrong.
    """
    made = made_by(activities)
    return [
        (activity, _contradiction(activity, file, made))
        for activity in activities
        for file in activity["input"]
        if file["kind"] == "result" and made.get(file["url"]) != file["sha256"]
    ]


def _contradiction(activity, file, made):
    if file["url"] not in made:
        return f"{file['url']}: no record says what made it"
    return f"{file['url']}: {activity['activity_name']} read another one than this"
