"""What is said of a target that does not exist."""

from difflib import get_close_matches

# So many fields, bands or files are named.
N_NAMES = 40


def unknown_target(target, known, **names):
    """Describe a target that nothing makes: what was perhaps meant, and what there is.

    Parameters
    ----------
    target : str
    known : iterable of str
        Targets that it may be a slip of the pen for.
    **names : iterable of str
        What there is, by its kind: bands, files, ...
    """
    near = get_close_matches(target, list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return "\n".join(
        [
            f"There is no target {target}.{hint}",
            *(f"{kind}: {_first(found)}" for kind, found in names.items()),
        ]
    )


def _first(names):
    names = list(names)
    more = [f"and {len(names) - N_NAMES} more"] if len(names) > N_NAMES else []
    return ", ".join([*names[:N_NAMES], *more])
