"""What is computed: the calls of one recorded workflow, and the same as gammapy needs it."""

import json
from pathlib import Path

import yaml
from astropy.io import fits


def keep_fields(config, names):
    """Reduce a configuration file to some of its fields."""
    settings = yaml.safe_load(config.read_text())
    settings["fields"] = {name: settings["fields"][name] for name in names}
    config.write_text(yaml.safe_dump(settings, sort_keys=False))


def read_calls(path):
    """Calls that `recorded_pool` wrote."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def of_step(calls, step):
    """The named folder of the results tree and the call, for each call of a step."""
    for call in calls:
        if call["step"] == step:
            output = next(iter(call["outputs"].values()))
            yield Path(output).parts[1:-1], call


def fields_of(calls, store):
    """Geometry, runs and selections by field, for `gammapy_peer`.

    Parameters
    ----------
    calls : list of dict
    store : pathlib.Path

    Returns
    -------
    dict of str to dict
    """
    fields = {}
    for (name, band), call in of_step(calls, "stack"):
        fields[name] = {
            **call["params"]["image"],
            "store": str(store),
            "obs_ids": [],
            "band": band,
            "energy_band": call["params"]["energy_band"],
        }
    for (name, _, obs_id), call in of_step(calls, "run_images"):
        params = call["params"]
        fields[name]["obs_ids"].append(int(obs_id))
        fields[name]["offset_max"] = params["offset_band"][1]
        fields[name]["spectral_index"] = params["spectral_index"]
    for (name,), call in of_step(calls, "exclusion_mask"):
        fields[name]["exclusions"] = call["params"]["exclusion_mask"]
    for (name, _), call in of_step(calls, "significance"):
        _, fields[name]["radius"] = call["params"]["radius"]
    for field in fields.values():
        field["obs_ids"].sort()
    return fields


def event_file(calls, name, obs_id):
    """The file with the events of a run."""
    folder = (name, "runs", str(obs_id))
    call = next(call for where, call in of_step(calls, "run_images") if where == folder)
    number, *_ = call["params"]["hdus"]["events"]
    return Path(call["inputs"]["dl3"][number])


def write_with_fewer_events(source, target):
    """Copy an event file without the last tenth of its events."""
    with fits.open(source) as hdus:
        events = hdus["EVENTS"]
        events.data = events.data[: len(events.data) * 9 // 10]
        hdus.writeto(target)
