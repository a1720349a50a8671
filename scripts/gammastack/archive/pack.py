"""Self-contained archives: results, what made them, and all that is needed to remake them."""

import re
from hashlib import sha256
from os import SEEK_END
from os.path import expanduser, expandvars
from pathlib import Path
from shutil import copyfileobj
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from gammastack.archive.bundle import INPUTS, MANIFEST
from gammastack.errors import InputError
from gammastack.provenance.origin import sha256_of
from gammastack.sky.exclusion_files import file_of, with_file

TERMS = "data-terms"

README = """\
# Sky maps of the field {field}, made with gammastack {version}

{n_runs} observations of the datastore `{datastore}`, observed from {start} to {stop} (UTC).

| folder | what is in it |
|---|---|
| `products/` | the maps (FITS: DS9, astropy, gammapy), the table of the runs, the norms of their background models |
| `provenance/` | who made what from what, when, how long and where: a record per step, and all of them as W3C PROV-JSON (`prov.json`). Users, machines and folders are named in it |
| `code/` | the program and its configuration, `code/config/config.yaml`: this field with the runs that were used |
| `inputs/` | files that the configuration names, such as regions (if there are any) |
| `data-terms/` | the terms of use of the data, as the datastore has them (if it has any) |
| `ro-crate-metadata.json` | all of this for machines: Workflow Run RO-Crate |
| `manifest-sha256.txt` | a checksum for each file |

## Is it intact?

Unpacked with `unzip -d {field} archive.zip`, in its folder: `sha256sum --check manifest-sha256.txt`, which knows nothing of added files.
With the archive as it is, and the environment of "Make it again":

    python code/scripts/verify.py ARCHIVE.zip --datastore FOLDER

tells in addition whether the observations are still the same, and what a rebuild would change.

## Make it again

It needs Python 3.11 or newer, make, and the observations. `datastore` in `code/config/config.yaml` says
where they are expected; set the variable in it, or write the folder there.

    cd code
    make .venv/ready
    .venv/bin/snakemake --cores 2
    .venv/bin/python scripts/compare.py .. results/{field}

The last command says whether the results are the same. With the package versions of
`requirements.txt`, which `make` installs, and the same observations they are, bit for bit;
on another kind of processor the last digits may be rounded differently.

## Terms

The observations, and what is made of them, are under the terms of those who provide the
observations{terms}. The program is under the BSD 3-clause licence (`code/LICENSE`).
"""

LICENSE = (
    "Under the terms of those who provide the observations{terms}; the program is under"
    " the BSD 3-clause licence (code/LICENSE)."
)


def pinned_config(config, field, obs_ids):
    """Return the configuration of one field with the runs that were selected.

    Parameters
    ----------
    config : dict
        As the user wrote it.
    field : str
    obs_ids : list of int

    Returns
    -------
    config : dict
        The paths of regions and masks point into the archive.
    files : dict of str to str
        Path of each of these files by its name in the archive.
    """
    given = config["fields"][field] or {}
    given = {**given, "observations": {"obs_ids": obs_ids}}
    files = {}

    def archived(number, item):
        if not file_of(item):
            return item
        path = expanduser(expandvars(file_of(item)))
        # Two folders can have files of one name, and not all systems know all names.
        plain = re.sub(r"[^\w .+-]", "_", Path(path).name)
        name = f"{INPUTS}/{number}/{plain}"
        files[name] = path
        return with_file(item, f"../{name}")

    exclusions = given.get("exclusion_mask", config.get("exclusion_mask", []))
    if exclusions:
        given["exclusion_mask"] = [
            archived(number, item) for number, item in enumerate(exclusions, 1)
        ]
    replaced = {"results", "fields", *given}
    top = {key: value for key, value in config.items() if key not in replaced}
    return {**top, "fields": {field: given}}, files


def write_manifest(folder):
    """Write the checksums of all files of a folder, as ``sha256sum`` does."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in files
    ]
    (folder / MANIFEST).write_text("".join(lines), encoding="utf-8")


def pack(folder, path):
    """Pack a folder as a zip file, without the times of its files.

    The comment of the zip file is the checksum of the file without the comment.
    """
    folder, path = Path(folder), Path(path)
    with ZipFile(path, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = ZipInfo(file.relative_to(folder).as_posix())
            info.compress_type = ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            with open(file, "rb") as source, archive.open(info, "w") as target:
                copyfileobj(source, target)
    digest = sha256_of(path).encode()
    with open(path, "r+b") as file:
        # The last two bytes hold the length of the comment.
        file.seek(-2, SEEK_END)
        file.write(len(digest).to_bytes(2, "little") + digest)


def is_as_packed(path):
    """Return whether a zip file is still, bit for bit, as `pack` left it."""
    content = Path(path).read_bytes()
    body, digest = content[:-66], content[-64:]
    return sha256(body + bytes(2)).hexdigest().encode() == digest


def read_manifest(content):
    """Return the checksum of each file by name, given the content of a manifest."""
    digests = {}
    lines = content.decode(errors="replace").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        digest, gap, name = line.partition("  ")
        if not gap or name in digests:
            raise InputError(
                f"{MANIFEST}, line {number}: not one checksum and one name; take another"
                " copy of the archive"
            )
        digests[name] = digest
    return digests
