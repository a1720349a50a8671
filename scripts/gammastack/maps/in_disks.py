"""The maps of a band with a correlation radius, strip by strip."""

import numpy as np

from gammastack.maps.disks import counts_in_disk, mean_in_disk
from gammastack.maps.empty_sky import OffStatistics, larger, off_significance, peak
from gammastack.maps.flux import flux_maps, point_flux_maps


class MapsInDisks:
    """Maps of what is in a disk around each pixel, and what is known of all of them.

    Parameters
    ----------
    radius : tuple of float
        In pixels along x and y.
    ul_confidence, n_sigma_sensitivity : float
        See `gammastack.maps.flux.flux_maps`.

    Attributes
    ----------
    off : gammastack.maps.empty_sky.OffStatistics
        Of the strips so far.
    """

    def __init__(self, radius, ul_confidence, n_sigma_sensitivity):
        self._radius = radius
        self._settings = ul_confidence, n_sigma_sensitivity
        self.off = OffStatistics(radius)
        self._counts, self._bkg, self._peak = 0, 0.0, (np.nan, 0, 0)
        self._is_complete = False

    def maps(self, images, use, strip):
        """Return the maps of a strip.

        Parameters
        ----------
        images : dict of str to ndarray, shape (n_rows, nx)
            Of the strip with its margin, as in `gammastack.maps.disks.counts_in_disk`; and
            ``exposure`` if there is one, and with point spread functions
            ``psf_containment``, the part of the point spread in the disk.
        use : ndarray of bool, shape (n_rows, nx)
            True = outside the exclusions.
        strip : gammastack.sky.strips.Strip
            With a margin of the radius at least.

        Returns
        -------
        dict of str to ndarray, shape (n_inner_rows, nx)
            By the name of the product.
        """
        measured = counts_in_disk(images, self._radius)
        measured = type(measured)(*map(strip.inner, vars(measured).values()))
        maps = {
            "excess_corr": measured.excess,
            "significance": measured.significance(),
        }
        if "exposure" in images:
            exposure = strip.inner(mean_in_disk(images["exposure"], self._radius))
            maps |= flux_maps(measured, exposure, *self._settings)
            if "psf_containment" in images:
                points = strip.inner(images["exposure"] * images["psf_containment"])
                maps |= point_flux_maps(maps, exposure, points)
        if "off" in images:
            maps["alpha"] = measured.alpha
        empty = off_significance(images, use, self._radius)
        self.off.add(*map(strip.inner, empty), strip.rows.start)
        self._counts += int(strip.inner(images["counts"]).sum())
        self._bkg += float(np.nansum(strip.inner(images["bkg"])))
        found = peak(maps["significance"], strip.rows.start)
        self._peak = larger(self._peak, found)
        self._is_complete = True
        return maps

    def cards(self, geometry):
        """Return header cards with the sums and the peak of the band, and of empty sky.

        Before the first strip there are all that there can be.
        """
        cards = [
            ("SUMCOUNT", self._counts, "sum of the counts image"),
            ("SUMBKG", self._bkg, "sum of the bkg image"),
        ]
        value, x, y = self._peak
        row = self.off.row()
        if np.isfinite(value) or not self._is_complete:
            ra, dec = geometry.position(x, y)
            cards += [
                ("PEAK", float(value), "largest significance"),
                ("PEAK_RA", ra, "[deg] its ICRS position"),
                ("PEAK_DEC", dec, "[deg] its ICRS position"),
            ]
        if row["n_pixels"] or not self._is_complete:
            cards += [
                ("OFFMEAN", row["mean"], "of the significance outside the exclusions"),
                ("OFFWIDTH", row["width"], "its standard deviation"),
            ]
        return cards
