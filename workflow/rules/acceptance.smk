# A background model from the runs themselves, for stores that have none.


for variant in variants("run_histogram"):

    rule:
        name:
            variant.name
        input:
            dl3=by_content(dl3_files),
            exclusion=by_content(exclusion_files),
        output:
            **variant.outputs,
        log:
            record_of("run_histogram"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("run_histogram"),
        params:
            **remote(dl3_files),
            **parameters_of(
                "run_histogram",
                upstream=[recipes_of_data],
                contents=names_and_contents(
                    lambda wildcards: [
                        *dl3_files(wildcards),
                        *exclusion_files(wildcards),
                    ]
                ),
                obs_id=lambda wildcards: int(wildcards.obs_id),
                hdus=of_run("hdus"),
                failure=of_run("failure"),
                exclusion_mask=of_field("exclusion_mask"),
                binsz=lambda wildcards: field_of(wildcards).image["binsz"],
                energy_bands=of_field("energy_bands"),
                offset_band=of_field("offset_band"),
            ),
        run:
            perform(input, output, params, log)


def runs_of_zenith_bin(wildcards):
    """Return the OBS_IDs of the runs that share an acceptance."""
    bins = zenith_bins(wildcards.field)
    if wildcards.zenith not in bins.values():
        raise Error(
            f"no run of {wildcards.field} is in the zenith bin {wildcards.zenith}; its"
            f" bins are {', '.join(sorted(set(bins.values())))}"
        )
    return [obs_id for obs_id, name in bins.items() if name == wildcards.zenith]


def recipes_of_histograms(wildcards):
    for obs_id in runs_of_zenith_bin(wildcards):
        yield recipe("run_histogram", field=wildcards.field, obs_id=str(obs_id))


for variant in variants("acceptance"):

    rule:
        name:
            variant.name
        input:
            histograms=lambda wildcards: [
                f"{RESULTS}/{wildcards.field}/histograms/{obs_id}.fits"
                for obs_id in runs_of_zenith_bin(wildcards)
            ],
        output:
            **variant.outputs,
        log:
            record_of("acceptance"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("acceptance"),
        params:
            **parameters_of(
                "acceptance",
                upstream=[recipes_of_histograms],
                field=lambda wildcards: wildcards.field,
                obs_ids=runs_of_zenith_bin,
                zenith=lambda wildcards: wildcards.zenith,
                energy_bands=of_field("energy_bands"),
                offset_band=of_field("offset_band"),
                shape=lambda wildcards: field_of(wildcards).acceptance["shape"],
                degree=lambda wildcards: field_of(wildcards).acceptance["degree"],
            ),
        run:
            perform(input, output, params, log)
