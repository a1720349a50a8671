"""Files among the exclusions of a field."""

from pathlib import Path


def file_of(item):
    """Return the file that an exclusion is read from, or None."""
    if isinstance(item, dict):
        return item.get("catalog")
    return item if item.endswith((".reg", ".fits", ".fits.gz")) else None


def with_file(item, path):
    """Return the same exclusion, read from another file."""
    return {**item, "catalog": path} if isinstance(item, dict) else path


def without_folders(exclusions):
    """Return the exclusions with file names only: folders would make equal masks differ."""
    return [
        with_file(item, Path(file_of(item)).name) if file_of(item) else item
        for item in exclusions
    ]
