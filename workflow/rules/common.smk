import atexit
import json
import os
import re
import sys
import threading
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))

from snakemake.io import IOFile
from snakemake.settings.types import ExecMode

from gammastack.provenance.activity import write_failure
from gammastack.errors import InputError
from gammastack.config.fields import SIMULATED_STORE, read_config
from gammastack.provenance.contents import Contents
from gammastack.dl3.datastore import HDU_INDEX, OBS_INDEX, DataStore, hdu_types
from gammastack.sky.exclusion import file_of
from gammastack.stacking.groups import stable_groups
from gammastack.provenance.origin import code_hash
from gammastack.dl3.selection import bins_of_zenith, select_observations
from gammastack.provenance.software import software
from gammastack.summary import format_summary
from pool import Pool, WorkerKilled, run_here

try:
    settings = read_config(config)
except InputError as error:
    raise WorkflowError(f"Configuration: {error}") from None


def one_of(names):
    """Wildcard constraint: one of these names, or nothing if there are none."""
    names = [re.escape(name) for name in dict.fromkeys(names)]
    return f"(?:{'|'.join(names)})" if names else "(?!)"


pathvars:
    results=settings.results,
    simulated=f"{settings.results}/{SIMULATED_STORE}",


wildcard_constraints:
    field=one_of(settings.fields),
    band=one_of(
        band for field in settings.fields.values() for band in field.energy_bands
    ),
    obs_id=r"\d+",
    group="all|[0-3]+",
    zenith=r"[\d.]+-[\d.]+",
    radius=one_of(
        suffix for field in settings.fields.values() for suffix in field.radii
    ),


if workflow.exec_mode == ExecMode.SUBPROCESS:
    # Started by Snakemake for one job, which it does without the profile
    call = run_here
else:
    pool = Pool(lambda: workflow.cores)
    call = pool.run
    if not workflow.dryrun:
        pool.warm_up()

contents = Contents(".snakemake/contents.json")
if workflow.exec_mode == ExecMode.DEFAULT:
    atexit.register(contents.save)

refusals = []
warnings = []


def step(name, input, output, params, record):
    """Perform `steps.<name>`; the record of what it did is the log of a rule."""
    inputs, outputs, params = (dict(part.items()) for part in (input, output, params))
    outputs.pop("record", None)
    for key in ("software", "known", "upstream"):
        params.pop(key, None)
    made_of = software(f"steps.{name}", SCRIPTS)
    try:
        said = call(name, inputs, outputs, params, made_of, str(record), sys.argv)
    except Exception as error:
        text = str(error)
        if not isinstance(error, (InputError, WorkerKilled)):
            text = f"{output[0]}: {type(error).__name__}: {error}"
        refusals.append(text)
        write_failure(str(record), name, text)
        raise
    warnings.extend(f"{output[0]}: {text}" for text in said)


def print_warnings():
    for message in sorted(set(warnings)):
        print(f"WARNING: {message}")


def leave_at_once():
    """Python would wait for the timers that the rate limit of Snakemake leaves behind."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


def software_of(name):
    """Code and packages of a step: what changes among them is made again.

    As a parameter: as inputs they would be read again for each job.
    """
    made_of = software(f"steps.{name}", SCRIPTS)
    versions = (f"{name} {version}" for name, version in made_of["packages"].items())
    return " ".join([code_hash(made_of["modules"]), *versions])


@cache
def recipe(name, **wildcards):
    """Hash of all that a job goes back to: its parameters, and those of the jobs before it.

    It is the parameter `upstream` of the jobs that follow. Snakemake does not miss an
    intermediate result that a failed or killed job left out if what was made from it is
    there, and would take that for up to date; but it sees that a parameter has changed.
    """
    job = SimpleNamespace(**wildcards)
    params = {
        key: value(job) if callable(value) else value
        for key, value in getattr(rules, name).params.items()
        # The only one that looks at the outputs
        if key != "known"
    }
    text = json.dumps([name, wildcards, params], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def upstream(*functions):
    """Recipes of the jobs before a job, as one parameter of it.

    Parameters
    ----------
    *functions : callable
        Return the recipes for the wildcards of the job.
    """

    def of_job(wildcards):
        recipes = [one for function in functions for one in function(wildcards)]
        return sha256(" ".join(recipes).encode()).hexdigest()[:16]

    return of_job


def refuse_unknown(wildcards, output):
    """Refuse results of which Snakemake does not know what made them.

    It would take them for up to date. A parameter of its own: Snakemake does not compare
    parameters that depend on the output.
    """
    is_planning = workflow.exec_mode == ExecMode.DEFAULT and workflow.scheduler is None
    if not is_planning or workflow.dag_settings.forceall:
        return
    known = workflow.persistence
    for path in output:
        file = IOFile(path)
        # What an interrupted or failed job has left is made again by Snakemake itself
        if (
            Path(path).exists()
            and Path(path).name != "record.json"
            and not known.metadata(file)
            and not known._filter_incomplete_keys([known._get_key(file)])
        ):
            raise WorkflowError(
                f"{path} was made elsewhere, or the records of Snakemake in the folder"
                " .snakemake are lost: whether it is up to date cannot be known. Bring"
                " .snakemake along with the results, or make all results again with"
                " --forceall. 'scripts/verify.py' checks what the results say of"
                " themselves; if all is well, --forceall --touch takes them as they are."
            )
