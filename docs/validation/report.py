"""Tables, verdicts and figures of the page."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PAGE = Path(__file__).parents[1] / "validation.md"
FIGURES = Path(__file__).parent
# Okabe & Ito: they differ for all kinds of colour vision
BLUE, ORANGE, GREEN, RED, GREY = (
    *("#0072B2", "#E69F00", "#009E73", "#D55E00"),
    "#777777",
)


def verdict(ok):
    """Text in the column ``ok`` of a table."""
    return "yes" if ok else "no"


def table(columns, rows):
    """A table in Markdown.

    Parameters
    ----------
    columns : sequence of str
    rows : sequence of sequence
        Texts, whole numbers, and booleans, which become a `verdict`.

    Returns
    -------
    str
    """
    cells = [
        [
            verdict(cell) if isinstance(cell, bool | np.bool_) else str(cell)
            for cell in row
        ]
        for row in rows
    ]
    rule = ["---"] * len(columns)
    lines = [columns, rule, *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def n_failed(page):
    """Number of table rows of a page in which a cell says no."""
    return sum(
        "no" in (cell.strip() for cell in line.strip().strip("|").split("|"))
        for line in page.splitlines()
        if line.startswith("|")
    )


def new_figure(width, height):
    """A figure of a size in inches, 100 pixels each."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure, name, caption, folder=FIGURES):
    """Write a PNG file, and return the Markdown that shows it."""
    # The name of the library in the file would change with its version
    figure.savefig(Path(folder) / f"{name}.png", dpi=100, metadata={"Software": None})
    return f"![{caption}](validation/{name}.png)\n\n*{caption}*"
