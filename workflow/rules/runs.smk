# Images of single runs: with acceptance.smk the only rules that read DL3 files.
#
# With --cache other fields and users find them: Snakemake looks them up by parameters and
# contents of inputs. The record is an output here, to come along.


def inputs_of_run(wildcards):
    """Return the DL3 files of a run, and its acceptance if that is made here."""
    inputs = {"dl3": by_content(dl3_files)(wildcards)}
    field = field_of(wildcards)
    if field.has_acceptance and (zenith := zenith_bin(wildcards)):
        folder = f"{RESULTS}/{wildcards.field}/acceptance"
        inputs["acceptance"] = f"{folder}/zenith_{zenith}.fits"
    return inputs


def recipes_of_acceptance(wildcards):
    """Yield the recipe of the acceptance of a run, if it has one."""
    field = field_of(wildcards)
    if field.has_acceptance and (zenith := zenith_bin(wildcards)):
        yield recipe("acceptance", field=wildcards.field, zenith=zenith)


def acceptance_class(wildcards):
    """Return the GADF class of the acceptance of a run, or None."""
    acceptance = field_of(wildcards).acceptance
    if acceptance is None:
        return None
    return "bkg_2d" if acceptance["shape"] == "radial" else "bkg_3d"


def with_extensions(outputs):
    """Return outputs that differ in their extensions, as a cache requires."""
    stem = os.path.commonprefix(list(outputs.values()))
    return multiext(
        stem, **{name: path.removeprefix(stem) for name, path in outputs.items()}
    )


for variant in variants("run_images"):

    rule:
        name:
            variant.name
        input:
            unpack(inputs_of_run),
        output:
            with_extensions(variant.outputs),
        wildcard_constraints:
            field=variant.fields,
        cache: "omit-software"
        resources:
            **needs("run_images"),
        params:
            **remote(dl3_files),
            **parameters_of(
                "run_images",
                upstream=[recipes_of_data, recipes_of_acceptance],
                contents=names_and_contents(dl3_files),
                obs_id=lambda wildcards: int(wildcards.obs_id),
                hdus=of_run("hdus"),
                failure=of_run("failure"),
                index=index_row,
                image=of_field("image"),
                # A list keeps their order; in the key of a cache a dictionary would lose it.
                energy_bands=lambda wildcards: list(
                    field_of(wildcards).energy_bands.items()
                ),
                offset_band=of_field("offset_band"),
                spectral_index=of_field("spectral_index"),
                for_integral_flux=of_field("for_integral_flux"),
                image_safe_energy=of_field("image_safe_energy"),
                acceptance_class=acceptance_class,
            ),
        run:
            perform(input, output, params, output.record)


def run_files(runs):
    """Return a function that returns the images of some runs."""
    return lambda wildcards: [
        f"{RESULTS}/{wildcards.field}/runs/{obs_id}.fits" for obs_id in runs(wildcards)
    ]


def recipes_of_runs(runs):
    """Return a function that returns the recipes of the images of some runs."""
    return lambda wildcards: [
        recipe("run_images", field=wildcards.field, obs_id=str(obs_id))
        for obs_id in runs(wildcards)
    ]
