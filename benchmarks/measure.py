"""Time and memory of a command with all its processes."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

# In s: how exactly the end is seen, and how often the memory is read
RESOLUTION = 0.01
MEMORY_INTERVAL = 0.2
TIME_LIMIT = 1200


@dataclass(frozen=True)
class Measurement:
    """What a command took.

    Attributes
    ----------
    start, seconds : float
        Seconds since the epoch at the start, and the wall time.
    root_mb, process_mb, tree_mb : float
        Largest resident memory of the first process, of any process, and largest sum over
        all processes. In the sum, memory that processes share is counted more than once.
    cpu_seconds : float
        Processor time of all processes, but for what they took after it was last read.
    """

    start: float
    seconds: float
    root_mb: float
    process_mb: float
    tree_mb: float
    cpu_seconds: float = 0.0


def measure(command, log, time_limit=TIME_LIMIT, **options):
    """Run a command to its end.

    Parameters
    ----------
    command : list
    log : path
        File for its output.
    time_limit : float
        In s.
    **options
        For `psutil.Popen`, such as `cwd` and `env`.

    Returns
    -------
    Measurement

    Raises
    ------
    subprocess.CalledProcessError, subprocess.TimeoutExpired
        If it fails, or takes longer than the limit; its processes are then gone.
    """
    root_mb = process_mb = tree_mb = next_sample = 0
    cpu = {}
    with open(log, "w") as file:
        start, begin = time.time(), time.perf_counter()
        root = psutil.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)
        while root.poll() is None:
            elapsed = time.perf_counter() - begin
            if elapsed > time_limit:
                kill(root)
                raise subprocess.TimeoutExpired(command, time_limit)
            if elapsed > next_sample:
                sizes = resident_mb(root)
                cpu |= processor_times(root)
                root_mb = max([root_mb, *sizes[:1]])
                process_mb = max([process_mb, *sizes])
                tree_mb = max(tree_mb, sum(sizes))
                next_sample = elapsed + MEMORY_INTERVAL
            time.sleep(RESOLUTION)
        seconds = time.perf_counter() - begin
    if root.returncode:
        error = subprocess.CalledProcessError(root.returncode, command)
        error.add_note(Path(log).read_text())
        raise error
    cpu_seconds = sum(cpu.values())
    return Measurement(start, seconds, root_mb, process_mb, tree_mb, cpu_seconds)


def resident_mb(root):
    """Resident memory of a process and of each of its descendants."""
    sizes = []
    for process in tree(root):
        try:
            sizes.append(process.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            # It ended in the meantime
            continue
    return sizes


def processor_times(root):
    """Processor times in s by process, of a process and of each of its descendants."""
    times = {}
    for process in tree(root):
        try:
            one = process.cpu_times()
            times[process.pid] = one.user + one.system
        except psutil.NoSuchProcess:
            continue
    return times


def tree(root):
    """A process and its descendants; nothing if it has ended."""
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(root):
    """End a process and its descendants."""
    for process in tree(root):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    root.wait()
