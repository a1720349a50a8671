"""Stacked sky images from Cherenkov-telescope DL3 observations."""

__version__ = "0.1.0"
