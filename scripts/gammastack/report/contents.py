"""What pages are made from: products of a band, and files beside the code.

It imports nothing, since it is read whenever the workflow is planned.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
# Pictures of these products are on the page, with the first radius, in this order.
PICTURES = (
    *("significance", "excess_corr", "flux_corr", "flux_corr_ul"),
    *("counts", "bkg", "exposure"),
)
# Their values at the target are on the page.
AT_TARGET = (
    *("significance", "excess_corr", "flux_corr", "flux_corr_errn"),
    *("flux_corr_errp", "flux_corr_ul"),
    *("flux_point", "flux_point_errn", "flux_point_errp"),
)
TABLES = ("off_statistics", "off_histogram", "candidates")
READ = (*dict.fromkeys([*PICTURES, *AT_TARGET]), *TABLES)


def page_sources():
    """Return templates, styles and programs of the pages."""
    return [
        str(path)
        for pattern in ("templates/*", "vendor/*/*")
        for path in sorted(FOLDER.glob(pattern))
    ]
