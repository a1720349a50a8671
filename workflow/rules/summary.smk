# A short table of all fields and bands, and what is said at the end.

from gammastack.doctor import format_doctor
from gammastack.summary import format_summary


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
        **in_results(outputs_of("summary")),
    log:
        f"{RESULTS}/provenance/summary.json",
    params:
        **parameters_of(
            "summary",
            upstream=[recipes_of_fields],
            contents=names_and_contents(lambda wildcards: page_sources()),
        ),
    run:
        perform(input, output, params, log)


# So many warnings and errors are shown.
N_SHOWN = 5


def print_first(severity, messages):
    """Print messages once each; the records of the steps have all of them."""
    messages = sorted(set(messages))
    for message in messages[:N_SHOWN]:
        print(f"{severity}: {message}")
    if len(messages) > N_SHOWN:
        print(
            f"{severity}: and {len(messages) - N_SHOWN} more, see {RESULTS}/*/provenance"
        )


onstart:
    folder = Path(RESULTS)
    if folder.exists() and not os.access(folder, os.W_OK):
        raise Error(
            f"The results folder '{folder}' is read-only for you. Give another one with"
            " --config results=FOLDER, or have its permissions changed."
        )
    if not settings.simulation and any(
        name.startswith("run_images") for name in planned_rules()
    ):
        check_coverage()


onsuccess:
    print_first("WARNING", warnings)
    if "summary" in performed:
        print(format_summary(Path(RESULTS) / "summary.csv"))
    if "doctor" in performed:
        paths = [Path(RESULTS) / name / "doctor.csv" for name in settings.fields]
        print(format_doctor([path for path in paths if path.exists()]))
    if others := list(leftovers()):
        print("Of another configuration, delete if you do not need them:", *others)
    leave_at_once()


onerror:
    print_first("WARNING", warnings)
    # The last lines on the screen say what to do.
    print_first("ERROR", refusals)
    if refusals:
        print(
            "Maps and tables that depend on it are missing, or as they were before."
        )
    leave_at_once()
