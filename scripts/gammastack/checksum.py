"""Checksums of FITS HDUs.

FITS standard 4.0, section 4.4.2.7 and appendix J,
https://fits.gsfc.nasa.gov/standard40/fits_standard40aa-le.pdf
"""

import numpy as np

# This is the sum of a whole HDU whose CHECKSUM is right; 0 is the same number.
INTACT = (0xFFFFFFFF, 0)
# So many bytes are summed at once: whole words.
PART = 2**24
# A checksum must not contain ASCII punctuation.
PUNCTUATION = {*range(0x3A, 0x41), *range(0x5B, 0x61)}


def ones_complement_sum(content):
    """Return the sum of the 32-bit words of a bytes-like object, in ones' complement.

    A last word that is not complete counts as if zeros followed it.

    Parameters
    ----------
    content : bytes-like or sliceable
        What has a length, and parts that are bytes-like.
    """
    total = 0
    for start in range(0, len(content), PART):
        part = content[start : start + PART]
        words = np.frombuffer(part, ">u4", count=len(part) // 4)
        rest = bytes(part[4 * len(words) :]).ljust(4, b"\0")
        total += int(words.sum(dtype=np.uint64)) + int.from_bytes(rest, "big")
    return fold(total)


def fold(total):
    """Fold a sum in ones' complement arithmetic of 32 bits."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encode(total):
    """Return the complement of a sum as the text of a CHECKSUM."""
    encoded = bytearray(16)
    for number, byte in enumerate((~total & 0xFFFFFFFF).to_bytes(4, "big")):
        quarter, rest = divmod(byte, 4)
        four = [0x30 + quarter + rest, *[0x30 + quarter] * 3]
        while PUNCTUATION.intersection(four):
            for pair in (0, 2):
                if PUNCTUATION.intersection(four[pair : pair + 2]):
                    four[pair] += 1
                    four[pair + 1] -= 1
        encoded[number::4] = four
    return bytes(encoded[-1:] + encoded[:-1])


def is_intact(header, content, start):
    """Return whether an HDU matches its CHECKSUM, or its DATASUM; True if it has neither.

    Parameters
    ----------
    header : dict-like
    content : bytes-like or sliceable
        Header and data, padded to whole blocks; see `ones_complement_sum`.
    start : int
        Position where the data begin.
    """
    if header.get("CHECKSUM"):
        return ones_complement_sum(content) in INTACT
    if header.get("DATASUM"):
        data = content[start:]
        return str(ones_complement_sum(data)) == str(header["DATASUM"]).strip()
    return True
