"""Write the archive of a field."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import yaml
from astropy.io import fits

from gammastack.archive.bundle import CODE, CONFIG, PRODUCTS
from gammastack.archive.pack import (
    LICENSE,
    README,
    TERMS,
    pack,
    pinned_config,
    write_manifest,
)
from gammastack.archive.ro_crate import About, crate_metadata
from gammastack.errors import DamagedResult, InputError
from gammastack.files.layout import product_at
from gammastack.provenance.origin import sha256_of
from gammastack.provenance.records import (
    EXPORT,
    FOLDER,
    contradictions,
    history,
    made_by,
    read_folder,
)
from gammastack.version import __version__


def run(inputs, outputs, origin, *, project, config):
    field = Path(outputs["archive"]).parent
    products = [Path(path).relative_to(field) for path in inputs["products"]]
    activities, systems = _records(field, products)
    _require_as_made(field, products, activities)
    runs = pd.read_csv(field / "runs.csv")
    obs_ids = runs.loc[runs["status"] != "excluded", "OBS_ID"].tolist()
    config, files = pinned_config(config, field.name, obs_ids)
    files |= {f"{PRODUCTS}/{path}": field / path for path in products}
    files |= {
        f"{CODE}/{Path(path).relative_to(project)}": path for path in inputs["code"]
    }
    files |= {f"{TERMS}/{Path(path).name}": path for path in inputs["terms"]}
    files |= {f"{FOLDER}/{name}": field / FOLDER / name for name in systems}
    files |= {
        f"{FOLDER}/{_name(activity)}": field / activity["record"]
        for activity in activities
    }
    files[EXPORT] = inputs["prov"]
    given = config["fields"][field.name]
    facts = {
        "field": field.name,
        "version": __version__,
        "datastore": given.get("datastore", config.get("datastore", "simulated")),
        "terms": f" (`{TERMS}/`)" if inputs["terms"] else "",
        **_facts(field, products),
    }
    with _folder_beside(field) as folder:
        for name, path in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        (folder / CONFIG).parent.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(_yaml(config), encoding="utf-8")
        (folder / "README.md").write_text(README.format(**facts), encoding="utf-8")
        crate = crate_metadata(folder, _about(facts), activities, systems)
        (folder / "ro-crate-metadata.json").write_text(crate, encoding="utf-8")
        write_manifest(folder)
        pack(folder, outputs["archive"])


@contextmanager
def _folder_beside(field):
    """Make a folder for the content of the archive, where nobody takes it for results."""
    folder = field.with_name(f".archive-{field.name}")
    # A process that was killed has left its own.
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_as_made(field, products, activities):
    made = made_by(activities)
    for path in products:
        if sha256_of(field / path) != made.get(path.as_posix()):
            raise DamagedResult(field / path, "its content is not what was written")
    for _, text in contradictions(activities):
        raise InputError(
            f"{field}: {text}. No archive is made of it; start again with --forceall"
        )


def _about(facts):
    title = "Sky maps of the field {field}"
    text = "{n_runs} observations from {start} to {stop} UTC, stacked."
    return About(*(part.format(**facts) for part in (title, text, LICENSE)))


def _yaml(config):
    head = (
        "# The configuration of this archive: one field, and the runs that were used\n"
    )
    return head + yaml.safe_dump(config, sort_keys=False, default_flow_style=None)


def _facts(field, products):
    counts = (path for path in products if product_at(path.as_posix()).name == "counts")
    header = fits.getheader(field / next(counts))
    keys = {"n_runs": "N_OBS", "start": "DATE-OBS", "stop": "DATE-END"}
    return {name: header[key] for name, key in keys.items()}


def _records(field, products):
    """Return the activities that led to the products, and the machines on which they ran."""
    activities, systems = read_folder(field)
    activities = history(activities, [path.as_posix() for path in products])
    machines = {activity["system"] for activity in activities} & systems.keys()
    return activities, {name: systems[name] for name in sorted(machines)}


def _name(activity):
    """Return the name of a record in the archive, which has no folders of runs."""
    obs_id = activity["config"].get("obs_id")
    file = Path(activity["record"]).name
    return file if obs_id is None else f"{activity['activity_name']}-{obs_id}.json"
