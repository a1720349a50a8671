"""Radius of a correlation disk."""

from typing import NamedTuple


class Radius(NamedTuple):
    """Radius of a correlation disk, in pixels or as an angle in deg; the other one is None."""

    pixels: float | None
    angle: float | None

    @classmethod
    def from_label(cls, label):
        """Return the radius that a text stands for, see `label`."""
        value, unit = label.split()
        return cls(float(value), None) if unit == "pix" else cls(None, float(value))

    @property
    def label(self):
        """Return the radius as text."""
        if self.angle is None:
            return f"{self.pixels:g} pix"
        return f"{self.angle:g} deg"

    def on(self, geometry):
        """Return the radius in pixels along x and y of an image."""
        if self.angle is None:
            return self.pixels, self.pixels
        return geometry.in_pixels(self.angle)
