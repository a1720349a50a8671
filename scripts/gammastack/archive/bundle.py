"""The files of a result: an archive, packed or unpacked, or the results folder of a field."""

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from gammastack.errors import InputError
from gammastack.files.layout import product_at
from gammastack.products import FINAL
from gammastack.provenance.records import FOLDER, is_record, read_records

MANIFEST = "manifest-sha256.txt"
PRODUCTS = "products"
CODE = "code"
INPUTS = "inputs"
CONFIG = f"{CODE}/config/config.yaml"
# A rebuild inside an unpacked archive leaves these folders there.
REBUILT = (f"{CODE}/results", f"{CODE}/.snakemake", f"{CODE}/.venv")
# An archive may unpack to so many bytes, or to so many times its own size. Archives of maps
# unpack to some ten times their size.
MAX_BYTES = 200_000_000
MAX_RATIO = 100


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

    def last_made(self, activities):
        """Return the final results when all of them were last made, or those that are there.

        Parameters
        ----------
        activities : list of dict
            As `records` returns them.
        """
        recorded = [
            file["url"]
            for activity in activities
            if activity["activity_name"] == "provenance"
            for file in activity["input"]
            if file["role"] == "products"
        ]
        return self.products() if self.is_archive or not recorded else sorted(recorded)

    def unknown(self):
        """Return the files in a results folder that are neither products nor records."""
        return [
            name
            for name in self.names
            if product_at(name) is None and not is_record(name)
        ]

    def records(self):
        """Return activities and systems, see `gammastack.provenance.records.read_records`."""
        files = {name: self.read(name) for name in filter(is_record, self.names)}
        try:
            return read_records(files)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error


def open_bundle(path):
    """Open an archive, packed or unpacked, or the results folder of a field.

    Raises
    ------
    InputError
        If the path is none of these, or holds what cannot be read safely.
    """
    path = Path(path)
    if os.path.isdir(path):
        return _from_folder(path)
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder")
    # Opening a pipe would wait for ever.
    if not os.path.isfile(path):
        raise InputError(f"{path}: neither an archive nor a folder")
    return _from_zip(path)


def _from_zip(path):
    # A flipped bit can cause any error of zipfile or of zlib.
    try:
        archive = ZipFile(path)
    except Exception as error:
        raise InputError(f"{path}: no readable archive ({error})") from error
    members = archive.infolist()
    _require_safe(path, members)

    def read(name):
        try:
            with archive.open(name) as file:
                # One byte more would tell that the declared size is wrong.
                return file.read(archive.getinfo(name).file_size + 1)
        except Exception as error:
            raise InputError(f"{path}: {name} is damaged ({error})") from error

    names = sorted(one.filename for one in members if not one.is_dir())
    return Bundle(path, names, True, read)


def _require_safe(path, members):
    """Refuse an archive that would fill the memory, or write elsewhere when unpacked."""

    def refuse(reason):
        raise InputError(
            f"{path}: {reason}. No archive of gammastack is like this: do not unpack it,"
            " and take another copy"
        )

    size, limit = sum(one.file_size for one in members), os.path.getsize(path)
    if size > max(MAX_BYTES, MAX_RATIO * limit):
        refuse(f"{limit} bytes would unpack to {size} bytes")
    times = Counter(one.filename for one in members)
    for one in members:
        name, kind = one.filename, stat.S_IFMT(one.external_attr >> 16)
        parts = name.removesuffix("/").split("/")
        if not name.isprintable():
            refuse(f"the name {name!r} in it cannot be printed")
        if {"", ".", ".."} & {*parts} or set(name) & {"\\", ":"}:
            refuse(f"the name {name!r} in it leads elsewhere")
        if times[name] > 1:
            refuse(f"{name} is there {times[name]} times")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            refuse(f"{name} is a link or a device")
        if one.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            refuse(f"{name} is compressed by an unknown method")


def _from_folder(path):
    is_archive = (path / MANIFEST).is_file() or (path / PRODUCTS).is_dir()
    left_out = REBUILT if is_archive else ()
    names = sorted(
        name
        for name in _files(path, left_out)
        if not (is_archive and "__pycache__" in name)
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


def _files(top, left_out):
    """Yield the files of a folder by name, but for those of some folders in it.

    Images of runs may be elsewhere, behind a link.
    """
    read = {str(folder) for folder in top.resolve().parents}
    for folder, folders, files in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        if real in read:
            raise InputError(
                f"{folder}: leads to {real}, which holds it or has been read already;"
                " delete this link"
            )
        read.add(real)
        place = Path(folder).relative_to(top)
        folders[:] = [
            one for one in folders if (place / one).as_posix() not in left_out
        ]
        for file in files:
            # This leaves out links to nowhere, pipes and devices.
            if os.path.isfile(os.path.join(folder, file)):
                yield (place / file).as_posix()
