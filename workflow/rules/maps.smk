# Maps of a field in one energy band.


rule excess:
    input:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
    output:
        excess="<results>/{field}/{band}/excess.fits",
    params:
        code=code("excess"),
    run:
        step("excess", input, output, params)


rule significance:
    input:
        counts="<results>/{field}/{band}/counts.fits",
        bkg="<results>/{field}/{band}/bkg.fits",
    output:
        significance="<results>/{field}/{band}/significance{radius}.fits",
    params:
        code=code("significance"),
        radius=lambda wildcards: field_of(wildcards).radii[wildcards.radius],
    run:
        step("significance", input, output, params)
