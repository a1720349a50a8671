"""Names that several runs have in common, or not."""


def joined(names):
    """Return all distinct names in texts with one or more of them; the order does not matter.

    Parameters
    ----------
    names : iterable of str
        Each a name, several that were joined, or empty.
    """
    parts = {part for text in names for part in text.split(", ") if part}
    return ", ".join(sorted(parts))
