# A short table of all fields and bands, shown at the end.


rule summary:
    input:
        images=[f"{folder}/{image}.fits" for folder, image in fields_and_bands()],
        runs=[f"{folder}/runs.csv" for folder, _ in fields_and_bands()],
    output:
        summary="<results>/summary.csv",
    log:
        "<results>/provenance/summary.json",
    params:
        software=software_of("summary"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_fields),
        images=list(fields_and_bands()),
    run:
        step("summary", input, output, params, log)


onstart:
    folder = Path(settings.results)
    if folder.exists() and not os.access(folder, os.W_OK):
        raise WorkflowError(
            f"The results folder '{folder}' is read-only for you. Give another one with"
            " --config results=FOLDER, or have its permissions changed."
        )


onsuccess:
    print_warnings()
    summary = Path(settings.results) / "summary.csv"
    if summary.is_file() and "summary" in {
        job.rule.name for job in workflow.dag.jobs
    }:
        print(format_summary(summary))
    if others := list(leftovers()):
        print("Of another configuration, delete if you do not need them:", *others)
    leave_at_once()


onerror:
    print_warnings()
    # The last lines on the screen say what to do
    messages = sorted(set(refusals))
    for message in messages[:5]:
        print(f"ERROR: {message}")
    if len(messages) > 5:
        print(f"ERROR: and {len(messages) - 5} more, see the log")
    if messages:
        print(
            "Maps and tables that depend on it are missing, or as they were before."
        )
    leave_at_once()
