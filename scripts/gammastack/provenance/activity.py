"""Run a step and record who used what to make what, when, how long and where.

The names of the fields are those of the provenance records of ctapipe, where it has them.
"""

import getpass
import json
import os
import platform
import socket
import sys
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

import numpy as np

from gammastack.provenance.origin import Origin, entities
from gammastack.provenance.records import FOLDER, field_folder, require_as_recorded
from gammastack.version import __version__

# Begins the names of files that are not complete.
STAGED = ".part-"
# Of the inputs with these roles a step reads only some, see `Offer`.
OFFERED = ("some_runs",)
ENVIRONMENT = (
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "GAMMAPY_DATA",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "PATH",
    "SLURM_JOB_ID",
    "USER",
    "VIRTUAL_ENV",
)


class Offer:
    """Files of which a step reads only some; the others are neither hashed nor recorded.

    Parameters
    ----------
    paths : list of str

    Attributes
    ----------
    paths : list of str
    taken : list of str
        Those that were read.
    """

    def __init__(self, paths):
        self.paths, self.taken = list(paths), []

    def take(self, path):
        """Note that a file is read, and return its path."""
        if path not in self.taken:
            self.taken.append(path)
        return path


def perform(
    name, run, inputs, outputs, params, software, record, arguments, recorded=None
):
    """Call the function of a step, and write the record of this activity.

    Parameters
    ----------
    name : str
        Name of the step.
    run : callable
        Called with inputs, outputs, the `gammastack.provenance.origin.Origin`, and the
        parameters by name.
    inputs, outputs : dict
        Path, or list of paths, by role. Those of `OFFERED` are handed on as an
        `Offer`.
    params : dict
    software : dict
        As `gammastack.provenance.software.software` returns it.
    record : path
        JSON file; the description of the machine goes to a file of its own.
    arguments : list of str
        Command line of the invocation.
    recorded : dict of str to dict, optional
        What the record says of some inputs, by path, in place of this path: copies of files
        on servers.

    Returns
    -------
    list of str
        What the function returned: warnings for the user.
    """
    field = field_folder(record)
    offers = {role: Offer(inputs[role]) for role in OFFERED if role in inputs}
    read = entities(
        {role: paths for role, paths in inputs.items() if role not in offers}, field
    )
    require_as_recorded(read, field)
    origin = Origin.of(name, software, read, params.get("obs_id", 0))
    _reset_peak_memory()
    start = datetime.now(UTC)
    with staged(outputs) as paths:
        warnings = list(run({**inputs, **offers}, paths, origin, **params) or [])
        taken = entities({role: offer.taken for role, offer in offers.items()}, field)
        require_as_recorded(taken, field)
    stop = datetime.now(UTC)
    _write(
        record,
        {
            "activity_name": name,
            "activity_uuid": str(uuid.uuid4()),
            "status": "completed",
            "exit_code": 0,
            "warnings": warnings,
            "start": {"time_utc": _isot(start)},
            "stop": {"time_utc": _isot(stop)},
            "duration_min": (stop - start).total_seconds() / 60,
            "peak_memory_mb": _peak_memory(),
            "host": socket.gethostname(),
            "user": _user(),
            "system": _write_system(field / FOLDER),
            "arguments": arguments,
            "config": params,
            "software": {"version": __version__, **software},
            "input": [
                {**file, **(recorded or {}).get(file["url"], {})}
                for file in [*read, *taken]
            ],
            "output": entities(outputs, field),
        },
    )
    return warnings


@contextmanager
def staged(outputs, prefix=STAGED):
    """Provide paths for outputs that appear under their names together, when all are complete.

    Whoever reads results while they are made, or after the process was killed, finds whole
    files. An output that is a link, as into a shared cache, is replaced where it points to.

    Parameters
    ----------
    outputs : dict of str to str
        Paths by name.
    prefix : str
        Of the names of the files until then.
    """
    targets = {name: _target(path) for name, path in outputs.items()}
    paths = {
        name: os.path.join(os.path.dirname(path), prefix + os.path.basename(path))
        for name, path in targets.items()
    }
    try:
        yield paths
        for name, path in targets.items():
            os.replace(paths[name], path)
    except BaseException:
        for path in paths.values():
            with suppress(OSError):
                os.unlink(path)
        raise


def _target(path):
    if os.path.islink(path):
        target = os.path.realpath(path)
        if os.access(os.path.dirname(target), os.W_OK):
            return target
    return path


def write_failure(record, name, message):
    """Write a record of a step that failed, on one line: Snakemake shows it on the screen."""
    failure = {"activity_name": name, "status": "error", "message": message}
    stop = {"time_utc": _isot(datetime.now(UTC))}
    _write(record, {**failure, "stop": stop}, indent=None)


def _write(path, activity, indent=1):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(activity, indent=indent)
    with staged({"record": path}) as paths:
        Path(paths["record"]).write_text(text + "\n", encoding="utf-8")


def _isot(time):
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds")


def _reset_peak_memory():
    # Only Linux allows this; elsewhere the peak is that of the process, not of the step.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory():
    """Return the largest resident memory in MB (1e6 bytes); None where it is not known."""
    with suppress(OSError, IndexError, ValueError):
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return None


def _write_system(folder):
    """Write a description of the machine, once; return the name of the file."""
    system = _system()
    digest = sha256(system.encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"system-{digest}.json"
    if not path.exists():
        # Another process may be writing the same.
        with staged({"system": path}, f"{STAGED}{os.getpid()}-") as paths:
            Path(paths["system"]).write_text(system, encoding="utf-8")
    return path.name


@cache
def _system():
    bits, linkage = platform.architecture()
    packages = {
        package.name: package.version for package in distributions() if package.name
    }
    return json.dumps(
        {
            "executable": sys.executable,
            "user": _user(),
            "platform": {
                "architecture_bits": bits,
                "architecture_linkage": linkage,
                "machine": platform.machine(),
                "processor": platform.processor(),
                "node": socket.gethostname(),
                "version": platform.version(),
                "system": platform.system(),
                "release": platform.release(),
                "libcver": platform.libc_ver(),
                "n_cpus": os.cpu_count(),
                # The SIMD extensions affect the last bits of sums.
                "simd": np.show_config(mode="dicts")["SIMD Extensions"]["found"],
            },
            "python": {
                "version_string": sys.version,
                "version": platform.python_version_tuple(),
                "compiler": platform.python_compiler(),
                "implementation": platform.python_implementation(),
                "packages": [
                    {"name": name, "version": packages[name]}
                    for name in sorted(packages)
                ],
            },
            "environment": {name: os.environ.get(name) for name in ENVIRONMENT},
        },
        indent=1,
    )


def _user():
    try:
        return getpass.getuser()
    # Some containers have accounts without a name.
    except (KeyError, OSError):
        return str(os.getuid())
