"""What a page says about the runs of a field."""

from gammastack.maps.empty_sky import not_as_expected
from gammastack.report.page import DASH, fixed

# Longer tables would make the page too large; the files have all rows.
MAX_ROWS = 2000


def verdicts(bands, runs):
    """Return statements on whether the maps can be trusted: text, and whether it is good.

    Parameters
    ----------
    bands : list of dict
        Results of `band_context`.
    runs : pandas.DataFrame
        Table of the field.
    """
    lines = []
    for band in bands:
        if not band["n_used"]:
            text = "no run is used, the maps are empty; the table of runs says why"
            lines.append({"good": False, "text": f"{band['name']}: {text}"})
        elif band["off"] and (odd := not_as_expected(band["off"])):
            lines.append({"good": False, "text": f"{band['name']}: {odd}"})
        elif band["off"] and band["off"]["n_pixels"]:
            text = "outside the exclusions the sky looks empty, as it should"
            lines.append({"good": True, "text": f"{band['name']}: {text}"})
        else:
            text = "nothing is known about empty sky: there is no background outside exclusions"
            lines.append({"good": False, "text": f"{band['name']}: {text}"})
    for status, word in (("failed", "could not be used"), ("dropped", "dropped")):
        odd = runs[runs["status"] == status]
        if len(odd):
            listed = ", ".join(map(str, odd["OBS_ID"].head(10)))
            more = f" and {len(odd) - 10} more" if len(odd) > 10 else ""
            text = f"{len(odd)} of {len(runs)} runs {word}: {listed}{more}"
            lines.append({"good": False, "text": text})
    odd = runs[runs["warning"] != ""]
    for row in odd.head(10).itertuples():
        lines.append({"good": False, "text": f"run {row.OBS_ID}: {row.warning}"})
    if len(odd) > 10:
        text = f"{len(odd) - 10} more runs have a warning, see below"
        lines.append({"good": False, "text": text})
    if odd.empty and (runs["status"] == "used").any():
        lines.append({"good": True, "text": "no run has a warning"})
    return lines


def run_rows(runs, norms):
    """Return the rows of the table of runs, and how many runs are left out of it.

    Parameters
    ----------
    runs : pandas.DataFrame
        Table of the field.
    norms : dict of str to pandas.DataFrame
        Tables of the runs by band.

    Returns
    -------
    columns : list of str
    rows : list of dict
    n_hidden : int
    """
    listed = runs
    if len(runs) > MAX_ROWS:
        listed = runs[(runs["status"] != "used") | (runs["warning"] != "")]
        listed = listed.head(MAX_ROWS)
    columns = ["run", "status", "start (UTC)", "livetime (min)", "zenith (deg)"]
    by_run = {}
    zenith = next(iter(norms.values())).set_index("OBS_ID")["ZENITH"]
    for band, table in norms.items():
        columns += [f"events {band}", f"norm {band}"]
        by_run[band] = table.set_index("OBS_ID")[
            ["n_events", "bkg_scale", "bkg_scale_err"]
        ]
    columns += ["file", "reason, warning or note"]
    rows = []
    for row in listed.itertuples():
        values = [
            *(row.OBS_ID, row.status, str(row.start)[:19].replace("T", " ")),
            *(fixed(row.livetime / 60, 1), fixed(zenith.get(row.OBS_ID), 1)),
        ]
        for table in by_run.values():
            of_run = table.loc[row.OBS_ID]
            error = fixed(of_run["bkg_scale_err"], 3)
            norm = f"{fixed(of_run['bkg_scale'], 3)} ± {error}"
            values += [int(of_run["n_events"]), norm if error != DASH else DASH]
        texts = filter(None, (row.reason, row.warning, row.note))
        values += [row.file, "; ".join(texts)]
        rows.append({"status": row.status, "values": values})
    return columns, rows, len(runs) - len(listed)
