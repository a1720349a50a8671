"""The errors of this program."""


class InputError(ValueError):
    """Invalid user input; the message names the cause and the remedy."""


class NotCoveredError(InputError):
    """A response that says nothing about the positions or energies that are asked for."""
