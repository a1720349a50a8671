"""The errors of this program, and errors in words."""

from pathlib import Path


class InputError(ValueError):
    """Invalid user input; the message names the cause and the remedy."""


class NotCoveredError(InputError):
    """A response that says nothing about the positions or energies that are asked for."""


class DamagedResult(InputError):
    """A result is not what a step wrote: it must be made again.

    Attributes
    ----------
    path, reason : str
    """

    def __init__(self, path, reason):
        self.path, self.reason = str(path), str(reason)
        super().__init__(self.path, self.reason)

    def __str__(self):
        return f"{self.path}: damaged result ({self.reason})"


def in_words(error, paths):
    """Return an error as it can stand in a header, on one line, and the same everywhere.

    Parameters
    ----------
    error : Exception
    paths : list of str
        Files whose content is at fault.
    """
    text = str(error)
    if not isinstance(error, InputError):
        text = f"{', '.join(paths)}: {type(error).__name__}: {error}"
    text = " ".join(without_folders(text, paths).split())
    return text.encode("ascii", "backslashreplace").decode()


def without_folders(text, paths):
    """Return a text in which only the names are left of some paths."""
    for path in paths:
        text = text.replace(path, Path(path).name)
    return text
