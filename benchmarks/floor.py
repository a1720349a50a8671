"""The floor: the steps of a recorded workflow in plain processes, without Snakemake.

Run it in the folder whose `scripts` hold the steps; results go below that folder.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

from workload import read_calls

JOB = ("inputs", "outputs", "params", "software", "record", "arguments")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("calls", type=Path, help="what recorded_pool.py wrote")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    sys.path.insert(0, "scripts")
    calls = read_calls(arguments.calls)
    for step in {call["step"] for call in calls}:
        # Imported before the fork: once, not once per process
        import_module(f"steps.{step}")
    replay(calls, arguments.cores)


def replay(calls, cores):
    """Run the calls, each as soon as the files that it reads are made."""
    maker = {
        path: number
        for number, call in enumerate(calls)
        for path in files(call["outputs"])
    }
    order = TopologicalSorter(
        {
            number: {maker[path] for path in files(call["inputs"]) if path in maker}
            for number, call in enumerate(calls)
        }
    )
    order.prepare()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(cores, mp_context=context) as executor:
        running = {}
        while order.is_active():
            for number in order.get_ready():
                running[executor.submit(run, calls[number])] = number
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                order.done(running.pop(future))


def files(named):
    """All paths of named inputs or outputs, each of which is a path or a list of them."""
    for value in named.values():
        yield from [value] if isinstance(value, str) else value


def run(call):
    """Perform one step, after making the folders of its outputs as Snakemake does."""
    for path in files(call["outputs"]):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    step = import_module(f"steps.{call['step']}").run
    perform = import_module("gammastack.provenance.activity").perform
    perform(call["step"], step, *(call[key] for key in JOB))


if __name__ == "__main__":
    main()
