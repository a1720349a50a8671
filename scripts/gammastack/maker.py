"""Stacked images in Python, with the functions of the pipeline but without Snakemake."""

from os import PathLike

import numpy as np
import pandas as pd
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from gammastack.dl3.datastore import DataStore
from gammastack.dl3.hdus import hdu_types
from gammastack.dl3.observation import read_observation
from gammastack.errors import InputError
from gammastack.files.header import Provenance
from gammastack.files.layout import bunit
from gammastack.maps.disks import counts_in_disk
from gammastack.runs.images import run_images
from gammastack.sky.exclusion import exclusion_mask as draw_exclusion_mask
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.groups import stable_groups
from gammastack.stacking.run_table import bkg_norm_table
from gammastack.stacking.stack import (
    IRF,
    Stack,
    kinds_of_sums,
    none_used,
    stack_runs,
)
from gammastack.words import listing


def empty_image(center, width, binsz, frame="icrs", projection="TAN"):
    """Return an image without content, for `StackedObsImageMaker`.

    Parameters
    ----------
    center : tuple of float, or astropy.coordinates.SkyCoord
        ICRS right ascension and declination in deg.
    width : astropy.units.Quantity
        Size: one angle, or two along longitude and latitude.
    binsz : astropy.units.Quantity
        Size of a pixel.
    frame : {"icrs", "galactic"}
        Axes of the image.
    projection : str
        FITS code, such as TAN or CAR.

    Returns
    -------
    ImageGeometry

    Examples
    --------
    >>> from astropy import units as u
    >>> empty_image((83.63, 22.01), 5 * u.deg, 0.02 * u.deg).shape
    (250, 250)
    """
    if hasattr(center, "icrs"):
        center = center.icrs.ra.deg, center.icrs.dec.deg
    width = np.broadcast_to(u.Quantity(width).to_value("deg"), 2).tolist()
    return ImageGeometry.create(
        center, frame, projection, width, u.Quantity(binsz).to_value("deg")
    )


class StackedObsImageMaker:
    """Stacked images of many observations.

    Replaces the class of this name in gammapy 0.6.

    Parameters
    ----------
    empty_image : image, FITS header or file name
        Reference image: from `empty_image`, a FITS image HDU, a file, or a map or geometry
        of gammapy, whose axes other than longitude and latitude do not matter.
    energy_band : astropy.units.Quantity, shape (2,)
    offset_band : astropy.units.Quantity, shape (2,)
        Smallest (included) and largest angle to the pointing.
    data_store : gammastack.dl3.datastore.DataStore or path
    obs_table : table with a column OBS_ID, or a sequence of int
    exclusion_mask : ndarray (1 = use), FITS image HDU, map of gammapy, file or list, optional
        An array, HDU or map must be on the grid of `empty_image`. A file is a FITS mask
        or a DS9 region file; a list is one of `gammastack.sky.exclusion.exclusion_mask`.
        Without it all pixels are used.
    ncounts_min : int
        A run needs more selected events than this.
    save_bkg_scale : bool
        Keep `table_bkg_norm`.

    Attributes
    ----------
    images : dict of str to astropy.io.fits.PrimaryHDU
        ``exclusion``, ``counts``, ``bkg``, ``exposure``, ``significance``, ``excess``.
    table_bkg_norm : astropy.table.Table
        OBS_ID, bkg_scale and more, one row per used run.
    table_runs : astropy.table.Table
        What happened to each run.
    """

    def __init__(
        self,
        empty_image,
        energy_band,
        offset_band,
        data_store,
        obs_table,
        exclusion_mask=None,
        ncounts_min=0,
        save_bkg_scale=True,
    ):
        self.geometry = _geometry(empty_image)
        self.energy_band = tuple(u.Quantity(energy_band).to_value("TeV").tolist())
        self.offset_band = tuple(u.Quantity(offset_band).to_value("deg").tolist())
        is_store = isinstance(data_store, DataStore)
        self.data_store = data_store if is_store else DataStore.from_dir(data_store)
        self.obs_ids = _obs_ids(obs_table)
        self.ncounts_min = ncounts_min
        self.save_bkg_scale = save_bkg_scale
        self.images = {}
        self.table_bkg_norm = self.table_runs = None
        self._mask = _mask(exclusion_mask, self.geometry)
        if self._mask is not None:
            self._keep("exclusion", self._mask.astype(np.uint8), Provenance({}))

    def make_images(
        self,
        make_background_image=False,
        bkg_norm=True,
        spectral_index=2.3,
        for_integral_flux=False,
        radius=10,
    ):
        """Make all images: only counts, if `make_background_image` is false.

        Parameters
        ----------
        make_background_image : bool
        bkg_norm : bool
            Scale the background of each run to its counts outside the exclusions.
        spectral_index, for_integral_flux
            See `gammastack.runs.exposure.exposure_image`.
        radius : float or astropy.units.Quantity
            Correlation radius in pixels, or an angle.
        """
        self.images = {
            name: hdu for name, hdu in self.images.items() if name == "exclusion"
        }
        self.table_bkg_norm = None
        spectrum = {
            "spectral_index": spectral_index,
            "for_integral_flux": for_integral_flux,
        }
        background = IRF if make_background_image else None
        stack, records = Stack.empty(self.geometry, kinds_of_sums(background)), []
        for obs_ids in self._groups().values():
            group, of_group = stack_runs(
                self.geometry,
                self._run_images(obs_ids, make_background_image, spectrum),
                self._mask,
                self.ncounts_min,
                bkg_norm,
                background,
            )
            stack.add(group)
            records += of_group
        if text := none_used(records):
            raise InputError(text)
        records.sort(key=lambda record: record["OBS_ID"])
        config = {"offset_band": self.offset_band, "bkg_norm": bkg_norm, **spectrum}
        provenance = Provenance.of(stack, config, self.energy_band)
        runs = pd.DataFrame(records)
        self.table_runs = Table.from_pandas(runs)
        self._keep("counts", stack.images["counts"], provenance)
        if not make_background_image:
            return
        self._keep("bkg", stack.images["bkg"], provenance)
        unit = bunit("exposure", for_integral_flux)
        self._keep("exposure", stack.images["exposure"], provenance, unit)
        if self.save_bkg_scale:
            self.table_bkg_norm = Table.from_pandas(bkg_norm_table(runs))
        self.significance_image(radius)
        self.excess_image()

    def _groups(self):
        """Sum up groups first, as in the pipeline, so that the result is the same bit for bit."""
        if unknown := sorted({*self.obs_ids}.difference(self.data_store.obs_ids)):
            raise InputError(f"obs_table: OBS_ID {listing(unknown)} not in the index")
        pointings = self.data_store.pointings(self.obs_ids)
        binsz = abs(float(self.geometry.wcs.wcs.cdelt[1]))
        return stable_groups(self.obs_ids, *pointings, binsz=binsz)

    def _run_images(self, obs_ids, make_background_image, spectrum):
        types = hdu_types(("aeff", "bkg") if make_background_image else ())
        for obs_id in obs_ids:
            hdus = self.data_store.available(obs_id, types)
            observation = read_observation(obs_id, hdus)
            yield from run_images(
                observation,
                self.geometry,
                [self.energy_band],
                self.offset_band,
                **spectrum,
            )

    def excess_image(self):
        """Make the excess image from the counts and bkg images."""
        excess = self.images["counts"].data - self.images["bkg"].data
        self._keep("excess", excess, self._provenance())

    def significance_image(self, radius):
        """Make the significance image from the counts and bkg images.

        Parameters
        ----------
        radius : float or astropy.units.Quantity
            Correlation radius in pixels, or an angle.
        """
        if isinstance(radius, u.Quantity):
            radius = self.geometry.in_pixels(radius.to_value("deg"))
        images = {kind: self.images[kind].data for kind in ("counts", "bkg")}
        image = counts_in_disk(images, radius).significance()
        self._keep("significance", image, self._provenance())

    def _provenance(self):
        return Provenance.from_header(self.images["counts"].header)

    def _keep(self, name, data, provenance, unit=""):
        self.images[name] = fits.PrimaryHDU(
            data, provenance.header(self.geometry, unit)
        )


def _geometry(image):
    if isinstance(image, ImageGeometry):
        return image
    # Maps of gammapy know their geometry, which gives WCS and shape.
    geometry = getattr(image, "geom", image)
    if hasattr(geometry, "data_shape"):
        *_, ny, nx = geometry.data_shape
        return ImageGeometry(geometry.wcs.deepcopy(), (int(ny), int(nx)))
    if not isinstance(image, fits.Header):
        image = image.header if hasattr(image, "header") else fits.getheader(image)
    return ImageGeometry.from_header(image)


def _obs_ids(table):
    columns = getattr(table, "colnames", getattr(table, "columns", ()))
    obs_ids = table["OBS_ID"] if "OBS_ID" in columns else table
    obs_ids = sorted(int(obs_id) for obs_id in obs_ids)
    if len(set(obs_ids)) < len(obs_ids):
        raise InputError("obs_table: an OBS_ID occurs more than once")
    return obs_ids


def _mask(mask, geometry):
    if mask is None:
        return None
    if isinstance(mask, str | PathLike):
        mask = [str(mask)]
    if isinstance(mask, list):
        return draw_exclusion_mask(geometry, mask)[0]
    if hasattr(mask, "header") or hasattr(mask, "geom"):
        other = _geometry(mask)
        crpix = geometry.wcs.wcs.crpix, other.wcs.wcs.crpix
        if not (geometry.same_grid(other) and np.allclose(*crpix, rtol=0, atol=1e-6)):
            raise InputError(
                "exclusion_mask: it is not on the grid of empty_image; give its file name"
                " in a list to have it resampled"
            )
        mask = _plane(mask.data)
    if np.shape(mask) != geometry.shape:
        raise InputError(
            f"exclusion_mask: its shape {np.shape(mask)} is not that of empty_image,"
            f" {geometry.shape}"
        )
    return np.asarray(mask) > 0


def _plane(data):
    """Return an image without the axes of length 1 that a map of gammapy can have."""
    while np.ndim(data) > 2 and len(data) == 1:
        data = data[0]
    return data
