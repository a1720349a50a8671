"""Check a result: is it intact, and would a rebuild today give the same?"""

import json
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

import yaml

from gammastack.archive.bundle import CODE, CONFIG, MANIFEST, is_product
from gammastack.archive.pack import is_as_packed, read_manifest
from gammastack.config.fields import expand
from gammastack.dl3.datastore import DataStore, listing
from gammastack.dl3.selection import select_observations
from gammastack.errors import InputError
from gammastack.files.fits import parse
from gammastack.provenance.origin import INTERMEDIATE, Origin, sha256_of
from gammastack.provenance.records import contradictions, history
from gammastack.provenance.software import software


@dataclass
class Findings:
    """Findings of a check, as lines of text.

    Attributes
    ----------
    damage : list of str
        Files that are no longer as they were made.
    changes : list of str
        Why a rebuild would differ.
    affected : list of str
        The products that would differ.
    notes : list of str
        What could not be checked, and what is not a fault.
    n_files, n_data : int
        Numbers of result files and of observation files that were found unchanged.
    """

    damage: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    affected: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    n_files: int = 0
    n_data: int = 0


def verify(bundle, scripts, datastore=None, settings=None):
    """Check a bundle.

    Parameters
    ----------
    bundle : gammastack.archive.bundle.Bundle
    scripts : pathlib.Path
        Folder of the code that would rebuild it.
    datastore : path, optional
        Where the observations are now, if they have moved.
    settings : gammastack.config.fields.Field, optional
        Settings for the rebuild, if they are not those of the result.

    Returns
    -------
    Findings
    """
    findings = Findings()
    if bundle.is_archive:
        _check_manifest(bundle, findings)
        if findings.damage:
            return findings
    activities, _ = bundle.records()
    products = _products(bundle, activities)
    if not bundle.is_archive:
        _check_results(bundle, activities, products, findings)
    activities = history(activities, products)
    store, why_not = _store(bundle, datastore, settings)
    reasons = Reasons()
    _check_origins(bundle, activities, products, reasons, findings)
    _check_data(bundle, activities, store, why_not, reasons, findings)
    _check_software(activities, scripts, reasons)
    if settings is not None:
        _check_settings(activities, settings, store, reasons)
    findings.changes += reasons.texts()
    findings.affected = reasons.affected(activities, products)
    return findings


class Reasons:
    """Reasons why activities would now make something different."""

    def __init__(self):
        self._of = {}

    def add(self, activity, text):
        """Note a reason for an activity."""
        self._of.setdefault(text, set()).add(activity["activity_uuid"])

    def texts(self):
        """Return all reasons, each once, in the order in which they were found."""
        return list(self._of)

    def affected(self, activities, products):
        """Return the products that the changes affect; the activities must be in order."""
        changed, urls = set().union(*self._of.values()), set()
        for activity in activities:
            inputs = {file["url"] for file in activity["input"]}
            if activity["activity_uuid"] in changed or inputs & urls:
                urls |= {file["url"] for file in activity["output"]}
        return [name for name in products if name in urls]


def _check_manifest(bundle, findings):
    if bundle.path.is_file() and not is_as_packed(bundle.path):
        findings.damage.append(f"{bundle.path.name}: not as it was packed")
    if MANIFEST not in bundle.names:
        findings.damage.append(
            f"{MANIFEST}: missing; nothing can be checked without it"
        )
        return
    manifest = read_manifest(bundle.read(MANIFEST).decode())
    if bundle.path.is_dir():
        _note_new_config(bundle, manifest, findings)
    _check_content(bundle, manifest, findings)
    for name in bundle.names:
        if name in manifest or name == MANIFEST:
            continue
        # A previous rebuild may have put the data there.
        is_note = bundle.path.is_dir() and name.startswith(f"{CODE}/")
        found = findings.notes if is_note else findings.damage
        found.append(f"{name}: added, the archive was made without it")


def _note_new_config(bundle, manifest, findings):
    """Note that a rebuild elsewhere may need the place of the data."""
    if CONFIG in bundle.names and CONFIG in manifest:
        digest = sha256(bundle.read(CONFIG)).hexdigest()
        if digest != manifest[CONFIG]:
            manifest[CONFIG] = digest
            findings.notes.append(f"{CONFIG}: edited after it was unpacked")


def _check_results(bundle, activities, products, findings):
    """Compare results with what the records say of them."""
    made = {
        file["url"]: file["sha256"]
        for activity in activities
        for file in activity["output"]
    }
    names, wanted = set(bundle.names), set(products)
    left_over = {name for name in bundle.products() if name not in wanted}
    checked = {url for url in made if url in wanted or url in names} - left_over
    _check_content(bundle, {url: made[url] for url in checked}, findings)
    # The record of what a failed job has removed says that it failed
    findings.damage += [
        f"{name}: missing" for name in sorted(wanted - made.keys() - names)
    ]
    for name in sorted([*bundle.products(), *bundle.unknown()]):
        if name not in made:
            text = "no part of the result, no record says what made it"
            findings.notes.append(f"{name}: {text}")
        elif name in left_over:
            text = "no part of the result, it was made with another configuration"
            findings.notes.append(f"{name}: {text}")
    gone = [url for url in made if url not in names and not is_product(url)]
    if gone:
        findings.notes.append(
            f"images of runs or groups that are not there any more: {listing(gone)}"
        )


def _products(bundle, activities):
    """Final products when all of them were last made, or those that are there."""
    recorded = [
        file["url"]
        for activity in activities
        if activity["activity_name"] == "provenance"
        for file in activity["input"]
        if file["role"] == "products"
    ]
    return sorted(recorded) if recorded and not bundle.is_archive else bundle.products()


def _check_origins(bundle, activities, products, reasons, findings):
    """Demand a record of each observation and each intermediate file."""
    for activity, text in contradictions(activities):
        reasons.add(activity, text)
    known = {
        (Path(file["url"]).name, file["sha256"])
        for activity in activities
        for file in activity["input"]
    }
    unknown = set()
    names = set(bundle.names)
    for name in products:
        if not name.endswith(".fits") or bundle.product(name) not in names:
            continue
        try:
            origin = Origin.from_hdu(parse(bundle.read(bundle.product(name)))["INPUTS"])
        # Files that are not products of this pipeline have been reported above.
        except (KeyError, ValueError):
            continue
        data = [row for row in origin.inputs if row[0] != INTERMEDIATE]
        unknown |= {row[1:3] for row in data if row[2:] not in known}
    for obs_id, name in sorted(unknown):
        findings.changes.append(f"run {obs_id}: no record of how {name} was used")


def _check_content(bundle, digests, findings):
    names = set(bundle.names)
    for name, expected in sorted(digests.items()):
        if name not in names:
            findings.damage.append(f"{name}: missing")
            continue
        try:
            found = sha256(bundle.read(name)).hexdigest()
        except InputError as error:
            findings.damage.append(str(error))
            continue
        if found == expected:
            findings.n_files += 1
        else:
            findings.damage.append(f"{name}: its content is not what was written")


def _store(bundle, datastore, settings):
    """Return the datastore, or the reason why there is none."""
    if datastore is None and settings is not None:
        datastore = settings.datastore
    if datastore is None and bundle.is_archive:
        config = archived_config(bundle)
        (own,) = config["fields"].values()
        datastore = own.get("datastore", config.get("datastore"))
        if datastore is None:
            return None, "they were simulated; a rebuild simulates them again."
    if datastore is None:
        return None, "give the folder with --datastore."
    try:
        return DataStore.from_dir(expand(str(datastore), "datastore")), None
    except InputError as error:
        return None, f"{error} Or give the folder with --datastore."


def archived_config(bundle):
    """Return the configuration in an archive."""
    try:
        return yaml.safe_load(bundle.read(CONFIG))
    except yaml.YAMLError as error:
        raise InputError(f"{bundle.path}: {CONFIG} cannot be read ({error})") from error


def _check_data(bundle, activities, store, why_not, reasons, findings):
    """Compare the observations, and the files of exclusions, with those that were read."""
    missing = set()
    digest_of = cache(sha256_of)
    for activity in activities:
        is_of_run = _is_of_run(activity)
        if is_of_run and store is not None:
            _check_index(activity, store, reasons)
        for file in activity["input"]:
            # An archive contains the files of its exclusions.
            of_store = is_of_run and file["role"] != "exclusion"
            if file["kind"] != "data" or (bundle.is_archive and not of_store):
                continue
            name = Path(file["url"]).name
            path = _find(file, activity, store if of_store else None)
            if path is None and why_not:
                missing.add(name)
            elif path is None:
                reasons.add(activity, f"{name}: not there any more")
            elif digest_of(path) == file["sha256"]:
                findings.n_data += 1
            else:
                reasons.add(activity, f"{name}: has another content now")
    if missing:
        findings.notes.append(
            f"not checked, {listing(sorted(missing))}, of which it was made: {why_not}"
        )


def _check_index(activity, store, reasons):
    config = activity["config"]
    obs_id, then = config["obs_id"], {k: v[1:] for k, v in config["hdus"].items()}
    try:
        hdus = store.hdus(obs_id, tuple(then))
        now = {kind: [hdu.hdu_name, hdu.hdu_class] for kind, hdu in hdus.items()}
        row = store.index_row(obs_id)
        is_same = now == then and config.get("index", row) == row
    except (InputError, KeyError):
        reasons.add(activity, f"run {obs_id}: not in the index of the datastore")
        return
    if not is_same:
        reasons.add(activity, f"run {obs_id}: the index of the datastore has changed")


def _find(file, activity, store):
    """Return where an input file is now; None if it is not found."""
    paths = [file["url"]]
    if store is not None:
        config = activity["config"]
        try:
            located = store.hdus(config["obs_id"], tuple(config["hdus"])).values()
        except InputError:
            return None
        name = Path(file["url"]).name
        paths = [hdu.path for hdu in located if Path(hdu.path).name == name]
    return next((path for path in paths if Path(path).is_file()), None)


def _check_software(activities, scripts, reasons):
    for activity in activities:
        step, then = activity["activity_name"], activity["software"]
        try:
            now = software(f"steps.{step}", scripts)
        except ImportError:
            reasons.add(activity, f"code: there is no step {step} any more")
            continue
        for module in _differences(then["modules"], now["modules"]):
            reasons.add(activity, f"code: {module} has changed")
        for name in _differences(then["packages"], now["packages"]):
            versions = (part["packages"].get(name, "none") for part in (then, now))
            reasons.add(activity, f"package: {name} {' -> '.join(versions)}")


def _differences(then, now):
    return sorted(key for key in then | now if then.get(key) != now.get(key))


def _check_settings(activities, settings, store, reasons):
    """Compare the settings, and the selection of runs, with those of the activities."""
    # The records hold the settings as JSON.
    now = json.loads(json.dumps(asdict(settings)))
    now |= now["acceptance"] or {}
    used = {
        activity["config"]["obs_id"] for activity in activities if _is_of_run(activity)
    }
    changes = _changes_of_runs(used, settings, store)
    for activity in activities:
        then = dict(activity["config"])
        if "energy_bands" in then:
            # The bands are stored as pairs, or as a dictionary.
            then["energy_bands"] = dict(then["energy_bands"])
        for key in sorted(then.keys() & now.keys()):
            if then[key] != now[key]:
                text = f"configuration: {key}: {then[key]} -> {now[key]}"
                reasons.add(activity, text)
        if activity["activity_name"].startswith("stack_group"):
            for text in changes:
                reasons.add(activity, text)
        if "radius" in then and now["radii"].get(then["suffix"]) != then["radius"]:
            name = Path(activity["output"][0]["url"]).name
            reasons.add(activity, f"configuration: radius of {name}")


def _changes_of_runs(used, settings, store):
    if store is None:
        return
    center = settings.image["center"]
    selected = set(select_observations(store, settings.observations, center))
    for verb, obs_ids in (("added", selected - used), ("removed", used - selected)):
        if obs_ids:
            yield f"selection: runs {verb}: {listing(sorted(obs_ids))}"


def _is_of_run(activity):
    return "obs_id" in activity["config"]


def report(findings):
    """Return lines of text for the findings, and the exit code of the command.

    Returns
    -------
    lines : list of str
    code : int
        0 intact, and a rebuild would give the same; 1 damaged; 3 intact, but a rebuild would
        differ.
    """
    lines = [*findings.notes]
    if findings.damage:
        lines += findings.damage
        return [*lines, f"DAMAGED: {len(findings.damage)} faults, do not use it."], 1
    intact = f"{findings.n_files} files as they were made"
    if findings.n_data:
        intact += f", {findings.n_data} input files as they were read"
    if not findings.changes:
        if any(note.startswith("not checked") for note in findings.notes):
            return [*lines, f"OK as far as it was checked: {intact}."], 0
        return [*lines, f"OK: {intact}; a rebuild would make the same."], 0
    lines += findings.changes
    if findings.affected:
        lines.append(f"would be recomputed: {listing(findings.affected)}")
    return [*lines, f"INTACT, but out of date: {intact}, but see above."], 3
