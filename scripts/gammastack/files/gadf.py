"""Files in the formats for gamma-ray data (GADF), which need more of FITS than products do.

Their HDUs are those of astropy: tables with arrays in their cells.
"""

import gzip
from contextlib import ExitStack

from astropy.io import fits


def write_hdus(path, hdus):
    """Write astropy HDUs with checksums; a table in the first place gets an empty primary one."""
    if not isinstance(hdus[0], fits.PrimaryHDU):
        hdus = [fits.PrimaryHDU(), *hdus]
    hdus = fits.HDUList(hdus)
    hdus.update_extend()
    for hdu in hdus:
        # The default comment of astropy contains the time.
        hdu.add_checksum(when="checksum of the HDU")
    with ExitStack() as stack:
        file = stack.enter_context(open(path, "wb"))
        if str(path).endswith(".gz"):
            # The gzip header must not hold the time of writing
            file = stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0))
        hdus.writeto(file)


def with_cards(hdu, text):
    """Add header cards, as `gammastack.files.fits.card_text` makes them, to an astropy HDU."""
    hdu.header.update(fits.Header.fromstring(text))
    return hdu


def as_astropy(table):
    """Return a `gammastack.files.fits.Table` as an astropy HDU."""
    return fits.BinTableHDU.fromstring(b"".join(table.encoded(primary=False)))
