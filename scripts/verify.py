#!/usr/bin/env python3
"""Check an archive, or the results of a field: intact? would it be made the same today?

Exit codes: 0 yes; 1 it is damaged; 2 it cannot be read; 3 it is intact, but would be made
differently, and the lines say why.
"""

import argparse
import sys
from pathlib import Path

import yaml

from gammastack.bundle import open_bundle
from gammastack.config import read_config
from gammastack.errors import InputError
from gammastack.verify import report, verify

SCRIPTS = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", help="archive.zip, unpacked archive, or results/FIELD")
    parser.add_argument("--datastore", help="where the observations are now")
    parser.add_argument(
        "--configfile", help="compare with the settings of the field in this file, too"
    )
    arguments = parser.parse_args()
    try:
        bundle = open_bundle(arguments.path)
        settings = None
        if arguments.configfile:
            settings = field_of(arguments.configfile, bundle.path.resolve().name)
        findings = verify(bundle, SCRIPTS, arguments.datastore, settings)
    except InputError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 2
    lines, code = report(findings)
    print(*lines, sep="\n")
    return code


def field_of(configfile, name):
    """Settings of the field of this name."""
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
