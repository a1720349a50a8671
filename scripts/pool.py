"""Run steps in a pool of processes that is kept for the whole invocation.

A run takes 30 to 100 ms of work; a new Python process with astropy takes ten times that.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing import forkserver

from gammastack.provenance.activity import perform
from gammastack.remote.files import at_hand


class WorkerKilled(RuntimeError):
    """A process of the pool ended before its step did."""


class Pool:
    """Processes that are started with the first job, and serve all later ones.

    Parameters
    ----------
    workers : callable
        Returns the number of processes; not called if there is nothing to do.
    steps : sequence of str
        Steps that are imported once, in the process that the others are forked from.
    """

    def __init__(self, workers, steps):
        self._workers = workers
        self._lock = threading.Lock()
        self._executor = None
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([f"steps.{name}" for name in steps])

    def warm_up(self):
        """Start the slow imports while Snakemake plans the jobs."""
        # Otherwise each process would import Snakemake: multiprocessing imports the program
        # that was started, as in a session without a program there is nothing to import.
        vars(sys.modules["__main__"]).pop("__file__", None)
        with _search_path_in_environment():
            forkserver.ensure_running()
        atexit.register(self._end_idle_server)

    def _end_idle_server(self):
        """End the server if no process was needed, before it has imported all.

        It ends by itself after that. Whoever reads what Snakemake prints waits for its end.
        """
        server = forkserver._forkserver._forkserver_pid
        if self._executor is None and server is not None:
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGKILL)

    def run(self, step, *job):
        """Perform a step, see `run_here`, and wait for its end.

        Exceptions of the call are raised here; `WorkerKilled` if a process of the pool
        was killed, after which the pool can no longer be used.
        """
        try:
            return self._submit(run_here, step, *job).result()
        except BrokenProcessPool as error:
            raise WorkerKilled(
                "a worker process was killed, perhaps for lack of memory. Finished"
                " results are kept: start again, with fewer --cores if it happens again."
            ) from error

    def _submit(self, *call):
        # The server is started again here if it was killed, and must find the same code.
        with self._lock, _search_path_in_environment():
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    self._workers(), mp_context=self._context, initializer=_obey_parent
                )
            try:
                return self._executor.submit(*call)
            except (EOFError, ConnectionError) as error:
                raise BrokenProcessPool("the server was killed") from error


@contextmanager
def _search_path_in_environment():
    """Hand ``sys.path`` on: the server of Python 3.11 to 3.13 imports without it, in vain."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _obey_parent():
    """Leave an interrupt from the keyboard to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def run_here(step, inputs, *job):
    """Perform ``steps.<step>`` in this process, see `gammastack.provenance.activity.perform`.

    Inputs on servers are fetched, and stay in the cache as long as the step needs them.
    """
    run = import_module(f"steps.{step}").run
    with at_hand(inputs) as (paths, recorded):
        return perform(step, run, paths, *job, recorded)
