# The page of each field.

from gammastack.files.layout import band_products
from gammastack.report.contents import READ, page_sources

# The same for all pages, so it is looked at once
PAGE_SOURCES = names_and_contents(lambda wildcards: page_sources())(None)


def inputs_of_report(wildcards):
    """Return what the page of a field shows, by product and band."""
    field, folder = field_of(wildcards), f"{RESULTS}/{wildcards.field}"
    inputs = in_results(band_products(field, READ))
    inputs["runs_table"] = f"{folder}/runs.csv"
    if field.has_background:
        inputs["mask"] = f"{folder}/exclusion_mask.fits"
    return inputs


def some_runs(wildcards, output):
    """Return the images of all runs, of which the page shows some.

    As inputs they would cost Snakemake a time that grows with the square of their number. It
    does not compare parameters that depend on the output.
    """
    return run_files(all_runs)(wildcards)


def files_of_field(wildcards):
    """Return the final products of a field, named from its folder."""
    start = len(f"{RESULTS}/{wildcards.field}/")
    return [path[start:] for path in field_products(wildcards.field)]


for variant in variants("report"):

    rule:
        name:
            variant.name
        input:
            unpack(inputs_of_report),
        output:
            report=variant.outputs["report"],
            # What the update before has left is compared with.
            history=update(variant.outputs["history"]),
        log:
            record_of("report"),
        wildcard_constraints:
            field=variant.fields,
        resources:
            **needs("report"),
        params:
            **parameters_of(
                "report",
                upstream=[recipes_of_stack, recipes_of_maps],
                contents=PAGE_SOURCES,
                field=lambda wildcards: wildcards.field,
                image=of_field("image"),
                energy_bands=of_field("energy_bands"),
                radii=of_field("radii"),
                files=files_of_field,
            ),
            some_runs=some_runs,
        run:
            perform(input, output, params, log)
