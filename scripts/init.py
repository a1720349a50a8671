#!/usr/bin/env python3
"""Write a draft of a configuration for a store, with bands and sizes that fit its runs.

Exit codes: 0 written; 2 not written, with the reason.
"""

import argparse
import sys

from gammastack.draft import (
    config_text,
    field_at,
    field_of_target,
    find_fields,
    given_store,
    without_pointing,
)
from gammastack.errors import InputError
from gammastack.words import listing


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", help="folder of DL3 files, or https://… or s3://…")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--target", help="only the field of this object or source")
    where.add_argument(
        "--position", nargs=2, type=float, metavar=("RA", "DEC"), help="in deg (ICRS)"
    )
    parser.add_argument(
        "--radius", type=float, default=2.0, help="around the position, in deg"
    )
    parser.add_argument(
        "--output", default="gammastack.yaml", help="a file that does not exist yet"
    )
    arguments = parser.parse_args()
    try:
        fields = write_draft(arguments)
    except (InputError, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 2
    count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
    print(f"{arguments.output}: {count}: {', '.join(fields)}")
    print(f"Next: snakemake --cores 4 --configfile {arguments.output}")
    return 0


def write_draft(arguments):
    """Write the configuration, and return the names of its fields."""
    store = given_store(arguments.store)
    if unknown := without_pointing(store):
        print(f"left out: runs without RA_PNT or DEC_PNT: {listing(unknown)}")
    if arguments.position:
        fields = [field_at(store, arguments.position, arguments.radius)]
    else:
        fields = find_fields(store)
        if arguments.target:
            fields = [field_of_target(store, fields, arguments.target)]
    text = config_text(store, fields)
    try:
        with open(arguments.output, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(
            f"{arguments.output} exists and is not overwritten; give another --output"
        ) from None
    return [field.name for field in fields]


if __name__ == "__main__":
    sys.exit(main())
