"""Write the archive of a field."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from astropy.io import fits

from gammastack.errors import InputError
from gammastack.provenance.archive import LICENSE, README, TERMS, pack, write_manifest
from gammastack.provenance.bundle import CODE, PRODUCTS
from gammastack.provenance.origin import sha256_of
from gammastack.provenance.records import FOLDER, history, read_folder
from gammastack.provenance.ro_crate import About, crate_metadata
from gammastack.version import __version__


def run(inputs, outputs, params, origin):
    field = Path(outputs["archive"]).parent
    products = [Path(path).relative_to(field) for path in inputs["products"]]
    with TemporaryDirectory(dir=field) as temporary:
        folder = Path(temporary)
        activities, systems = _records(field, products)
        made = {file["url"]: file for one in activities for file in one["output"]}
        for product in products:
            _require_as_made(field / product, made.get(product.as_posix()))
            _copy(field / product, folder / PRODUCTS / product)
        for path in inputs["code"]:
            _copy(path, folder / CODE / Path(path).relative_to(params["project"]))
        for name, path in params["files"].items():
            _copy(path, folder / name)
        for path in inputs["terms"]:
            _copy(path, folder / TERMS / Path(path).name)
        _write(folder / CODE / "config" / "config.yaml", _yaml(params["config"]))
        for name in ["prov.json", *systems]:
            _copy(field / FOLDER / name, folder / FOLDER / name)
        for one in activities:
            _copy(field / one["record"], folder / FOLDER / _archived(one))
        about = {
            "field": field.name,
            "version": __version__,
            "datastore": params["datastore"],
            "terms": f" (`{TERMS}/`)" if inputs["terms"] else "",
            **_facts(inputs["products"]),
        }
        _write(folder / "README.md", README.format(**about))
        title = "Sky maps of the field {field}".format(**about)
        text = "{n_runs} observations from {start} to {stop} UTC, stacked.".format(
            **about
        )
        crate = crate_metadata(
            folder, About(title, text, LICENSE.format(**about)), activities, systems
        )
        _write(folder / "ro-crate-metadata.json", crate)
        write_manifest(folder)
        pack(folder, outputs["archive"])


def _require_as_made(path, file):
    if file is None or sha256_of(path) != file["sha256"]:
        raise InputError(
            f"{path}: it is not what gammastack wrote, and no archive is made of it;"
            " delete it and start again"
        )


def _copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _yaml(config):
    head = (
        "# The configuration of this archive: one field, and the runs that were used\n"
    )
    return head + yaml.safe_dump(config, sort_keys=False, default_flow_style=None)


def _facts(products):
    header = fits.getheader(
        next(one for one in products if one.endswith("counts.fits"))
    )
    keys = {"n_runs": "N_OBS", "start": "DATE-OBS", "stop": "DATE-END"}
    return {name: header[key] for name, key in keys.items()}


def _records(field, products):
    """Activities that led to the products, and the machines on which they ran."""
    activities, systems = read_folder(field)
    activities = history(activities, [path.as_posix() for path in products])
    machines = {one["system"] for one in activities} & systems.keys()
    return activities, {name: systems[name] for name in sorted(machines)}


def _archived(activity):
    """Name of a record in the archive, which has no folders of runs."""
    obs_id = activity["config"].get("obs_id")
    file = Path(activity["record"]).name
    return file if obs_id is None else f"run_images-{obs_id}.json"
