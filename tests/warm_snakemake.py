"""Snakemake in forks of a process that has imported its packages: it saves half the time.

Everything of the project is imported by the fork, as in ``python -m snakemake``.
"""

import atexit
import json
import os
import runpy
import subprocess
import sys
from functools import cache
from tempfile import NamedTemporaryFile

PACKAGES = "astropy.io.fits, astropy.units, jsonschema, pandas, snakemake.cli, yaml"


@cache
def _server():
    """Start the process that forks, once for each process that runs tests."""
    command = f"import {PACKAGES}, warm_snakemake; warm_snakemake.serve()"
    server = subprocess.Popen(
        [sys.executable, "-c", command],
        cwd=os.path.dirname(__file__),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # It ends when there can be no more requests.
    atexit.register(server.communicate)
    return server


def snakemake(arguments, folder, environment):
    """Run Snakemake in a folder.

    Parameters
    ----------
    arguments : sequence of str
    folder : pathlib.Path
    environment : dict

    Returns
    -------
    code : int
    text : str
        What was on the screen.
    """
    server = _server()
    with NamedTemporaryFile("r") as screen:
        request = [*map(str, arguments)], str(folder), environment, screen.name
        print(json.dumps(request), file=server.stdin, flush=True)
        return int(server.stdout.readline()), screen.read()


def serve():
    """Fork for each request, and answer with the exit code of the fork."""
    # The plugins of Snakemake are found and imported here.
    sys.modules["snakemake.cli"].get_argument_parser()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            # The end of the loop is the end of the process, with all that Python does then.
            return _invoke(*request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _invoke(arguments, folder, environment, output):
    # A signal to the group of the invocation does not end the tests.
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    places = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[0:1] = ["", *places]
    nothing = os.open(os.devnull, os.O_RDONLY)
    screen = os.open(output, os.O_WRONLY)
    for descriptor, place in ((nothing, 0), (screen, 1), (screen, 2)):
        os.dup2(descriptor, place)
    sys.argv = ["snakemake", *arguments]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
