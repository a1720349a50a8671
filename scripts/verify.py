#!/usr/bin/env python3
"""Check archives and results: intact? would they be made the same today?

Exit codes: 0 yes; 1 damaged; 2 cannot be read; 3 intact, but would be made
differently, with the reasons.
"""

import argparse
import sys
from pathlib import Path

import yaml

from gammastack.archive.bundle import open_bundle
from gammastack.archive.verify import archived_config, report, verify
from gammastack.config.fields import read_config
from gammastack.errors import InputError

SCRIPTS = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "path",
        nargs="+",
        help="archive.zip, unpacked archive, results or results/FIELD",
    )
    parser.add_argument("--datastore", help="where the observations are now")
    parser.add_argument(
        "--configfile", help="compare with the settings in this file, too"
    )
    arguments = parser.parse_args()
    codes = set()
    paths = [folder for given in arguments.path for folder in results_in(Path(given))]
    for path in paths:
        if len(paths) > 1:
            print(f"{path}:")
        codes.add(check(path, arguments))
    # The worst code counts.
    return next(code for code in (2, 1, 3, 0) if code in codes)


def results_in(path):
    """Return the path, or the results of all fields in it."""
    fields = sorted(path.glob("*/provenance/stack.json"))
    return [folder.parents[1] for folder in fields] or [path]


def check(path, arguments):
    """Print what is found in one result, and return the exit code for it."""
    try:
        bundle = open_bundle(path)
        settings = None
        if arguments.configfile:
            settings = field_of(arguments.configfile, name_of_field(bundle))
        findings = verify(bundle, SCRIPTS, arguments.datastore, settings)
    except InputError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 2
    lines, code = report(findings)
    print(*lines, sep="\n")
    return code


def name_of_field(bundle):
    if bundle.is_archive:
        return next(iter(archived_config(bundle)["fields"]))
    return bundle.path.resolve().name


def field_of(configfile, name):
    """Return the settings of the field of this name."""
    try:
        config = yaml.safe_load(Path(configfile).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{configfile}: cannot be read ({error})") from error
    fields = read_config(config).fields
    if name not in fields:
        raise InputError(f"{configfile}: has no field {name}")
    return fields[name]


if __name__ == "__main__":
    sys.exit(main())
