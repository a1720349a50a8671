"""The page of all fields."""

from base64 import b64encode

from gammastack.pictures.pixels import png, reduced
from gammastack.pictures.scale import scale_of
from gammastack.report.page import render
from gammastack.version import __version__

THUMBNAIL = 160  # pixels


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


def index_page(rows, thumbnails):
    """Return the text of the page.

    Parameters
    ----------
    rows : list of dict
        Lines of the summary.
    thumbnails : dict of str to str
        Of the first band, by field.
    """
    fields = {}
    for row in rows:
        fields.setdefault(row["field"], []).append(row)
    return render(
        "index.html", version=__version__, fields=fields, thumbnails=thumbnails
    )
