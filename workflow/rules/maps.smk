# Maps of a field in one energy band, and how they look where there are no sources.


def inputs_of_maps(wildcards):
    """Return the images of a band that maps are made from, and the exclusion mask."""
    field = field_of(wildcards)
    kinds = ["counts", "bkg"]
    if field.has_exposure:
        kinds.append("exposure")
    if field.has_ring:
        kinds += ["off", "acceptance", "acceptance_off"]
    folder = f"{RESULTS}/{wildcards.field}"
    images = {kind: f"{folder}/{wildcards.band}/{kind}.fits" for kind in kinds}
    return {**images, "mask": f"{folder}/exclusion_mask.fits"}


for variant in variants("maps"):

    rule:
        name:
            variant.name
        input:
            unpack(inputs_of_maps),
        output:
            **variant.outputs,
        log:
            record_of("maps"),
        wildcard_constraints:
            field=variant.fields,
        params:
            **parameters_of(
                "maps",
                upstream=[recipes_of_stack],
                image=of_field("image"),
                radii=of_field("radii"),
                ul_confidence=of_field("ul_confidence"),
                n_sigma_sensitivity=of_field("n_sigma_sensitivity"),
            ),
        run:
            perform(input, output, params, log)


def recipes_of_maps(wildcards):
    """Yield the recipes of the maps of a field in all bands, if it has any."""
    field = field_of(wildcards)
    if field.has_background:
        for band in field.energy_bands:
            yield recipe("maps", field=field.name, band=band)


def inputs_of_candidates(wildcards):
    """Return the images that candidates are found in, and described by."""
    folder = f"{RESULTS}/{wildcards.field}/{wildcards.band}"
    names = [f"significance{suffix}" for suffix in field_of(wildcards).radii]
    maps = {name: f"{folder}/{name}.fits" for name in names}
    return inputs_of_maps(wildcards) | maps


for variant in variants("candidates"):

    rule:
        name:
            variant.name
        input:
            unpack(inputs_of_candidates),
        output:
            **variant.outputs,
        log:
            record_of("candidates"),
        wildcard_constraints:
            field=variant.fields,
        params:
            **parameters_of(
                "candidates",
                upstream=[recipes_of_stack, recipes_of_maps],
                image=of_field("image"),
                radii=of_field("radii"),
                candidate_threshold=of_field("candidate_threshold"),
                ul_confidence=of_field("ul_confidence"),
            ),
        run:
            perform(input, output, params, log)


def recipes_of_candidates(wildcards):
    """Yield the recipes of the candidates of a field in all bands, if it has any."""
    field = field_of(wildcards)
    if field.has_background:
        for band in field.energy_bands:
            yield recipe("candidates", field=field.name, band=band)
