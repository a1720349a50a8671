"""HTML pages from templates.

A page is one file: pictures, styles and programs are in it, and nothing is fetched. Its
content security policy names the hashes of its own programs, so that nothing that comes
from the data can be executed.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from math import floor, log10

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gammastack.report.contents import FOLDER

# In this order: the last ones use the others.
LIBRARIES = (
    "vendor/uplot/uPlot.iife.min.js",
    "vendor/tablesort/tablesort.min.js",
    "vendor/tablesort/tablesort.number.min.js",
    "vendor/panzoom/panzoom.min.js",
)
PROGRAMS = ("templates/charts.js", "templates/viewer.js", "templates/page.js")
# Signs of typography that are easily mistaken for others
DASH, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
SUPERSCRIPTS = str.maketrans(
    f"0123456789{MINUS}",
    "\N{SUPERSCRIPT ZERO}\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}\N{SUPERSCRIPT THREE}"
    "\N{SUPERSCRIPT FOUR}\N{SUPERSCRIPT FIVE}\N{SUPERSCRIPT SIX}\N{SUPERSCRIPT SEVEN}"
    "\N{SUPERSCRIPT EIGHT}\N{SUPERSCRIPT NINE}\N{SUPERSCRIPT MINUS}",
)
STYLES = ("vendor/uplot/uPlot.min.css", "templates/style.css")


def render(template, **context):
    """Return the text of a page.

    Parameters
    ----------
    template : str
        Name of the template.
    **context
        What it shows; all texts are escaped.
    """
    return _environment().get_template(template).render(context)


def compile_templates():
    """Compile all templates, which otherwise happens when one is needed."""
    for name in _environment().list_templates(extensions=["html"]):
        _environment().get_template(name)


@cache
def _environment():
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "fixed": fixed,
        "general": general,
        "with_errors": with_errors,
    }
    scripts = [_text(name) for name in (*LIBRARIES, *PROGRAMS)]
    environment.globals |= {
        "scripts": [Markup(script) for script in scripts],
        "script_hashes": [_integrity(script) for script in scripts],
        "licences": {
            path.parent.name: path.read_text(encoding="utf-8")
            for path in sorted(FOLDER.glob("vendor/*/LICEN[CS]E"))
        },
        "style": Markup("\n".join(_text(name) for name in STYLES)),
    }
    return environment


def _text(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def _integrity(text):
    """Return the hash of a program, as a content security policy names it."""
    digest = b64encode(sha256(text.encode()).digest()).decode("ascii")
    return f"sha256-{digest}"


def fixed(value, digits=2, sign=""):
    """Return a number with so many decimals, and a dash where it is unknown."""
    if value is None or value != value:
        return DASH
    return f"{value:{sign}.{digits}f}".replace("-", MINUS)


def general(value, digits=3):
    """Return a number with so many digits, and a dash where it is unknown."""
    if value is None or value != value:
        return DASH
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text.replace("-", MINUS)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.replace('-', MINUS)} {power_of_ten(int(exponent))}"


def with_errors(values, name):
    """Return a value with its asymmetric errors, and a common power of ten for small ones.

    Parameters
    ----------
    values : dict of str to float or None
        With the value, and its errors ``<name>_errn`` and ``<name>_errp``.
    name : str
    """
    value, *errors = (values[key] for key in (name, f"{name}_errn", f"{name}_errp"))
    if value is None or value != value:
        return DASH
    sizes = [abs(part) for part in (value, *errors) if part is not None]
    power = floor(log10(max(sizes))) if 0 < max(sizes) < 0.01 else 0
    value, low, high = (
        part if part is None else part / 10.0**power for part in (value, *errors)
    )
    if power == 0:
        return f"{fixed(value, 1)} +{fixed(high, 1)} {MINUS}{fixed(low, 1)}"
    return f"({fixed(value)} +{fixed(high)} {MINUS}{fixed(low)}) {power_of_ten(power)}"


def power_of_ten(power):
    """Return a factor in words, such as x 10^-8 with the signs of typography."""
    digits = str(power).replace("-", MINUS).translate(SUPERSCRIPTS)
    return f"{TIMES} 10{digits}"
