# What a job needs if a cluster does it: memory and time. Jobs on this machine do not ask for it.

from math import prod

from gammastack.config.image_size import BYTES_PER_PIXEL, shape_of

# Measured: Python, the packages and Snakemake take 250 MB in each process.
MB_PER_PROCESS = 500
# So that a job that takes seconds is not ended when the disk is slow
MINUTES = 2
# Pixels that a step handles in a minute, on a slow machine
PIXELS_PER_MINUTE = 1e6
# Only a field of view is in the memory of these steps.
OF_ONE_RUN = ("run_images", "run_histogram", "check_run")


def pixels_of(step_name, field):
    """Return the number of pixels of the largest image that a step has in memory."""
    n_pixels = prod(shape_of(field.image))
    if step_name in OF_ONE_RUN:
        size = 2 * field.offset_band[1] / field.image["binsz"]
        n_pixels = min(n_pixels, size**2)
    return n_pixels


def needs(step_name):
    """Return the resources of the jobs of a step, by name."""

    def mem_mb(wildcards):
        n_pixels = pixels_of(step_name, field_of(wildcards))
        return round(MB_PER_PROCESS + n_pixels * BYTES_PER_PIXEL / 1e6)

    def runtime(wildcards):
        n_pixels = pixels_of(step_name, field_of(wildcards))
        return round(MINUTES + n_pixels / PIXELS_PER_MINUTE)

    return {"mem_mb": mem_mb, "runtime": runtime}
