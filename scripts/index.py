#!/usr/bin/env python3
"""Write the index files of a folder of DL3 files, from the headers of the files.

Exit codes: 0 written, files that were left out are named; 2 not written, with the reason.
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from gammastack.dl3.datastore import DataStore
from gammastack.dl3.folder_index import index_folder
from gammastack.dl3.hdus import HDU_INDEX, OBS_INDEX
from gammastack.errors import InputError
from gammastack.files.gadf import write_hdus


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="holds DL3 files, also in subfolders")
    parser.add_argument(
        "--output", type=Path, help="where the index files go; FOLDER if not given"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace existing index files"
    )
    arguments = parser.parse_args()
    output = arguments.output or arguments.folder
    try:
        index = make_index(arguments.folder, output, arguments.overwrite)
    except (InputError, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 2
    print(*report(index, output), sep="\n")
    return 0


def make_index(folder, output, overwrite):
    """Write the index files, and return what they say."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    output.mkdir(parents=True, exist_ok=True)
    there = [DataStore(output).index_file(name) for name in (OBS_INDEX, HDU_INDEX)]
    if any(there) and not overwrite:
        names = " and ".join(path.name for path in there if path)
        raise InputError(f"{output} has {names}; give --overwrite to replace them")
    index = index_folder(folder)
    if not index.observations:
        text = "; ".join(f"{name}: {why}" for name, why in index.left_out.items())
        raise InputError(
            f"{folder}: no run among {index.n_files} FITS files. {text}".strip()
        )
    base = os.path.relpath(folder.resolve(), output.resolve())
    if not base.isascii():
        raise InputError(
            f"{base}: the index cannot hold a name beyond ASCII; rename the folder, or leave"
            " out --output"
        )
    for name, hdu in index.tables(base).items():
        # Nobody reads half a file, nor is one left behind.
        temporary = output / f".{name}"
        try:
            write_hdus(temporary, [hdu])
            temporary.replace(output / name)
        finally:
            temporary.unlink(missing_ok=True)
    return index


def report(index, output):
    """Return lines on what the index has, and what was left out."""
    yield f"Runs: {index.n_runs}, files: {index.n_files}: {output / OBS_INDEX}"
    counts = Counter(hdu_class for _, _, hdu_class, *_ in index.hdus)
    listed = ", ".join(f"{number} {name}" for name, number in counts.items())
    yield f"{len(index.hdus)} HDUs ({listed}): {output / HDU_INDEX}"
    for hdu_class, name in index.shared.items():
        yield f"{name} is the {hdu_class} of all runs without one of their own"
    for name, reason in index.left_out.items():
        yield f"left out: {name}: {reason}"


if __name__ == "__main__":
    sys.exit(main())
