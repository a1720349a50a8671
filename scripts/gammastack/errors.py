"""The error of this program."""


class InputError(ValueError):
    """What the user gave cannot be used; the message names the culprit and the remedy."""
