# Jobs on a cluster: what memory and time they need, and what they say.

from math import prod

from gammastack.config.image_size import (
    BYTES_PER_VOXEL,
    dataset_cubes,
    pixels_in_memory,
    shape_of,
)
from gammastack.sky.strips import BYTES_PER_PIXEL

# Jobs of these steps are done in groups, of which one or more are a job of the cluster: those of
# the same name that depend on each other, see group-components in profiles/slurm.
GROUPS = {
    "simulate_run": "simulations",
    "run_histogram": "histograms",
    "acceptance": "acceptances",
    "run_images": "runs",
    "search_sources": "searches",
    "stack_group": "sums",
    "stack": "fields",
    "run_dataset": "dataset_runs",
    "dataset_group": "dataset_sums",
    "dataset": "fields",
    "maps": "fields",
    "report": "fields",
    "provenance": "fields",
    "check_run": "checks",
    "figure": "figures",
    "archive_of_field": "archives",
}
# Measured: Python, the packages and Snakemake take 250 MB in each process.
MB_PER_PROCESS = 500
# So that a job that takes seconds is not ended when the disk is slow
MINUTES = 2
# Pixels that a step handles in a minute, on a slow machine
PIXELS_PER_MINUTE = 1e6
# Only a field of view is in the memory of these steps.
OF_ONE_RUN = ("run_images", "run_histogram", "check_run", "run_dataset")

# These have a cube of the whole field in the memory at most.
OF_DATASETS = ("run_dataset", "dataset_group", "dataset")


def pixels_of(step_name, wildcards, in_image):
    """Return the number of pixels that a job handles.

    Parameters
    ----------
    step_name : str
    wildcards
    in_image : callable
        Returns that of a step that handles the image of a field.
    """
    if "field" not in STEPS[step_name]:
        return 0
    field = field_of(wildcards)
    n_pixels = in_image(field)
    if step_name in OF_ONE_RUN:
        size = 2 * field.offset_band[1] / field.image["binsz"]
        n_pixels = min(n_pixels, size**2)
    return n_pixels


def needs(step_name):
    """Return the resources of the jobs of a step, by name."""

    def mem_mb(wildcards):
        n_pixels = pixels_of(step_name, wildcards, pixels_in_memory)
        n_bytes = n_pixels * BYTES_PER_PIXEL
        if step_name in OF_DATASETS:
            n_bytes += max(dataset_cubes(field_of(wildcards))) * BYTES_PER_VOXEL
        return round(MB_PER_PROCESS + n_bytes / 1e6)

    def runtime(wildcards):
        n_pixels = pixels_of(
            step_name, wildcards, lambda field: prod(shape_of(field.image))
        )
        return round(MINUTES + n_pixels / PIXELS_PER_MINUTE)

    return {"mem_mb": mem_mb, "runtime": runtime}


# What the steps say in another process reaches the screen by way of this folder.
MESSAGES = Path(".snakemake/messages")


def hand_on_messages():
    """Write what the steps of this process have said, for the main process."""
    MESSAGES.mkdir(parents=True, exist_ok=True)
    path = MESSAGES / f"{os.environ.get('SLURM_JOB_ID')}-{os.getpid()}.json"
    path.write_text(json.dumps({"warnings": warnings, "refusals": refusals}))


def take_messages():
    """Read and remove what the steps have said on the cluster."""
    for path in sorted(MESSAGES.glob("*.json")):
        with suppress(OSError, ValueError):
            said = json.loads(path.read_text())
            warnings.extend(said["warnings"])
            refusals.update(said["refusals"])
        path.unlink(missing_ok=True)


def forget_messages():
    """Remove what was said to an earlier invocation, which was killed."""
    for path in MESSAGES.glob("*.json"):
        path.unlink(missing_ok=True)


def explain_group(missing, message, logs):
    """Say why a group of jobs has failed on the cluster, if its steps do not say so.

    Parameters
    ----------
    missing : list of str
        First results of the jobs that were not done.
    message : str
        What the plugin says of the job of Slurm.
    logs : list of str
        Its log files.
    """
    take_messages()
    missing = [path for path in missing if path not in refusals]
    if not missing:
        return
    # Its first line; a command of many lines may follow.
    reason = message.strip().partition("\n")[0].partition(" Detailed failure")[0]
    where = "".join(f", see {os.path.relpath(path)}" for path in logs)
    remedy = (
        "Give the same command again; if it happens again, with more memory or time (mem_mb"
        " and runtime in --set-resources)"
        if logs
        else "Correct what the cluster does not accept, such as slurm_account and"
        " slurm_partition among the default-resources, and give the same command again"
    )
    refusals[missing[0]] = (
        f"{listing(missing)}: not made. {reason.rstrip('.')}{where}. {remedy}"
    )


if is_on_cluster:
    atexit.register(hand_on_messages)
