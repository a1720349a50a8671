# A background model from the runs themselves, for stores that have none.


rule run_histogram:
    input:
        dl3=by_content(dl3_files),
        exclusion=by_content(exclusion_files),
    output:
        histogram="<results>/{field}/runs/{obs_id}/histogram.fits",
    log:
        "<results>/{field}/provenance/run_histogram-{obs_id}.json",
    wildcard_constraints:
        field=with_acceptance,
    params:
        software=software_of("run_histogram"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_data),
        obs_id=lambda wildcards: int(wildcards.obs_id),
        files=names_and_contents(dl3_files),
        hdus=hdus_in_files,
        exclusion_mask=of_field("exclusion_mask"),
        exclusion_files=names_and_contents(exclusion_files),
        binsz=lambda wildcards: field_of(wildcards).image["binsz"],
        energy_bands=of_field("energy_bands"),
        offset_band=of_field("offset_band"),
    run:
        step("run_histogram", input, output, params, log)


rule acceptance:
    input:
        histograms=histogram_files,
    output:
        acceptance="<results>/{field}/acceptance/zenith_{zenith}.fits",
        picture="<results>/{field}/acceptance/zenith_{zenith}.png",
    log:
        "<results>/{field}/provenance/acceptance-{zenith}.json",
    wildcard_constraints:
        field=with_acceptance,
    params:
        software=software_of("acceptance"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_histograms),
        obs_ids=runs_of_zenith_bin,
        zenith="{zenith}",
        energy_bands=of_field("energy_bands"),
        offset_band=of_field("offset_band"),
        shape=lambda wildcards: field_of(wildcards).acceptance["shape"],
        degree=lambda wildcards: field_of(wildcards).acceptance["degree"],
    run:
        step("acceptance", input, output, params, log)
