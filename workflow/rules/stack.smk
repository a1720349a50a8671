# From the images of the runs to those of groups of runs, and of the field.


rule known_sources:
    input:
        exclusion=by_content(exclusion_files),
    output:
        mask="<results>/{field}/known_sources.fits",
    log:
        "<results>/{field}/provenance/known_sources.json",
    params:
        software=software_of("exclusion_mask"),
        known=refuse_unknown,
        image=of_field("image"),
        exclusion_mask=of_field("exclusion_mask"),
        files=names_and_contents(exclusion_files),
    run:
        step("exclusion_mask", input, output, params, log)


use rule known_sources as exclusion_mask with:
    output:
        mask="<results>/{field}/exclusion_mask.fits",
    log:
        "<results>/{field}/provenance/exclusion_mask.json",
    wildcard_constraints:
        field=sources_known,


rule iterate_exclusion:
    input:
        counts=run_files("counts", all_runs),
        bkg=run_files("bkg", all_runs),
        exposure=run_files("exposure", all_runs),
        mask="<results>/{field}/known_sources.fits",
    output:
        mask="<results>/{field}/exclusion_mask.fits",
    log:
        "<results>/{field}/provenance/exclusion_mask.json",
    wildcard_constraints:
        field=sources_searched,
    params:
        software=software_of("iterate_exclusion"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_runs(all_runs)),
        image=of_field("image"),
        energy_bands=of_field("energy_bands"),
        ncounts_min=of_field("ncounts_min"),
        bkg_norm=of_field("bkg_norm"),
        background=of_field("background"),
        radius=lambda wildcards: field_of(wildcards).radii[""],
        # By which scripts/verify.py finds the radius among those of the field
        suffix="",
        source_search=of_field("source_search"),
    run:
        step("iterate_exclusion", input, output, params, log)


rule stack_group:
    input:
        counts=run_files("counts"),
        bkg=run_files("bkg"),
        exposure=run_files("exposure"),
        mask="<results>/{field}/exclusion_mask.fits",
    output:
        sums="<results>/{field}/groups/{group}.fits",
    log:
        "<results>/{field}/provenance/stack_group-{group}.json",
    wildcard_constraints:
        field=with_background,
    params:
        software=software_of("stack_group"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_runs(), recipes_of_mask),
        obs_ids=group_runs,
        image=of_field("image"),
        energy_bands=of_field("energy_bands"),
        offset_band=of_field("offset_band"),
        spectral_index=of_field("spectral_index"),
        for_integral_flux=of_field("for_integral_flux"),
        ncounts_min=of_field("ncounts_min"),
        bkg_norm=of_field("bkg_norm"),
        background=of_field("background"),
        acceptance=of_field("acceptance"),
    run:
        step("stack_group", input, output, params, log)


use rule stack_group as stack_group_counts with:
    input:
        counts=run_files("counts"),
    wildcard_constraints:
        field=counts_only,


rule stack:
    input:
        groups=group_files,
    output:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        exposure="<results>/{field}/{band}/exposure.fits",
        livetime="<results>/{field}/{band}/livetime.fits",
        n_runs="<results>/{field}/{band}/n_runs.fits",
        bkg_norm_relative="<results>/{field}/{band}/bkg_norm_relative.fits",
        runs="<results>/{field}/{band}/runs.csv",
    log:
        "<results>/{field}/provenance/stack-{band}.json",
    wildcard_constraints:
        field=without_ring,
    params:
        software=software_of("stack"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_groups),
        groups=lambda wildcards: list(groups(wildcards.field)),
        band="{band}",
        energy_band=lambda wildcards: field_of(wildcards).energy_bands[wildcards.band],
        image=of_field("image"),
        for_integral_flux=of_field("for_integral_flux"),
        background=of_field("background"),
    run:
        step("stack", input, output, params, log)


use rule stack as stack_ring with:
    output:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        exposure="<results>/{field}/{band}/exposure.fits",
        livetime="<results>/{field}/{band}/livetime.fits",
        n_runs="<results>/{field}/{band}/n_runs.fits",
        bkg_norm_relative="<results>/{field}/{band}/bkg_norm_relative.fits",
        off="<results>/{field}/{band}/off.fits",
        acceptance="<results>/{field}/{band}/acceptance.fits",
        acceptance_off="<results>/{field}/{band}/acceptance_off.fits",
        runs="<results>/{field}/{band}/runs.csv",
    wildcard_constraints:
        field=with_ring,


use rule stack as stack_counts with:
    output:
        counts="<results>/{field}/{band}/counts.fits",
        runs="<results>/{field}/{band}/runs.csv",
    wildcard_constraints:
        field=counts_only,


rule bkg_norm_table:
    input:
        counts="<results>/{field}/{band}/counts.fits",
    output:
        norms_csv="<results>/{field}/{band}/table_bkg_norm.csv",
        norms_fits="<results>/{field}/{band}/table_bkg_norm.fits",
    log:
        "<results>/{field}/provenance/bkg_norm_table-{band}.json",
    params:
        software=software_of("bkg_norm_table"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_stack),
        band="{band}",
    run:
        step("bkg_norm_table", input, output, params, log)


rule run_table:
    input:
        runs=lambda wildcards: [
            f"{settings.results}/{wildcards.field}/{band}/runs.csv"
            for band in field_of(wildcards).energy_bands
        ],
    output:
        runs="<results>/{field}/runs.csv",
    log:
        "<results>/{field}/provenance/run_table.json",
    params:
        software=software_of("run_table"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_bands),
        bands=lambda wildcards: list(field_of(wildcards).energy_bands),
    run:
        step("run_table", input, output, params, log)
