# Images of single runs: with acceptance.smk the only rules that read DL3 files.
#
# With --cache other fields and users find them: Snakemake looks them up by parameters and
# contents of inputs. The record is an output here, to come along. No <results> in the
# path: Snakemake 9.27 would cut its names for the cache at the wrong place.


rule run_images:
    input:
        dl3=by_content(dl3_files),
    output:
        multiext(
            f"{settings.results}/{{field}}/runs/{{obs_id}}/",
            counts="counts.fits",
            bkg="bkg.fits",
            exposure="exposure.fits",
            record="record.json",
        ),
    wildcard_constraints:
        field=without_acceptance,
    cache: "omit-software"
    params:
        software=software_of("run_images"),
        known=refuse_unknown,
        upstream=upstream(recipes_of_data, recipes_of_acceptance),
        obs_id=lambda wildcards: int(wildcards.obs_id),
        files=names_and_contents(dl3_files),
        hdus=hdus_in_files,
        index=index_row,
        image=of_field("image"),
        # In their order, which the key of a cache would not have of a dictionary
        energy_bands=lambda wildcards: list(field_of(wildcards).energy_bands.items()),
        offset_band=of_field("offset_band"),
        spectral_index=of_field("spectral_index"),
        for_integral_flux=of_field("for_integral_flux"),
        acceptance_class=acceptance_class,
    run:
        step("run_images", input, output, params, output.record)


use rule run_images as run_images_acceptance with:
    input:
        dl3=by_content(dl3_files),
        acceptance=acceptance_file,
    wildcard_constraints:
        field=with_acceptance,


use rule run_images as run_counts with:
    output:
        multiext(
            f"{settings.results}/{{field}}/runs/{{obs_id}}/",
            counts="counts.fits",
            record="record.json",
        ),
    wildcard_constraints:
        field=counts_only,
