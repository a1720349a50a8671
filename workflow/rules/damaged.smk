# Results that are not what was written are made again.

from contextlib import suppress
from threading import RLock

from gammastack.errors import DamagedResult
from gammastack.provenance.records import altered_results

# Steps with results that no other step reads
LAST_STEPS = (
    *("acceptance", "stack", "maps", "provenance", "summary"),
    *("report", "figure", "doctor", "archive_of_field", "dataset"),
)

healed, healing = set(), RLock()


def call_with_whole_inputs(*job):
    """Call a step; a damaged result that it reads is first made again."""
    found = set()
    while True:
        try:
            return call(*job)
        except DamagedResult as damaged:
            if damaged.path in found or not heal(damaged):
                # Snakemake makes again what is missing.
                for path in {os.path.realpath(damaged.path), damaged.path}:
                    with suppress(OSError):
                        os.unlink(path)
                raise InputError(
                    f"{damaged}. It was deleted: give the same command again"
                ) from damaged
            found.add(damaged.path)


def heal(damaged):
    """Make a damaged result again, once; return whether the job that makes it is known."""
    with healing:
        if damaged.path in healed:
            return True
        maker = maker_of(damaged.path)
        if maker is None:
            return False
        healed.add(damaged.path)
        warnings.append(f"{damaged}: it was made again")
        input, output, params, log = maker
        perform(input, output, params, output.get("record") or log)
        return True


def discard_damaged_products():
    """Delete results that were changed after they were made: Snakemake makes them again.

    Others are compared with their records when a step reads them.
    """
    records = [
        path
        for step in LAST_STEPS
        for pattern in (f"{step}.json", f"{step}-*.json")
        for folder in (".", *settings.fields)
        for path in Path(RESULTS, folder, "provenance").glob(pattern)
    ]
    for path in altered_results(records, contents.sha256):
        text = f"{path}: damaged result: it is made again"
        if path == Path(RESULTS) / "index.html":
            # A failed update writes to it, see screen.smk.
            text = f"{path} was written to, as a failed update does: it is made again"
        if workflow.dryrun or workflow.touch:
            print(f"WARNING: {text}", file=sys.stderr)
        else:
            warnings.append(text)
            path.unlink()
