"""Stacked sky images from Cherenkov-telescope DL3 observations."""

from gammastack.version import __version__ as __version__
