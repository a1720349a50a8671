#!/usr/bin/env python3
"""Say what the results of a field have at a position: the values of all maps, and each run.

Exit codes: 0 the values are shown; 2 they cannot be.
"""

import argparse
import sys

from gammastack.archive.screen import show
from gammastack.at import position_of, report
from gammastack.errors import InputError


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="results of a field, such as results/crab")
    parser.add_argument(
        "position",
        nargs="+",
        help="RA and Dec in deg (ICRS), in hours and deg, or the name of a known source",
    )
    parser.add_argument("--band", help="one energy band; by default all")
    given = parser.parse_args(arguments)
    try:
        lines = report(given.folder, *position_of(given.position), given.band)
        show(*lines)
    except (InputError, OSError) as error:
        show(f"ERROR: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
