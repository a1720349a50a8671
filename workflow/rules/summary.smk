# A short table of all fields and bands, shown at the end.


def fields_and_bands():
    for name, field in settings.fields.items():
        for band in field.energy_bands:
            image = "significance" if field.make_background_image else "counts"
            yield f"{settings.results}/{name}/{band}", image


rule summary:
    input:
        images=[f"{folder}/{image}.fits" for folder, image in fields_and_bands()],
        runs=[f"{folder}/runs.csv" for folder, _ in fields_and_bands()],
        code=code("summary"),
    output:
        summary="<results>/summary.csv",
    run:
        step("summary", input, output, params)


onsuccess:
    summary = Path(settings.results) / "summary.csv"
    if summary.is_file():
        print(format_summary(summary))


onerror:
    # The last lines on the screen say what to do
    for refusal in sorted(refusals):
        print(f"ERROR: {refusal}")
