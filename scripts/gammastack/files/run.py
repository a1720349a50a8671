"""The file of a run: its images in all energy bands, as cutouts of the image of the field."""

from gammastack.files.bands import POINTS
from gammastack.files.fits import read
from gammastack.files.header import of_runs
from gammastack.files.layout import hdu_name
from gammastack.provenance.origin import Origin
from gammastack.runs.run import PointExposure, RunImages

KINDS = ("counts", "bkg", "exposure")
# A run is identified by these: attribute of `RunImages`, key and comment of the card.
CARDS = (
    ("obs_id", "OBS_ID", "observation"),
    ("n_events", "N_EVENTS", "selected, in the whole field of view"),
    ("n_pixels", "N_PIXELS", "pixels of the image in the offset band"),
    ("ra", "RA_PNT", "[deg] ICRS"),
    ("dec", "DEC_PNT", "[deg] ICRS"),
    ("exposure_on_axis", "EXPAXIS", "exposure at the pointing"),
)


def run_cards(run):
    """Return the header cards of a run, a `gammastack.runs.run.RunImages`."""
    cards = [(key, getattr(run, name), text) for name, key, text in CARDS]
    if run.status != "used":
        cards += [("STATUS", run.status), ("REASON", run.reason)]
    return tuple(cards)


def identity(header):
    """Return what identifies a run, from its header cards, by attribute of `RunImages`."""
    return {
        **{name: header[key] for name, key, _ in CARDS},
        "status": header.get("STATUS", "used"),
        "reason": header.get("REASON", ""),
    }


def points_of(run):
    """Return the exposures for point sources of a run, with the cards that explain them."""
    cards = (("OFFMAX", run.point_exposure.offset_max, "[deg] offset of the last row"),)
    return run.point_exposure.table, cards


class RunFile:
    """The file of a run; its images are read when they are asked for.

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

    def header(self, band):
        """Return the header of the counts in a band."""
        return self._hdus[hdu_name("counts", band)].header

    def geometry(self, band):
        """Return the cutout of the image of the field."""
        return self._field.cutout_of(self.header(band))

    def images(self, band):
        """Return the `gammastack.runs.run.RunImages` in a band."""
        header = self.header(band)
        known = of_runs(header)
        del known["n_obs"], known["n_failed"]
        points = None
        if hdu := self._hdus.get(hdu_name(POINTS, band)):
            points = PointExposure(hdu.image, hdu.header["OFFMAX"])
        return RunImages(
            geometry=self.geometry(band),
            point_exposure=points,
            **identity(header),
            **known,
            **{
                kind: self._hdus[hdu_name(kind, band)].image
                for kind in KINDS
                if hdu_name(kind, band) in self._hdus
            },
        )
