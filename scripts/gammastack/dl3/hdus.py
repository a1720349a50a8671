"""The index files of the GADF formats, the HDUs of an observation, and where one of them is.

Format: GADF v0.3, DOI 10.5281/zenodo.7304668.
"""

from dataclasses import dataclass
from typing import NamedTuple

OBS_INDEX = "obs-index.fits.gz"
HDU_INDEX = "hdu-index.fits.gz"
GADF = {
    "HDUCLASS": "GADF",
    "HDUVERS": "0.3",
    "HDUDOC": "https://github.com/open-gamma-ray-astro/gamma-astro-data-formats",
}
# These are the names of each type of HDU in the index, the preferred class first.
HDU_CLASSES = {
    "events": ("events",),
    "gti": ("gti",),
    "aeff": ("aeff_2d",),
    "bkg": ("bkg_3d", "bkg_2d"),
    "psf": ("psf_table", "psf_3gauss", "psf_king"),
    "edisp": ("edisp_2d",),
}

# Images need these.
OF_IMAGES = ("events", "gti", "aeff", "bkg")


@dataclass(frozen=True)
class HDULocation:
    """Location of an HDU: file, name of the HDU, and its GADF class (such as ``bkg_3d``)."""

    path: str
    hdu_name: str
    hdu_class: str


class HDUReference(NamedTuple):
    """HDU of a job: number of its file among the files of the run, name, and GADF class."""

    file: int
    name: str
    hdu_class: str

    def among(self, paths):
        """Return the `HDULocation`, given the files of the run."""
        return HDULocation(paths[self.file], self.name, self.hdu_class)


def index_names(name):
    """Return the names that an index file may have, the preferred one first."""
    return name, name.removesuffix(".gz")


def hdu_types(responses):
    """Return the types of the HDUs that are read, given those of the responses."""
    return ("events", "gti", *responses)
