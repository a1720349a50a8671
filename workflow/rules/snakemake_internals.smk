# All that is used of Snakemake beyond its documentation. Tried with the versions 9.17.0 and
# 9.27.1; `tests/test_versions.py` names the lowest one, and CONTRIBUTING.md how to try it.

import atexit
import itertools
import os
import sys
import threading
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import snakemake.common
import snakemake.rules
from snakemake.caching.local import OutputFileCache
from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile, _IOFile
from snakemake.jobs import GroupJob, Job
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.types import ExecMode, RerunTrigger
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from snakemake_interface_logger_plugins.common import LogEvent


class Error(WorkflowError):
    """An error whose message says all that a user needs.

    Snakemake prints the lines of the code that an exception passed through, and takes them
    from its traceback.
    """

    __traceback__ = property(lambda self: None, lambda self, traceback: None)


# Which process this is: the main one, which plans; one that Snakemake starts for a single
# job, without the profile; or one that does the jobs of a group on a cluster. Scripts cannot
# ask for it otherwise.
is_main_process = workflow.exec_mode == ExecMode.DEFAULT
is_process_of_one_job = workflow.exec_mode == ExecMode.SUBPROCESS
is_on_cluster = workflow.exec_mode == ExecMode.REMOTE


def number_of_workers():
    """Return how many jobs are done at the same time by this process."""
    resources = workflow.resource_settings
    if is_main_process and workflow.non_local_exec:
        return resources.local_cores
    # On a cluster Snakemake counts all processors, on which other users may compute, too.
    granted = os.environ.get("SLURM_CPUS_PER_TASK", workflow.cores)
    return min(workflow.cores, int(granted))


def do_group_here():
    """Let the process that Slurm starts for a group of jobs do all of them itself, in threads.

    Snakemake's plugin starts another process with `srun`, for each job that is connected with
    no other one of the group, one after the other. And it does not start a job when another
    one has failed.
    """
    execute = workflow.execute

    def execute_here(executor_plugin, executor_settings, **others):
        workflow.execution_settings.use_threads = True
        workflow.execution_settings.keep_going = True
        workflow.global_resources["_nodes"] = sys.maxsize
        local = ExecutorPluginRegistry().get_plugin("local")
        return execute(executor_plugin=local, executor_settings=None, **others)

    workflow.execute = execute_here


def group_jobs(groups):
    """Return a function that divides the jobs into groups, if a cluster does them.

    The directive `group` would divide what a dry run says, too.

    Parameters
    ----------
    groups : dict of str to str
        Name of the group by the name of the step.
    """

    def divide():
        if workflow.non_local_exec:
            for each in workflow.rules:
                each.group = groups.get(each.params.get("step"))

    return divide


def follow_groups(when_failed):
    """Keep what a group of jobs has made on the cluster before it failed.

    Snakemake takes all of them for failed, and removes their results.

    Parameters
    ----------
    when_failed : callable
        Called with the first outputs of the jobs that were not done, what the plugin says, and
        the log files of the job of the cluster.
    """
    postprocess, register = Job.postprocess, GroupJob.register
    submitted = set()

    def register_group(self, external_jobid=None):
        submitted.update(self.jobs)
        register(self, external_jobid=external_jobid)

    def is_made(job):
        return job in submitted and is_done_elsewhere(job)

    async def postprocess_job(self, *arguments, error=False, **others):
        error = error and not is_made(self)
        await postprocess(self, *arguments, error=error, **others)

    def log_error(self, msg=None, aux_logs=None, **others):
        missing = [job for job in self.jobs if not is_made(job)]
        when_failed([job.output[0] for job in missing], msg or "", aux_logs or [])
        for job in missing:
            job.log_error(msg, aux_logs=aux_logs)

    Job.postprocess = postprocess_job
    GroupJob.register, GroupJob.log_error = register_group, log_error


def is_done_elsewhere(job):
    """Return whether another process has made all outputs of a job that was submitted.

    Each is marked when the job is submitted, until that process is done with it. Of a job that
    was never submitted, old outputs have no mark.
    """
    known = workflow.persistence
    known._clear_cache()
    keys = [known._get_key(path) for path in job.output]
    is_marked = bool(known._filter_incomplete_keys(keys))
    return not is_marked and all(map(os.path.exists, job.output))


def around_planning(first, before, after):
    """Call some functions before the jobs of a build are known, and some when they are.

    Not with options such as --dag and --unlock, which build nothing, and all but the first
    function not if another invocation is at work: neither is known while the workflow is
    read. There is no hook for an invocation in which nothing is to be done.
    """
    build = workflow._build_dag

    def planned():
        if workflow.executor_plugin:
            first()
        is_at_work = workflow.executor_plugin and not any(
            workflow.persistence._read_locks()
        )
        for function in before if is_at_work else ():
            function()
        build()
        for function in after if is_at_work else ():
            function()

    workflow._build_dag = planned


def lift_rate_limit():
    """Lift the default limit of 100 jobs in 1 s, for jobs that run here.

    With a limit (--max-jobs-per-timespan), each round of the scheduler causes another one
    when its time is over, in which it looks at all jobs that are ready: a tenth of the time
    of a cold build.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if workflow.local_exec and limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduling_settings.max_jobs_per_timespan = None


def results_without_record():
    """Yield name and path of results that Snakemake takes for up to date without a record of them.

    What an interrupted or failed job has left is remade by Snakemake itself. There is a
    command that lists such files (--list-untracked), but not for use in a workflow.
    """
    dag, known = workflow.dag, workflow.persistence
    for job in dag.jobs:
        if dag.reason(job).no_metadata and not dag.needrun(job):
            for name, file in job.output.items():
                keys = [known._get_key(file)]
                if os.path.exists(file) and not (
                    known.metadata(file) or known._filter_incomplete_keys(keys)
                ):
                    yield name, file


def given_targets():
    """Return the targets of the command line, and what is named with -R, --until and the like."""
    given = workflow.dag_settings
    return sorted({*given.targets, *given.forcerun, *given.until, *given.omit_from})


def planned_rules():
    """Return the names of the rules that have jobs to do, once the jobs are known."""
    return {job.rule.name for job in workflow.dag.needrun_jobs()}


def planned_fields():
    """Return the fields that have jobs to do, also if a dry run has ended, in their order."""
    jobs = workflow.dag.needrun_jobs(exclude_finished=False)
    found = {job.wildcards.field for job in jobs if "field" in job.wildcards.keys()}
    return sorted(found, key=list(settings.fields).index)


def is_rerun_by_params():
    """Return whether changed parameters cause a rerun; only known when jobs are planned."""
    return RerunTrigger.PARAMS in workflow.rerun_triggers


def explain_dry_run(function):
    """Call a function where a dry run advises `--rerun-triggers mtime` if parameters changed."""
    workflow.log_provenance_info = function


def rules_of_jobs():
    """Return the names of the rules of all jobs, also of those that are done."""
    return {job.rule.name for job in workflow.dag.jobs}


def show_time_left():
    """Add the time left to the progress bars of the logger rich, which has no setting for it."""
    for handler in workflow.logger_manager.plugin_handlers:
        if hasattr(handler, "progress"):
            from rich.progress import TextColumn, TimeRemainingColumn

            columns = handler.progress.columns
            left = TimeRemainingColumn(), TextColumn("left")
            handler.progress.columns = (*columns, *left)


def keep_from_screen(is_told, n_failed):
    """Keep messages from the screen, but not from Snakemake's log file.

    Parameters
    ----------
    is_told : callable
        Whether the workflow itself says the text of a message, at the end.
    n_failed : int
        So many failed jobs are named.
    """
    failed = itertools.count()

    def is_shown(record):
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_INFO:
            # The logger rich prints the logs of failed jobs: our records, with the message.
            record.log = []
        if event == LogEvent.JOB_ERROR:
            return next(failed) < n_failed
        return not is_told(record.getMessage())

    for handler in workflow.logger_manager.plugin_handlers:
        handler.addFilter(is_shown)


def say_at_exit(function):
    """Call a function when Python exits: Snakemake has said all, and the progress bars are gone.

    Version 9.17 does not close them itself.
    """

    def say():
        for handler in workflow.logger_manager.plugin_handlers:
            handler.close()
        function()

    atexit.register(say)


def parameters_of_job(rule_name, wildcards):
    """Parameters of a job, but for those that look at its outputs.

    `rules.<name>.params` is as it was given to the rule: values, and functions of wildcards.
    """
    job = SimpleNamespace(**wildcards)
    return {
        key: value(job) if callable(value) else value
        for key, value in getattr(rules, rule_name).params.items()
        if key not in ("remote", "some_runs")
    }


def maker_of(path):
    """Return input, output, parameters and log of the job that makes a file.

    Or None if it is not known, as in a process of one job.
    """
    for job in workflow.dag.jobs:
        if path in [*job.output, *job.log]:
            files = job.input, job.output, job.log
            inputs, outputs, log = (named._plainstrings() for named in files)
            return inputs, outputs, job.params, log


def hash_files_once():
    """Let Snakemake hash an input once, and one whose time does not count not at all.

    It hashes all inputs of a job anew for each output, in its one thread: a tenth of the
    time of a cold build.
    """
    original, known = _IOFile.checksum, {}

    async def checksum(self, *arguments, **named):
        if not named.get("force") and (self.is_ancient or not os.path.isfile(self)):
            return None
        status = os.stat(self)
        key = str(self), status.st_size, status.st_mtime_ns, arguments, *named.values()
        if key not in known:
            known[key] = await original(self, *arguments, **named)
        return known[key]

    _IOFile.checksum = checksum


hash_files_once()


def read_signatures_once():
    """Let Snakemake look at the signature of a function once.

    It does so several times for each job and function: a tenth of the time of planning.
    """
    known = cache(snakemake.common.get_function_params)
    snakemake.common.get_function_params = known
    snakemake.rules.get_function_params = known


read_signatures_once()


# There are no pipes here; Snakemake looks for them in a time that grows with the square of the
# number of inputs of a job.
Job.is_pipe_or_service_input = lambda self, path: False


# Snakemake lets all users write to the files of a shared cache.
OutputFileCache.set_permissions = lambda self, path: os.chmod(path, 0o644)


def end_gracefully(scheduler, *_):
    """Handle SIGTERM: no more jobs.

    Snakemake waits for a lock here, for ever if the signal came while its main thread held
    it. The semaphore has a lock, too.
    """
    scheduler._user_kill = "graceful"
    threading.Thread(target=scheduler._open_jobs.release).start()


JobScheduler.exit_gracefully = end_gracefully
