# A short table of all fields and bands.


def fields_and_bands():
    """Yield the folder of each band, and the name of the image that tells most."""
    for name, field in settings.fields.items():
        image = "significance" if field.has_background else "counts"
        for band in field.energy_bands:
            yield f"{RESULTS}/{name}/{band}", image


def recipes_of_fields(wildcards):
    for field in settings.fields.values():
        yield recipe("stack", field=field.name)
        if field.has_background:
            for band in field.energy_bands:
                yield recipe("maps", field=field.name, band=band)


rule summary:
    input:
        images=[f"{folder}/{image}.fits" for folder, image in fields_and_bands()],
        runs=[f"{folder}/runs.csv" for folder, _ in fields_and_bands()],
    output:
        **in_report("summary", in_results(outputs_of("summary"))),
    log:
        f"{RESULTS}/provenance/summary.json",
    localrule: True
    params:
        **parameters_of(
            "summary",
            upstream=[recipes_of_fields],
            contents=PAGE_SOURCES,
        ),
    run:
        perform(input, output, params, log)
