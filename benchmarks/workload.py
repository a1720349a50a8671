"""What is computed: the calls of one recorded workflow, and the same as gammapy needs it."""

import pickle
from pathlib import Path

import yaml
from astropy.io import fits


def keep_fields(config, names):
    """Reduce a configuration file to some of its fields."""
    settings = yaml.safe_load(config.read_text())
    settings["fields"] = {name: settings["fields"][name] for name in names}
    config.write_text(yaml.safe_dump(settings, sort_keys=False))


def read_calls(path):
    """Calls that `recorded_pool` wrote; the library must be importable."""
    calls = []
    with open(path, "rb") as file:
        while file.peek(1):
            calls.append(pickle.load(file))
    return calls


def of_step(calls, step):
    """Name of the field and the call, for each call of a step."""
    for call in calls:
        if call["step"] == step:
            _, name, *_ = Path(next(iter(call["outputs"].values()))).parts
            yield name, call


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
    for name, call in of_step(calls, "stack"):
        ((band, edges),) = call["params"]["energy_bands"].items()
        fields[name] = {
            **call["params"]["image"],
            "store": str(store),
            "obs_ids": [],
            "band": band,
            "energy_band": edges,
        }
    for name, call in of_step(calls, "run_images"):
        params = call["params"]
        fields[name]["obs_ids"].append(params["obs_id"])
        fields[name]["offset_max"] = params["offset_band"][1]
        fields[name]["spectral_index"] = params["spectral_index"]
    for name, call in of_step(calls, "exclusion_mask"):
        fields[name]["exclusions"] = call["params"]["exclusion_mask"]
    for name, call in of_step(calls, "maps"):
        fields[name]["radius"] = call["params"]["radii"][""].angle
    for field in fields.values():
        field["obs_ids"].sort()
    return fields


def event_file(calls, name, obs_id):
    """The file with the events of a run."""
    params, inputs = next(
        (call["params"], call["inputs"])
        for field, call in of_step(calls, "run_images")
        if (field, call["params"]["obs_id"]) == (name, obs_id)
    )
    return Path(inputs["dl3"][params["hdus"]["events"].file])


def write_with_fewer_events(source, target):
    """Copy an event file without the last tenth of its events."""
    with fits.open(source) as hdus:
        events = hdus["EVENTS"]
        events.data = events.data[: len(events.data) * 9 // 10]
        hdus.writeto(target)
