"""Where a file comes from, by content: the code, the packages and the inputs.

It contains no folders and no times: the same origin makes the same file.
"""

import json
import os
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np

# Inputs of this kind were made by an earlier step.
INTERMEDIATE = "intermediate"
# No step made the inputs with these roles; all others are results of earlier steps.
DATA = ("dl3", "exclusion")


def sha256_of(path):
    """Return the SHA-256 of the content of a file, hexadecimal."""
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Origin:
    """Origin of a file.

    Attributes
    ----------
    code : dict of str to str
        Hash of the modules by step: the one that made the file, and those before it.
    packages : dict of str to str
        Versions of the packages that the steps import.
    inputs : tuple of (kind, obs_id, name, sha256)
        The files that the step read, and the data that its intermediate inputs are based on.
        Kind is `INTERMEDIATE` or one of the data; obs_id is 0 for a file of many runs.
    """

    code: dict = field(default_factory=dict)
    packages: dict = field(default_factory=dict)
    inputs: tuple = ()

    @classmethod
    def of(cls, step, software, files, obs_id=0):
        """Return the origin of what a step makes.

        Parameters
        ----------
        step : str
        software : dict
            As `gammastack.provenance.software.software` returns it.
        files : list of dict
            The inputs, as `entities` describes them.
        obs_id : int
            The run that the data belong to.
        """
        code = {step: code_hash(software["modules"])}
        rows = tuple(
            (file["role"], obs_id, Path(file["url"]).name, file["sha256"])
            if file["kind"] == "data"
            else (INTERMEDIATE, 0, _label(file["url"]), file["sha256"])
            for file in files
        )
        return cls(code, software["packages"], rows)

    @classmethod
    def from_hdu(cls, hdu):
        """Return the origin in the table HDU INPUTS of a product that was read."""
        code, packages = (json.loads(hdu.header[key]) for key in ("CODE", "PACKAGES"))
        columns = (column.tolist() for column in hdu.table.values())
        return cls(code, packages, tuple(zip(*columns, strict=True)))

    def columns(self):
        """Return the columns of the table INPUTS."""
        rows = zip(*self.inputs, strict=True) if self.inputs else [()] * 4
        kinds, obs_ids, names, digests = rows
        return {
            "KIND": np.array(kinds, str),
            "OBS_ID": np.array(obs_ids, np.int64),
            "NAME": np.array(names, str),
            "SHA256": np.array(digests, "U64"),
        }

    def after(self, earlier):
        """Return this origin combined with the origins of its inputs.

        Parameters
        ----------
        earlier : iterable of Origin
        """
        code, packages, data = {}, {}, set()
        for origin in earlier:
            code |= origin.code
            packages |= origin.packages
            data.update(row for row in origin.inputs if row[0] != INTERMEDIATE)
        return Origin(
            code | self.code,
            dict(sorted((packages | self.packages).items())),
            (*self.inputs, *sorted(data)),
        )

    def cards(self):
        """Return the header cards of code and packages."""
        return ("CODE", json.dumps(self.code)), ("PACKAGES", json.dumps(self.packages))


def _label(path):
    """Return the name of an intermediate file with its folder, which identifies run and band."""
    path = Path(path)
    return f"{path.parent.name}/{path.name}"


def entities(named, field):
    """Describe the files of a step by content.

    Parameters
    ----------
    named : dict
        Path, or list of paths, by role.
    field : pathlib.Path
        Folder from which results are named, so that they can move with it.

    Returns
    -------
    list of dict
        With role, kind (data or result), url, sha256 and size.
    """
    files = []
    for role, paths in named.items():
        for path in [paths] if isinstance(paths, str) else paths:
            kind = "data" if role in DATA else "result"
            url = (
                path
                if kind == "data"
                else Path(os.path.relpath(path, field)).as_posix()
            )
            entity = {"role": role, "kind": kind, "url": url}
            size = os.path.getsize(path)
            files.append({**entity, "sha256": sha256_of(path), "size": size})
    return files


def code_hash(modules):
    """Return one hash for the modules of a step, given as hashes by name."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(modules.items()))
    return sha256(lines.encode()).hexdigest()[:16]
