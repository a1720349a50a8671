# Maps of a field in one energy band, and how they look where there are no sources.


rule excess:
    input:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        exposure="<results>/{field}/{band}/exposure.fits",
    output:
        excess="<results>/{field}/{band}/excess.fits",
        flux="<results>/{field}/{band}/flux.fits",
    log:
        "<results>/{field}/provenance/excess-{band}.json",
    params:
        software=software_of("excess"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_stack),
        for_integral_flux=of_field("for_integral_flux"),
    run:
        step("excess", input, output, params, log)


rule significance:
    input:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
    output:
        significance="<results>/{field}/{band}/significance{radius}.fits",
    log:
        "<results>/{field}/provenance/significance-{band}{radius}.json",
    wildcard_constraints:
        field=without_ring,
    params:
        software=software_of("significance"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_stack),
        radius=lambda wildcards: field_of(wildcards).radii[wildcards.radius],
        suffix="{radius}",
    run:
        step("significance", input, output, params, log)


use rule significance as significance_ring with:
    input:
        **on_off_images,
    output:
        significance="<results>/{field}/{band}/significance{radius}.fits",
        alpha="<results>/{field}/{band}/alpha{radius}.fits",
    wildcard_constraints:
        field=with_ring,


rule flux:
    input:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        exposure="<results>/{field}/{band}/exposure.fits",
    output:
        excess_corr="<results>/{field}/{band}/excess_corr{radius}.fits",
        flux_corr="<results>/{field}/{band}/flux_corr{radius}.fits",
        flux_corr_errn="<results>/{field}/{band}/flux_corr_errn{radius}.fits",
        flux_corr_errp="<results>/{field}/{band}/flux_corr_errp{radius}.fits",
        flux_corr_ul="<results>/{field}/{band}/flux_corr_ul{radius}.fits",
        flux_corr_sensitivity="<results>/{field}/{band}/flux_corr_sensitivity{radius}.fits",
    log:
        "<results>/{field}/provenance/flux-{band}{radius}.json",
    wildcard_constraints:
        field=without_ring,
    params:
        software=software_of("flux"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_stack),
        radius=lambda wildcards: field_of(wildcards).radii[wildcards.radius],
        suffix="{radius}",
        for_integral_flux=of_field("for_integral_flux"),
        ul_confidence=of_field("ul_confidence"),
        n_sigma_sensitivity=of_field("n_sigma_sensitivity"),
    run:
        step("flux", input, output, params, log)


use rule flux as flux_ring with:
    input:
        **on_off_images,
        exposure="<results>/{field}/{band}/exposure.fits",
    wildcard_constraints:
        field=with_ring,


rule off_statistics:
    input:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
        mask="<results>/{field}/exclusion_mask.fits",
    output:
        statistics="<results>/{field}/{band}/off_statistics.csv",
        histogram="<results>/{field}/{band}/off_histogram.csv",
    log:
        "<results>/{field}/provenance/off_statistics-{band}.json",
    wildcard_constraints:
        field=without_ring,
    params:
        software=software_of("off_statistics"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_stack),
        radii=of_field("radii"),
    run:
        step("off_statistics", input, output, params, log)


use rule off_statistics as off_statistics_ring with:
    input:
        **on_off_images,
        mask="<results>/{field}/exclusion_mask.fits",
    wildcard_constraints:
        field=with_ring,
