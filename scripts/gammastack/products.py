"""The table of products: each file that the workflow makes, declared once.

Everything else about a product follows from its line: the outputs of the rules and
their targets, units and types of pixels, what an archive holds and what ``compare`` says
about it, and the table in the documentation. See `gammastack.files.layout`.

This module contains only data. In the hash of the code of a step, the lines of
its own products replace this file, so that a new line reruns nothing else.
"""

from dataclasses import dataclass

# A step makes all products whose wildcards are its own.
STEPS = {
    "simulate_run": ("obs_id",),
    "simulate_index": (),
    "run_histogram": ("field", "obs_id"),
    "acceptance": ("field", "zenith"),
    "run_images": ("field", "obs_id"),
    "exclusion_mask": ("field",),
    "search_sources": ("field",),
    "stack_group": ("field", "group"),
    "stack": ("field",),
    "run_dataset": ("field", "obs_id"),
    "dataset_group": ("field", "group"),
    "dataset": ("field",),
    "maps": ("field", "band"),
    "check_run": ("field", "obs_id"),
    "doctor": ("field",),
    "provenance": ("field",),
    "report": ("field",),
    "figure": ("field", "band", "image"),
    "archive_of_field": ("field",),
    "summary": (),
}

# Targets that are neither files nor fields
TARGETS = ("all", "archive", "doctor", "figures")

# A product is made for its own sake, as a step on the way, to record how others were
# made, or because somebody asks for it.
FINAL, INTERMEDIATE, RECORD, ON_DEMAND = "final", "intermediate", "record", "on demand"

# The first unit is for dN/dE, the second for the integral flux of `for_integral_flux`. Flux
# times exposure is a number of counts, without a factor.
EXPOSURE = ("m2 s TeV", "m2 s")
FLUX = ("m-2 s-1 TeV-1", "m-2 s-1")


@dataclass(frozen=True)
class Product:
    """A file that a step makes.

    Attributes
    ----------
    name : str
        For an image, also the name of its HDU in the files of runs and groups.
    step : str
        Key of `STEPS`.
    file : str
        Path in the results folder, with wildcards. ``{store}`` is the folder of simulated
        observations.
    description : str
    unit : str or tuple of str
        Unit of the pixels: a FITS unit, or what is counted; two of them as in `FLUX`.
    dtype : str
        Type of the pixels; empty if the file is not an image.
    condition : str
        Property of `gammastack.config.fields.Field` that must be true; empty: always.
    role : str
        `FINAL`, `INTERMEDIATE`, `RECORD` or `ON_DEMAND`.
    holds : tuple of str
        For a file with several images: the products whose units and types they have.
    """

    name: str
    step: str
    file: str
    description: str
    unit: str | tuple = ""
    dtype: str = ""
    condition: str = ""
    role: str = FINAL
    holds: tuple = ()


def _image(name, step, description, unit="", dtype="float64", condition="", radius=""):
    file = f"{{field}}/{{band}}/{name}{radius}.fits"
    return Product(name, step, file, description, unit, dtype, condition)


def _sum(name, description, unit="", dtype="float64", condition="has_background"):
    return _image(name, "stack", description, unit, dtype, condition)


def _map(name, description, unit="", condition="has_background"):
    return _image(name, "maps", description, unit, "float64", condition)


def _correlated(name, description, unit="", condition="has_background"):
    return _image(name, "maps", description, unit, "float64", condition, "{radius}")


TABLE = (
    Product(
        "dl3",
        "simulate_run",
        "{store}/run_{obs_id}.fits",
        "events and responses of a simulated run",
        role=INTERMEDIATE,
    ),
    Product(
        "obs_index",
        "simulate_index",
        "{store}/obs-index.fits.gz",
        "index of the simulated observations",
    ),
    Product(
        "hdu_index",
        "simulate_index",
        "{store}/hdu-index.fits.gz",
        "index of the HDUs of the simulated observations",
    ),
    Product(
        "histogram",
        "run_histogram",
        "{field}/histograms/{obs_id}.fits",
        "events of a run in energy and field of view, for an acceptance",
        condition="has_acceptance",
        role=INTERMEDIATE,
    ),
    Product(
        "model",
        "acceptance",
        "{field}/acceptance/zenith_{zenith}.fits",
        "background model from the runs of a bin in zenith angle (GADF bkg_2d or bkg_3d)",
        condition="has_acceptance",
    ),
    Product(
        "picture",
        "acceptance",
        "{field}/acceptance/zenith_{zenith}.png",
        "picture of that model and of the events it was fitted to",
        condition="has_acceptance",
    ),
    Product(
        "images",
        "run_images",
        "{field}/runs/{obs_id}.fits",
        "counts, bkg and exposure of a run in all bands, before any norm",
        role=INTERMEDIATE,
        holds=("counts", "bkg", "exposure"),
    ),
    Product(
        "record",
        "run_images",
        "{field}/runs/{obs_id}.json",
        "who made the images of a run, from what, when and how",
        role=RECORD,
    ),
    Product(
        "exclusion_mask",
        "exclusion_mask",
        "{field}/exclusion_mask.fits",
        "pixels used to normalise the background (1), and known sources (0)",
        dtype="uint8",
        condition="has_plain_mask",
    ),
    Product(
        "known_sources",
        "exclusion_mask",
        "{field}/known_sources.fits",
        "the exclusion mask before the search for sources",
        dtype="uint8",
        condition="has_search",
    ),
    Product(
        "exclusion_mask",
        "search_sources",
        "{field}/exclusion_mask.fits",
        "pixels used to normalise the background (1), and known or found sources (0)",
        dtype="uint8",
        condition="has_search",
    ),
    Product(
        "sums",
        "stack_group",
        "{field}/groups/{group}.fits",
        "sums of the images of neighbouring runs",
        role=INTERMEDIATE,
        holds=(
            *("counts", "bkg", "exposure", "livetime", "n_runs"),
            *("off", "acceptance", "acceptance_off"),
        ),
    ),
    Product(
        "runs",
        "stack",
        "{field}/runs.csv",
        "what became of each run, also of those that are excluded",
    ),
    Product(
        "runs_ecsv",
        "stack",
        "{field}/runs.ecsv",
        "the same with types and units",
    ),
    Product(
        "runs_of_band",
        "stack",
        "{field}/{band}/runs.csv",
        "what became of each run in the band, with its norm",
    ),
    Product(
        "runs_of_band_ecsv",
        "stack",
        "{field}/{band}/runs.ecsv",
        "the same with types and units",
    ),
    Product(
        "table_bkg_norm_csv",
        "stack",
        "{field}/{band}/table_bkg_norm.csv",
        "background norm of each used run",
        condition="has_norm_table",
    ),
    Product(
        "table_bkg_norm_ecsv",
        "stack",
        "{field}/{band}/table_bkg_norm.ecsv",
        "the same with types and units",
        condition="has_norm_table",
    ),
    Product(
        "table_bkg_norm",
        "stack",
        "{field}/{band}/table_bkg_norm.fits",
        "background norm of each used run",
        condition="has_norm_table",
    ),
    _sum("counts", "counts", "counts", "int32", condition=""),
    _sum("bkg", "background, normalised run by run", "counts"),
    _sum(
        "exposure",
        "exposure for the assumed spectrum",
        EXPOSURE,
        condition="has_exposure",
    ),
    _sum(
        "livetime",
        "livetime on axis that gives the exposure",
        "s",
        condition="has_exposure",
    ),
    _sum("n_runs", "number of runs", "runs", "int32"),
    _sum("bkg_norm_relative", "background over its model before any norm"),
    _image(
        "psf_containment",
        "stack",
        "part of the point spread in the disk",
        condition="has_flux_point",
        radius="{radius}",
    ),
    Product(
        "psf",
        "stack",
        "{field}/{band}/psf.csv",
        "radii that contain 68 % and 95 % of the point spread",
        condition="has_flux_point",
    ),
    Product(
        "psf_ecsv",
        "stack",
        "{field}/{band}/psf.ecsv",
        "the same with types and units",
        condition="has_flux_point",
    ),
    _sum("off", "counts in the rings", "counts", condition="has_ring"),
    _sum(
        "acceptance", "background model with the norms", "counts", condition="has_ring"
    ),
    _sum("acceptance_off", "acceptance of the rings", "counts", condition="has_ring"),
    Product(
        "dataset",
        "run_dataset",
        "{field}/dataset_runs/{obs_id}.fits",
        "dataset of a run in energy and position, before any norm",
        condition="has_dataset",
        role=INTERMEDIATE,
    ),
    Product(
        "record",
        "run_dataset",
        "{field}/dataset_runs/{obs_id}.json",
        "who made the dataset of a run, from what, when and how",
        condition="has_dataset",
        role=RECORD,
    ),
    Product(
        "dataset",
        "dataset_group",
        "{field}/dataset_groups/{group}.fits",
        "sums of the datasets of neighbouring runs",
        condition="has_dataset",
        role=INTERMEDIATE,
    ),
    Product(
        "dataset",
        "dataset",
        "{field}/dataset.fits.gz",
        "dataset in energy and position with responses, for a fit with gammapy",
        condition="has_dataset",
    ),
    _map("excess", "counts - bkg", "counts"),
    _map("flux", "excess over exposure", FLUX, "has_exposure"),
    _correlated("significance", "significance of the excess in the disk", "sigma"),
    _correlated("alpha", "acceptance of the disk over the ring", "", "has_ring"),
    _correlated("excess_corr", "excess in the disk", "counts"),
    _correlated("flux_corr", "flux in the disk", FLUX, "has_exposure"),
    _correlated(
        "flux_corr_errn",
        "error of the flux in the disk to smaller values",
        FLUX,
        "has_exposure",
    ),
    _correlated(
        "flux_corr_errp",
        "error of the flux in the disk to larger values",
        FLUX,
        "has_exposure",
    ),
    _correlated(
        "flux_corr_ul", "upper limit of the flux in the disk", FLUX, "has_exposure"
    ),
    _correlated(
        "flux_corr_sensitivity", "flux that would be significant", FLUX, "has_exposure"
    ),
    _correlated(
        "flux_point",
        "flux if what is in the disk is a point source at its centre",
        FLUX,
        "has_flux_point",
    ),
    _correlated(
        "flux_point_errn",
        "error of that flux to smaller values",
        FLUX,
        "has_flux_point",
    ),
    _correlated(
        "flux_point_errp",
        "error of that flux to larger values",
        FLUX,
        "has_flux_point",
    ),
    _correlated("flux_point_ul", "upper limit of that flux", FLUX, "has_flux_point"),
    Product(
        "off_statistics",
        "maps",
        "{field}/{band}/off_statistics.csv",
        "mean and width of the significance outside the exclusions",
        condition="has_background",
    ),
    Product(
        "off_histogram",
        "maps",
        "{field}/{band}/off_histogram.csv",
        "histogram of the significance outside the exclusions",
        condition="has_background",
    ),
    Product(
        "candidates",
        "maps",
        "{field}/{band}/candidates.ecsv",
        "candidates for sources: positions, significances, fluxes",
        condition="has_background",
    ),
    Product(
        "candidates_reg",
        "maps",
        "{field}/{band}/candidates.reg",
        "the same as DS9 regions",
        condition="has_background",
    ),
    Product(
        "prov",
        "provenance",
        "{field}/provenance/prov.json",
        "all records of the field as W3C PROV-JSON",
        role=RECORD,
    ),
    Product(
        "report",
        "report",
        "{field}/report.html",
        "the page of the field",
        role=RECORD,
    ),
    Product(
        "history",
        "report",
        "{field}/history.json",
        "state that the next update is compared with",
        role=RECORD,
    ),
    Product(
        "figure_png",
        "figure",
        "{field}/{band}/{image}.png",
        "figure of an image",
        role=ON_DEMAND,
    ),
    Product(
        "figure_pdf",
        "figure",
        "{field}/{band}/{image}.pdf",
        "the same for print",
        role=ON_DEMAND,
    ),
    Product(
        "check",
        "check_run",
        "{field}/checks/{obs_id}.json",
        "what the doctor finds in a run",
        role=ON_DEMAND,
    ),
    Product(
        "doctor",
        "doctor",
        "{field}/doctor.csv",
        "what the doctor finds in all runs and in the store",
        role=ON_DEMAND,
    ),
    Product(
        "archive",
        "archive_of_field",
        "{field}/archive.zip",
        "products, records, code and configuration as a Workflow Run RO-Crate",
        role=ON_DEMAND,
    ),
    Product(
        "summary",
        "summary",
        "summary.csv",
        "a line for each field and band",
    ),
    Product(
        "summary_ecsv",
        "summary",
        "summary.ecsv",
        "the same with types and units",
    ),
    Product(
        "index",
        "summary",
        "index.html",
        "the page of all fields",
    ),
)
