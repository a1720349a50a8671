"""Where products are, which ones a field has, and what is known about a file from its path."""

import re
from functools import cache
from itertools import product as combinations
from pathlib import Path

from gammastack.errors import InputError
from gammastack.products import FINAL, STEPS, TABLE

SIMULATED_STORE = "simulated-dl3"
# These patterns match the wildcards in paths; the first radius has an empty suffix.
PATTERNS = {
    "store": re.escape(SIMULATED_STORE),
    "field": r"[^/]+",
    "band": r"\d[\d.e+-]*[A-Za-z]+-\d[\d.e+-]*[A-Za-z]+",
    "obs_id": r"\d+",
    "group": r"all|[0-3]+",
    "zenith": r"[\d.e]+-[\d.e]+",
    "image": r"[A-Za-z][\w.+-]*",
    # The suffix begins with a digit: flux_corr_errn is not a flux_corr.
    "radius": r"(?:_\d[\d.e+-]*[A-Za-z]+)?",
}
# FITS has no unit for counted things.
NO_UNITS = ("counts", "runs", "sigma")
IMAGES = {product.name: product for product in TABLE if product.dtype}


def wildcards(file):
    """Return the names of the wildcards in a path."""
    return re.findall(r"\{(\w+)\}", file)


def check_steps(steps):
    """Raise `InputError` unless table of products, `STEPS` and code name the same steps.

    Parameters
    ----------
    steps : iterable of str
        Steps for which there is code.
    """
    coded, made = set(steps), {product.step for product in TABLE}
    for product in TABLE:
        if product.step not in coded or product.step not in STEPS:
            raise InputError(
                f"gammastack/products.py: the step {product.step} that makes {product.file} is not"
                f" in STEPS, or there is no scripts/steps/{product.step}.py"
            )
    for step in sorted(coded | STEPS.keys()):
        if step not in made:
            raise InputError(
                f"scripts/steps/{step}.py: no line of TABLE in gammastack/products.py says"
                " what this step makes"
            )


def products_of(field):
    """Return the products of a field, a `gammastack.config.fields.Field`, whatever their role."""
    return [
        product
        for product in TABLE
        if "{field}" in product.file
        and (not product.condition or getattr(field, product.condition))
    ]


def outputs_of(step, field=None):
    """Return the paths of what a step makes, by name, with the wildcards of the step.

    Parameters
    ----------
    step : str
    field : gammastack.config.fields.Field, optional
        Not needed for products that belong to no field.

    Returns
    -------
    dict of str to str
        A name is the product's, with its band or radius if the step makes several.
    """
    outputs = {}
    for product in TABLE if field is None else products_of(field):
        if product.step == step:
            outputs |= _expanded(product, field, STEPS[step])
    return outputs


def _expanded(product, field, keep):
    """Expand the product for all bands and radii of the field, except for the wildcards to keep."""
    filled = [name for name in VALUES if f"{{{name}}}" in product.file]
    filled = [name for name in filled if name not in keep]
    outputs = {}
    for chosen in combinations(*(VALUES[name](field) for name in filled)):
        name, file = product.name, product.file
        for wildcard, value in zip(filled, chosen, strict=True):
            name += value if wildcard == "radius" else f"_{value}"
            file = file.replace(f"{{{wildcard}}}", value)
        outputs[name] = file.replace("{store}", SIMULATED_STORE)
    return outputs


def _bands(field):
    return () if field is None else field.energy_bands


def _radii(field):
    return () if field is None else field.radii


def images_of(field):
    """Return the names of the images of a band, with their radius."""
    if field is None:
        return ()
    return [
        Path(file).stem.replace("{radius}", radius)
        for product in products_of(field)
        if product.dtype and "{band}" in (file := product.file)
        for radius in (field.radii if "{radius}" in file else [""])
    ]


# What stands for these wildcards, as functions of a field; names have the radius before the band
VALUES = {"radius": _radii, "band": _bands, "image": images_of}


def of_band(outputs, band):
    """Return the outputs of a field that belong to a band, by name of the product and radius."""
    suffix = f"_{band}"
    return {
        name.removesuffix(suffix): path
        for name, path in outputs.items()
        if name.endswith(suffix)
    }


def of_radius(outputs, radius):
    """Return the outputs of a band that belong to a radius, by name of the product."""
    names = [product.name for product in TABLE if "{radius}" in product.file]
    return {name: outputs[name + radius] for name in names if name + radius in outputs}


def band_products(field, names):
    """Return the paths of products of all bands, those with a radius for the first one.

    Parameters
    ----------
    field : gammastack.config.fields.Field
    names : collection of str
        Of products.

    Returns
    -------
    dict of str to str
        A name is the product's, with its band.
    """
    return {
        f"{product.name}_{band}": product.file.replace("{field}", field.name)
        .replace("{band}", band)
        .replace("{radius}", "")
        for product in products_of(field)
        if product.name in names
        for band in field.energy_bands
    }


def final_products(field, zeniths=()):
    """Return the paths of what is made of a field by default.

    Parameters
    ----------
    field : gammastack.config.fields.Field
    zeniths : iterable of str
        Bins of zenith angle that have an acceptance.
    """
    for product in products_of(field):
        if product.role != FINAL:
            continue
        for file in _expanded(product, field, ("field", "zenith")).values():
            file = file.replace("{field}", field.name)
            if "{zenith}" in file:
                yield from (file.replace("{zenith}", zenith) for zenith in zeniths)
            else:
                yield file


def all_products(field, **values):
    """Return the paths of all that can be made of a field, whatever its role.

    Parameters
    ----------
    field : gammastack.config.fields.Field
    **values : iterable of str
        Those of the other wildcards: ``obs_id``, ``group`` and ``zenith``.
    """
    for product in products_of(field):
        for file in _expanded(product, field, ("field", *values)).values():
            names = [name for name in wildcards(file) if name != "field"]
            for chosen in combinations(*(values[name] for name in names)):
                known = dict(zip(names, chosen, strict=True))
                yield file.format(field=field.name, **known)


@cache
def _pattern(file):
    parts = re.split(r"\{(\w+)\}", file.removeprefix("{field}/"))
    texts = (
        f"(?:{PATTERNS[part]})" if number % 2 else re.escape(part)
        for number, part in enumerate(parts)
    )
    return re.compile("".join(texts))


def product_at(name):
    """Return the product at a path from the folder of its field; None if there is none."""
    return next(iter(products_at(name)), None)


def products_at(name):
    """Return the products at a path from the folder of its field: several steps can make it."""
    found = (product for product in TABLE if _pattern(product.file).fullmatch(name))
    return [product for product in found if "{field}" in product.file]


def image_product(name):
    """Return the product of an image of a field from the name of its file, or None."""
    for product in IMAGES.values():
        if _pattern(product.file.rpartition("/")[2]).fullmatch(name):
            return product
    return None


def unit_of(product, for_integral_flux):
    """Return the unit of the pixels of a product, or what is counted."""
    unit = product.unit
    return unit if isinstance(unit, str) else unit[bool(for_integral_flux)]


def bunit(name, for_integral_flux):
    """Return the FITS unit of an image; empty for counted things and for other images."""
    unit = unit_of(IMAGES[name], for_integral_flux) if name in IMAGES else ""
    return "" if unit in NO_UNITS else unit


def hdu_name(name, band):
    """Return the name of the HDU of an image in a file with several bands."""
    return f"{name}_{band}"


def lines_of(step):
    """Return the lines of the table of products on a step: its products and what they hold."""
    products = [product for product in TABLE if product.step == step]
    held = {name for product in products for name in product.holds}
    return [*products, *(product for product in TABLE if product.name in held)]
