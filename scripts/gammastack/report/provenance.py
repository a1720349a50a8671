"""Who made the results of a field, in short, from the records of its steps."""

import json

# More files are not listed; they are in the table INPUTS of each product.
MAX_FILES = 500
LAST_STEPS = ("stack.json", "maps-*.json")


def provenance_of(folder, origin):
    """Return what a page says about how results were made.

    Parameters
    ----------
    folder : pathlib.Path
        Records of the field.
    origin : gammastack.provenance.origin.Origin
        Of one of its products.

    Returns
    -------
    dict
        ``user``, ``host``, ``stop`` and ``command`` of the step that ended last; ``code``,
        ``packages``, ``n_files``, and ``files`` unless there are too many.
    """
    paths = [path for pattern in LAST_STEPS for path in folder.glob(pattern)]
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    last = max(records, key=lambda record: record["stop"]["time_utc"])
    files = [row for row in origin.inputs if row[0] != "intermediate"]
    return {
        "user": last["user"],
        "host": last["host"],
        "stop": last["stop"]["time_utc"][:19].replace("T", " "),
        "command": " ".join(last["arguments"]),
        "code": origin.code,
        "packages": origin.packages,
        "n_files": len(files),
        "files": files if len(files) <= MAX_FILES else [],
    }
