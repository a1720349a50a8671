"""In place of the project's `pool` module: the same pool, which writes down what it runs.

`compare.py` puts it into a scratch copy of the project, where the original is named
`plain_pool`. The calls that it writes are replayed by `floor.py`.
"""

import json
import os
import threading
import time
from importlib import import_module

import plain_pool

WRITING = threading.Lock()


def __getattr__(name):
    """Everything else is that of the original."""
    return getattr(plain_pool, name)


class Pool(plain_pool.Pool):
    """A pool that adds a line of JSON per call to the file named by RECORDED_CALLS."""

    def run(self, step, inputs, outputs, params):
        result, times = super().run(
            __name__, inputs, outputs, {"step": step, "params": params}
        )
        call = {"step": step, "inputs": inputs, "outputs": outputs, "params": params}
        line = json.dumps({**call, **times})
        with WRITING, open(os.environ["RECORDED_CALLS"], "a") as file:
            file.write(f"{line}\n")
        return result


def run(inputs, outputs, params):
    """Run a step in the worker and take its times; imports of the step are part of it."""
    start, cpu = time.time(), time.process_time()
    result = import_module(params["step"]).run(inputs, outputs, params["params"])
    return result, {
        "start": start,
        "end": time.time(),
        "cpu": time.process_time() - cpu,
    }
