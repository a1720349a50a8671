"""The page of all fields."""

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from gammastack.files.fits import read
from gammastack.pictures.pixels import coarse, png, reduced
from gammastack.pictures.scale import scale_of
from gammastack.report.page import render
from gammastack.version import __version__

THUMBNAIL = 160  # pixels
# Of larger images only blocks of pixels are in the memory.
MOST_PIXELS = 1_000_000


def thumbnail(name, image):
    """Return an image as a small PNG in base64.

    Parameters
    ----------
    name : str
        Of the product.
    image : ndarray, shape (ny, nx)
    """
    small, _ = reduced(image, THUMBNAIL)
    return b64encode(png(small, scale_of(name, image))).decode("ascii")


def index_page(rows, failures=()):
    """Return the text of the page.

    Parameters
    ----------
    rows : list of dict
        Lines of the summary.
    failures : sequence of str
        Why an update failed.
    """
    fields, thumbnails = {}, {}
    for row in rows:
        fields.setdefault(row["field"], []).append(row)
    for field, (first, *_) in fields.items():
        for name in ("significance", "counts"):
            path = Path(first["folder"]) / f"{name}.fits"
            if field not in thumbnails and path.exists():
                hdu = read(path)["PRIMARY"]
                image, _ = coarse(hdu.rows, hdu.shape, MOST_PIXELS)
                thumbnails[field] = thumbnail(name, image)
    return render(
        "index.html",
        version=__version__,
        fields=fields,
        thumbnails=thumbnails,
        failures=failures,
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC") if failures else "",
    )


def failed_index(summary, failures):
    """Return the text of the page after an update that failed, with what is there.

    Parameters
    ----------
    summary : pathlib.Path
        CSV file of the last update that did not fail, which may not exist.
    failures : list of str
        Messages.
    """
    if not summary.exists():
        return index_page([], failures)
    rows = pd.read_csv(summary).astype(object)
    return index_page(rows.where(rows.notna(), None).to_dict("records"), failures)
