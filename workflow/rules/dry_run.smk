# What a dry run says of the changes, in the words of the configuration.

from snakemake.logging import logger

# So many changes are shown.
N_CHANGES = 10


def content_now(path):
    """Return what stands for the content of a file, or None if a server does not have it."""
    if is_remote(path) and remote_files.problem(path):
        return None
    return content_of(path)


def changes_of(name):
    """Return what has changed since the results of a field were made."""
    # They are slow to import, and needed here alone.
    from gammastack.archive.bundle import open_bundle
    from gammastack.archive.verify import changes

    if not Path(RESULTS, name, "provenance").is_dir():
        return ["not made yet"]
    field = settings.fields[name]
    try:
        bundle = open_bundle(Path(RESULTS, name))
        store = datastore(field.datastore)
        return changes(bundle, SCRIPTS, field, store, content_now)
    except InputError as error:
        return [str(error)]


def say_what_has_changed():
    """Print it for the fields that have jobs to do, each change once."""
    fields_by_changes = {}
    for name in planned_fields():
        if found := changes_of(name):
            fields_by_changes.setdefault(tuple(found), []).append(name)
    for found, names in fields_by_changes.items():
        more = [f"and {len(found) - N_CHANGES} more"] if len(found) > N_CHANGES else []
        logger.info("\n  ".join([f"{listing(names)}:", *found[:N_CHANGES], *more]))


def warn_of_triggers():
    """Warn of an option that Snakemake itself advises, and that hides changes."""
    if not is_rerun_by_params():
        print(
            "WARNING: --rerun-triggers without params: what was made from other runs, with"
            " other settings, data or code is taken for up to date. Leave the option out.",
            file=sys.stderr,
        )
