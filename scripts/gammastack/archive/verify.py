"""Check a result: is it intact, and would a rebuild today give the same?"""

import io
import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from tokenize import TokenError

from gammastack.archive.bundle import CODE, CONFIG, INPUTS, MANIFEST, is_product
from gammastack.archive.pack import is_as_packed, read_manifest
from gammastack.archive.settings import setting_changes
from gammastack.config.fields import expand
from gammastack.config.load import parse_settings
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.selection import select_observations
from gammastack.errors import InputError
from gammastack.files.fits import parse
from gammastack.files.layout import products_at, products_of
from gammastack.provenance.origin import INTERMEDIATE, Origin, sha256_of
from gammastack.provenance.records import contradictions, history, made_by
from gammastack.provenance.software import TABLE, code_digest, software
from gammastack.remote.address import is_remote
from gammastack.words import listing

SCRIPTS = f"{CODE}/scripts"
# Larger modules, and longer lines, are not of this program; to analyse them could take long.
MAX_MODULE = 200_000
MAX_LINE = 1_000


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
    leftovers : list of str
        Products of another configuration, which are no part of the result.
    notes : list of str
        What could not be checked, and what is not a fault.
    n_files, n_recorded, n_data : int
        Numbers of files that are as the manifest of an archive says, or the records of
        results; of those in an archive that are as the records say; and of observation files
        that were found unchanged.
    manifest : str
        SHA-256 of the manifest of an archive.
    is_expected : bool
        This hash was given from elsewhere.
    """

    damage: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    affected: list = field(default_factory=list)
    leftovers: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    n_files: int = 0
    n_recorded: int = 0
    n_data: int = 0
    manifest: str = ""
    is_expected: bool = False


def verify(bundle, scripts, datastore=None, fields=None, manifest=None):
    """Check a bundle.

    Parameters
    ----------
    bundle : gammastack.archive.bundle.Bundle
    scripts : pathlib.Path
        Folder of the code that would rebuild it.
    datastore : path, optional
        Where the observations are now, if they have moved.
    fields : dict of str to gammastack.config.fields.Field, optional
        Settings for the rebuild, if they are not those of the result.
    manifest : str, optional
        SHA-256 that the manifest of the archive must have.

    Returns
    -------
    Findings

    Raises
    ------
    InputError
        If something cannot be checked.
    """
    findings = Findings()
    if bundle.is_archive:
        _check_manifest(bundle, manifest, findings)
        if findings.damage:
            return findings
    elif manifest is not None:
        raise InputError(f"{bundle.path}: no archive, only an archive has a manifest")
    activities, _ = bundle.records()
    products = bundle.last_made(activities)
    if bundle.is_archive:
        _check_recorded(bundle, activities, findings)
        if findings.damage:
            return findings
    else:
        _check_results(bundle, activities, products, findings)
    activities = history(activities, products)
    settings = None if fields is None else _settings(bundle, fields)
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


def changes(bundle, scripts, field, store, digest_of=sha256_of):
    """Return why results would be made differently, from their records alone, as lines of text.

    Parameters
    ----------
    bundle : gammastack.archive.bundle.Bundle
        Results of a field.
    scripts : pathlib.Path
        Folder of the code.
    field : gammastack.config.fields.Field
    store : gammastack.dl3.datastore.DataStore
    digest_of : callable
        Returns the SHA-256 of a file; of one on a server what stands for its content, or
        None if it is not there.
    """
    activities, _ = bundle.records()
    activities = history(activities, bundle.last_made(activities))
    reasons = Reasons()
    _check_settings(activities, field, store, reasons)
    _check_data(bundle, activities, store, None, reasons, Findings(), digest_of)
    _check_software(activities, scripts, reasons)
    return reasons.texts()


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


def _check_manifest(bundle, expected, findings):
    if bundle.path.is_file() and not is_as_packed(bundle.path):
        findings.damage.append(f"{bundle.path.name}: not as it was packed")
    if MANIFEST not in bundle.names:
        findings.damage.append(
            f"{MANIFEST}: missing; nothing can be checked without it"
        )
        return
    try:
        content = bundle.read(MANIFEST)
        manifest = read_manifest(content)
    except InputError as error:
        findings.damage.append(str(error))
        return
    findings.manifest = sha256(content).hexdigest()
    findings.is_expected = findings.manifest == expected
    if expected and not findings.is_expected:
        findings.damage.append(
            f"{MANIFEST}: its SHA-256 is {findings.manifest}, not {expected}: this is"
            " another archive, or it was altered"
        )
        return
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


def _check_recorded(bundle, activities, findings):
    """Compare products, inputs and code of an archive with what its records say.

    Whoever alters a file can write the manifest anew.
    """
    made = made_by(activities)
    read = {file["sha256"] for activity in activities for file in activity["input"]}
    products = {bundle.product(url): made[url] for url in made if is_product(url)}
    inputs = [name for name in bundle.names if name.startswith(f"{INPUTS}/")]
    checks = {name: sha256(bundle.read(name)).hexdigest() in read for name in inputs}
    for name in bundle.names:
        if name.startswith(bundle.product("")) or name in products:
            digest = sha256(bundle.read(name)).hexdigest()
            checks[name] = digest == products.get(name)
    checks |= dict.fromkeys(products.keys() - {*bundle.names}, False)
    # Each run has a record, with the same modules.
    digest_of = cache(partial(_code_digest, bundle))
    for activity in activities:
        for module, digest in activity["software"]["modules"].items():
            # The hash of the table is one of the lines that concern a step.
            if module != TABLE:
                name = f"{SCRIPTS}/{module}"
                is_same = digest == digest_of(name)
                checks[name] = checks.get(name, True) and is_same
    findings.damage += [
        f"{name}: not what the records say, which tell how the products were made"
        for name, is_same in sorted(checks.items())
        if not is_same
    ]
    findings.n_recorded = len(checks)


def _check_results(bundle, activities, products, findings):
    """Compare results with what the records say of them."""
    made = made_by(activities)
    names, wanted = set(bundle.names), set(products)
    left_over = {name for name in bundle.products() if name not in wanted}
    checked = {url for url in made if url in wanted or url in names} - left_over
    _check_content(bundle, {url: made[url] for url in checked}, findings)
    # The record of what a failed job has removed says that it failed
    findings.damage += [
        f"{name}: missing" for name in sorted(wanted - made.keys() - names)
    ]
    findings.leftovers += sorted(left_over)
    for name in sorted({*bundle.products(), *bundle.unknown()} - left_over):
        if name not in made:
            text = "no part of the result, no record says what made it"
            findings.notes.append(f"{name}: {text}")
    gone = [url for url in made if url not in names and not is_product(url)]
    if gone:
        findings.notes.append(
            f"images of runs or groups that are not there any more: {listing(gone)}"
        )


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
        # A damaged file can cause any error; most of them have been reported.
        except Exception as error:
            if not any(text.startswith(f"{name}: ") for text in findings.damage):
                findings.damage.append(f"{name}: no product of gammastack ({error})")
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


def _code_digest(bundle, name):
    """Return the hash of a module in a bundle; None if it is no Python code."""
    content = bundle.read(name) if name in bundle.names else None
    if content is None or len(content) > MAX_MODULE:
        return None
    try:
        text = io.StringIO(content.decode(), newline=None).read()
        is_long = any(len(line) > MAX_LINE for line in text.split("\n"))
        return None if is_long else code_digest(text)
    except (UnicodeDecodeError, SyntaxError, TokenError):
        return None


def _store(bundle, datastore, settings):
    """Return the datastore, or the reason why there is none."""
    if datastore is None and settings is not None:
        datastore = settings.datastore
    if datastore is None and bundle.is_archive:
        datastore = _archived_field(bundle)[1].get("datastore")
        if datastore is None:
            return None, "they were simulated; a rebuild simulates them again."
    if datastore is None:
        return None, "give the folder with --datastore."
    try:
        return DataStore.from_dir(expand(str(datastore), "datastore")), None
    except (InputError, OSError, ValueError) as error:
        return None, f"{error} Or give the folder with --datastore."


def _archived_field(bundle):
    """Return name and settings of the field of an archive."""
    config = parse_settings(bundle.read(CONFIG), f"{bundle.path}: {CONFIG}")
    fields = config.get("fields")
    if isinstance(fields, dict) and len(fields) == 1:
        ((name, own),) = fields.items()
        if isinstance(own, dict):
            return name, {**config, **own}
    raise InputError(
        f"{bundle.path}: {CONFIG} has not one field with its settings, as the configuration"
        " of an archive has; take another copy of the archive"
    )


def _settings(bundle, fields):
    """Return the settings of the field of a bundle."""
    if bundle.is_archive:
        name, _ = _archived_field(bundle)
    else:
        name = bundle.path.resolve().name
    if name not in fields:
        raise InputError(f"{name}: the configuration has no field of this name")
    return fields[name]


@contextmanager
def _named(activity):
    """Turn any error in what only some activities record into one that names the record."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{activity['record']}: damaged record ({type(error).__name__}: {error});"
            " restore the file"
        ) from error


def _check_data(
    bundle, activities, store, why_not, reasons, findings, digest_of=sha256_of
):
    """Compare the observations, and the files of exclusions, with those that were read."""
    missing, data = set(), set()
    digest_of = cache(digest_of)
    for activity in activities:
        with _named(activity):
            is_of_run = _is_of_run(activity)
            run = f"run {activity['config']['obs_id']}: " if is_of_run else ""
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
                elif path is None or (digest := digest_of(path)) is None:
                    reasons.add(activity, f"{run}{name}: not there any more")
                elif digest == file.get("version" if is_remote(path) else "sha256"):
                    data.add(path)
                elif is_remote(path) and "version" not in file:
                    reasons.add(activity, f"{run}{name}: is on a server now")
                else:
                    reasons.add(activity, f"{run}{name}: has another content now")
    findings.n_data = len(data)
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
        if paths and is_remote(paths[0]):
            return paths[0]
    return next((path for path in paths if Path(path).is_file()), None)


def _check_software(activities, scripts, reasons):
    for activity in activities:
        with _named(activity):
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
    of_runs, n_selected = [], None
    if store is not None:
        center = settings.image["center"]
        selected = set(select_observations(store, settings.observations, center))
        of_runs, n_selected = list(_changes_of_runs(used, selected)), len(selected)
    for activity in activities:
        with _named(activity):
            then = dict(activity["config"])
            if "energy_bands" in then:
                # The bands are stored as pairs, or as a dictionary.
                then["energy_bands"] = dict(then["energy_bands"])
            for key in sorted(then.keys() & now.keys()):
                for text in setting_changes(key, then[key], now[key]):
                    reasons.add(activity, text)
            if activity["activity_name"].startswith("stack_group"):
                for text in of_runs:
                    reasons.add(activity, text)
            if "max_failed" in then and n_selected is not None:
                old, new = then["max_failed"], settings.allowed_failures(n_selected)
                for text in setting_changes("max_bad_runs", old, new):
                    reasons.add(activity, text)
            for url in _not_made_any_more(activity, settings):
                reasons.add(activity, f"{url} is not made with these settings")
            # The search for sources has the first radius.
            if "radius" in then:
                old, new = {"": then["radius"]}, {"": now["radii"][""]}
                for text in setting_changes("radii", old, new):
                    reasons.add(activity, f"search for sources: {text}")


def _not_made_any_more(activity, settings):
    """Yield what an activity made and its step would not make with other settings."""
    step = activity["activity_name"]
    wanted = {product.name for product in products_of(settings) if product.step == step}
    for file in activity["output"]:
        if not any(product.name in wanted for product in products_at(file["url"])):
            yield file["url"]


def _changes_of_runs(used, selected):
    for verb, obs_ids in (("added", selected - used), ("removed", used - selected)):
        if obs_ids:
            runs = "run" if len(obs_ids) == 1 else "runs"
            yield f"{runs} {listing(sorted(obs_ids))} {verb}"


def _is_of_run(activity):
    return isinstance(activity["config"].get("obs_id"), int)


def _what_is_proven(findings):
    """Say what it means that the files of an archive fit together."""
    if findings.is_expected:
        return [f"It is the archive whose manifest was expected: {findings.manifest}"]
    return [
        "Not proven: who made it. Whoever can write all of these files can make them fit.",
        "Keep the SHA-256 of the manifest elsewhere, to give it as --manifest-sha256:"
        f" {findings.manifest}",
    ]


def _of_another_configuration(names):
    """Yield a title, and a line with all names for each folder."""
    if names:
        yield "of another configuration, no part of the result; delete if not needed:"
    for folder, files in groupby(names, key=lambda name: name.rpartition("/")[0]):
        yield f"  {folder or '.'}: {', '.join(Path(name).name for name in files)}"


def report(findings):
    """Return lines of text for the findings, and the exit code of the command.

    Returns
    -------
    lines : list of str
    code : int
        0 intact, and a rebuild would give the same; 1 damaged; 3 intact, but a rebuild would
        differ.
    """
    lines = [*_of_another_configuration(findings.leftovers), *findings.notes]
    if findings.damage:
        n_faults = len(findings.damage)
        faults = f"{n_faults} fault{'s' if n_faults > 1 else ''}"
        return [*lines, *findings.damage, f"DAMAGED: {faults}, do not use it."], 1
    intact = f"{findings.n_files} files as the records beside them say"
    if findings.manifest:
        intact = (
            f"{findings.n_files} files as the manifest says, {findings.n_recorded} of"
            " them (products, code, inputs) as the records say"
        )
        lines += _what_is_proven(findings)
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
