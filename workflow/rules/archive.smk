# Who made what from what: an export of the records of a field, and its archive.

# An archive contains these parts of the project, so that its results can be remade.
PROJECT = [
    "Snakefile",
    "workflow",
    "scripts",
    "profiles",
    "config/README.md",
    "Makefile",
    "requirements.txt",
    "environment.yml",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CITATION.cff",
]
LICENCES = ("LICENSE", "LICENCE")
PROJECT_SUFFIXES = (".css", ".csv", ".html", ".js", ".py", ".rst", ".smk", ".yaml")


def project_files(wildcards):
    """Return the program, and what is needed to install it."""
    for name in PROJECT:
        path = Path(os.path.relpath(workflow.basedir)) / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in PROJECT_SUFFIXES or file.name in LICENCES or file == path:
                yield str(file)


def terms_of_use(wildcards):
    """Return what the store says about its use."""
    folder = Path(field_of(wildcards).datastore)
    names = ("README*", "LICENSE*", "LICENCE*", "TERMS*")
    return sorted(str(path) for name in names for path in folder.glob(name))


def archived_files(wildcards):
    """Return what an archive contains besides the results."""
    for files in (project_files, exclusion_files, terms_of_use):
        yield from files(wildcards)


def config_as_given(wildcards):
    """Return what the user wrote for this field."""
    return {**config, "fields": {wildcards.field: config["fields"][wildcards.field]}}


def products_of_field(wildcards):
    return field_products(wildcards.field)


for variant in variants("provenance"):

    rule:
        name:
            variant.name
        input:
            products=products_of_field,
        output:
            **variant.outputs,
        log:
            record_of("provenance"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("provenance"),
        params:
            **parameters_of(
                "provenance",
                upstream=[recipes_of_stack, recipes_of_maps, recipes_of_dataset],
            ),
        run:
            perform(input, output, params, log)


def recipes_of_provenance(wildcards):
    yield recipe("provenance", field=wildcards.field)


for variant in variants("archive_of_field"):

    rule:
        name:
            variant.name
        input:
            products=products_of_field,
            prov=f"{RESULTS}/{{field}}/provenance/prov.json",
            code=by_content(project_files),
            exclusion=by_content(exclusion_files),
            terms=by_content(terms_of_use),
        output:
            **variant.outputs,
        log:
            record_of("archive_of_field"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("archive_of_field"),
        params:
            **parameters_of(
                "archive_of_field",
                upstream=[recipes_of_provenance],
                contents=names_and_contents(archived_files),
                project=os.path.relpath(workflow.basedir),
                config=config_as_given,
            ),
        run:
            perform(input, output, params, log)


rule archive:
    input:
        [f"{RESULTS}/{name}/archive.zip" for name in settings.fields],
    localrule: True
