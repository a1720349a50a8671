"""Faults on demand, for a Python that finds this folder in PYTHONPATH.

The variable FAULT, such as ``stack:killed``, names a step and what happens to the process
that performs it: it is ``killed``, perhaps not before the ``packing`` of an archive; the whole invocation is ``terminated``, as by ``scancel``
or systemd; or the disk is ``full``.
"""

import os
import resource
import signal
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

STEP, _, FAULT = os.environ.get("FAULT", "").partition(":")


class Saboteur(MetaPathFinder):
    """Finds the module of the step, with a fault in its function."""

    def find_spec(self, name, path=None, target=None):
        if name != f"steps.{STEP}":
            return None
        spec = PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_with_fault(module):
            load(module)
            if FAULT == "packing":
                module.pack = killed
            else:
                module.run = with_fault(module.run)

        spec.loader.exec_module = load_with_fault
        return spec


def killed(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def with_fault(run):
    def faulty(*arguments, **named):
        if FAULT == "killed":
            killed()
        if FAULT == "terminated":
            os.killpg(os.getpgrp(), signal.SIGTERM)
            signal.pause()
        _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            return run(*arguments, **named)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return faulty


if STEP:
    sys.meta_path.insert(0, Saboteur())
