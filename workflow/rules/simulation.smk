# Simulated DL3 observations in place of a datastore, see the key `simulation`.


rule simulate_run:
    output:
        dl3="<simulated>/run_{obs_id}.fits",
    log:
        "<simulated>/provenance/simulate_run-{obs_id}.json",
    params:
        software=software_of("simulate_run"),
        known=refuse_unknown,
        simulation=settings.simulation,
        obs_id=lambda wildcards: int(wildcards.obs_id),
    run:
        step("simulate_run", input, output, params, log)


rule simulate_index:
    input:
        dl3=simulated_files,
    output:
        obs_index="<simulated>/obs-index.fits.gz",
        hdu_index="<simulated>/hdu-index.fits.gz",
    log:
        "<simulated>/provenance/simulate_index.json",
    params:
        software=software_of("simulate_index"),
        known=refuse_unknown,
        simulation=settings.simulation,
    run:
        step("simulate_index", input, output, params, log)
