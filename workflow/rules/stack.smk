# From the images of the runs to those of groups of runs, and of the field.


rule exclusion_mask:
    input:
        exclusion=by_content(exclusion_files),
    output:
        mask="<results>/{field}/exclusion_mask.fits",
    log:
        "<results>/{field}/provenance/exclusion_mask.json",
    params:
        software=software_of("exclusion_mask"),
        known=refuse_unknown,
        image=of_field("image"),
        exclusion_mask=of_field("exclusion_mask"),
        files=names_and_contents(exclusion_files),
    run:
        step("exclusion_mask", input, output, params, log)


rule stack_group:
    input:
        counts=run_files("counts"),
        bkg=run_files("bkg"),
        exposure=run_files("exposure"),
        mask="<results>/{field}/exclusion_mask.fits",
    output:
        counts="<results>/{field}/groups/{group}/counts.fits",
        bkg="<results>/{field}/groups/{group}/bkg.fits",
        exposure="<results>/{field}/groups/{group}/exposure.fits",
    log:
        "<results>/{field}/provenance/stack_group-{group}.json",
    wildcard_constraints:
        field=with_background,
    params:
        software=software_of("stack_group"),
        known=refuse_unknown,
        obs_ids=group_runs,
        image=of_field("image"),
        energy_bands=of_field("energy_bands"),
        offset_band=of_field("offset_band"),
        spectral_index=of_field("spectral_index"),
        for_integral_flux=of_field("for_integral_flux"),
        ncounts_min=of_field("ncounts_min"),
        bkg_norm=of_field("bkg_norm"),
    run:
        step("stack_group", input, output, params, log)


use rule stack_group as stack_group_counts with:
    input:
        counts=run_files("counts"),
    output:
        counts="<results>/{field}/groups/{group}/counts.fits",
    wildcard_constraints:
        field=counts_only,


rule stack:
    input:
        counts=group_files("counts"),
        bkg=group_files("bkg"),
        exposure=group_files("exposure"),
    output:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        exposure="<results>/{field}/{band}/exposure.fits",
        runs="<results>/{field}/{band}/runs.csv",
        norms_csv="<results>/{field}/{band}/table_bkg_norm.csv",
        norms_fits="<results>/{field}/{band}/table_bkg_norm.fits",
    log:
        "<results>/{field}/provenance/stack-{band}.json",
    wildcard_constraints:
        field=norms_saved,
    params:
        software=software_of("stack"),
        known=refuse_unknown,
        groups=lambda wildcards: list(groups(wildcards.field)),
        band="{band}",
        energy_band=lambda wildcards: field_of(wildcards).energy_bands[wildcards.band],
        image=of_field("image"),
        for_integral_flux=of_field("for_integral_flux"),
    run:
        step("stack", input, output, params, log)


use rule stack as stack_without_norms with:
    output:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        exposure="<results>/{field}/{band}/exposure.fits",
        runs="<results>/{field}/{band}/runs.csv",
    wildcard_constraints:
        field=norms_not_saved,


use rule stack as stack_counts with:
    input:
        counts=group_files("counts"),
    output:
        counts="<results>/{field}/{band}/counts.fits",
        runs="<results>/{field}/{band}/runs.csv",
    wildcard_constraints:
        field=counts_only,


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
        bands=lambda wildcards: list(field_of(wildcards).energy_bands),
    run:
        step("run_table", input, output, params, log)
