# Who is at work on the results: no process may have them alone at the same time.

from gammastack.lock import InUse, Lock

lock = None


def take_lock():
    """Share the lock on the results until this process ends; a dry run needs none."""
    global lock
    if workflow.dryrun:
        return
    try:
        lock = Lock()
        lock.share()
    except InUse as error:
        raise Error(f"{error}: try again when it has ended") from None
    except OSError:
        # Not all file systems have such locks; the one of Snakemake remains.
        lock = None
