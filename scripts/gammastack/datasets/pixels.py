"""Pixels of the cubes of a dataset."""

from dataclasses import dataclass

from gammastack.sky.geometry import ImageGeometry


@dataclass(frozen=True)
class DatasetPixels:
    """Pixels of a dataset, or of a cutout of it: responses have coarser ones than images.

    Attributes
    ----------
    image, irf : gammastack.sky.geometry.ImageGeometry
    """

    image: ImageGeometry
    irf: ImageGeometry

    @classmethod
    def create(cls, image, binsz_irf):
        """Return the pixels of a field.

        Parameters
        ----------
        image : dict
            Arguments of `gammastack.sky.geometry.ImageGeometry.create`.
        binsz_irf : float
            Size of the coarse pixels in deg.
        """
        coarse = {**image, "binsz": binsz_irf}
        return cls(ImageGeometry.create(**image), ImageGeometry.create(**coarse))

    def of(self, name):
        """Return the pixels of a cube, given its name."""
        return self.irf if name.startswith(("psf", "edisp")) else self.image
