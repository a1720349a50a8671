#!/usr/bin/env python3
"""Compare two results of a field: are they the same, and if not, what differs and why?

Exit codes: 0 all products are the same bit for bit; 1 they differ; 2 one of the results
cannot be read.
"""

import argparse
import sys

from gammastack.archive.bundle import open_bundle
from gammastack.archive.compare import compare, report
from gammastack.archive.screen import show
from gammastack.errors import InputError


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known_as = "archive.zip, unpacked archive, or results/FIELD"
    parser.add_argument("a", metavar="A", help=known_as)
    parser.add_argument("b", metavar="B", help=known_as)
    parser.add_argument("--all", action="store_true", help="say how each map differs")
    given = parser.parse_args(arguments)
    try:
        comparison = compare(open_bundle(given.a), open_bundle(given.b))
    except (InputError, OSError) as error:
        show(f"ERROR: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    show(*report(comparison, given.a, given.b, given.all).split("\n"))
    return 0 if comparison.identical else 1


if __name__ == "__main__":
    sys.exit(main())
