"""The records of the activities that made the results of a field, and how they hang together.

`gammastack.activity` writes them, as JSON files in the folder ``provenance`` of the field.
"""

import json
from graphlib import TopologicalSorter

from gammastack.errors import InputError

FOLDER = "provenance"


def read_records(files):
    """Read the records of a field.

    Parameters
    ----------
    files : dict of str to bytes or str
        Content by name of the files in the folder ``provenance``.

    Returns
    -------
    activities : list of dict
        The completed ones, in the order of their files.
    systems : dict of str to dict
        Machines and their software, by the name by which activities refer to them.

    Raises
    ------
    InputError
        If a file is damaged.
    """
    activities, systems = [], {}
    for name in sorted(files):
        try:
            content = json.loads(files[name])
        except ValueError as error:
            raise InputError(f"{FOLDER}/{name}: damaged record ({error})") from error
        if name.startswith("system-"):
            systems[name] = content
        elif content.get("status") == "completed":
            activities.append(content)
    return activities, systems


def history(activities, products):
    """The activities that led to some products, each after those that it depends on.

    Parameters
    ----------
    activities : list of dict
    products : iterable of str
        Files, named from the folder of the field.

    Returns
    -------
    list of dict
    """
    maker = {file["url"]: one for one in activities for file in one["output"]}
    order, found, todo = TopologicalSorter(), {}, list(products)
    while todo:
        activity = maker.get(todo.pop())
        if activity is None or activity["activity_uuid"] in found:
            continue
        uuid = activity["activity_uuid"]
        found[uuid] = activity
        results = [one["url"] for one in activity["input"] if one["kind"] == "result"]
        makers = {maker[url]["activity_uuid"] for url in results if url in maker}
        order.add(uuid, *sorted(makers))
        todo += results
    return [found[uuid] for uuid in order.static_order()]
