"""Where a file comes from, by content: the code, the packages and the inputs.

There are no folders and no times in it: the same origin makes the same file.
"""

import json
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np
from astropy.io import fits

# Kind of the inputs that were made by an earlier step
INTERMEDIATE = "intermediate"


def sha256_of(path):
    """SHA-256 of the content of a file, hexadecimal."""
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
        The files that the step read, and the data that its intermediate ones go back to.
        Kind is `INTERMEDIATE` or one of the data; obs_id is 0 for a file of many runs.
    """

    code: dict = field(default_factory=dict)
    packages: dict = field(default_factory=dict)
    inputs: tuple = ()

    @classmethod
    def of(cls, step, software, inputs):
        """Origin of what a step makes.

        Parameters
        ----------
        step : str
        software : dict
            As `gammastack.provenance.software.software` returns it.
        inputs : iterable of (kind, obs_id, name, sha256)
        """
        code = {step: code_hash(software["modules"])}
        return cls(code, software["packages"], tuple(inputs))

    @classmethod
    def from_hdu(cls, hdu):
        """Origin in the HDU that `table` makes."""
        code, packages = (json.loads(hdu.header[key]) for key in ("CODE", "PACKAGES"))
        columns = (hdu.data[name].tolist() for name in hdu.columns.names)
        return cls(code, packages, tuple(zip(*columns, strict=True)))

    def table(self):
        """Table HDU of the inputs, with the cards in its header."""
        rows = zip(*self.inputs, strict=True) if self.inputs else [()] * 4
        kinds, obs_ids, names, digests = rows
        # FITS knows nothing but ASCII
        names = [name.encode("ascii", "backslashreplace") for name in names]
        columns = [
            fits.Column("KIND", _text(kinds), array=np.array(kinds, "S")),
            fits.Column("OBS_ID", "K", array=np.array(obs_ids, np.int64)),
            fits.Column("NAME", _text(names), array=np.array(names, "S")),
            fits.Column("SHA256", "64A", array=np.array(digests, "S64")),
        ]
        hdu = fits.BinTableHDU.from_columns(columns, name="INPUTS")
        for card in self.cards():
            hdu.header.set(*card)
        return hdu

    def after(self, earlier):
        """This origin with what the origins of its inputs bring along.

        Parameters
        ----------
        earlier : iterable of Origin
        """
        code, packages, data = {}, {}, set()
        for origin in earlier:
            code |= origin.code
            packages |= origin.packages
            data.update(one for one in origin.inputs if one[0] != INTERMEDIATE)
        return Origin(
            code | self.code,
            dict(sorted((packages | self.packages).items())),
            (*self.inputs, *sorted(data)),
        )

    def cards(self):
        """Header cards of code and packages."""
        return ("CODE", json.dumps(self.code)), ("PACKAGES", json.dumps(self.packages))


def _text(values):
    return f"{max(map(len, values), default=1)}A"


def label(path):
    """Name of an intermediate file: with its folder, which tells runs and bands apart."""
    path = Path(path)
    return f"{path.parent.name}/{path.name}"


def code_hash(modules):
    """One hash for the modules of a step, given as hashes by name."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(modules.items()))
    return sha256(lines.encode()).hexdigest()[:16]
