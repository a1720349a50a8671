from snakemake.utils import min_version

min_version("9.17")


# A configuration of the user takes the place of the demo's, it is not merged into it
if config.keys() <= {"results"}:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/lock.smk"
include: "workflow/rules/damaged.smk"
include: "workflow/rules/observations.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/simulation.smk"
include: "workflow/rules/acceptance.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/stack.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/archive.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/doctor.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/summary.smk"
include: "workflow/rules/screen.smk"
include: "workflow/rules/dry_run.smk"


if is_on_cluster:
    do_group_here()
if is_main_process:
    around_planning(
        take_lock,
        [
            *(lift_rate_limit, warn_of_triggers, check_targets, check_results),
            *(or_say_on_the_page(check_observations), discard_damaged_products),
            *(forget_messages, group_jobs(GROUPS)),
        ],
        [refuse_unknown, contents.save, remote_files.save, show_what_is_known],
    )
    follow_groups(explain_group)
    explain_dry_run(say_what_has_changed)
    show_time_left()
    keep_from_screen(is_told_at_the_end, N_SHOWN)


rule all:
    default_target: True
    input:
        products,
        rules.summary.output,
    localrule: True
