#!/usr/bin/env python3
"""Check archives and results: intact? would they be made the same today?

Exit codes: 0 yes; 1 damaged; 2 cannot be read; 3 intact, but would be made
differently, with the reasons. It cannot prove who made them.
"""

import argparse
import os
import re
import sys
from pathlib import Path

from gammastack.archive.bundle import open_bundle
from gammastack.archive.screen import show
from gammastack.archive.verify import report, verify
from gammastack.config.fields import read_config
from gammastack.config.load import load_settings
from gammastack.errors import InputError

# Each field has it.
RECORD = "provenance/stack.json"
SCRIPTS = Path(__file__).resolve().parent


def main(arguments=None):
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
    parser.add_argument(
        "--manifest-sha256",
        metavar="HASH",
        type=sha256,
        help="that of manifest-sha256.txt in the archive, known from elsewhere",
    )
    arguments = parser.parse_args(arguments)
    codes = set()
    paths = [folder for given in arguments.path for folder in results_in(Path(given))]
    if arguments.manifest_sha256 and len(paths) > 1:
        parser.error(
            "--manifest-sha256 is the hash of one archive: give that one alone"
        )
    for path in paths:
        if len(paths) > 1:
            show(f"{path}:")
        codes.add(check(path, arguments))
    # The worst code counts.
    return next(code for code in (2, 1, 3, 0) if code in codes)


def sha256(text):
    """Return a SHA-256 as hashlib writes it."""
    if not re.fullmatch("[0-9a-f]{64}", text.lower()):
        raise argparse.ArgumentTypeError("a SHA-256 has 64 hexadecimal digits")
    return text.lower()


def results_in(path):
    """Return the path, or the results of all fields in it."""
    if not os.path.isdir(path) or (path / RECORD).is_file():
        return [path]
    fields = sorted(path.glob(f"*/{RECORD}"))
    return [folder.parents[1] for folder in fields] or [path]


def check(path, arguments):
    """Print what is found in one result, and return the exit code for it."""
    try:
        fields = None
        if arguments.configfile:
            fields = read_config(load_settings(arguments.configfile)).fields
            if path.name not in fields and str(path) not in arguments.path:
                show("of another configuration: not compared with these settings")
                fields = None
        bundle = open_bundle(path)
        findings = verify(
            bundle, SCRIPTS, arguments.datastore, fields, arguments.manifest_sha256
        )
    except (InputError, OSError) as error:
        show(f"ERROR: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    lines, code = report(findings)
    show(*lines)
    return code


if __name__ == "__main__":
    sys.exit(main())
