"""The version, alone in its file: a new one without other changes reruns nothing."""

__version__ = "0.1.0"
