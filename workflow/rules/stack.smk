# From the images of the runs to those of groups of runs, and of the field.


def searched_runs(wildcards):
    """The runs in which sources to exclude are searched for: all or none."""
    if field_of(wildcards).has_search:
        return selected_runs(wildcards.field)
    return []


def if_searched(key):
    """A setting of the field, if sources to exclude are searched for."""
    return lambda wildcards: (
        getattr(field_of(wildcards), key) if field_of(wildcards).has_search else None
    )


for variant in variants("exclusion_mask"):

    rule:
        name:
            variant.name
        input:
            exclusion=by_content(exclusion_files),
            runs=run_files(searched_runs),
        output:
            **variant.outputs,
        log:
            record_of("exclusion_mask"),
        wildcard_constraints:
            field=variant.fields,
        params:
            **parameters_of(
                "exclusion_mask",
                upstream=[recipes_of_runs(searched_runs)],
                contents=names_and_contents(exclusion_files),
                image=of_field("image"),
                exclusion_mask=of_field("exclusion_mask"),
                source_search=of_field("source_search"),
                energy_bands=if_searched("energy_bands"),
                ncounts_min=if_searched("ncounts_min"),
                bkg_norm=if_searched("bkg_norm"),
                background=if_searched("background"),
                radius=lambda wildcards: (
                    field_of(wildcards).radii[""]
                    if field_of(wildcards).has_search
                    else None
                ),
            ),
        run:
            perform(input, output, params, log)


def inputs_of_group(wildcards):
    """The images of the runs of a group, and the exclusion mask if there is one."""
    inputs = {"runs": run_files(group_runs)(wildcards)}
    if field_of(wildcards).has_background:
        inputs["mask"] = f"{RESULTS}/{wildcards.field}/exclusion_mask.fits"
    return inputs


def recipes_of_mask(wildcards):
    if field_of(wildcards).has_background:
        yield recipe("exclusion_mask", field=wildcards.field)


for variant in variants("stack_group"):

    rule:
        name:
            variant.name
        input:
            unpack(inputs_of_group),
        output:
            **variant.outputs,
        log:
            record_of("stack_group"),
        wildcard_constraints:
            field=variant.fields,
        params:
            **parameters_of(
                "stack_group",
                upstream=[recipes_of_runs(group_runs), recipes_of_mask],
                image=of_field("image"),
                energy_bands=of_field("energy_bands"),
                ncounts_min=of_field("ncounts_min"),
                bkg_norm=of_field("bkg_norm"),
                background=of_field("background"),
            ),
        run:
            perform(input, output, params, log)


def group_files(wildcards):
    """The sums of all groups of the field."""
    folder = f"{RESULTS}/{wildcards.field}/groups"
    return [f"{folder}/{group}.fits" for group in groups(wildcards.field)]


def recipes_of_groups(wildcards):
    for group in groups(wildcards.field):
        yield recipe("stack_group", field=wildcards.field, group=group)


for variant in variants("stack"):

    rule:
        name:
            variant.name
        input:
            groups=group_files,
        output:
            **variant.outputs,
        log:
            record_of("stack"),
        wildcard_constraints:
            field=variant.fields,
        params:
            **parameters_of(
                "stack",
                upstream=[recipes_of_groups],
                image=of_field("image"),
                energy_bands=of_field("energy_bands"),
                background=of_field("background"),
            ),
        run:
            perform(input, output, params, log)


def recipes_of_stack(wildcards):
    yield recipe("stack", field=wildcards.field)
