"""Checks that what was measured did the same work, and no more than it had to."""

import filecmp
import re

import numpy as np
from astropy.io import fits


def last_jobs(project):
    """Jobs of the last invocation of Snakemake in a folder, from its log.

    Returns
    -------
    list of (str, dict)
        Rule and wildcards.
    """
    log = max((project / ".snakemake" / "log").glob("*.log"))
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", log.read_text(), re.M)
    return [
        (rule, dict(re.findall(r"(\w+)=([^,\s]+)", wildcards(text))))
        for rule, text in jobs
    ]


def wildcards(description):
    """The line of wildcards in what Snakemake writes of a job."""
    found = re.search(r"^    wildcards: (.*)$", description, re.M)
    return found[1] if found else ""


def needless_jobs(jobs, field, obs_id):
    """Jobs that a change in one run of one field does not ask for."""
    own = {"field": field, "obs_id": str(obs_id)}
    return [
        (rule, values)
        for rule, values in jobs
        if any(values.get(key, value) != value for key, value in own.items())
        or (not values and rule not in ("summary", "all"))
    ]


def differing_files(results, others):
    """FITS files below `results` that are missing below `others` or differ in a byte."""
    names = [str(path.relative_to(results)) for path in results.rglob("*.fits")]
    _, differ, missing = filecmp.cmpfiles(results, others, names, shallow=False)
    return [*differ, *missing]


def image_differences(results, others, fields):
    """Largest differences between the images of gammastack and of gammapy over all fields.

    Parameters
    ----------
    results, others : pathlib.Path
        Folders with ``<field>/<band>/<kind>.fits`` and with ``<field>/<kind>.fits``.
    fields : dict
        See `workload.fields_of`.

    Returns
    -------
    dict of str to float
    """
    found = [
        differences(results / name / field["band"], others / name)
        for name, field in fields.items()
    ]
    return {key: max(one[key] for one in found) for key in found[0]}


def differences(ours, theirs):
    """Differences between the images of one field."""
    images = {
        kind: [
            fits.getdata(folder / f"{kind}.fits").astype(float)
            for folder in (ours, theirs)
        ]
        for kind in ("counts", "bkg", "exposure", "significance")
    }
    n, m = (image.sum() for image in images["counts"])
    sums = [image.sum() for image in images["bkg"]]
    exposure, other = (image[image > 0] for image in images["exposure"])
    s, t = images["significance"]
    both = np.isfinite(s) & np.isfinite(t)
    return {
        "counts, sum": abs(n - m),
        "bkg, relative in the sum": abs(sums[1] / sums[0] - 1),
        "exposure, relative in the mean": abs(other.mean() / exposure.mean() - 1),
        "significance, 99 % of the pixels": np.percentile(abs(s - t)[both], 99),
        "significance, peak": abs(s[both].max() - t[both].max()),
    }
