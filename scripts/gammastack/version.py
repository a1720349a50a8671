"""The version, alone in its file, so that a new one without other changes reruns nothing."""

__version__ = "0.1.0"
