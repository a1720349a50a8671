# Maps of a field in one energy band.


rule excess:
    input:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
    output:
        excess="<results>/{field}/{band}/excess.fits",
    log:
        "<results>/{field}/provenance/excess-{band}.json",
    params:
        software=software_of("excess"),
        known=refuse_unknown,
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
    params:
        software=software_of("significance"),
        known=refuse_unknown,
        radius=lambda wildcards: field_of(wildcards).radii[wildcards.radius],
    run:
        step("significance", input, output, params, log)
