# What is made by default.

from gammastack.archive.bundle import is_product


def field_products(name):
    """Return what is made of a field for its own sake."""
    field = settings.fields[name]
    return [f"{RESULTS}/{path}" for path in final_products(field, zeniths(field))]


def products(wildcards):
    """Return what is made of all fields by default."""
    if settings.simulation:
        yield from in_results(outputs_of("simulate_index")).values()
    for name in settings.fields:
        yield from field_products(name)
        yield f"{RESULTS}/{name}/provenance/prov.json"
        yield f"{RESULTS}/{name}/report.html"


def leftovers():
    """Return products of these fields that this configuration does not make."""
    wanted = {Path(path) for path in products(None)}
    for name in settings.fields:
        folder = Path(RESULTS) / name
        for path in sorted(folder.rglob("*")):
            if path not in wanted and is_product(path.relative_to(folder).as_posix()):
                yield str(path)
