"""Runs that cannot be used, or are odd, in words."""

from gammastack.errors import InputError

# So many different reasons are shown.
N_REASONS = 3


def failures_text(failures, n_runs):
    """Describe which runs failed and why, with a line to paste into the configuration.

    Parameters
    ----------
    failures : dict of int to str
        Reason by OBS_ID.
    n_runs : int
        Number of selected runs.
    """
    return (
        f"{len(failures)} of {n_runs} runs cannot be used: {first_reasons(failures)}."
        " They are tried again when their files change. To leave them out:"
        f" observations: {{exclude: [{', '.join(map(str, failures))}]}}"
    )


def warnings_text(warnings, n_runs):
    """Describe what is odd about some of the runs.

    Parameters
    ----------
    warnings : dict of str to str
        Text by OBS_ID.
    n_runs : int
        Number of selected runs.
    """
    return (
        f"{len(warnings)} of {n_runs} runs have warnings: {first_reasons(warnings)}."
        " See the column warning"
    )


def too_many_failures(failures, n_runs):
    """Describe that more runs failed than the configuration allows."""
    return (
        f"more runs failed than on_bad_run and max_bad_runs allow, and no map is made."
        f" {failures_text(failures, n_runs)}"
    )


def require_few_failures(failures, n_runs, max_failed, where):
    """Raise `InputError` if more runs failed than the configuration allows.

    Parameters
    ----------
    failures : dict of int to str
        Reason by OBS_ID.
    n_runs : int
        Number of selected runs.
    max_failed : int
    where : path
        Folder of the field.
    """
    if len(failures) > max_failed:
        raise InputError(f"{where}: {too_many_failures(failures, n_runs)}")


def reasons(by_run):
    """Return the different reasons of some runs, each with the first few of its runs."""
    obs_ids_by_reason = {}
    for obs_id, reason in by_run.items():
        obs_ids_by_reason.setdefault(reason, []).append(obs_id)
    return [
        f"{_listing(obs_ids)}: {reason.rstrip('.')}"
        for reason, obs_ids in obs_ids_by_reason.items()
    ]


def first_reasons(by_run):
    """Return the first few different reasons, as one text."""
    texts = reasons(by_run)
    more = "; and others" * (len(texts) > N_REASONS)
    return "; ".join(texts[:N_REASONS]) + more


def _listing(obs_ids):
    first = ", ".join(map(str, obs_ids[:N_REASONS]))
    rest = len(obs_ids) - N_REASONS
    return f"{first} and {rest} more" if rest > 0 else first
