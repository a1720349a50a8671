"""Processes with limits of time and memory, which are replaced when they end."""

import multiprocessing
import resource
import signal
from multiprocessing.connection import wait
from pathlib import Path

# Time on the processor and time on the clock
TIMEOUTS = signal.SIGPROF, signal.SIGALRM
# A busy machine takes this many times as long as the processor alone.
PATIENCE = 30


def results(work, items, n_processes, *, seconds, n_bytes):
    """Yield items and what `work` returns for them, in the order in which they are ready.

    Parameters
    ----------
    work : callable
        Of one item.
    items : iterable
    n_processes : int
    seconds : int
        An item that takes longer on the processor ends its process: the result is its
        negative exit code, that is, the number of the signal, one of `TIMEOUTS`.
    n_bytes : int
        Of address space that a process may take beside what it has when it starts.
    """
    context, items, busy = multiprocessing.get_context("fork"), iter(items), {}

    def start():
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_serve, args=(theirs, work, seconds, n_bytes), daemon=True
        )
        process.start()
        theirs.close()
        return ours, process

    def give(connection, process):
        for item in items:
            connection.send(item)
            busy[connection] = process, item
            return
        connection.close()

    for _ in range(n_processes):
        give(*start())
    while busy:
        for connection in wait(list(busy)):
            process, item = busy.pop(connection)
            try:
                yield item, connection.recv()
            except EOFError:
                process.join()
                yield item, -process.exitcode
                connection, process = start()
            give(connection, process)


def _serve(connection, work, seconds, n_bytes):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + n_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        # Python does not handle these signals: they end a library that hangs, too.
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(PATIENCE * seconds)
        result = work(item)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        connection.send(result)
