"""What breaks: faults go into builds and updates, and the same command is given again.

A small project is built, and updated in three ways, without disturbance: these results are
the truth. Then, each time in a copy, something goes wrong, and all products are compared
with the truth, bit for bit. The result is a Markdown table on the standard output.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from itertools import chain, cycle, islice
from pathlib import Path

import psutil
import yaml
from astropy.io import fits
from updates import FIELD, SNAKEMAKE, make_store

from compare import NOT_COPIED

HERE = Path(__file__).resolve().parent
N_RUNS = 6
RUN = "store/run_1002.fits"
CIRCLE = {"center": FIELD["center"], "radius": "0.3 deg"}
# How it ended; the last two must not happen
ENDS = (
    "healed by the same command",
    "healed after the advised command",
    "told, if only by verify",
    "silent",
    "did not end",
)
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
DAY = 86400
PAGE = 4096
# In s, for an invocation that was sent a signal
TIME_LIMIT = 300


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=[*FAULTS])
    parser.add_argument("--kills", type=int, default=120, help="at random moments")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scratch", help="folder for temporary files")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        lab = Lab(Path(scratch))
        found = {}
        outcomes = chain.from_iterable(
            FAULTS[name](lab, arguments.kills) for name in arguments.faults
        )
        for fault, end in outcomes:
            found.setdefault(fault, Counter())[end] += 1
            print(f"{fault}: {end}", file=sys.stderr, flush=True)
    print(table(found))


def table(found):
    """Return the Markdown table of how often each fault ended in which way."""
    lines = [
        f"| fault | tries | {' | '.join(ENDS)} |",
        f"|---|{'---|' * (1 + len(ENDS))}",
    ]
    for fault, ends in found.items():
        counts = [ends.total(), *(ends[end] for end in ENDS)]
        lines.append(f"| {fault} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


# Changes of a built project


def from_scratch(project):
    """Build it."""


def nothing(project):
    """Leave the built project as it is."""


def events(project):
    """Replace an event file, in the same way each time."""
    with fits.open(project / RUN) as hdus:
        hdus["EVENTS"].data["ENERGY"][::10] *= 1.5
        # The default comment holds the time
        hdus["EVENTS"].add_checksum(when="changed")
        hdus.writeto(project / "new.fits")
    os.replace(project / "new.fits", project / RUN)


def exclusion(project):
    configure(project, exclusion_mask=[CIRCLE])


def radii(project):
    """Ask for maps with another radius, too."""
    configure(project, radius=[FIELD["radius"], "0.2 deg"])


CHANGES = (from_scratch, events, exclusion, radii)


def configure(project, **settings):
    config = {"fields": {"sky": {"datastore": "store", **FIELD, **settings}}}
    (project / "config" / "config.yaml").write_text(yaml.safe_dump(config))


@dataclass(frozen=True)
class Truth:
    """Hashes of the products by path, and how long it took to make them."""

    products: dict
    seconds: float


class Lab:
    """A project as it is before and after it was built, and the truth for each change.

    Parameters
    ----------
    scratch : pathlib.Path
        Folder for all of them.
    """

    def __init__(self, scratch):
        self.scratch, self.truth = scratch, {}
        self._new, self._built = scratch / "new", scratch / "built"
        shutil.copytree(HERE.parent, self._new, ignore=NOT_COPIED, symlinks=True)
        make_store(self._new, N_RUNS)
        for name in (".snakemake", "results"):
            shutil.rmtree(self._new / name)
        configure(self._new)
        for change in CHANGES:
            with self.copy(change) as project:
                start = time.perf_counter()
                done = invoke(project)
                if done.returncode:
                    raise RuntimeError(done.stdout)
                seconds = time.perf_counter() - start
                self.truth[change] = Truth(products(project), seconds)
                if change is from_scratch:
                    shutil.copytree(project, self._built)
                    self.truth[nothing] = self.truth[change]

    @contextmanager
    def copy(self, change):
        """Provide a copy to build, or a built one with a change that is not yet followed."""
        project = self.scratch / "project"
        shutil.copytree(self._new if change is from_scratch else self._built, project)
        change(project)
        try:
            yield project
        finally:
            shutil.rmtree(project)

    def kinds(self):
        """Return one result of each kind, and the records."""
        results = self._built / "results"
        names = [str(path.relative_to(results)) for path in files_in(results)]
        several = ("sky/runs/", "sky/provenance/system")
        first = {
            (name.startswith(several) and name[:9] + name[-5:]) or name: name
            for name in names
        }
        return sorted(first.values())

    def written_before(self, name):
        """Return what the results that were written before one take on a disk."""
        files = files_in(self._built / "results")
        time = (self._built / "results" / name).stat().st_mtime_ns
        return space(path for path in files if path.stat().st_mtime_ns < time)


def files_in(results):
    return sorted(path for path in results.rglob("*") if path.is_file())


def products(project):
    """Return hashes of all results by path but for records and pages, which hold times."""
    results, found = project / "results", {}
    for path in files_in(results):
        if path.suffix != ".json" and path.name != "report.html":
            with open(path, "rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            found[str(path.relative_to(results))] = digest
    return found


# The command, and how it ends


def start(project):
    return psutil.Popen(
        [SNAKEMAKE, "--cores", "2"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def invoke(project, *options):
    return subprocess.run(
        [SNAKEMAKE, "--cores", "2", *options],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def end_of(project, truth):
    """Give the same command again, and what it advises; return how that ends."""
    done, how = invoke(project), ENDS[0]
    if done.returncode and "--unlock" in done.stdout:
        invoke(project, "--unlock")
        done, how = invoke(project), ENDS[1]
    elif done.returncode and "same command again" in done.stdout:
        done, how = invoke(project), ENDS[1]
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        return ENDS[2]
    wrong = truth.products.items() ^ products(project).items()
    if wrong:
        print(sorted({name for name, _ in wrong}), file=sys.stderr)
        return ENDS[3]
    return how if verify(project) else ENDS[2]


def verify(project):
    """Return whether records and products fit to each other."""
    command = [sys.executable, "scripts/verify.py", "results", "--datastore", "store"]
    return not subprocess.run(
        command, cwd=project, capture_output=True, check=False
    ).returncode


# Faults: how each is called, and how it ended


def kills(lab, n_kills):
    """Send signals at random moments."""
    for kill in islice(cycle(random.sample(KILLS, len(KILLS))), n_kills):
        yield killed(lab, *kill)


def killed(lab, change, sent, victim):
    """Send a signal, and again if it came too late."""
    target = f"{sent.name} to {victim.__name__.replace('_', ' ')}"
    what = "a cold build" if change is from_scratch else "an update"
    while True:
        with lab.copy(change) as project:
            process = start(project)
            time.sleep(random.uniform(0.2, 1) * lab.truth[change].seconds)
            if not victim(process, sent):
                process.communicate()
                continue
            try:
                process.communicate(timeout=TIME_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return f"{target} in {what}", ENDS[4]
            return f"{target} in {what}", end_of(project, lab.truth[change])


def main_process(process, sent):
    if process.poll() is None:
        process.send_signal(sent)
        return True


def process_group(process, sent):
    if process.poll() is None:
        os.killpg(process.pid, sent)
        return True


def worker(process, sent):
    """Hit one of the processes of the pool; return whether there was one."""
    try:
        children = process.children(recursive=True)
        python = [one for one in children if "forkserver" in " ".join(one.cmdline())]
        random.choice(python).send_signal(sent)
    except (psutil.NoSuchProcess, IndexError):
        return False
    return True


KILLS = [
    (change, sent, victim)
    for change in CHANGES
    for victim, signals in (
        (main_process, SIGNALS),
        (process_group, SIGNALS),
        (worker, SIGNALS[:2]),
    )
    for sent in signals
]


def full_disks(lab, n_kills):
    """Let the disk be full when a result of each kind is written, or early in an update."""
    rooms = [(from_scratch, lab.written_before(name)) for name in lab.kinds()]
    # Snakemake deletes what a job makes again: only new results need room.
    rooms += [(radii, n_pages * PAGE) for n_pages in (0, 10, 20)]
    for change, room in rooms:
        with lab.copy(change) as project:
            try:
                with own_disk(project / "results", room) as enlarge:
                    yield full_disk(lab, change, project, enlarge)
            except PermissionError as error:
                print(f"not tried: {error}", file=sys.stderr)
                return


@contextmanager
def own_disk(folder, room):
    """Move a folder to a file system in memory with some room; provide what enlarges it."""
    kept = folder.with_name("kept")
    folder.mkdir(exist_ok=True)
    folder.rename(kept)
    folder.mkdir()
    # Size 0 would be no limit.
    mount("-t", "tmpfs", "-o", f"size={space(files_in(kept)) + room or PAGE}", folder)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", folder], check=True)
        yield lambda: mount("-o", "remount,size=64m", folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def mount(*options):
    done = subprocess.run(
        ["mount", *options[:-1], "tmpfs", options[-1]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise PermissionError(done.stderr)


def space(paths):
    """Return what files take on such a disk."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in paths)


def full_disk(lab, change, project, enlarge):
    done = invoke(project)
    enlarge()
    failed = sorted({*re.findall(r"Failed (\w+)", done.stdout)})
    rules = f"in {', '.join(failed)}" if failed else "but no job failed"
    return f"disk full {rules}", end_of(project, lab.truth[change])


def flip(path):
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damages(lab, n_kills):
    """Damage a file of each kind between two invocations."""
    for number, name in enumerate(lab.kinds()):
        for change in (nothing, radii):
            damage = (flip, truncate)[(number + (change is radii)) % 2]
            yield damaged(lab, change, name, damage)


def damaged(lab, change, name, damage):
    kind = "a record" if name.endswith(".json") else "a result"
    before = "an update" if change is radii else "an invocation"
    with lab.copy(change) as project:
        damage(project / "results" / name)
        end = end_of(project, lab.truth[change])
    if end == ENDS[3]:
        print("silent:", name, damage.__name__, file=sys.stderr)
    return f"{kind}: {damage.__name__} before {before}", end


def replacements(lab, n_kills):
    """Replace an event file at random moments of a build."""
    for _ in range(6):
        yield replaced_while_read(lab)


def replaced_while_read(lab):
    with lab.copy(from_scratch) as project:
        process = start(project)
        time.sleep(random.uniform(0.2, 1) * lab.truth[from_scratch].seconds)
        events(project)
        process.communicate()
        return "an event file replaced during a build", end_of(
            project, lab.truth[events]
        )


def wrong_times(lab, n_kills):
    """Let files have times of the next day."""
    for change in lab.truth:
        for folder in ("results", "store"):
            yield in_the_future(lab, change, folder)


def in_the_future(lab, change, folder):
    with lab.copy(change) as project:
        for path in files_in(project / folder):
            os.utime(path, (time.time() + DAY,) * 2)
        return f"times of {folder} one day in the future", end_of(
            project, lab.truth[change]
        )


FAULTS = {
    "kills": kills,
    "disks": full_disks,
    "damages": damages,
    "replacements": replacements,
    "times": wrong_times,
}


if __name__ == "__main__":
    main()
