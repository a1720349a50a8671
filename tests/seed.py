"""The recipe of gammapy 0.6, applied to what the readers of this program return.

This is not how images should be made: it takes rectangles in energy, livetime for the
background, ten offsets for the exposure, and events where there is no background. It
shows that our images differ from those of gammapy 0.6 in these points and no others.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import interp1d

from gammastack.sky.geometry import ImageGeometry
from gammastack.sky.sphere import separation, unit_vectors


@dataclass(frozen=True)
class Seed:
    """Settings of gammapy 0.6: image, bands in TeV and deg, spectrum."""

    geometry: ImageGeometry
    energy_band: tuple
    offset_band: tuple
    spectral_index: float
    for_integral_flux: bool

    def _pixel_offset(self, run):
        center = unit_vectors(run.pointing.ra, run.pointing.dec)
        return separation(self.geometry.pixel_vectors(), center)

    def counts(self, run):
        """Count events, cut on their own offset but not on the good time intervals."""
        events = run.events
        center = unit_vectors(run.pointing.ra, run.pointing.dec)
        offset = separation(unit_vectors(events.ra, events.dec), center)
        (e1, e2), (o1, o2) = self.energy_band, self.offset_band
        use = (events.energy >= e1) & (events.energy < e2)
        use &= (offset >= o1) & (offset < o2)
        x, y = self.geometry.pixel_coordinates(events.ra[use], events.dec[use])
        ny, nx = self.geometry.shape
        edges = np.arange(ny + 1) - 0.5, np.arange(nx + 1) - 0.5
        return np.histogram2d(y, x, bins=edges)[0]

    def bkg(self, run):
        """Use ten rectangles in energy, a cubic spline in the offset, and livetime."""
        edges = np.geomspace(*self.energy_band, 11)
        middle = np.sqrt(edges[1:] * edges[:-1])
        nodes = np.sqrt(run.bkg.energy[0] * run.bkg.energy[1])
        rate = interp1d(nodes, run.bkg.rate, axis=0, fill_value="extrapolate")(middle)
        profile = np.sum(rate * np.diff(edges)[:, None], axis=0)
        theta = np.mean(run.bkg.offset, axis=0)
        inner = profile[0], np.nan
        spline = interp1d(theta, profile, "cubic", bounds_error=False, fill_value=inner)
        offset = self._pixel_offset(run)
        values = spline(np.minimum(offset, theta[-1]))
        seen = offset < self.offset_band[1]
        return np.where(seen, values, 0) * self.geometry.solid_angle() * run.livetime

    def exposure(self, run):
        """Sum the area at ten offsets over 100 bins, and interpolate in between."""
        edges = np.geomspace(*self.energy_band, 101)
        middle = np.sqrt(edges[1:] * edges[:-1])
        e_ref = np.sqrt(edges[0] * edges[-1])
        weights = (middle / e_ref) ** -self.spectral_index * np.diff(edges)
        nodes = np.linspace(*self.offset_band, 10)
        area = sum(
            weight * run.aeff.evaluate(energy, nodes)
            for weight, energy in zip(weights, middle, strict=True)
        )
        if self.for_integral_flux:
            area = area / weights.sum()
        offset = self._pixel_offset(run)
        seen = (offset >= self.offset_band[0]) & (offset < self.offset_band[1])
        return np.where(seen, np.interp(offset, nodes, area * run.livetime), 0)
