"""What becomes of a damaged store: the steps of the workflow, and a comparison."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gammastack.config.schema import schema
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.hdus import HDUReference
from gammastack.dl3.selection import select_observations
from gammastack.errors import InputError
from gammastack.files.run import RunFile
from gammastack.provenance.origin import Origin
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.comparison import compare_runs
from gammastack.stacking.run_table import run_table
from gammastack.stacking.stack import stack_runs
from steps.run_images import run as run_images

OUTCOMES = {
    "identical": "images and norm are those of the undamaged run, bit for bit",
    "failed": "the run is left out, with a reason that names the file",
    "dropped": "the run is left out for another reason",
    "warned": "the images differ, or the run is missing, and a warning says why",
    "silent": "the images differ, or the run is missing, and nothing is said",
    "facts": "only OBS_ID, times, pointing or zenith differ, and nothing is said",
    "refused": "an error names the index file, before any run is read",
    "exception": "any other error, or one that names no file",
    "hang": "no result in time",
    "memory": "more memory than allowed",
}
BAND = "1TeV-10TeV"
SETTINGS = {
    "energy_bands": [(BAND, (1.0, 10.0))],
    "offset_band": (0.0, 2.0),
    "spectral_index": 2.3,
    "for_integral_flux": False,
}
IMAGE = {"frame": "icrs", "projection": "TAN", "width": (4.0, 4.0), "binsz": 0.1}
FIELD = schema()["$defs"]["field"]["properties"]
NORMS = {"bkg_scale_band": FIELD["bkg_scale_band"]["default"]}
CONE = {"cone": 3.0}
# The norms of the other runs of the field, relative to that of the undamaged one: they
# scatter, as those of real runs do.
OTHERS = (0.95, 1.0, 1.05)
FACTS = ("OBS_ID", "ZENITH", "DATE-OBS", "DATE-END", "RA_PNT", "DEC_PNT")
CARDS = (*FACTS, "FILENAME", "NOTE", "WARNING")
KINDS = ("counts", "bkg", "exposure")
# Messages call the index files of a store so.
INDEX_NAMES = ("HDU index", "observation index")


@dataclass(frozen=True)
class Result:
    """Images, norm and what is said of a run.

    Attributes
    ----------
    images : dict of str to ndarray
        In the whole image, by kind.
    runs : pandas.DataFrame
        Of `run_table`, with this run alone.
    cards : dict
        Of the run file, what `CARDS` names.
    """

    images: dict
    runs: pd.DataFrame
    cards: dict

    @property
    def record(self):
        """Return the row of the run."""
        return self.runs.iloc[0]

    def warning_beside(self, other):
        """Return the warnings for the user if the field has several runs like another one."""
        others = [
            other.runs.assign(bkg_scale=factor * other.record["bkg_scale"])
            for factor in OTHERS
        ]
        field = pd.concat([self.runs, *others], ignore_index=True)
        texts = (self.cards["WARNING"], compare_runs(field)["warning"][0])
        return "; ".join(filter(None, texts))


def process(folder, source):
    """Return the `Result` of the run of a store, or None if it is not selected."""
    store = DataStore.from_dir(folder)
    selected = select_observations(store, CONE, source.center)
    # A run under another number takes the place of the one that is no longer there.
    run = [obs_id for obs_id in selected if obs_id != source.other]
    if not run:
        return None
    obs_id = source.obs_id if source.obs_id in run else run[0]
    files, references, failure = located(store, obs_id)
    geometry = ImageGeometry.create(center=source.center, **IMAGE)
    output = Path(folder) / "run_images.out"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_images(
            {"dl3": files},
            {"images": output},
            Origin(),
            obs_id=obs_id,
            hdus=references,
            failure=failure,
            index=store.index_row(obs_id),
            image={"center": source.center, **IMAGE},
            **SETTINGS,
        )
        file = RunFile(output, geometry)
        images = file.images(BAND)
        _, records = stack_runs(geometry, [images], **NORMS)
    whole = {kind: np.zeros(geometry.shape) for kind in KINDS}
    for kind, image in images.images.items():
        whole[kind][geometry.placement(images.geometry)] = image
    header = file.header(BAND)
    # One that cannot be parsed is an error.
    cards = {key: header.get(key) for key in CARDS}
    return Result(whole, run_table(records, [header], BAND), cards)


def located(store, obs_id):
    """Return files, HDUs and failure of a run, as the rules of the workflow find them."""
    try:
        hdus = store.available(obs_id)
    except InputError as error:
        return [], {}, str(error)
    files = list(dict.fromkeys(hdu.path for hdu in hdus.values()))
    references = {
        kind: HDUReference(files.index(hdu.path), hdu.hdu_name, hdu.hdu_class)
        for kind, hdu in hdus.items()
    }
    return files, references, ""


def judge(folder, source, undamaged):
    """Return the outcome for a damaged store, what is said, and the changes of the images."""
    names = [Path(path).name.removesuffix(".gz") for path in source.files]

    def is_named(text):
        return any(name in text for name in [*names, *INDEX_NAMES])

    try:
        result = process(folder, source)
    except MemoryError as error:
        return "memory", str(error), {}
    except InputError as error:
        outcome = "refused" if is_named(str(error)) else "exception"
        return outcome, str(error), {}
    except Exception as error:
        return "exception", f"{type(error).__name__}: {error}", {}
    if result is None:
        lost = dict.fromkeys(KINDS, -1.0)
        if unlisted := DataStore.from_dir(folder).unlisted():
            return "warned", f"the observation index lacks {unlisted}", lost
        return "silent", "the run is not selected", lost
    status, reason = result.record["status"], result.record["reason"]
    if status != "used":
        # The stack names the run, and its table the file.
        known = is_named(reason) or is_named(result.cards["FILENAME"] or "")
        return status if known else "exception", reason, {}
    return compared(result, undamaged)


def compared(result, undamaged):
    """Return the outcome for a run that is used, what is said, and the changes."""
    changes = {
        kind: change(result.images[kind], undamaged.images[kind]) for kind in KINDS
    }
    norm, norm_undamaged = (one.record["bkg_scale"] for one in (result, undamaged))
    changes["norm"] = norm / norm_undamaged - 1
    warning, usual = (one.warning_beside(undamaged) for one in (result, undamaged))
    is_warned = warning != usual
    facts = [
        f"{key} {result.cards[key]} for {undamaged.cards[key]}"
        for key in FACTS
        if result.cards[key] != undamaged.cards[key]
    ]
    text = warning if is_warned else result.cards["NOTE"] or ""
    if any(changes.values()):
        return "warned" if is_warned else "silent", text, changes
    if facts and not is_warned:
        return "facts", "; ".join(facts), changes
    return "identical", text, changes


def change(image, other):
    """Return the sum of the differences relative to the sum, 0 if all is the same."""
    return float(np.sum(np.abs(image - other)) / np.sum(other))
