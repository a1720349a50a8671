# Simulated DL3 observations in place of a datastore, see the key `simulation`.


rule simulate_run:
    output:
        **in_results(outputs_of("simulate_run")),
    log:
        record_of("simulate_run", SIMULATED_STORE),
    resources:
        **needs("simulate_run"),
    params:
        **parameters_of(
            "simulate_run",
            simulation=settings.simulation,
            obs_id=lambda wildcards: int(wildcards.obs_id),
        ),
    run:
        perform(input, output, params, log)


def simulated_files(wildcards):
    folder = f"{RESULTS}/{SIMULATED_STORE}"
    return [f"{folder}/run_{obs_id}.fits" for obs_id in datastore(folder).obs_ids]


rule simulate_index:
    input:
        dl3=simulated_files,
    output:
        **in_results(outputs_of("simulate_index")),
    log:
        record_of("simulate_index", SIMULATED_STORE),
    localrule: True
    params:
        **parameters_of("simulate_index", simulation=settings.simulation),
    run:
        perform(input, output, params, log)
