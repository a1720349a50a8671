# Datasets in energy and position, for a fit with gammapy: of runs, of groups, of a field.

files_of_dataset = of_run("files", types_of_dataset)


def inputs_of_run_dataset(wildcards):
    """Return the DL3 files of a run, and its acceptance if that is made here."""
    return {
        **inputs_of_run(wildcards),
        "dl3": by_content(files_of_dataset)(wildcards),
    }


for variant in variants("run_dataset"):

    rule:
        name:
            variant.name
        input:
            unpack(inputs_of_run_dataset),
        output:
            with_extensions(variant.outputs),
        wildcard_constraints:
            field=variant.fields,
        cache: "omit-software"
        resources:
            **needs("run_dataset"),
        params:
            **remote(files_of_dataset),
            **parameters_of(
                "run_dataset",
                upstream=[recipes_of_data, recipes_of_acceptance],
                contents=names_and_contents(files_of_dataset),
                obs_id=lambda wildcards: int(wildcards.obs_id),
                hdus=of_run("hdus", types_of_dataset),
                failure=of_run("failure", types_of_dataset),
                index=index_row,
                image=of_field("image"),
                offset_band=of_field("offset_band"),
                dataset=of_field("dataset"),
                safe_energy=of_field("safe_energy"),
                acceptance_class=acceptance_class,
            ),
        run:
            perform(input, output, params, output.record)


def run_datasets(wildcards):
    """Return the datasets of the runs of a group."""
    folder = f"{RESULTS}/{wildcards.field}/dataset_runs"
    return [f"{folder}/{obs_id}.fits" for obs_id in group_runs(wildcards)]


def recipes_of_run_datasets(wildcards):
    for obs_id in group_runs(wildcards):
        yield recipe("run_dataset", field=wildcards.field, obs_id=str(obs_id))


for variant in variants("dataset_group"):

    rule:
        name:
            variant.name
        input:
            runs=run_datasets,
            mask=f"{RESULTS}/{{field}}/exclusion_mask.fits",
        output:
            **variant.outputs,
        log:
            record_of("dataset_group"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("dataset_group"),
        params:
            **parameters_of(
                "dataset_group",
                upstream=[recipes_of_run_datasets, recipes_of_mask],
                field=lambda wildcards: wildcards.field,
                image=of_field("image"),
                dataset=of_field("dataset"),
                ncounts_min=of_field("ncounts_min"),
                bkg_norm=of_field("bkg_norm"),
                bkg_scale_band=of_field("bkg_scale_band"),
                on_bad_bkg_scale=of_field("on_bad_bkg_scale"),
                gradient=lambda wildcards: bool(
                    field_of(wildcards).background.get("gradient")
                ),
            ),
        run:
            perform(input, output, params, log)


def dataset_groups(wildcards):
    """Return the sums of the datasets of all groups of the field."""
    folder = f"{RESULTS}/{wildcards.field}/dataset_groups"
    return [f"{folder}/{group}.fits" for group in groups(wildcards.field)]


def recipes_of_dataset_groups(wildcards):
    for group in groups(wildcards.field):
        yield recipe("dataset_group", field=wildcards.field, group=group)


for variant in variants("dataset"):

    rule:
        name:
            variant.name
        input:
            groups=dataset_groups,
        output:
            **variant.outputs,
        log:
            record_of("dataset"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("dataset"),
        params:
            **parameters_of(
                "dataset",
                upstream=[recipes_of_dataset_groups],
                field=lambda wildcards: wildcards.field,
                image=of_field("image"),
                dataset=of_field("dataset"),
                max_failed=lambda wildcards: allowed_failures(wildcards.field),
                excluded=lambda wildcards: excluded(wildcards.field),
            ),
        run:
            perform(input, output, params, log)


def recipes_of_dataset(wildcards):
    """Yield the recipe of the dataset of a field, if it has one."""
    if field_of(wildcards).has_dataset:
        yield recipe("dataset", field=wildcards.field)
