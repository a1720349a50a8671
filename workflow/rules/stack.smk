# From the images of the runs to the images of the field.


rule exclusion_mask:
    input:
        files=exclusion_files,
    output:
        mask="<results>/{field}/exclusion_mask.fits",
    params:
        code=code("exclusion_mask"),
        image=of_field("image"),
        exclusion_mask=of_field("exclusion_mask"),
    run:
        step("exclusion_mask", input, output, params)


rule stack:
    input:
        counts=run_files("counts"),
        bkg=run_files("bkg"),
        exposure=run_files("exposure"),
        mask="<results>/{field}/exclusion_mask.fits",
    output:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        exposure="<results>/{field}/{band}/exposure.fits",
        runs="<results>/{field}/{band}/runs.csv",
        norms_csv="<results>/{field}/{band}/table_bkg_norm.csv",
        norms_fits="<results>/{field}/{band}/table_bkg_norm.fits",
    wildcard_constraints:
        field=norms_saved,
    params:
        code=code("stack"),
        band="{band}",
        energy_band=lambda wildcards: field_of(wildcards).energy_bands[wildcards.band],
        image=of_field("image"),
        offset_band=of_field("offset_band"),
        spectral_index=of_field("spectral_index"),
        for_integral_flux=of_field("for_integral_flux"),
        ncounts_min=of_field("ncounts_min"),
        bkg_norm=of_field("bkg_norm"),
    run:
        step("stack", input, output, params)


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
        counts=run_files("counts"),
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
    params:
        code=code("run_table"),
        bands=lambda wildcards: list(field_of(wildcards).energy_bands),
    run:
        step("run_table", input, output, params)
