from snakemake.utils import min_version

min_version("9.14")


# A configuration of the user takes the place of the demo's, it is not merged into it
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/simulation.smk"
include: "workflow/rules/acceptance.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/stack.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/provenance.smk"


rule all:
    default_target: True
    input:
        products,
        "<results>/summary.csv",
