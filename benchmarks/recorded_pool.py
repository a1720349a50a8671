"""In place of the project's `pool` module: the same pool, which writes down what it runs.

`compare.py` puts it into a scratch copy of the project, where the original is named
`plain_pool`. The calls that it writes are replayed by `floor.py`.
"""

import json
import os
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
    """A pool that adds a line of JSON per call to the file named by RECORDED_CALLS."""

    def run(self, step, *job):
        times = super().run(step, *job)
        call = {"step": step, **dict(zip(JOB, job, strict=True)), **times}
        with WRITING, open(os.environ["RECORDED_CALLS"], "a") as file:
            file.write(f"{json.dumps(call)}\n")


def run_here(step, *job):
    """Perform a step in the worker and take its times; imports of the step are part of it."""
    start, cpu = time.time(), time.process_time()
    ORIGINAL(step, *job)
    return {"start": start, "end": time.time(), "cpu": time.process_time() - cpu}


plain_pool.run_here = run_here
