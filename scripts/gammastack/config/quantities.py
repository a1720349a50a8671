"""Numbers with units in the configuration."""

import math

from astropy import units as u

from gammastack.errors import InputError

KINDS = {
    "deg": ("an angle", "0.5 deg"),
    "TeV": ("an energy", "1 TeV"),
    "GB": ("a size of files", "50 GB"),
}


def quantity(text, unit, key):
    """Return a number with a unit, such as ``0.5 deg``, in another unit.

    Parameters
    ----------
    text : str
    unit : str
        deg, TeV or GB.
    key : str
        Place in the configuration, for messages.

    Raises
    ------
    InputError
    """
    kind, example = KINDS[unit]
    try:
        given = u.Quantity(text)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{key}: '{text}' is not a number with a unit like '{example}'"
        ) from error
    if given.unit == u.one:
        raise InputError(f"{key}: '{text}' has no unit; write '{text} {unit}'")
    try:
        value = float(given.to_value(unit))
    except (TypeError, ValueError) as error:
        raise InputError(f"{key}: '{text}' is not {kind} like '{example}'") from error
    if not math.isfinite(value):
        raise InputError(
            f"{key}: '{text}' is not finite; write {kind} like '{example}'"
        )
    return value
