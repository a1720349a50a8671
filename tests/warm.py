"""Programs in forks of a process that has imported their packages: it saves half the time.

Everything of the project is imported by the fork, as in ``python -m snakemake``. So it is
by the server of the pool, which is a fork, too; tests/test_pool.py starts real ones.
"""

import atexit
import json
import os
import runpy
import signal
import site
import subprocess
import sys
from contextlib import suppress
from functools import cache
from multiprocessing import util
from tempfile import NamedTemporaryFile

# Those of the workflow, and of the steps
PACKAGES = """
    astropy.coordinates, astropy.io.fits, astropy.table, astropy.time, astropy.units,
    astropy.visualization.wcsaxes, astropy.wcs, jinja2, jsonschema,
    matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, pandas, scipy.fft,
    scipy.interpolate, scipy.ndimage, scipy.special, snakemake.cli, yaml
"""


@cache
def _server():
    """Start the process that forks, once for each process that runs tests."""
    packages = " ".join(PACKAGES.split())
    command = f"import {packages}, warm; warm.serve()"
    server = subprocess.Popen(
        [sys.executable, "-c", command],
        cwd=os.path.dirname(__file__),
        # As in the processes of a pool: with more threads, sums differ in the last digit.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    # It ends when there can be no more requests.
    atexit.register(server.communicate)
    return server


def run(program, arguments, folder, environment):
    """Run a program in a folder.

    Parameters
    ----------
    program : str
        ``snakemake``, or the path of a script.
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
        request = program, [*map(str, arguments)], str(folder), environment, screen.name
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


def _invoke(program, arguments, folder, environment, output):
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
    util.spawnv_passfds = _fork_server_of_pool
    sys.argv = [program, *arguments]
    if program == "snakemake":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(program))
        runpy.run_path(program, run_name="__main__")


_spawn = util.spawnv_passfds


def _fork_server_of_pool(path, arguments, descriptors):
    """Start a process of multiprocessing; the server is a fork of this process."""
    program = arguments[-1]
    if "forkserver" not in program:
        return _spawn(path, arguments, descriptors)
    child = os.fork()
    if child == 0:
        # What a new process has not
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) not in descriptors:
                with suppress(OSError):
                    os.close(int(name))
        # As when Python starts: a test may have put it into the search path.
        site.execsitecustomize()
        exec(program, {})
        os._exit(0)
    return child
