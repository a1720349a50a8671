"""FITS files as cards and bytes, which can be damaged in any way.

astropy would repair or refuse much of what is written here.
"""

import re
from dataclasses import dataclass
from math import prod

import numpy as np
from astropy.io import fits

from gammastack.checksum import encode, fold, ones_complement_sum

BLOCK, CARD = 2880, 80
SUMS = ("CHECKSUM", "DATASUM")
TYPES = {
    **{"L": "S1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8"},
    **{"E": ">f4", "D": ">f8"},
}


@dataclass
class HDU:
    """Header cards of 80 characters, without END, and the data without padding."""

    cards: list
    data: bytearray

    def index(self, key):
        """Return the place of the first card with a key, or None."""
        keys = [card[:8].rstrip() for card in self.cards]
        return keys.index(key) if key in keys else None

    def get(self, key, default=None):
        """Return the value of a key."""
        place = self.index(key)
        if place is None:
            return default
        return fits.Card.fromstring(self.cards[place]).value

    def set(self, key, value):
        """Replace the value of a key, or add a card."""
        self.set_text(key, fits.Card(key, value).image[10:])

    def set_text(self, key, text):
        """Replace what stands after the equals sign, valid or not."""
        card, place = f"{key:8}= {text}".ljust(CARD)[:CARD], self.index(key)
        if place is None:
            self.cards.append(card)
        else:
            self.cards[place] = card

    def remove(self, *keys):
        """Remove all cards with some keys."""
        self.cards = [card for card in self.cards if card[:8].rstrip() not in keys]

    @property
    def name(self):
        """Return the EXTNAME in capitals."""
        return str(self.get("EXTNAME", "PRIMARY")).strip().upper()

    @property
    def columns(self):
        """Return the numbers of the columns by name."""
        numbers = range(1, self.get("TFIELDS", 0) + 1)
        return {str(self.get(f"TTYPE{number}")).strip(): number for number in numbers}

    @property
    def rows(self):
        """Return the rows of a table, to be changed in place; arrays in cells are flat."""
        fields = []
        for name, number in self.columns.items():
            repeat, code = re.match(r"(\d*)(\w)", self.get(f"TFORM{number}")).groups()
            n = int(repeat or 1)
            kind = (f"S{n}",) if code == "A" else (TYPES[code], *([n] if n > 1 else []))
            fields.append((name, *kind))
        return np.frombuffer(self.data, np.dtype(fields), self.get("NAXIS2"))

    @rows.setter
    def rows(self, rows):
        self.data = bytearray(rows.tobytes())
        self.set("NAXIS1", rows.dtype.itemsize)
        self.set("NAXIS2", len(rows))

    def encoded(self, *, sums):
        """Return the HDU as bytes; with `sums` its checksums are made to fit."""
        data = bytes(self.data) + b"\0" * (-len(self.data) % BLOCK)
        if sums:
            datasum = ones_complement_sum(data)
            self.set("DATASUM", str(datasum))
            self.set_text("CHECKSUM", f"'{'0' * 16}'")
            total = fold(ones_complement_sum(self._header()) + datasum)
            self.set_text("CHECKSUM", f"'{encode(total).decode()}'")
        return self._header() + data

    def _header(self):
        text = "".join([*self.cards, "END".ljust(CARD)]).encode("latin-1")
        return text + b" " * (-len(text) % BLOCK)


def parse(content):
    """Return the HDUs of an intact file."""
    hdus, start = [], 0
    while start < len(content):
        cards, stop = [], start
        while (card := content[stop : stop + CARD].decode("latin-1")).rstrip() != "END":
            cards.append(card)
            stop += CARD
        begin = stop + CARD + -(stop + CARD - start) % BLOCK
        hdu = HDU(cards, bytearray())
        axes = [hdu.get(f"NAXIS{n + 1}") for n in range(hdu.get("NAXIS"))]
        size = abs(hdu.get("BITPIX")) // 8 * prod(axes) if axes else 0
        hdu.data += content[begin : begin + size]
        hdus.append(hdu)
        start = begin + size + -size % BLOCK
    return hdus
