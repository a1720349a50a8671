# Maps of a field in one energy band, how they look where there are no sources, and candidates
# for sources.


def inputs_of_maps(wildcards):
    """Return the images of a band that maps are made from, and the exclusion mask."""
    field = field_of(wildcards)
    kinds = ["counts", "bkg"]
    if field.has_exposure:
        kinds.append("exposure")
    if field.has_ring:
        kinds += ["off", "acceptance", "acceptance_off"]
    if field.has_flux_point:
        kinds += [f"psf_containment{suffix}" for suffix in field.radii]
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
        resources:
            **needs("maps"),
        params:
            **parameters_of(
                "maps",
                upstream=[recipes_of_stack],
                image=of_field("image"),
                radii=of_field("radii"),
                candidate_threshold=of_field("candidate_threshold"),
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
