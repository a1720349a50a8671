"""What becomes of damaged DL3 files: are runs left out by name, or are their images wrong?

Each mutant is a small store with one damage. The steps of the workflow make the images of
its run and the norm of the background, in a process with limits of time and memory, and
both are compared with those of the undamaged run. The report is Markdown on the standard
output; a CSV file has a line for each mutant, which --replay makes again by its number.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from fuzzing.damages import DAMAGES
from fuzzing.draft import Draft
from fuzzing.judge import KINDS, OUTCOMES, judge, process
from fuzzing.pool import TIMEOUTS, results
from fuzzing.sources import sources

SECONDS, MEMORY = 10, 10**9
CHANGES = (*KINDS, "norm")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--every", type=int, default=1, help="7: only each seventh one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", nargs="+", default=[], help="more stores to damage")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--csv", default="fuzz.csv", help="a line for each mutant")
    parser.add_argument("--replay", type=int, help="number of a single mutant")
    parser.add_argument(
        "--keep", help="with --replay: new folder for the damaged store"
    )
    arguments = parser.parse_args()
    fuzzer = Fuzzer(sources([*public_data(), *arguments.store]), arguments.seed)
    if arguments.replay is not None:
        print(fuzzer.replay(arguments.replay, arguments.keep))
        return
    start = time.monotonic()
    numbers = range(0, arguments.mutants, arguments.every)
    table = fuzzer.table(numbers, arguments.processes)
    seconds = time.monotonic() - start
    table.to_csv(arguments.csv, index=False)
    print(f"{len(table)} mutants, {len(table) / seconds:.0f} per second\n")
    print(report(table))


def public_data():
    """Return the H.E.S.S. public data in a list, if they are there."""
    store = Path(os.environ.get("GAMMAPY_DATA", "/nowhere")) / "hess-dl3-dr1"
    return [store] if store.is_dir() else []


class Fuzzer:
    """Mutants of some sources, by number.

    Parameters
    ----------
    sources : list of fuzzing.sources.Source
    seed : int
        The same seed, sources and number make the same mutant.
    """

    def __init__(self, sources, seed):
        self.sources, self.seed = sources, seed
        # Results of the undamaged runs, in a process of the pool
        self._undamaged = {}

    def plan(self, number):
        """Return class, damage, treatment of the checksums, generator and source of a mutant."""
        turn, place = divmod(number, len(DAMAGES))
        name, damage, checksums = DAMAGES[place]
        # A class draws the same damage for each treatment of the checksums.
        rng = np.random.default_rng([self.seed, turn, crc32(name.encode())])
        source = self.sources[rng.integers(len(self.sources))]
        return name, damage, checksums, rng, source

    def changed(self, number):
        """Return the source of a mutant, and the content of the files that are changed."""
        _, damage, checksums, rng, source = self.plan(number)
        draft = Draft(source)
        with np.errstate(all="ignore"):
            damage(rng, draft)
        return source, draft.encoded(checksums)

    def table(self, numbers, processes=2):
        """Return what becomes of mutants, a row for each."""
        with tempfile.TemporaryDirectory() as scratch:
            outcomes = results(
                partial(self._outcome, scratch),
                numbers,
                processes,
                seconds=SECONDS,
                n_bytes=MEMORY,
            )
            rows = [self._row(number, *_died(outcome)) for number, outcome in outcomes]
        return pd.DataFrame(rows).sort_values("number", ignore_index=True)

    def replay(self, number, keep=None):
        """Return what becomes of a mutant as text, and keep its store if asked to."""
        if keep is not None:
            Path(keep).mkdir(parents=True)
            source, changed = self.changed(number)
            write(source.files | changed, keep)
        row = self.table([number], 1).iloc[0]
        return "\n".join(f"{name}: {value}" for name, value in row.items())

    def _outcome(self, scratch, number):
        """Return what becomes of a mutant, in a process of the pool."""
        warnings.simplefilter("ignore")
        source, changed = self.changed(number)
        folder = Path(scratch) / str(os.getpid()) / source.name
        if source.name not in self._undamaged:
            store = write(source.files, folder)
            self._undamaged[source.name] = process(store, source)
        store = write(changed, folder)
        outcome, text, changes = judge(store, source, self._undamaged[source.name])
        write({path: source.files[path] for path in changed}, folder)
        return outcome, text.replace(f"{store}/", ""), changes

    def _row(self, number, outcome, text, changes):
        name, _, checksums, _, source = self.plan(number)
        return {
            "number": number,
            "class": name,
            "source": source.name,
            "checksums": checksums,
            "seed": self.seed,
            "outcome": outcome,
            **{kind: changes.get(kind, np.nan) for kind in CHANGES},
            "message": " ".join(text.split()),
        }


def write(files, folder):
    """Write files into a store in a folder, and return the store."""
    store = Path(folder) / "store"
    for path, content in files.items():
        (store / path).parent.mkdir(parents=True, exist_ok=True)
        (store / path).write_bytes(content)
    return store


def _died(outcome):
    """Return the outcome of a mutant whose process was ended by a signal, or any other."""
    if not isinstance(outcome, int):
        return outcome
    return (
        "hang" if outcome in TIMEOUTS else "exception",
        f"ended with code {-outcome}",
        {},
    )


def report(table):
    """Return the report on some mutants as Markdown."""
    group = table["class"].str.split(":").str[0]
    counts = pd.crosstab(group, table["outcome"])
    counts = counts.reindex(columns=[*OUTCOMES], fill_value=0).loc[group.unique()]
    counts.loc["all"] = counts.sum()
    lines = markdown(["class", *OUTCOMES], counts.itertuples())
    lines += ["", *(f"- {name}: {text}" for name, text in OUTCOMES.items())]
    lines += ["", "## Silent", "", *silent(table)]
    bad = table[table["outcome"].isin(["exception", "hang", "memory"])]
    lines += ["", "## Exceptions, hangs, memory", "", *messages(bad)]
    return "\n".join(lines)


def silent(table):
    """Return the table of the silent mutants: how many of how many, and the largest changes."""
    rows = []
    for (name, checksums), mutants in table.groupby(["class", "checksums"], sort=False):
        found = mutants[mutants["outcome"] == "silent"]
        if len(found):
            largest = (f"{found[kind].abs().max():.2g}" for kind in CHANGES)
            of_all = f"{len(found)} of {len(mutants)}"
            rows.append((name, checksums, of_all, *largest, found["number"].iloc[0]))
    return markdown(["class", "checksums", "silent", *CHANGES, "such as"], rows)


def messages(table):
    """Return the messages of some mutants, with the numbers put aside, and how often they come."""
    found = defaultdict(Counter)
    for row in table.itertuples():
        found[row.outcome][row.message[:160]] += 1
    return markdown(
        ["outcome", "n", "message"],
        (
            (outcome, n, text.replace("|", "/"))
            for outcome, texts in found.items()
            for text, n in texts.most_common()
        ),
    )


def markdown(header, rows):
    """Return the lines of a table."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *lines]


if __name__ == "__main__":
    main()
