"""What is odd about an observation but does not prevent its use, as errors do."""

from typing import NamedTuple

# A warning is about data that may be wrong; a note is about data that are as they should
# be, and were treated in a way that a reader may want to know.
WARNING, NOTE = "warning", "note"


class Finding(NamedTuple):
    """A warning or a note on an observation.

    Attributes
    ----------
    severity : str
        `WARNING` or `NOTE`.
    text : str
    """

    severity: str
    text: str


def texts(findings, severity):
    """Return the texts of the findings of one severity, on one line."""
    return "; ".join(text for found, text in findings if found == severity)
