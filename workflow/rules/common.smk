import re
import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from snakemake.settings.types import ExecMode

from gammastack.errors import InputError
from gammastack.config import SIMULATED_STORE, read_config
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
    simulated=f"{settings.results}/{SIMULATED_STORE}",


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
        refusals.append(f"{error}\n       Needed for {output[0]}")
        raise


def code(name):
    """Files of the step and of the modules it uses: an edit reruns what it touches."""
    return code_files(f"steps.{name}", Path(workflow.basedir) / "scripts")
