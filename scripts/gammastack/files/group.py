"""The file of a group of runs: the sums of their images in all energy bands."""

from functools import cache

from gammastack.files.bands import POINTS
from gammastack.files.fits import read
from gammastack.files.header import of_runs, read_config, runs_frame
from gammastack.files.layout import hdu_name
from gammastack.provenance.origin import Origin
from gammastack.stacking.stack import Stack


class GroupFile:
    """The file of a group; its images are read when they are asked for.

    Parameters
    ----------
    path : path
    field : gammastack.sky.geometry.ImageGeometry
        The whole image of the field.

    Attributes
    ----------
    origin : gammastack.provenance.origin.Origin
    """

    def __init__(self, path, field):
        self._hdus, self._field = read(path, in_memory=0), field
        self.origin = Origin.from_hdu(self._hdus["INPUTS"])
        self._runs = runs_frame(self._hdus["RUNS"])
        # Its header is looked at for each strip of the image.
        self.geometry = cache(self._geometry)

    def _geometry(self, band):
        return self._field.cutout_of(self.header(band))

    def header(self, band):
        """Return the header of the counts in a band."""
        return self._hdus[hdu_name("counts", band)].header

    def config(self, band):
        """Return the settings that made the sums in a band."""
        return read_config(self.header(band))

    def runs(self, band):
        """Return what became of each run in a band, as a `pandas.DataFrame`."""
        return self._runs[self._runs["band"] == band].drop(columns="band")

    def summary(self, band):
        """Return the `gammastack.stacking.stack.Stack` in a band without its images."""
        known = of_runs(self.header(band))
        return Stack(self.geometry(band), {}, points=self.points(band), **known)

    def points(self, band):
        """Return the exposures (3, n_rad) for point sources, see `Stack`; 0 if there are none."""
        hdu = self._hdus.get(hdu_name(POINTS, band))
        return 0.0 if hdu is None else hdu.image

    def stack(self, band, kinds, part):
        """Return the sums in a part of the image of the field.

        Parameters
        ----------
        band : str
        kinds : sequence of str
        part : gammastack.sky.geometry.ImageGeometry

        Returns
        -------
        gammastack.stacking.stack.Stack
            Without what is known about the runs.
        """
        whole = self.geometry(band)
        kept = whole.common(part)
        rows, columns = whole.placement(kept)
        images = {
            kind: self._hdus[hdu_name(kind, band)].rows(rows)[:, columns]
            for kind in kinds
        }
        return Stack(kept, images)

    def is_in(self, band, rows):
        """Return whether there are sums in some rows of the field, given as a slice."""
        geometry = self.geometry(band)
        own, _ = self._field.placement(geometry)
        is_empty = 0 in geometry.shape
        return not is_empty and own.start < rows.stop and rows.start < own.stop
