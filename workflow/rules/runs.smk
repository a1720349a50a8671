# Images of single runs: the only rules that read DL3 files.


rule run_images:
    input:
        dl3=dl3_files,
    output:
        counts="<results>/{field}/runs/{obs_id}/counts.fits",
        bkg="<results>/{field}/runs/{obs_id}/bkg.fits",
        exposure="<results>/{field}/runs/{obs_id}/exposure.fits",
    log:
        "<results>/{field}/provenance/run_images-{obs_id}.json",
    wildcard_constraints:
        field=with_background,
    params:
        software=software_of("run_images"),
        obs_id=lambda wildcards: int(wildcards.obs_id),
        files=names_of_files,
        hdus=hdus_in_files,
        index=index_row,
        image=of_field("image"),
        energy_bands=of_field("energy_bands"),
        offset_band=of_field("offset_band"),
        spectral_index=of_field("spectral_index"),
        for_integral_flux=of_field("for_integral_flux"),
    run:
        step("run_images", input, output, params, log)


use rule run_images as run_counts with:
    output:
        counts="<results>/{field}/runs/{obs_id}/counts.fits",
    wildcard_constraints:
        field=counts_only,
