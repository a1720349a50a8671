# Images as figures for talks and papers, on demand.

from gammastack.files.layout import images_of

# The target `figures` makes these of all fields, with the first radius.
MAIN_IMAGES = ("significance", "excess_corr", "flux_corr", "counts")


def inputs_of_figure(wildcards):
    """Return an image, and what its figure needs besides."""
    field, name = field_of(wildcards), wildcards.image
    folder = f"{RESULTS}/{wildcards.field}"
    if name not in (known := images_of(field)):
        raise Error(
            f"{folder}/{wildcards.band} has no image {name}; its images are"
            f" {', '.join(known)}"
        )
    inputs = {"image": f"{folder}/{wildcards.band}/{name}.fits"}
    if "flux" in name:
        inputs["exposure"] = f"{folder}/{wildcards.band}/exposure.fits"
    if field.has_background:
        inputs["mask"] = f"{folder}/exclusion_mask.fits"
    return inputs


for variant in variants("figure"):

    rule:
        name:
            variant.name
        input:
            unpack(inputs_of_figure),
        output:
            **variant.outputs,
        log:
            record_of("figure"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("figure"),
        params:
            **parameters_of("figure", upstream=[recipes_of_stack, recipes_of_maps]),
        run:
            perform(input, output, params, log)


rule figures:
    input:
        [
            f"{RESULTS}/{path.removesuffix('fits')}{suffix}"
            for field in settings.fields.values()
            for path in band_products(field, MAIN_IMAGES).values()
            for suffix in ("png", "pdf")
        ],
    localrule: True
