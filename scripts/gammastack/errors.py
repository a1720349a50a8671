"""The error of this program."""


class InputError(ValueError):
    """Invalid user input; the message names the cause and the remedy."""
