"""In place of the project's `pool` module: the same pool, which writes down what it runs.

`compare.py` puts it into a scratch copy of the project, where the original is named
`plain_pool`. The calls that it writes are replayed by `floor.py`.
"""

import os
import pickle
import threading
import time

import plain_pool

WRITING = threading.Lock()
JOB = ("inputs", "outputs", "params", "software", "record", "arguments")
ORIGINAL = plain_pool.run_here


def __getattr__(name):
    """Everything else is that of the original."""
    return getattr(plain_pool, name)


class Pool(plain_pool.Pool):
    """A pool that appends each call, pickled, to the file named by RECORDED_CALLS."""

    def run(self, step, *job):
        warnings, times = super().run(step, *job)
        call = {"step": step, **dict(zip(JOB, job, strict=True)), **times}
        with WRITING, open(os.environ["RECORDED_CALLS"], "ab") as file:
            pickle.dump(call, file)
        return warnings


def run_here(step, *job):
    """Perform a step in the worker and take its times; imports of the step are part of it."""
    start, cpu = time.time(), time.process_time()
    warnings = ORIGINAL(step, *job)
    end, cpu = time.time(), time.process_time() - cpu
    return warnings, {"start": start, "end": end, "cpu": cpu}


plain_pool.run_here = run_here
