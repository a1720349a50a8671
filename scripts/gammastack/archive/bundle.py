"""The files of a result: an archive, packed or unpacked, or the results folder of a field."""

import os
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from gammastack.errors import InputError
from gammastack.files.layout import product_at
from gammastack.products import FINAL
from gammastack.provenance.records import FOLDER, is_record, read_records

MANIFEST = "manifest-sha256.txt"
PRODUCTS = "products"
CODE = "code"
CONFIG = f"{CODE}/config/config.yaml"
# A rebuild inside an unpacked archive leaves these folders there.
REBUILT = (f"{CODE}/results", f"{CODE}/.snakemake", f"{CODE}/.venv")


def is_product(name):
    """Return whether a file, named from the folder of its field, is a final result."""
    product = product_at(name)
    return product is not None and product.role == FINAL


@dataclass(frozen=True)
class Bundle:
    """Files of a result by name.

    Attributes
    ----------
    path : pathlib.Path
    names : list of str
        Sorted, relative to the top.
    is_archive : bool
    read : callable
        Function that returns the content of a named file as bytes.
    """

    path: Path
    names: list
    is_archive: bool
    read: callable

    def product(self, name):
        """Return the name in the bundle for a name from the folder of the field."""
        return f"{PRODUCTS}/{name}" if self.is_archive else name

    def products(self):
        """Return the final results, named from the folder of the field."""
        prefix = self.product("")
        names = [name[len(prefix) :] for name in self.names if name.startswith(prefix)]
        return [name for name in names if is_product(name)]

    def unknown(self):
        """Return the files in a results folder that are neither products nor records."""
        return [
            name
            for name in self.names
            if product_at(name) is None and not is_record(name)
        ]

    def records(self):
        """Return activities and systems, see `gammastack.provenance.records.read_records`."""
        return read_records(
            {name: self.read(name) for name in filter(is_record, self.names)}
        )


def open_bundle(path):
    """Open an archive, packed or unpacked, or the results folder of a field.

    Raises
    ------
    InputError
        If the path is none of these.
    """
    path = Path(path)
    if path.is_dir():
        return _from_folder(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    try:
        archive = ZipFile(path)
    except (BadZipFile, OSError) as error:
        raise InputError(f"{path}: no readable archive ({error})") from error

    def read(name):
        try:
            return archive.read(name)
        # A flipped bit can cause any error of zipfile or of zlib.
        except Exception as error:
            raise InputError(f"{path}: {name} is damaged ({error})") from error

    names = sorted(name for name in archive.namelist() if not name.endswith("/"))
    return Bundle(path, names, True, read)


def _from_folder(path):
    # Images of runs may be elsewhere, behind a link.
    files = (
        Path(folder, name).relative_to(path).as_posix()
        for folder, _, names in os.walk(path, followlinks=True)
        for name in names
        if Path(folder, name).is_file()
    )
    is_archive = (path / MANIFEST).is_file() or (path / PRODUCTS).is_dir()
    names = sorted(
        file
        for file in files
        if not (is_archive and (file.startswith(REBUILT) or "__pycache__" in file))
    )
    if "summary.csv" in names:
        raise InputError(f"{path}: the results of several fields; give one of them")
    if not is_archive and not any(name.startswith(f"{FOLDER}/") for name in names):
        raise InputError(
            f"{path}: neither an archive nor the results of a field, such as results/crab"
        )

    def read(name):
        try:
            return (path / name).read_bytes()
        except OSError as error:
            raise InputError(f"{path}: {name} cannot be read ({error})") from error

    return Bundle(path, names, is_archive, read)
