"""Readers of the instrument responses in GADF tables.

Format: GADF v0.3, DOI 10.5281/zenodo.7304668.
"""

from gammastack.dl3.dispersion import EnergyDispersion2D
from gammastack.dl3.irf import Background2D, Background3D, EffectiveArea2D
from gammastack.dl3.point_spread import PSF3Gauss, PSFKing, PSFTable

RESPONSES = ("aeff", "bkg", "psf", "edisp")
# Files of this writer declare FOVALIGN = RADEC, but their field-of-view longitude
# grows to the east, and DETX and DETY are exchanged with respect to TDIM.
HESS_DR1 = {"CREATOR": "SASH FITS::EventListWriter", "HDUVERS": "0.2"}
BY_OFFSET = ("THETA", "ENERG")
# Columns of analytical point spread functions with their units
GAUSSIANS = {
    "SCALE": "sr-1",
    "SIGMA_1": "deg",
    "AMPL_2": "",
    "SIGMA_2": "deg",
    "AMPL_3": "",
    "SIGMA_3": "deg",
}
KING = {"GAMMA": "", "SIGMA": "deg"}


def read_response(kind, table, events_header):
    """Return the response in a table.

    Parameters
    ----------
    kind : str
        One of `RESPONSES`.
    table : gammastack.dl3.table.Table
    events_header : dict-like
        Header of the events of the run.

    Raises
    ------
    gammastack.errors.InputError
        The message names the file, the HDU and the column at fault.
    """
    table.refuse_point_like()
    if kind == "bkg":
        return _background(table, events_header)
    return {"aeff": _effective_area, "psf": _point_spread, "edisp": _dispersion}[kind](
        table
    )


def _by_offset(table):
    """Return the axes of true energy and offset."""
    return table.axis("ENERG", "TeV"), table.axis("THETA", "deg")


def _effective_area(table):
    area = table.array("EFFAREA", "m2", BY_OFFSET)
    return EffectiveArea2D(*_by_offset(table), area, where=table.where)


def _point_spread(table):
    axes = _by_offset(table)
    if table.hdu_class == "psf_table":
        rad = table.axis("RAD", "deg")
        density = table.array("RPSF", "sr-1", ("RAD", *BY_OFFSET))
        return PSFTable(*axes, rad, density, where=table.where)
    kinds = {"psf_3gauss": (PSF3Gauss, GAUSSIANS), "psf_king": (PSFKing, KING)}
    form, units = kinds[table.hdu_class]
    parameters = {
        # Some writers give no unit of the scale, which the norm does not need.
        name.lower(): table.array(name, unit, BY_OFFSET, default_unit=unit)
        for name, unit in units.items()
    }
    return form(*axes, parameters, where=table.where)


def _dispersion(table):
    energy, offset = _by_offset(table)
    migra = table.axis("MIGRA", "", default_unit="")
    matrix = table.array("MATRIX", "", ("THETA", "MIGRA", "ENERG"), default_unit="")
    return EnergyDispersion2D(energy, migra, offset, matrix, where=table.where)


def _background(table, events_header):
    name = "BKG" if "BKG" in table.columns.names else "BGD"
    unit = "s-1 TeV-1 sr-1"
    energy = table.axis("ENERG", "TeV")
    if table.hdu_class == "bkg_2d":
        offset = table.axis("THETA", "deg")
        rate = table.array(name, unit, ("ENERG", "THETA"))
        return Background2D(energy, offset, rate, where=table.where)
    axes, alignment = ("ENERG", "DETX", "DETY"), table.header.get("FOVALIGN", "RADEC")
    written_by_hess = all(
        str(events_header.get(key)).strip() == value for key, value in HESS_DR1.items()
    )
    # A model that was made from these events has a later version.
    version = HESS_DR1["HDUVERS"]
    if written_by_hess and table.header.get("HDUVERS", version) == version:
        axes, alignment = ("ENERG", "DETY", "DETX"), "REVERSE_LON_RADEC"
    return Background3D(
        energy,
        table.axis("DETX", "deg"),
        table.axis("DETY", "deg"),
        table.array(name, unit, axes),
        alignment=str(alignment).strip().upper(),
        where=table.where,
    )
