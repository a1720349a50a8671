# Are all runs in order? Without making images: snakemake doctor


def hdu_types_in_store(name, obs_id):
    """Return the types of the HDUs of a run, except for responses that the store does not have."""
    field = settings.fields[name]
    store = datastore(field.datastore)
    kinds = dict.fromkeys(("aeff", "bkg", *field.responses_in_use))
    return hdu_types([kind for kind in kinds if store.lists(obs_id, kind)])


def all_of_run(key):
    """Return an attribute of `Located`, for all HDUs of the run that the store has."""

    def of_job(wildcards):
        name, obs_id = wildcards.field, int(wildcards.obs_id)
        types = hdu_types_in_store(name, obs_id)
        return getattr(located(name, obs_id, types), key)

    return of_job


for variant in variants("check_run"):

    rule:
        name:
            variant.name
        input:
            dl3=by_content(all_of_run("files")),
        output:
            **variant.outputs,
        log:
            record_of("check_run"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("check_run"),
        params:
            **remote(all_of_run("files")),
            **parameters_of(
                "check_run",
                upstream=[recipes_of_data],
                contents=names_and_contents(all_of_run("files")),
                obs_id=lambda wildcards: int(wildcards.obs_id),
                hdus=all_of_run("hdus"),
                failure=all_of_run("failure"),
                index=index_row,
                image=of_field("image"),
                energy_bands=of_field("energy_bands"),
                offset_band=of_field("offset_band"),
            ),
        run:
            perform(input, output, params, log)


def checked_runs(wildcards):
    """Return the runs of a field, also those that are excluded."""
    return sorted({*selected_runs(wildcards.field), *excluded(wildcards.field)})


def recipes_of_checks(wildcards):
    for obs_id in checked_runs(wildcards):
        yield recipe("check_run", field=wildcards.field, obs_id=str(obs_id))


for variant in variants("doctor"):

    rule:
        name:
            f"{variant.name}_of_field"
        input:
            checks=lambda wildcards: [
                f"{RESULTS}/{wildcards.field}/checks/{obs_id}.json"
                for obs_id in checked_runs(wildcards)
            ],
        output:
            **variant.outputs,
        log:
            record_of("doctor"),
        wildcard_constraints:
            field=variant.fields,
        localrule: True
        params:
            **parameters_of(
                "doctor",
                upstream=[recipes_of_checks],
                excluded=lambda wildcards: excluded(wildcards.field),
                unknown_files=lambda wildcards: datastore(
                    field_of(wildcards).datastore
                ).unknown_files(),
            ),
        run:
            perform(input, output, params, log)


rule doctor:
    input:
        [f"{RESULTS}/{name}/doctor.csv" for name in settings.fields],
    localrule: True
