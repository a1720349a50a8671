"""Write the table of what is wrong with the runs of a field and with its store."""

import json
from pathlib import Path

import pandas as pd

from gammastack.doctor import SEVERITIES


def run(inputs, outputs, origin, *, excluded, unknown_files):
    rows = [json.loads(Path(path).read_text()) for path in inputs["checks"]]
    rows += [
        {"file": name, "warning": reason} for name, reason in unknown_files.items()
    ]
    table = pd.DataFrame([{**dict.fromkeys(SEVERITIES, ""), **row} for row in rows])
    table["file"] = [
        row.get("file") or ", ".join(dict.fromkeys(row["files"].values()))
        for row in rows
    ]
    table["result"] = [
        next((name for name in SEVERITIES if row[name]), "ok")
        for row in table.to_dict("records")
    ]
    table["excluded"] = table["OBS_ID"].isin(excluded)
    first = ["OBS_ID", "result", *SEVERITIES, "excluded", "file"]
    others = [name for name in table if name not in (*first, "files")]
    table["OBS_ID"] = table["OBS_ID"].astype("Int64")
    table[[*first, *others]].to_csv(outputs["doctor"], index=False)
