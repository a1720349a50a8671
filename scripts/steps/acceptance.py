"""Fit the acceptance of the runs of a zenith bin, and draw it."""

from gammastack.acceptance.model import (
    acceptance_hdu,
    fit_acceptance,
    merge_energy_bins,
    n_events_needed,
    sum_histograms,
)
from gammastack.acceptance.picture import write_picture
from gammastack.errors import InputError
from gammastack.failures import first_reasons
from gammastack.files.gadf import as_astropy, with_cards, write_hdus
from gammastack.files.header import Provenance, read_config
from gammastack.files.histogram import read_histogram
from gammastack.names import joined


def run(
    inputs,
    outputs,
    origin,
    *,
    field,
    obs_ids,
    zenith,
    energy_bands,
    offset_band,
    shape,
    degree,
):
    found = [*map(read_histogram, inputs["histograms"])]
    read = [one for one in found if one[0].n_obs]
    if not read:
        reasons = [header["REASON"] for _, header, _ in found]
        failures = dict(zip(obs_ids, reasons, strict=True))
        raise InputError(
            f"none of the {len(obs_ids)} runs with zenith angles of {zenith} deg can be"
            f" read, and there is no acceptance for them. {first_reasons(failures)}"
        )
    histograms, headers, origins = zip(*read, strict=True)
    bands = list(energy_bands.values())
    histogram = sum_histograms(histograms)
    merged = merge_energy_bins(histogram, bands, n_events_needed(shape, degree))
    model = fit_acceptance(merged, shape, degree)
    settings = {"shape": shape, "degree": degree, "zenith": zenith, "obs_ids": obs_ids}
    provenance = Provenance(
        {**read_config(headers[0]), **settings},
        start=min(header["DATE-OBS"] for header in headers),
        stop=max(header["DATE-END"] for header in headers),
        livetime=sum(header["LIVETIME"] for header in headers),
        ontime=histogram.ontime,
        n_obs=histogram.n_obs,
        telescope=joined(header.get("TELESCOP", "") for header in headers),
        instrument=joined(header.get("INSTRUME", "") for header in headers),
        field_name=field,
        energy_band=(histogram.energy[0], histogram.energy[-1]),
        origin=origin.after(origins),
    )
    hdu = with_cards(acceptance_hdu(model), provenance.text)
    write_hdus(outputs["model"], [hdu, as_astropy(provenance.inputs)])
    title = f"zenith angles {zenith} deg, {histogram.n_obs} runs"
    write_picture(outputs["picture"], histogram, model, bands, title)
