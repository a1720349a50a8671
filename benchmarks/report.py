"""The report of a comparison as Markdown."""

import os
from collections import Counter, defaultdict
from statistics import median

from checks import needless_jobs

COLD = "gammastack, cold"
NOTHING = "gammastack, nothing to do"
CHANGED = "gammastack, one run changed"
FLOOR = "floor: the same steps without Snakemake"
GAMMAPY_2 = "gammapy, 2 jobs, oversampling 20"
GAMMAPY_1 = "gammapy, 1 job, oversampling 20"
GAMMAPY_2_DEFAULT = "gammapy, 2 jobs, default"
GAMMAPY_1_DEFAULT = "gammapy, 1 job, default"
GAMMAPY_FIELD = "gammapy, only the field of the changed run, 2 jobs, oversampling 20"

# Slower, faster, aim
RATIOS = [
    (GAMMAPY_2, COLD, ">= 5"),
    (GAMMAPY_2_DEFAULT, COLD, ">= 5"),
    (COLD, FLOOR, "<= 2"),
    (GAMMAPY_2, CHANGED, ">= 15"),
    (GAMMAPY_2_DEFAULT, CHANGED, ">= 15"),
    (GAMMAPY_1, CHANGED, ">= 15"),
    (GAMMAPY_1_DEFAULT, CHANGED, ">= 15"),
    (GAMMAPY_FIELD, CHANGED, ">= 4"),
]


def text(benchmark):
    """The whole report.

    Parameters
    ----------
    benchmark : compare.Benchmark
    """
    n_runs = sum(len(field["obs_ids"]) for field in benchmark.fields.values())
    parts = [
        f"{n_runs} runs in {len(benchmark.fields)} fields, gammastack with"
        f" {benchmark.cores} cores, on {os.cpu_count()} CPUs.",
        measurements(benchmark.measurements),
        ratios(benchmark.measurements),
        breakdown(benchmark.recordings, benchmark.cores, benchmark.measurements),
        steps(benchmark.recordings),
        changed_jobs(benchmark.changed_jobs, *benchmark.changed),
        differing_files(benchmark.differing_files),
        image_differences(benchmark.image_differences),
    ]
    if benchmark.image_differences:
        parts.append(failures(benchmark.failures))
    return "\n\n".join(parts)


def table(columns, rows):
    """Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def seconds(measured):
    """Median wall time."""
    return median(one.seconds for one in measured)


def measurements(measured):
    """Times and memory by the name of the measurement."""
    columns = ["", "median s", "min-max s", "peak MB, one process", "peak MB, all"]
    rows = []
    for name, values in measured.items():
        times = [one.seconds for one in values]
        rows.append(
            [
                name,
                f"{median(times):.2f}",
                f"{min(times):.2f}-{max(times):.2f}",
                f"{max(one.process_mb for one in values):.0f}",
                f"{max(one.tree_mb for one in values):.0f}",
            ]
        )
    return table(columns, rows)


def ratios(measured):
    """Ratios of the medians, and what they should be."""
    rows = [
        [
            f"{slow} / {fast}",
            f"{seconds(measured[slow]) / seconds(measured[fast]):.1f}",
            aim,
        ]
        for slow, fast, aim in RATIOS
        if slow in measured and fast in measured
    ]
    return table(["ratio of the medians", "", "aim"], rows)


def breakdown(recordings, cores, measured):
    """Where the time of a cold run goes; medians."""
    parts = defaultdict(list)
    n_steps = len(recordings[0][1])
    for measurement, calls in recordings:
        first = min(call["start"] for call in calls)
        last = max(call["end"] for call in calls)
        work = sum(call["end"] - call["start"] for call in calls)
        for name, value in [
            ("start of Snakemake, DAG, start of the pool", first - measurement.start),
            ("from the first step to the end of the last", last - first),
            ("after the last step", measurement.start + measurement.seconds - last),
            ("all", measurement.seconds),
            ("work in steps, sum of CPU times", sum(call["cpu"] for call in calls)),
            ("work in steps, sum of wall times", work),
            (
                "per step: cores idle between the first step and the last",
                (cores * (last - first) - work) / n_steps,
            ),
        ]:
            parts[name].append(value)
    rows = [[name, f"{median(values):.3g}"] for name, values in parts.items()]
    surplus = (seconds(measured[COLD]) - seconds(measured[FLOOR])) / n_steps
    rows.append(["per step: (cold - floor) / steps", f"{surplus:.3g}"])
    return table([f"cold run with recorded calls, {n_steps} steps", "median s"], rows)


def steps(recordings):
    """Time per step of the last recorded run."""
    _, calls = recordings[-1]
    times = defaultdict(list)
    for call in calls:
        times[call["step"]].append(call)
    rows = [
        [
            step,
            len(of_step),
            f"{sum(call['end'] - call['start'] for call in of_step):.2f}",
            f"{sum(call['cpu'] for call in of_step):.2f}",
        ]
        for step, of_step in times.items()
    ]
    return table(["step", "calls", "wall s", "CPU s"], rows)


def changed_jobs(jobs, field, obs_id):
    """What ran after one event file was replaced."""
    lines = [
        f"- {rule} {' '.join(f'{key}={value}' for key, value in values.items())}"
        for rule, values in jobs
    ]
    needless = needless_jobs(jobs, field, obs_id)
    verdict = "none needless" if not needless else f"NEEDLESS: {needless}"
    count = Counter(rule for rule, _ in jobs)["run_images"]
    return "\n".join(
        [
            f"Jobs after the events of run {obs_id} of {field} were replaced"
            f" ({len(jobs)}, {count} of them run_images; {verdict}):",
            "",
            *lines,
        ]
    )


def differing_files(names):
    """Whether the floor made the same files."""
    if names:
        return f"Files of the floor that differ from gammastack's: {', '.join(names)}"
    return "The floor's FITS files are those of gammastack, byte by byte."


def image_differences(found):
    """Largest differences of gammapy's images from gammastack's."""
    if not found:
        return "gammapy was not measured."
    kinds = next(iter(found.values()))
    rows = [
        [name, *(f"{value:.2g}" for value in values.values())]
        for name, values in found.items()
    ]
    heading = "largest difference of any field from gammastack's images"
    return table([heading, *kinds], rows)


def failures(found):
    """How often gammapy died, and of what."""
    if not found:
        return "gammapy never died."
    lines = [
        f"- {name}, {count} times: {error}"
        for (name, error), count in Counter(found).items()
    ]
    return "\n".join(["gammapy died, and was started again:", "", *lines])
