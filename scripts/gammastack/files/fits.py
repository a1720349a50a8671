"""FITS files of images and tables, written and read in one pass.

All products are written here. astropy formats and parses the cards of the headers, but
only once for all images that share them: a job writes up to twenty small images with nearly
the same header, and building each of these card by card took more time than the science.

Format: FITS standard 4.0, https://fits.gsfc.nasa.gov/standard40/fits_standard40aa-le.pdf
"""

import os
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path

import numpy as np
from astropy.io import fits

from gammastack.checksum import PART, encode, fold, is_intact, ones_complement_sum
from gammastack.errors import DamagedResult

BLOCK = 2880
# Of larger files only parts are in the memory.
IN_MEMORY = 2**26
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
        dtype = data.dtype.newbyteorder(">")
        cards = _image_cards(data.shape, dtype, primary)
        return _encoded(cards, self.name, self.text, data, dtype)


def in_few_bytes(image):
    """Return whole numbers in the smallest type of FITS that holds them.

    It saves a seventh of the file of a run, and time. Compression would save half of it, for a
    fifth more time per run, and its bytes depend on the version of a library.
    """
    if image.dtype.kind == "f" or not image.size:
        return image
    low, high = int(image.min()), int(image.max())
    if low >= 0 and high <= np.iinfo(np.uint8).max:
        return image.astype(np.uint8)
    if low >= -(2**15) and high < 2**15:
        return image.astype(np.int16)
    return image


def _image_cards(shape, dtype, primary):
    """Return the first cards of the header of an image."""
    is_empty = 0 in shape
    bitpix = 8 if is_empty else BITPIX[dtype.str[1:]]
    shape = () if is_empty else shape[::-1]
    size = [(f"NAXIS{number}", n) for number, n in enumerate(shape, 1)]
    kind = ("SIMPLE", True) if primary else ("XTENSION", "IMAGE")
    extend = [("EXTEND", True)] if primary else [("PCOUNT", 0), ("GCOUNT", 1)]
    return [kind, ("BITPIX", bitpix), ("NAXIS", len(shape)), *size, *extend]


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
    size = data.size * dtype.itemsize
    content = np.zeros(size + -size % BLOCK, np.uint8)
    content[:size].view(dtype).reshape(data.shape)[...] = data
    head = card_text([*cards, *named]) + text
    return _header(head, ones_complement_sum(content)), content.data


def _header(head, datasum):
    """Return a whole header from its cards and the sum of the data."""
    # The standard computes the sum of the HDU with zeros in place of the CHECKSUM.
    sums = card_text([("CHECKSUM", "0" * 16), ("DATASUM", str(datasum))])
    header = head + sums + END
    header += b" " * (-len(header) % BLOCK)
    place = len(head) + len("CHECKSUM= '")
    checksum = encode(fold(ones_complement_sum(header) + datasum))
    return header[:place] + checksum + header[place + 16 :]


def write(path, hdus):
    """Write HDUs with checksums; if the first is a table, an empty primary HDU precedes it.

    Parameters
    ----------
    path : path
        A file that ends with ``.gz`` is compressed, without the time of writing.
    hdus : iterable of Image or Table
        Only one at a time is in the memory.
    """
    # Of pixels, more than runs of the same byte takes longer and saves nothing.
    gzip = zlib.compressobj(1, wbits=zlib.MAX_WBITS + 16, strategy=zlib.Z_RLE)
    is_packed = str(path).endswith(".gz")
    with open(path, "wb") as file:
        for part in _parts(hdus):
            file.write(gzip.compress(part) if is_packed else part)
        if is_packed:
            file.write(gzip.flush())


def _parts(hdus):
    """Yield the parts of a file, beginning with a primary HDU."""
    for number, hdu in enumerate(hdus):
        if number == 0 and isinstance(hdu, Table):
            yield from Image(np.zeros((0, 0))).encoded(primary=True)
        is_primary = number == 0 and isinstance(hdu, Image)
        yield from hdu.encoded(primary=is_primary)


class GrowingImage:
    """An image that is written row by row, as the primary HDU of a file.

    The file is the one that `write` would write.

    Parameters
    ----------
    path : path
    shape : tuple of int
    dtype : str
        Of the pixels.
    text : bytes
        Cards of a header that is at least as long as that of `finish`.
    """

    def __init__(self, path, shape, dtype, text):
        self._path, self._dtype = path, np.dtype(dtype).newbyteorder(">")
        self._cards = card_text(_image_cards(shape, self._dtype, primary=True))
        self._start = len(_header(self._cards + text, 0))
        self._size, self._sum, self._rest = 0, 0, b""
        Path(path).write_bytes(b"")

    def add(self, rows):
        """Write some rows, an array of shape (n, nx)."""
        content = np.ascontiguousarray(rows, self._dtype).view(np.uint8).reshape(-1)
        with open(self._path, "r+b") as file:
            file.seek(self._start + self._size)
            file.write(content.data)
        self._size += len(content)
        if self._rest or len(content) % 4:
            content = np.frombuffer(self._rest + content.tobytes(), np.uint8)
        # Words of the sum may lie across strips.
        whole = len(content) - len(content) % 4
        self._sum = fold(self._sum + ones_complement_sum(content[:whole]))
        self._rest = content[whole:].tobytes()

    def finish(self, text, tables):
        """Write the header with some cards, and the HDUs of tables behind the image."""
        datasum = fold(self._sum + ones_complement_sum(self._rest))
        header = _header(self._cards + text, datasum)
        if len(header) > self._start:
            raise ValueError("the header is longer than was expected")
        parts = [part for table in tables for part in table.encoded(primary=False)]
        with open(self._path, "r+b") as file:
            if len(header) < self._start:
                _move(file, self._start, len(header), self._size)
            file.seek(0)
            file.write(header)
            file.seek(self._size, os.SEEK_CUR)
            file.write(b"\0" * (-self._size % BLOCK))
            file.writelines(parts)
            file.truncate()


def _move(file, start, new_start, size):
    """Move a part of a file to an earlier place."""
    for done in range(0, size, PART):
        file.seek(start + done)
        content = file.read(min(PART, size - done))
        file.seek(new_start + done)
        file.write(content)


class FileContent:
    """The content of a file, or of a part of it, that is not in the memory.

    Slices are read when they are asked for.

    Parameters
    ----------
    path : path
    start, stop : int
        Of the part.
    """

    def __init__(self, path, start, stop):
        self._path, self._start, self._stop = path, start, stop

    def __len__(self):
        return self._stop - self._start

    def __getitem__(self, part):
        start, stop, _ = part.indices(len(self))
        with open(self._path, "rb") as file:
            file.seek(self._start + start)
            return file.read(max(0, stop - start))

    def part(self, start, stop):
        """Return a part that is not in the memory either."""
        return FileContent(self._path, self._start + start, self._start + stop)


@dataclass(frozen=True)
class HDU:
    """An HDU that was read.

    Attributes
    ----------
    header : astropy.io.fits.Header
    content : memoryview or FileContent
        Header and data as they are in the file.
    start : int
        Position where the data begin.
    """

    header: fits.Header
    content: memoryview | FileContent
    start: int

    def encoded(self, primary):
        """Return the HDU as bytes-like parts, to be written again unchanged."""
        return (self.content[:],)

    @cached_property
    def shape(self):
        """Return the numbers of pixels, or of rows and of bytes per row."""
        return _shape(self.header)

    @property
    def image(self):
        """Return the pixels in the byte order of the machine; without pixels, shape (0, 0).

        Whole numbers have at least 32 bits: they may be added up.
        """
        return self.rows(slice(None))

    def rows(self, rows):
        """Return some rows of the image, given a slice."""
        if not self.shape:
            return np.zeros((0, 0), np.int32)
        code = next(key for key, n in BITPIX.items() if n == self.header["BITPIX"])
        dtype, (n_rows, *row) = np.dtype(f">{code}"), self.shape
        first, last, _ = rows.indices(n_rows)
        size = prod(row) * dtype.itemsize
        content = self.content[self.start + first * size : self.start + last * size]
        native = dtype.newbyteorder("=")
        if native.kind != "f":
            native = np.promote_types(native, np.int32)
        return np.frombuffer(content, dtype).reshape(-1, *row).astype(native)

    @property
    def table(self):
        """Return columns by name as arrays in the byte order of the machine."""
        header = self.header
        numbers = range(1, header["TFIELDS"] + 1)
        names = [header[f"TTYPE{number}"] for number in numbers]
        forms = [header[f"TFORM{number}"] for number in numbers]
        types = [TYPES.get(form, f"S{form[:-1]}") for form in forms]
        dtype = np.dtype(list(zip(names, types, strict=True)))
        stop = self.start + header["NAXIS2"] * dtype.itemsize
        rows = np.frombuffer(self.content[self.start : stop], dtype)
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


def read(path, in_memory=IN_MEMORY):
    """Read a file that `write` has written.

    Parameters
    ----------
    path : path
    in_memory : int
        Images and tables of larger files are read when they are asked for.

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
        if (size := os.path.getsize(path)) > in_memory:
            return _parse(FileContent(path, 0, size))
        return parse(Path(path).read_bytes())
    except MemoryError:
        raise
    # A damaged file can cause any other error.
    except Exception as error:
        raise DamagedResult(path, error) from error


def parse(content):
    """Return the HDUs in the content of a file, as `read` does."""
    return _parse(memoryview(content))


def _parse(content):
    hdus, start = {}, 0
    while start < len(content):
        header, data = _read_header(content, start)
        shape = _shape(header)
        if min(shape, default=0) < 0:
            raise ValueError("an axis of negative length")
        size = prod(shape) * abs(header["BITPIX"]) // 8 if shape else 0
        stop = data + size + -size % BLOCK
        if stop > len(content):
            raise ValueError("truncated")
        name = header.get("EXTNAME", "PRIMARY")
        hdu = HDU(header, _part(content, start, stop), data - start)
        hdus[name] = hdu
        if not is_intact(header, hdu.content, hdu.start):
            raise ValueError(f"the checksum of the HDU {name} does not fit its content")
        start = stop
    return hdus


def _part(content, start, stop):
    if isinstance(content, FileContent):
        return content.part(start, stop)
    return content[start:stop]


def _shape(header):
    return tuple(header[f"NAXIS{n}"] for n in range(header["NAXIS"], 0, -1))


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
