"""Fit the acceptance of the runs of a zenith bin, and draw it."""

from gammastack.acceptance.model import (
    acceptance_hdu,
    fit_acceptance,
    merge_energy_bins,
    n_events_needed,
    sum_histograms,
)
from gammastack.acceptance.picture import write_picture
from gammastack.files.header import Provenance, read_config, write_hdus
from gammastack.files.histogram import read_histogram


def run(inputs, outputs, params, origin):
    histograms, headers, origins = zip(
        *map(read_histogram, inputs["histograms"]), strict=True
    )
    bands = list(params["energy_bands"].values())
    histogram = sum_histograms(histograms)
    form = params["shape"], params["degree"]
    merged = merge_energy_bins(histogram, bands, n_events_needed(*form))
    model = fit_acceptance(merged, *form)
    settings = {key: params[key] for key in ("shape", "degree", "zenith", "obs_ids")}
    provenance = Provenance(
        {**read_config(headers[0]), **settings},
        min(header["DATE-OBS"] for header in headers),
        max(header["DATE-END"] for header in headers),
        sum(header["LIVETIME"] for header in headers),
        histogram.ontime,
        histogram.n_obs,
        (histogram.energy[0], histogram.energy[-1]),
        origin=origin.after(origins),
    )
    hdu = acceptance_hdu(model)
    provenance.fill(hdu.header)
    write_hdus(outputs["acceptance"], [hdu, *provenance.tables()])
    title = f"zenith angles {params['zenith']} deg, {histogram.n_obs} runs"
    write_picture(outputs["picture"], histogram, model, bands, title)
