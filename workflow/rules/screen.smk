# What is said on the screen, at the end and once.

from contextlib import suppress

from gammastack.doctor import format_doctor
from gammastack.summary import (
    failed_runs,
    format_leftovers,
    format_summary,
    read_table,
)

# So many warnings and errors are shown.
N_SHOWN = 5
SUMMARY = Path(RESULTS) / "summary.csv"
PAGE = Path(RESULTS) / "index.html"
# What Snakemake says of jobs that have failed, beside the messages
OF_FAILED_JOBS = (
    "Exiting because a job execution failed",
    "Removing output files of failed job",
)


def is_told_at_the_end(text):
    """Return whether a message of Snakemake says what is said at the end of the invocation."""
    return bool(refusals) and (
        text.startswith(OF_FAILED_JOBS)
        or any(known in text for known in refusals.values())
    )


def print_first(severity, messages):
    """Print messages once each; the records of the steps have all of them."""
    messages = sorted(set(messages))
    for message in messages[:N_SHOWN]:
        print(f"{severity}: {message}")
    if len(messages) > N_SHOWN:
        print(
            f"{severity}: and {len(messages) - N_SHOWN} more, see {RESULTS}/*/provenance"
        )


def rows_of_targets(wanted):
    """Return the rows of the summary, or of the fields that are targets."""
    if "summary" in wanted and SUMMARY.exists():
        return read_table(SUMMARY)
    bands = [
        (f"{folder}/{image}.fits", f"{folder}/runs.csv")
        for folder, image in fields_and_bands()
        if Path(folder).parent.name in wanted
    ]
    bands = [files for files in bands if all(map(os.path.exists, files))]
    if not bands:
        return []
    # It is slow to import, and only needed here.
    from gammastack.files.summary import rows_of

    return rows_of(*zip(*bands))


def say_what_is_there():
    """Print warnings, also of what earlier invocations have made, the tables, and what to open."""
    wanted = rules_of_jobs()
    rows = rows_of_targets(wanted)
    print_first("WARNING", [*warnings, *failed_runs(rows)])
    if rows:
        print(format_summary(rows))
    if "doctor" in wanted:
        paths = [Path(RESULTS) / name / "doctor.csv" for name in settings.fields]
        print(format_doctor([path for path in paths if path.exists()]))
    if "summary" in wanted and PAGE.exists():
        print(f"Open {PAGE}")


def say_what_was_made():
    """Print what is left over, and what is there."""
    if others := list(leftovers()):
        print(format_leftovers(others))
    say_what_is_there()


def say_what_failed():
    """Print warnings and errors; the last lines on the screen say what to do."""
    print_first("WARNING", warnings)
    print_first("ERROR", refusals.values())
    if refusals:
        print("Maps and tables that depend on it are missing, or as they were before.")


def show_what_is_known():
    """Say what is there if nothing is to be done: Snakemake has no hook for this."""
    if not planned_rules() and not workflow.dryrun:
        say_at_exit(say_what_is_there)


def say_on_the_page(failures):
    """Put what failed on top of the page of all fields: it may be all that is looked at."""
    from gammastack.report.index import failed_index, index_page

    # What failed may be the disk, or what the page is made of; the screen says it anyway.
    with suppress(OSError):
        try:
            text = failed_index(SUMMARY, failures)
        except Exception:
            text = index_page([], failures)
        PAGE.write_text(text, encoding="utf-8")


def or_say_on_the_page(function):
    """Return a function whose error is also on the page of all fields, if there is one."""

    def checked():
        try:
            function()
        except Error as error:
            if PAGE.exists() and not (workflow.dryrun or workflow.touch):
                say_on_the_page([str(error)])
            raise

    return checked


onstart:
    folder = Path(RESULTS)
    if folder.exists() and not os.access(folder, os.W_OK):
        raise Error(
            f"The results folder '{folder}' is read-only for you. Give another one with"
            " --config results=FOLDER, or have its permissions changed."
        )
    if not settings.simulation and any(
        name.startswith("run_images") for name in planned_rules()
    ):
        or_say_on_the_page(check_coverage)()


onsuccess:
    take_messages()
    say_at_exit(say_what_was_made)


onerror:
    take_messages()
    if refusals and is_main_process:
        say_on_the_page(sorted({*refusals.values()}))
    say_at_exit(say_what_failed)
