# What is made by default, of one field, and what cannot be made.

from difflib import get_close_matches
from itertools import filterfalse

from gammastack.archive.bundle import is_product
from gammastack.files.layout import all_products
from gammastack.products import TABLE, TARGETS
from gammastack.targets import unknown_target


@cache
def field_products(name):
    """Return what is made of a field for its own sake."""
    field = settings.fields[name]
    return [f"{RESULTS}/{path}" for path in final_products(field, zeniths(field))]


def results_of(name):
    """Return what is made of a field: its products, the export of its records, its page."""
    records = "provenance/prov.json", "report.html"
    return [*field_products(name), *(f"{RESULTS}/{name}/{path}" for path in records)]


def products(wildcards):
    """Return what is made of all fields by default."""
    if settings.simulation:
        yield from in_results(outputs_of("simulate_index")).values()
    for name in settings.fields:
        yield from results_of(name)


for name in settings.fields:

    rule:
        name:
            name
        input:
            # It is called after the loop.
            lambda wildcards, name=name: results_of(name),
        localrule: True


def known_targets(name):
    """Return all files that can be made of a field."""
    paths = all_products(
        settings.fields[name],
        obs_id=[*selected_runs(name), *excluded(name)],
        group=groups(name),
        zenith=zeniths(settings.fields[name]),
    )
    return [f"{RESULTS}/{path}" for path in paths]


def is_target(name):
    """Return whether there is a rule of this name, or a file that is there or can be made."""
    path, results = Path(os.path.normpath(name)), Path(RESULTS)
    if workflow.is_rule(name) or not path.is_relative_to(results):
        return workflow.is_rule(name) or path.exists()
    folder = path.relative_to(results).parts[:1]
    if folder and folder[0] in settings.fields:
        return path in map(Path, known_targets(folder[0]))
    others = [results / product.file for product in TABLE]
    return folder == (SIMULATED_STORE,) or path in others


def check_targets():
    """Refuse targets that nothing makes: Snakemake does not say which ones there are."""
    for target in filterfalse(is_target, given_targets()):
        near = [
            name
            for part in Path(target).parts
            for name in get_close_matches(part, settings.fields, n=1)
        ]
        names = [*settings.fields, *TARGETS]
        bands = {
            band for field in settings.fields.values() for band in field.energy_bands
        }
        files = {
            Path(path).name
            for name in near[:1] or [*settings.fields][:1]
            for path in field_products(name)
        }
        raise Error(
            unknown_target(
                target,
                [*names, *(path for name in near for path in known_targets(name))],
                targets=names,
                bands=sorted(bands),
                files=sorted(files),
            )
        )


def leftovers():
    """Return products of these fields that this configuration does not make."""
    wanted = {Path(path) for path in products(None)}
    for name in settings.fields:
        folder = Path(RESULTS) / name
        for path in sorted(folder.rglob("*")):
            if path not in wanted and is_product(path.relative_to(folder).as_posix()):
                yield str(path)
