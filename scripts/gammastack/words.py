"""Numbers and lists in messages."""


def counted(number, what):
    """Return a number of things as text, such as ``1 run`` and ``2 runs``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def listing(values, limit=5):
    """Return the first few of many values as text."""
    values = [str(value) for value in values]
    rest = f" and {len(values) - limit} more" if len(values) > limit else ""
    return ", ".join(values[:limit]) + rest
