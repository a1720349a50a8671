# Who made what from what: an export of the records of a field, and its archive.


rule provenance:
    input:
        products=lambda wildcards: field_products(wildcards.field),
    output:
        prov="<results>/{field}/provenance/prov.json",
    log:
        "<results>/{field}/provenance/provenance.json",
    params:
        software=software_of("provenance"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_products),
        products=lambda wildcards: list(field_products(wildcards.field)),
    run:
        step("provenance", input, output, params, log)


rule archive_of_field:
    input:
        products=lambda wildcards: field_products(wildcards.field),
        prov="<results>/{field}/provenance/prov.json",
        code=by_content(project_files),
        exclusion=by_content(exclusion_files),
        terms=by_content(terms_of_use),
    output:
        archive="<results>/{field}/archive.zip",
    log:
        "<results>/{field}/provenance/archive.json",
    params:
        software=software_of("archive"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_archive),
        project=os.path.relpath(workflow.basedir),
        config=config_as_given,
        files=names_and_contents(archived_files),
    run:
        step("archive", input, output, params, log)


rule archive:
    input:
        [f"{settings.results}/{name}/archive.zip" for name in settings.fields],
