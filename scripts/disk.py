#!/usr/bin/env python3
"""Say what takes how much of the disk, and remove what no configuration needs.

Name all configurations that share the results. Nothing is removed without --remove, and
nothing but files that were made here: images of runs that are no longer selected, and what
belongs to bands, radii and fields that are gone.

Exit codes: 0 done; 2 not removed, with the reason.
"""

import argparse
import os
import sys

from gammastack.archive.screen import show
from gammastack.config.fields import read_config
from gammastack.config.load import load_settings
from gammastack.disk import format_leftovers, format_usage, leftovers, remove, usage
from gammastack.errors import InputError
from gammastack.invocation import is_locked, outputs, remembered
from gammastack.lock import Lock
from gammastack.provenance.contents import Contents

CONTENTS = ".snakemake/contents.json"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--remove", action="store_true", help="do it")
    given = parser.parse_args()
    try:
        if not given.remove:
            look_at(given)
            return 0
        with Lock() as lock:
            require_alone(lock)
            look_at(given)
    except (InputError, OSError) as error:
        show(f"ERROR: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def require_alone(lock):
    """Refuse to remove anything while somebody is at work."""
    lock.be_alone()
    if is_locked():
        raise InputError(
            "Snakemake is at work here, or has left its lock: if it is not, run"
            " snakemake --unlock first"
        )


def look_at(given):
    """Print what there is, and remove what no configuration makes, if this is wanted."""
    folders = dict.fromkeys(
        os.path.normpath(read_config(load_settings(path)).results)
        for path in given.configfile
    )
    wanted = set().union(*map(outputs, given.configfile))
    show(*format_usage(usage(folders)), "")
    found = leftovers(folders, wanted, remembered())
    show(*format_leftovers(found))
    if given.remove:
        remove(found, folders)
        forget_vanished()
        show("Removed.")
    elif found.files or found.memory:
        show("Nothing was removed; give --remove to remove what none of them makes.")


def forget_vanished():
    """Forget the contents of files that have gone, but not of a disk that is not there now."""
    known = Contents(CONTENTS)
    known.forget(
        path
        for path in known.paths
        if os.path.isdir(os.path.dirname(path)) and not os.path.lexists(path)
    )
    known.save()


if __name__ == "__main__":
    sys.exit(main())
