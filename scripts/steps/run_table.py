"""Write the run table of a field: what became of each selected run in each band."""

import pandas as pd

# From the best to the worst that can happen to a run
STATUS = ["used", "dropped", "failed"]
COMMON = ["OBS_ID", "RA_PNT", "DEC_PNT", "start", "stop", "ontime", "livetime"]


def run(inputs, outputs, params, origin):
    tables = dict(zip(params["bands"], map(pd.read_csv, inputs["runs"]), strict=True))
    first = next(iter(tables.values()))
    table = first[["OBS_ID"]].copy()
    by_band = [
        [(band, *row) for row in runs[["status", "reason"]].fillna("").to_numpy()]
        for band, runs in tables.items()
    ]
    of_run = list(zip(*by_band, strict=True))
    # A run is used if it is used in any band
    table["status"] = [
        min((status for _, status, _ in bands), key=STATUS.index) for bands in of_run
    ]
    table["reason"] = [
        "; ".join(f"{band}: {reason}" for band, _, reason in bands if reason)
        for bands in of_run
    ]
    table["file"] = first["FILENAME"]
    for column in COMMON[1:]:
        table[column] = first[column]
    for band, runs in tables.items():
        table[f"n_events_{band}"] = runs["n_events"]
        table[f"status_{band}"] = runs["status"]
    table["note"] = first["NOTE"].fillna("")
    table.to_csv(outputs["runs"], index=False)
