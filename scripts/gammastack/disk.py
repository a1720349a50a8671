"""What takes how much of the disk, and what no configuration needs."""

import os
import stat
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gammastack.files.layout import SIMULATED_STORE, product_at
from gammastack.invocation import KEPT as SNAKEMAKE
from gammastack.invocation import MEMORY
from gammastack.nights import ARCHIVE
from gammastack.nights import FOLDER as NIGHTS
from gammastack.provenance.activity import STAGED
from gammastack.provenance.records import EXPORT
from gammastack.provenance.records import FOLDER as RECORDS
from gammastack.words import counted

# By the step that makes it
KINDS = {
    "run_histogram": "runs",
    "run_images": "runs",
    "stack_group": "groups",
    "run_dataset": "runs",
    "dataset_group": "groups",
    "dataset": "datasets",
    "acceptance": "maps",
    "exclusion_mask": "maps",
    "search_sources": "maps",
    "stack": "maps",
    "maps": "maps",
    "provenance": "records",
    "report": "pages",
    "summary": "pages",
    "figure": "figures",
    "check_run": "checks",
    "doctor": "checks",
    "archive_of_field": "archives",
}
OTHER, SIMULATED = "other", "simulated data"
ORDER = (*dict.fromkeys(KINDS.values()), NIGHTS, SIMULATED, OTHER, SNAKEMAKE)
# Of these kinds, Snakemake does not remember all that was made.
NOT_REMEMBERED = ("records", NIGHTS, SIMULATED)
SUMMARY = ("index.html", "summary.csv", "summary.ecsv")
FIGURES = (".pdf", ".png")
UNITS = ("bytes", "kB", "MB", "GB", "TB")
SYSTEM = "system-*.json"
# So many fields are shown.
N_FIELDS = 20


def files_in(folder):
    """Yield path and status of the files and links in a folder, but follow no link."""
    for place, folders, names in os.walk(folder):
        paths = [os.path.join(place, name) for name in (*folders, *names)]
        for path in paths:
            # Somebody at work may just have renamed it.
            with suppress(FileNotFoundError):
                if not stat.S_ISDIR((status := os.lstat(path)).st_mode):
                    yield path, status


def place_of(path):
    """Return field and kind of a file, named from the folder of the results."""
    first, *rest = Path(path).parts
    if first == NIGHTS:
        return rest[1] if len(rest) > 1 else "", NIGHTS
    if first == SIMULATED_STORE:
        return "", SIMULATED
    if not rest or first == RECORDS:
        return "", "records" if rest else "pages" if first in SUMMARY else OTHER
    if rest[0] == RECORDS:
        return first, "records"
    product = product_at("/".join(rest))
    return first, KINDS[product.step] if product else OTHER


@dataclass
class Usage:
    """Numbers of files and of bytes.

    Attributes
    ----------
    files, size, on_disk : collections.Counter
        By field and kind; a file with several names is on the disk once.
    """

    files: Counter = field(default_factory=Counter)
    size: Counter = field(default_factory=Counter)
    on_disk: Counter = field(default_factory=Counter)

    def of(self, kind):
        """Return number of files, size and size on disk of a kind, in all fields."""
        counters = self.files, self.size, self.on_disk
        return [sum(n for key, n in one.items() if key[1] == kind) for one in counters]


def usage(folders):
    """Return the `Usage` of results folders, and of the folder .snakemake."""
    found, seen = Usage(), set()
    for folder in (*folders, SNAKEMAKE):
        for path, status in files_in(folder):
            key = ("", SNAKEMAKE)
            if folder != SNAKEMAKE:
                key = place_of(os.path.relpath(path, folder))
            found.files[key] += 1
            found.size[key] += status.st_size
            if (status.st_dev, status.st_ino) not in seen:
                found.on_disk[key] += 512 * status.st_blocks
            seen.add((status.st_dev, status.st_ino))
    return found


@dataclass
class Leftovers:
    """What no configuration makes.

    Attributes
    ----------
    files : dict of str to int
        Bytes by path, of what can be removed.
    memory : list of pathlib.Path
        In which Snakemake remembers such files, also those that are not there any more.
    unknown : list of str
        Paths of what is not known, and stays.
    """

    files: dict = field(default_factory=dict)
    memory: list = field(default_factory=list)
    unknown: list = field(default_factory=list)


def leftovers(folders, wanted, remembered):
    """Return the `Leftovers` in results folders.

    Only what Snakemake remembers that it has made can be removed: a name alone does not
    tell who made a file.

    Parameters
    ----------
    folders : iterable of str
    wanted : set of str
        Paths of what configurations make.
    remembered : dict of str to gammastack.invocation.Remembered
        By path.
    """
    found = Leftovers()
    unwanted = {
        path
        for path in remembered
        if not is_wanted(path, wanted) and _is_in(path, folders)
    }
    needed = set().union(
        *(remembered[path].logs for path in remembered.keys() - unwanted)
    )
    logs = set().union(*(remembered[path].logs for path in unwanted)) - needed
    gone = unwanted | {log for log in logs if _is_in(log, folders)}
    gone |= _systems_alone(gone)
    made = {*wanted, *remembered, *gone, *needed}
    for folder in folders:
        for path, status in files_in(folder):
            kind = place_of(os.path.relpath(path, folder))[1]
            if path in gone or _is_part_of(path, made):
                found.files[path] = status.st_size
            elif path not in made and kind not in NOT_REMEMBERED:
                found.unknown.append(path)
    found.memory = [file for path in unwanted for file in remembered[path].files]
    return found


def is_wanted(path, wanted):
    """Return whether a file is made, or on demand of what is: a figure, or an archive."""
    folder, name = os.path.split(path)
    base, suffix = os.path.splitext(path)
    return (
        path in wanted
        or (suffix in FIGURES and f"{base}.fits" in wanted)
        or (name == ARCHIVE and f"{folder}/{EXPORT}" in wanted)
    )


def _is_in(path, folders):
    """Return whether a path is in one of the folders, not behind a link, and no simulated data."""
    for folder in folders:
        if Path(path).is_relative_to(folder):
            parts = Path(path).relative_to(folder).parts
            behind = (Path(folder, *parts[:n]) for n in range(1, len(parts)))
            return (
                bool(parts)
                and parts[0] not in (SIMULATED_STORE, NIGHTS)
                and not any(parent.is_symlink() for parent in behind)
            )
    return False


def _systems_alone(gone):
    """Return the descriptions of machines to which no record that stays refers."""
    found = set()
    for folder in {Path(path).parent for path in gone}:
        systems = {str(path) for path in folder.glob(SYSTEM)}
        if folder.name == RECORDS and {*map(str, folder.glob("*"))} <= gone | systems:
            found |= systems
    return found


def _is_part_of(path, made):
    """Return whether a file is what a killed process has left of one that is made."""
    folder, name = os.path.split(path)
    return name.startswith(STAGED) and (
        os.path.join(folder, name.removeprefix(STAGED)) in made
    )


def remove(found, folders):
    """Remove leftovers, then what Snakemake remembers of them, and folders that are empty.

    Parameters
    ----------
    found : Leftovers
    folders : iterable of str
        Of the results, which stay.
    """
    for path in found.files:
        os.unlink(path)
    for path in found.memory:
        path.unlink(missing_ok=True)
    top = {Path(folder) for folder in (*folders, *MEMORY)}
    emptied = {
        folder
        for path in (*map(Path, found.files), *found.memory)
        for folder in path.parents
        if top & {*folder.parents}
    }
    for folder in sorted(emptied, key=lambda folder: -len(folder.parts)):
        if not any(folder.iterdir()):
            folder.rmdir()


def in_units(size):
    """Return a number of bytes as text."""
    power = min(len(f"{size:d}") - 1, 12) // 3
    return f"{size / 1000**power:.{min(power, 1)}f} {UNITS[power]}"


def format_usage(found):
    """Return two tables as lines: of the kinds, and of the kinds in each field."""
    kinds = [kind for kind in ORDER if found.of(kind)[0]]
    rows = [(kind, *_shown(*found.of(kind))) for kind in kinds]
    total = (sum(one.values()) for one in (found.files, found.size, found.on_disk))
    yield from _table(
        [("", "files", "size", "on disk"), *rows, ("total", *_shown(*total))]
    )
    sizes = Counter()
    for (name, _), size in found.size.items():
        sizes[name] += size if name else 0
    columns = [
        kind for kind in kinds if any(found.size[name, kind] for name in sizes if name)
    ]
    rows = [
        (name, *(_size(found.size[name, kind]) for kind in columns), in_units(size))
        for name, size in sizes.most_common(N_FIELDS)
        if name
    ]
    if rows:
        yield ""
        yield from _table([("field", *columns, "total"), *rows])
    if (more := len(sizes) - bool("" in sizes) - len(rows)) > 0:
        yield f"and {counted(more, 'more field')}"


def _shown(files, size, on_disk):
    return str(files), in_units(size), in_units(on_disk)


def _size(size):
    return in_units(size) if size else "-"


def _table(rows):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [text.rjust(n) for text, n in zip(rest, widths[1:], strict=True)]
        yield "  ".join(cells)


def format_leftovers(found):
    """Return lines on what no configuration makes, and on what is not known."""
    folders = {}
    for path, size in found.files.items():
        folders.setdefault(os.path.dirname(path), []).append(size)
    total = in_units(sum(found.files.values()))
    yield f"Made by none of the configurations: {counted(len(found.files), 'file')}, {total}"
    for folder, sizes in sorted(folders.items()):
        yield f"  {folder}: {counted(len(sizes), 'file')}, {in_units(sum(sizes))}"
    if found.unknown:
        yield f"Not made here, never removed: {counted(len(found.unknown), 'file')}"
        yield from (f"  {path}" for path in sorted(found.unknown))
