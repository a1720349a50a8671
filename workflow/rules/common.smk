import re
import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from gammastack.errors import InputError
from gammastack.config import read_config
from gammastack.datastore import HDU_CLASSES, DataStore
from gammastack.exclusion import is_file
from gammastack.selection import select_observations
from gammastack.simulate import simulated_obs_ids
from gammastack.summary import format_summary
from pool import Pool, code_files

try:
    settings = read_config(config)
except InputError as error:
    raise WorkflowError(f"Configuration: {error}") from None


pathvars:
    results=settings.results,


wildcard_constraints:
    field="|".join(map(re.escape, settings.fields)),
    band="[^/]+",
    obs_id=r"\d+",
    radius="|_[^/]+",


pool = Pool(workflow.cores)
refusals = []


def step(name, input, output, params):
    """Run `steps.<name>` in the process pool."""
    arguments = (dict(part.items()) for part in (input, output, params))
    try:
        return pool.run(f"steps.{name}", *arguments)
    except InputError as error:
        refusals.append(str(error))
        raise


def code(name):
    """Files of the step and of the modules it uses: an edit reruns what it touches."""
    return code_files(f"steps.{name}", Path(workflow.basedir) / "scripts")


def field_of(wildcards):
    return settings.fields[wildcards.field]


def of_field(key):
    """A setting of the field as a parameter of its jobs."""
    return lambda wildcards: getattr(field_of(wildcards), key)


def names_of_fields(condition):
    """Wildcard constraint: the fields that meet a condition."""
    names = [re.escape(name) for name, field in settings.fields.items() if condition(field)]
    return "|".join(names) or "(?!)"


with_background = names_of_fields(lambda field: field.make_background_image)
counts_only = names_of_fields(lambda field: not field.make_background_image)


@cache
def datastore(folder):
    if settings.simulation:
        # The store is made by this workflow: wait for it
        checkpoints.simulate_index.get()
    return refuse_clearly(DataStore.from_dir, folder)


@cache
def selected_runs(name):
    field = settings.fields[name]
    center = field.image["center"]
    return refuse_clearly(
        select_observations, datastore(field.datastore), field.observations, center
    )


def refuse_clearly(function, *arguments):
    """Call a function; what the user got wrong ends in a message, not in a traceback."""
    try:
        return function(*arguments)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def products(wildcards):
    """What is made of each field by default."""
    for name, field in settings.fields.items():
        yield f"{settings.results}/{name}/runs.csv"
        for band in field.energy_bands:
            folder = f"{settings.results}/{name}/{band}"
            yield f"{folder}/counts.fits"
            if not field.make_background_image:
                continue
            for kind in ("bkg", "exposure", "excess"):
                yield f"{folder}/{kind}.fits"
            for suffix in field.radii:
                yield f"{folder}/significance{suffix}.fits"
            if field.save_bkg_scale:
                yield f"{folder}/table_bkg_norm.csv"
                yield f"{folder}/table_bkg_norm.fits"
