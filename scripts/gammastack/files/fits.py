"""FITS files of images and tables, written and read in one pass.

All products are written here. astropy formats and parses the cards of the headers, but
only once for all images that share them: a job writes up to twenty small images with nearly
the same header, and building each of these card by card took more time than the science.

Format: FITS standard 4.0, https://fits.gsfc.nasa.gov/standard40/fits_standard40aa-le.pdf
"""

import gzip
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path

import numpy as np
from astropy.io import fits

from gammastack.checksum import encode, fold, is_intact, ones_complement_sum
from gammastack.errors import DamagedResult

BLOCK = 2880
CARD = 80
# A header has at most so many blocks; the settings of large fields take some hundreds.
MAX_BLOCKS = 5_000
END = b"END".ljust(CARD)
BITPIX = {"u1": 8, "i2": 16, "i4": 32, "i8": 64, "f4": -32, "f8": -64}
# Type of a column by its code
TYPES = {"L": "S1", "J": ">i4", "K": ">i8", "D": ">f8"}


def card_text(cards):
    """Return the text of header cards.

    Parameters
    ----------
    cards : iterable of (key, value) or (key, value, comment)

    Returns
    -------
    bytes
        Whole cards; texts that are too long are continued.
    """
    return "".join(_card(*card) for card in cards).encode("ascii")


def _card(key, value, comment=""):
    """Return a header card in fixed format, FITS standard 4.0, section 4.2.

    `astropy.io.fits.Card` formats the long ones; it takes 40 times as long.
    """
    if isinstance(value, str):
        text = "'{:8}'".format(value.replace("'", "''"))
    elif isinstance(value, bool | np.bool_):
        text = f"{'T' if value else 'F':>20}"
    else:
        text = f"{str(value).upper():>20}"
    card = f"{key:8}= {text:20} / {comment}" if comment else f"{key:8}= {text}"
    return (
        card.ljust(CARD) if len(card) <= CARD else fits.Card(key, value, comment).image
    )


@dataclass(frozen=True)
class Image:
    """An image HDU to be written.

    Attributes
    ----------
    data : ndarray, shape (ny, nx)
        An image without pixels has no type in FITS and is left out.
    text : bytes
        Cards of the header, see `card_text`.
    name : str, optional
        EXTNAME.
    """

    data: np.ndarray
    text: bytes = b""
    name: str | None = None

    def encoded(self, primary):
        """Return the HDU as bytes-like parts: header and data."""
        data = np.asarray(self.data)
        bitpix = BITPIX[data.dtype.str[1:]] if data.size else 8
        shape = data.shape[::-1] if data.size else ()
        size = [(f"NAXIS{number}", n) for number, n in enumerate(shape, 1)]
        kind = ("SIMPLE", True) if primary else ("XTENSION", "IMAGE")
        extend = [("EXTEND", True)] if primary else [("PCOUNT", 0), ("GCOUNT", 1)]
        cards = [kind, ("BITPIX", bitpix), ("NAXIS", len(shape)), *size, *extend]
        dtype = data.dtype.newbyteorder(">")
        return _encoded(cards, self.name, self.text, data, dtype)


@dataclass(frozen=True)
class Table:
    """A binary table HDU to be written.

    Attributes
    ----------
    columns : dict of str to array_like, shape (n,)
        Of whole numbers, floats, truth values, or text.
    text : bytes
        Cards of the header, see `card_text`.
    name : str
        EXTNAME.
    units : dict of str to str, optional
        By column.
    """

    columns: dict
    text: bytes
    name: str
    units: dict | None = None

    def encoded(self, primary):
        """Return the HDU as bytes-like parts: header and data."""
        return self._parts

    @cached_property
    def _parts(self):
        # A job writes the same table into many files, so the result is kept.
        columns = {name: _column(values) for name, values in self.columns.items()}
        arrays = {name: array for name, (array, _) in columns.items()}
        n_rows = len(next(iter(arrays.values())))
        rows = np.empty(n_rows, [(name, array.dtype) for name, array in arrays.items()])
        cards = []
        for number, (name, (array, form)) in enumerate(columns.items(), 1):
            rows[name] = array
            cards += [(f"TTYPE{number}", name), (f"TFORM{number}", form)]
            if unit := (self.units or {}).get(name):
                cards.append((f"TUNIT{number}", unit))
        size = [("NAXIS1", rows.dtype.itemsize), ("NAXIS2", n_rows)]
        kind = [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), *size]
        counts = [("PCOUNT", 0), ("GCOUNT", 1), ("TFIELDS", len(arrays))]
        cards = [*kind, *counts, *cards]
        return _encoded(cards, self.name, self.text, rows, rows.dtype)


def _column(values):
    """Return an array in the byte order of FITS, and its TFORM."""
    array = np.asarray(values)
    if array.dtype.kind == "b":
        return np.where(array, b"T", b"F"), "L"
    if array.dtype.kind in "iuf":
        code = "D" if array.dtype.kind == "f" else "K"
        return array.astype(TYPES[code]), code
    # FITS allows only ASCII.
    texts = [str(value).encode("ascii", "backslashreplace") for value in array.tolist()]
    length = max(map(len, texts), default=1) or 1
    return np.array(texts, f"S{length}"), f"{length}A"


def _encoded(cards, name, text, data, dtype):
    named = [] if name is None else [("EXTNAME", name)]
    head = card_text([*cards, *named]) + text
    size = data.size * dtype.itemsize
    content = np.zeros(size + -size % BLOCK, np.uint8)
    content[:size].view(dtype).reshape(data.shape)[...] = data
    datasum = ones_complement_sum(content)
    # The standard computes the sum of the HDU with zeros in place of the CHECKSUM.
    sums = card_text([("CHECKSUM", "0" * 16), ("DATASUM", str(datasum))])
    header = head + sums + END
    header += b" " * (-len(header) % BLOCK)
    place = len(head) + len("CHECKSUM= '")
    checksum = encode(fold(ones_complement_sum(header) + datasum))
    return header[:place] + checksum + header[place + 16 :], content.data


def write(path, hdus):
    """Write HDUs with checksums; if the first is a table, an empty primary HDU precedes it.

    Parameters
    ----------
    path : path
        A file that ends with ``.gz`` is compressed, without the time of writing.
    hdus : iterable of Image or Table
    """
    hdus = list(hdus)
    if isinstance(hdus[0], Table):
        hdus.insert(0, Image(np.zeros((0, 0))))
    parts = [
        part
        for number, hdu in enumerate(hdus)
        for part in hdu.encoded(primary=number == 0)
    ]
    if str(path).endswith(".gz"):
        parts = [gzip.compress(b"".join(parts), mtime=0)]
    with open(path, "wb") as file:
        file.writelines(parts)


@dataclass(frozen=True)
class HDU:
    """An HDU that was read.

    Attributes
    ----------
    header : astropy.io.fits.Header
    content : memoryview
        Header and data as they are in the file.
    start : int
        Position where the data begin.
    """

    header: fits.Header
    content: memoryview
    start: int

    def encoded(self, primary):
        """Return the HDU as bytes-like parts, to be written again unchanged."""
        return (self.content,)

    @cached_property
    def shape(self):
        """Return the numbers of pixels, or of rows and of bytes per row."""
        return tuple(
            self.header[f"NAXIS{n}"] for n in range(self.header["NAXIS"], 0, -1)
        )

    @property
    def image(self):
        """Return the pixels in the byte order of the machine; without pixels, shape (0, 0).

        Whole numbers have at least 32 bits: they may be added up.
        """
        shape = self.shape
        if not shape:
            return np.zeros((0, 0), np.int32)
        code = next(key for key, n in BITPIX.items() if n == self.header["BITPIX"])
        data = np.frombuffer(self.content, f">{code}", prod(shape), self.start)
        native = data.dtype.newbyteorder("=")
        if native.kind != "f":
            native = np.promote_types(native, np.int32)
        return data.reshape(shape).astype(native)

    @property
    def table(self):
        """Return columns by name as arrays in the byte order of the machine."""
        header = self.header
        numbers = range(1, header["TFIELDS"] + 1)
        names = [header[f"TTYPE{number}"] for number in numbers]
        forms = [header[f"TFORM{number}"] for number in numbers]
        types = [TYPES.get(form, f"S{form[:-1]}") for form in forms]
        dtype = np.dtype(list(zip(names, types, strict=True)))
        rows = np.frombuffer(self.content, dtype, header["NAXIS2"], self.start)
        return {
            name: _decoded(rows[name], form)
            for name, form in zip(names, forms, strict=True)
        }


def _decoded(column, form):
    if form == "L":
        return column == b"T"
    if column.dtype.kind == "S":
        return np.char.decode(column, "ascii")
    return column.astype(column.dtype.newbyteorder("="))


def read(path):
    """Read a file that `write` has written.

    Returns
    -------
    dict of str to HDU
        By EXTNAME; the primary HDU is named PRIMARY if it has none.

    Raises
    ------
    DamagedResult
        If it is not what was written.
    """
    try:
        return parse(Path(path).read_bytes())
    except MemoryError:
        raise
    # A damaged file can cause any other error.
    except Exception as error:
        raise DamagedResult(path, error) from error


def parse(content):
    """Return the HDUs in the content of a file, as `read` does."""
    content = memoryview(content)
    hdus, start = {}, 0
    while start < len(content):
        header, data = _read_header(content, start)
        hdu = HDU(header, content[start:], data - start)
        if min(hdu.shape, default=0) < 0:
            raise ValueError("an axis of negative length")
        size = prod(hdu.shape) * abs(header["BITPIX"]) // 8 if hdu.shape else 0
        stop = data + size + -size % BLOCK
        if stop > len(content):
            raise ValueError("truncated")
        name = header.get("EXTNAME", "PRIMARY")
        hdus[name] = HDU(header, content[start:stop], data - start)
        if not is_intact(header, content[start:stop], data - start):
            raise ValueError(f"the checksum of the HDU {name} does not fit its content")
        start = stop
    return hdus


def _read_header(content, start):
    stop = start
    while True:
        block = bytes(content[stop : stop + BLOCK])
        if len(block) < BLOCK or stop - start > MAX_BLOCKS * BLOCK:
            raise ValueError("truncated")
        stop += BLOCK
        # This is the last card except for blanks.
        if block.rstrip()[-3:] == b"END" and len(block.rstrip()) % CARD == 3:
            break
    return _parsed(bytes(content[start:stop])), stop


# The images of a band are followed by the same tables. Headers are shared: who changes one must
# copy it before.
@lru_cache(maxsize=8)
def _parsed(text):
    return fits.Header.fromstring(text)
