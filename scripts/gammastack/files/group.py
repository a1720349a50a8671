"""The file of a group of runs: the sums of their images in all energy bands."""

from gammastack.files.fits import read
from gammastack.files.header import of_runs, read_config, runs_frame
from gammastack.files.layout import hdu_name
from gammastack.provenance.origin import Origin
from gammastack.stacking.stack import Stack


class GroupFile:
    """The file of a group, read.

    Parameters
    ----------
    path : path
    field : gammastack.sky.geometry.ImageGeometry
        The whole image of the field.

    Attributes
    ----------
    origin : gammastack.provenance.origin.Origin
    runs : pandas.DataFrame
        What became of each run in each band.
    """

    def __init__(self, path, field):
        self._hdus, self._field = read(path), field
        self.origin = Origin.from_hdu(self._hdus["INPUTS"])
        self.runs = runs_frame(self._hdus["RUNS"])

    def header(self, band):
        """Return the header of the counts in a band."""
        return self._hdus[hdu_name("counts", band)].header

    def config(self, band):
        """Return the settings that made the sums in a band."""
        return read_config(self.header(band))

    def stack(self, band, kinds):
        """Return the `gammastack.stacking.stack.Stack` of some kinds of sums in a band."""
        header = self.header(band)
        images = {kind: self._hdus[hdu_name(kind, band)].image for kind in kinds}
        return Stack(self._field.cutout_of(header), images, **of_runs(header))
