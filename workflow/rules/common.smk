# What all rules share: the configuration, the table of products, and how a job is done.

import atexit
import gc
import json
import os
import re
import sys
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

# The graph of jobs is large and stays in memory: rarer garbage collection saves a tenth
# of the time until the first job.
gc.set_threshold(100_000, 20, 100)
# Otherwise garbage is collected three times at the end.
atexit.register(gc.freeze)

# As many jobs as cores run at once: with more threads in each they take longer, by a third
# of an update.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The C library of Linux would give memory back to the system with each array, and take it
# again for the next one: that is a third of the time of a run.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**25))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**26))

SCRIPTS = Path(workflow.basedir) / "scripts"
sys.path.insert(0, str(SCRIPTS))


include: "snakemake_internals.smk"


from pool import Pool, WorkerKilled, run_here

if is_process_of_one_job:
    call = run_here
else:
    steps = ["run_images", "stack_group", "stack", "maps", "run_dataset"]
    # Whoever names a map, a dataset or the doctor wants no page: what draws it takes as long
    # to import as all the others.
    if not any(target.endswith((".fits", ".gz", "doctor")) for target in sys.argv):
        steps.append("report")
    pool = Pool(number_of_workers, steps)
    call = pool.run
    # While the processes get ready, the workflow is planned. Some options need none.
    if not {"-n", "--dry-run", "--dryrun", "--summary", "--unlock"} & {*sys.argv}:
        pool.warm_up()

from gammastack.config.fields import read_config
from gammastack.config.image_size import require_memory
from gammastack.config.load import load_settings
from gammastack.errors import InputError
from gammastack.files.layout import (
    PATTERNS,
    SIMULATED_STORE,
    check_steps,
    final_products,
    outputs_of,
)
from gammastack.products import STEPS, TABLE
from gammastack.provenance.activity import write_failure
from gammastack.provenance.contents import Contents
from gammastack.provenance.origin import code_hash
from gammastack.provenance.software import parameters, recall, remember, software
from gammastack.remote.address import is_remote
from gammastack.remote.files import RemoteInputs, RemoteFiles
from gammastack.sky.exclusion_files import file_of


def refuse_clearly(function, *arguments, where=""):
    """Call a function; user errors end in a message, not in a traceback."""
    try:
        return function(*arguments)
    except InputError as error:
        raise Error(f"{where}{error}") from None


try:
    # Snakemake has taken the last of two equal keys, and walks any number of values.
    if is_main_process:
        for path in filter(os.path.isfile, workflow.configfiles):
            load_settings(path)
    settings = read_config(config)
    for field in settings.fields.values():
        require_memory(field)
    check_steps(path.stem for path in (SCRIPTS / "steps").glob("[a-z]*.py"))
except InputError as error:
    raise Error(f"Configuration: {error}") from None

RESULTS = settings.results
ABSOLUTE_RESULTS = os.path.join(os.path.abspath(RESULTS), "")
# Products by name
CAPTIONS = {path.stem for path in SCRIPTS.parent.glob("workflow/report/*.rst")}
SOURCES = Path(".snakemake/sources.json")
recall(SOURCES)


def one_of(names):
    """Wildcard constraint: one of these names, or nothing if there are none."""
    names = [re.escape(name) for name in dict.fromkeys(names)]
    return f"(?:{'|'.join(names)})" if names else "(?!)"


wildcard_constraints:
    field=one_of(settings.fields),
    band=one_of(
        band for field in settings.fields.values() for band in field.energy_bands
    ),
    obs_id=PATTERNS["obs_id"],
    group=PATTERNS["group"],
    zenith=PATTERNS["zenith"],
    image=PATTERNS["image"],


class Variant(NamedTuple):
    """Return a rule for some of the fields, all of which have the same outputs of a step.

    Attributes
    ----------
    name : str
        That of the step; with its first field if it is not the first variant.
    outputs : dict of str to str
    fields : str
        Wildcard constraint.
    """

    name: str
    outputs: dict
    fields: str


def variants(step_name):
    """Return the rules that a step needs: one, unless the fields differ in what they make."""
    fields_by_outputs = {}
    for field in settings.fields.values():
        if outputs := outputs_of(step_name, field):
            key = tuple(outputs.items())
            fields_by_outputs.setdefault(key, []).append(field.name)
    for number, (outputs, fields) in enumerate(fields_by_outputs.items()):
        # The name has two words, so that it is not the name of another step.
        name = f"{step_name}_of_{fields[0]}" if number else step_name
        outputs = in_report(step_name, in_results(dict(outputs)))
        yield Variant(name, outputs, one_of(fields))


def in_results(outputs):
    """Return outputs by name, in the results folder."""
    return {name: f"{RESULTS}/{path}" for name, path in outputs.items()}


def in_report(step_name, outputs):
    """Return outputs; those with a caption in workflow/report are in Snakemake's report."""
    keys = [wildcard for wildcard in STEPS[step_name] if wildcard != "field"]
    labels = {key: f"{{{key}}}" for key in keys}
    category = "{field}" if "field" in STEPS[step_name] else "all fields"
    outputs = dict(outputs)
    for product in TABLE:
        name = product.name
        if product.step == step_name and name in outputs and name in CAPTIONS:
            about = {"content": product.description, **labels}
            caption = f"../report/{name}.rst"
            outputs[name] = report(outputs[name], caption, category, labels=about)
    return outputs


def record_of(step_name, folder="{field}"):
    """Return where a step records what it did: the log of its rule."""
    parts = [f"-{{{wildcard}}}" for wildcard in STEPS[step_name] if wildcard != "field"]
    return f"{RESULTS}/{folder}/provenance/{step_name}{''.join(parts)}.json"


contents = Contents(".snakemake/contents.json")
# Versions of files on servers, which the main process asks for, and others take from it
remote_files = RemoteFiles(
    settings.datastore_cache, ".snakemake/remote_files.json", contents.sha256
)
if is_main_process:
    atexit.register(contents.save)
    atexit.register(remember, SOURCES)
else:
    remote_files.recall()

# What failed jobs say, by their first output
refusals = {}
warnings = []
# The command of the user; the processes of a cluster inherit it, and have long ones of their own.
if is_main_process:
    os.environ.update(GAMMASTACK_COMMAND=json.dumps(sys.argv))
COMMAND = json.loads(os.environ.get("GAMMASTACK_COMMAND", "null")) or sys.argv


def perform(input, output, params, record):
    """Perform the step of a rule; the record of what it did is the log of the rule."""
    inputs, outputs = dict(input.items()), dict(output.items())
    name, arguments = params["step"], params["arguments"]
    outputs.pop("record", None)
    if remote := params.get("remote"):
        inputs["dl3"] = RemoteInputs(remote, settings.datastore_cache)
    if "some_runs" in params.keys():
        inputs["some_runs"] = params["some_runs"]
    made_of = software(f"steps.{name}", SCRIPTS)
    try:
        messages = call_with_whole_inputs(
            name, inputs, outputs, arguments, made_of, str(record), COMMAND
        )
    except Exception as error:
        is_told = isinstance(error, (InputError, WorkerKilled))
        text = str(error)
        if not is_told:
            text = f"{output[0]}: {type(error).__name__}: {error}"
        # On a cluster Slurm knows more of it, see cluster.smk.
        if not (is_on_cluster and isinstance(error, WorkerKilled)):
            refusals[output[0]] = text
        write_failure(str(record), name, text)
        if is_told:
            raise Error(text) from None
        raise
    warnings.extend(f"{output[0]}: {text}" for text in messages)


def parameters_of(step_name, upstream=(), contents=None, **named):
    """Return the parameters of a rule: the arguments of its step, and what triggers reruns.

    Parameters
    ----------
    step_name : str
    upstream : sequence of callable
        Return, for the wildcards of a job, the recipes of the jobs that it depends on.
    contents : list or callable, optional
        Names and hashes of the files that count by content.
    **named
        Arguments of the function ``run`` of the step, or functions that return them for
        the wildcards of a job. They are one parameter of the rule: Snakemake takes longer
        to call a function than the function does.
    """
    known = parameters(step_name, SCRIPTS)
    wrong = sorted(named.keys() - known.keys())
    missing = [name for name in known if known[name] and name not in named]
    if wrong or missing:
        raise Error(
            f"The rule of the step {step_name} and the function run in"
            f" scripts/steps/{step_name}.py do not fit: the rule gives"
            f" {', '.join(wrong) or 'nothing'} that the function does not take, and not"
            f" {', '.join(missing) or 'nothing'} that it needs"
        )
    for_reruns = {
        "step": step_name,
        "software": software_of(step_name),
        "upstream": hash_of(upstream),
    }
    if contents is not None:
        for_reruns["contents"] = contents
    return {**for_reruns, "arguments": values_of(named)}


def values_of(named):
    """Return a function that returns values, or what functions return for a job, by name."""
    return lambda wildcards: {
        key: value(wildcards) if callable(value) else value
        for key, value in named.items()
    }


def software_of(step_name):
    """Code and packages of a step: what changes among them is remade.

    As a parameter: as inputs they would be read again for each job.
    """
    made_of = software(f"steps.{step_name}", SCRIPTS)
    versions = (f"{name} {version}" for name, version in made_of["packages"].items())
    return " ".join([code_hash(made_of["modules"]), *versions])


@cache
def recipe(rule_name, **wildcards):
    """Return a hash of all that a job depends on: its parameters, and those of earlier jobs.

    Snakemake does not miss an intermediate result that a failed or killed job left out if
    what was made from it is there, and would take that for up to date. But it sees that a
    parameter has changed.
    """
    params = parameters_of_job(rule_name, wildcards)
    text = json.dumps([rule_name, wildcards, params], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def hash_of(recipes):
    """Return the parameter `upstream`: a hash of the recipes that some functions return."""

    def of_job(wildcards):
        found = [known for function in recipes for known in function(wildcards)]
        return sha256(" ".join(found).encode()).hexdigest()[:16]

    return of_job


def refuse_unknown():
    """Refuse results if Snakemake does not know what made them.

    It takes them for up to date.
    """
    for name, path in results_without_record():
        # A failed first update leaves a page, see screen.smk, but no table.
        if name == "record" or name == "index" and not SUMMARY.exists():
            continue
        raise Error(
            f"{path} was made elsewhere, or the records of Snakemake in the folder"
            " .snakemake are lost: whether it is up to date cannot be known. Bring"
            " .snakemake along with the results, or remake all results with"
            " --forceall. 'scripts/verify.py' checks what the results say of"
            " themselves; if all is well, --forceall --touch takes them as they are."
        )


def field_of(wildcards):
    return settings.fields[wildcards.field]


def of_field(key):
    """Return a setting of the field as a parameter of its jobs."""
    return lambda wildcards: getattr(field_of(wildcards), key)


def is_made_here(path):
    """Return whether a file is a result, which Snakemake itself follows."""
    return os.path.abspath(path).startswith(ABSOLUTE_RESULTS)


def by_content(files):
    """Return input that counts by its content alone, together with `names_and_contents`.

    Snakemake does not look at the content of a file that is older than a result.
    """
    return lambda wildcards: [
        path if is_made_here(path) else ancient(path)
        for path in files(wildcards)
        # Snakemake would look for each of them: `remote` hands them to the job.
        if not is_remote(path)
    ]


def names_and_contents(files):
    """Return names without folders, and hashes, of input files, as a parameter of their job."""
    return lambda wildcards: [
        (os.path.basename(path), None if is_made_here(path) else content_of(path))
        for path in files(wildcards)
    ]


def content_of(path):
    """Return a text that stands for the content of a file: its hash, or its version."""
    if is_remote(path):
        return remote_files.file(path).content
    return contents.sha256(path)


def remote(files):
    """Return the parameter with which the files on servers among some are fetched, if any.

    Snakemake does not compare parameters that depend on the output: addresses may change.
    """
    if not any(is_remote(field.datastore) for field in settings.fields.values()):
        return {}
    return {
        "remote": lambda wildcards, output: [
            remote_files.file(path) for path in files(wildcards) if is_remote(path)
        ]
    }


def exclusion_files(wildcards):
    """Return regions, masks and catalogues among the exclusions."""
    return [*filter(None, map(file_of, field_of(wildcards).exclusion_mask))]
