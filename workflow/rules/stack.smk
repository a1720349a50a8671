# The images of the runs are summed, first in groups, then for the field.


def recipes_of_mask(wildcards):
    """Yield the recipe of the exclusion mask, if the field has a background."""
    field = field_of(wildcards)
    if field.has_background:
        maker = "search_sources" if field.has_search else "exclusion_mask"
        yield recipe(maker, field=field.name)


def all_runs(wildcards):
    """Return the runs of the field, in the order of OBS_ID."""
    return selected_runs(wildcards.field)


def recipes_of_known_sources(wildcards):
    yield recipe("exclusion_mask", field=wildcards.field)


for variant in variants("exclusion_mask"):

    rule:
        name:
            variant.name
        input:
            exclusion=by_content(exclusion_files),
        output:
            **variant.outputs,
        log:
            record_of("exclusion_mask"),
        wildcard_constraints:
            field=variant.fields,
        localrule: True
        params:
            **parameters_of(
                "exclusion_mask",
                contents=names_and_contents(exclusion_files),
                field=lambda wildcards: wildcards.field,
                image=of_field("image"),
                exclusion_mask=of_field("exclusion_mask"),
            ),
        run:
            perform(input, output, params, log)


for variant in variants("search_sources"):

    rule:
        name:
            variant.name
        input:
            runs=run_files(all_runs),
            known=f"{RESULTS}/{{field}}/known_sources.fits",
        output:
            **variant.outputs,
        log:
            record_of("search_sources"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("search_sources"),
        params:
            **parameters_of(
                "search_sources",
                upstream=[recipes_of_runs(all_runs), recipes_of_known_sources],
                field=lambda wildcards: wildcards.field,
                image=of_field("image"),
                source_search=of_field("source_search"),
                radius=lambda wildcards: field_of(wildcards).radii[""],
                energy_bands=of_field("energy_bands"),
                ncounts_min=of_field("ncounts_min"),
                bkg_norm=of_field("bkg_norm"),
                bkg_scale_band=of_field("bkg_scale_band"),
                on_bad_bkg_scale=of_field("on_bad_bkg_scale"),
                has_exposure=of_field("has_exposure"),
                background=of_field("background"),
            ),
        run:
            perform(input, output, params, log)


def radii_of_points(wildcards):
    """Return the radii for which a field has fluxes of point sources."""
    field = field_of(wildcards)
    return field.radii if field.has_flux_point else {}


def inputs_of_group(wildcards):
    """Return the images of the runs of a group, and the exclusion mask if there is one."""
    inputs = {"runs": run_files(group_runs)(wildcards)}
    if field_of(wildcards).has_background:
        inputs["mask"] = f"{RESULTS}/{wildcards.field}/exclusion_mask.fits"
    return inputs


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
        resources:
            **needs("stack_group"),
        params:
            **parameters_of(
                "stack_group",
                upstream=[recipes_of_runs(group_runs), recipes_of_mask],
                field=lambda wildcards: wildcards.field,
                image=of_field("image"),
                energy_bands=of_field("energy_bands"),
                ncounts_min=of_field("ncounts_min"),
                bkg_norm=of_field("bkg_norm"),
                bkg_scale_band=of_field("bkg_scale_band"),
                on_bad_bkg_scale=of_field("on_bad_bkg_scale"),
                has_exposure=of_field("has_exposure"),
                background=of_field("background"),
                point_radii=radii_of_points,
            ),
        run:
            perform(input, output, params, log)


def group_files(wildcards):
    """Return the sums of all groups of the field."""
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
        resources:
            **needs("stack"),
        params:
            **parameters_of(
                "stack",
                upstream=[recipes_of_groups],
                field=lambda wildcards: wildcards.field,
                image=of_field("image"),
                energy_bands=of_field("energy_bands"),
                background=of_field("background"),
                has_exposure=of_field("has_exposure"),
                point_radii=radii_of_points,
                max_failed=lambda wildcards: allowed_failures(wildcards.field),
                excluded=lambda wildcards: excluded(wildcards.field),
            ),
        run:
            perform(input, output, params, log)


def recipes_of_stack(wildcards):
    yield recipe("stack", field=wildcards.field)
