# Which runs a field has, where their files are, and how they are divided.

from gammastack.dl3.datastore import DataStore
from gammastack.dl3.remote_store import open_store
from gammastack.words import counted, listing
from gammastack.dl3.hdus import (
    HDU_CLASSES,
    HDU_INDEX,
    OBS_INDEX,
    HDUReference,
    hdu_types,
)
from gammastack.dl3.selection import bins_of_zenith, excluded_runs, select_observations
from gammastack.failures import too_many_failures
from gammastack.remote.server import RemoteError
from gammastack.stacking.groups import stable_groups

# What the headers of DL3 files say, if a store has no index
DL3_HEADERS = Path(".snakemake/dl3_headers.json")


@cache
def datastore(folder):
    if settings.simulation:
        # The store is made by this workflow: its index is known beforehand
        from gammastack.dl3.simulate import simulated_index

        index = simulated_index(**settings.simulation)
        index = dict(zip((OBS_INDEX, HDU_INDEX), index))
        return DataStore(Path(folder), index, is_planned=True)
    store = refuse_clearly(open_store, folder, remote_files, DL3_HEADERS)
    if store.note and is_main_process:
        # The standard output may be read by a program, such as that of --dag.
        print(store.note, file=sys.stderr)
    return store


@cache
def selected_runs(name):
    """Return the OBS_IDs of the runs of a field."""
    field = settings.fields[name]
    center = field.image["center"]
    return refuse_clearly(
        select_observations,
        datastore(field.datastore),
        field.observations,
        center,
        where=f"fields: {name}: ",
    )


@cache
def excluded(name):
    """Return the OBS_IDs that the user has excluded from a field."""
    field = settings.fields[name]
    center = field.image["center"]
    return refuse_clearly(
        excluded_runs,
        datastore(field.datastore),
        field.observations,
        center,
        where=f"fields: {name}: ",
    )


def check_observations():
    """Refuse a bad selection, or too many runs that cannot be read, before any job starts."""
    for folder in dict.fromkeys(field.datastore for field in settings.fields.values()):
        if unlisted := datastore(folder).unlisted():
            warnings.append(
                f"datastore: '{folder}': the HDU index has {counted(len(unlisted), 'run')}"
                f" that the observation index lacks; not used: {listing(unlisted)}"
            )
    for name, field in settings.fields.items():
        failures = {
            obs_id: located(name, obs_id).failure for obs_id in selected_runs(name)
        }
        failures = {obs_id: reason for obs_id, reason in failures.items() if reason}
        if len(failures) > allowed_failures(name):
            text = too_many_failures(failures, len(selected_runs(name)))
            raise Error(f"{name}: {text}")
        if field.has_acceptance:
            zenith_bins(name)
    if untagged := dict.fromkeys(remote_files.untagged):
        warnings.append(
            f"datastore: the server gives neither ETag nor Last-Modified of"
            f" {counted(len(untagged), 'file')}, as of {next(iter(untagged))}: a copy in the"
            " cache is used as long as the size stays the same, see datastore_cache"
        )


def without_exposure(field):
    """Return whether a field has only maps that need no exposure, because the store has none.

    Effective areas behind a directional cut count as none if the background needs no
    response either.
    """
    if settings.simulation or not field.has_background:
        return False
    store, runs = datastore(field.datastore), selected_runs(field.name)
    if field.has_acceptance:
        # Importing the reader is slow, and most configurations do not need it here.
        from gammastack.dl3.coverage import has_effective_areas

        return not has_effective_areas(store, runs)
    return not any(store.lists(obs_id, "aeff") for obs_id in runs)


for field in settings.fields.values():
    if without_exposure(field):
        settings.fields[field.name] = replace(field, has_exposure=False)
        if is_main_process:
            print(
                f"{field.name}: '{field.datastore}' has no effective areas for a whole"
                " field of view: no exposure, livetime and flux are made",
                file=sys.stderr,
            )


for field in settings.fields.values():
    store, runs = datastore(field.datastore), selected_runs(field.name)
    if field.has_flux_point and not any(store.lists(obs_id, "psf") for obs_id in runs):
        settings.fields[field.name] = replace(field, flux_point=False)


def responses_in_store(field):
    """Return which of the responses that only datasets need any run of a field has."""
    store, runs = datastore(field.datastore), selected_runs(field.name)
    return tuple(
        kind
        for kind in field.dataset_responses
        if any(store.lists(obs_id, kind) for obs_id in runs)
    )


for field in settings.fields.values():
    if field.has_dataset:
        if not field.has_exposure:
            raise Error(
                f"fields: {field.name}: dataset: '{field.datastore}' has no effective areas"
                " for a whole field of view, which a dataset needs"
            )
        found = responses_in_store(field)
        if is_main_process and found != field.dataset_responses:
            print(
                f"{field.name}: '{field.datastore}' has no"
                f" {' and no '.join({*field.dataset_responses} - {*found})}: the dataset has"
                " none",
                file=sys.stderr,
            )
        settings.fields[field.name] = replace(field, dataset_responses=found)


def wanted_energies(field):
    """Return which energies the responses of a field are to cover, as `check_coverage` needs it."""
    bands = [
        (("aeff", "bkg", "psf"), band, "energy_bands")
        for band in field.energy_bands.values()
    ]
    if not field.has_dataset:
        return bands
    axes = field.dataset["axes"]
    key, energy, true = "dataset: energy", axes["energy"], axes["energy_true"]
    return [
        *bands,
        (("bkg",), (energy[0], energy[-1]), key),
        (("aeff", "psf", "edisp"), (true[0], true[-1]), f"{key}_true"),
    ]


def check_coverage():
    """Refuse settings that the responses of no run cover, before their images are made."""
    from gammastack.dl3.coverage import require_covered

    fields = {
        (
            field.datastore,
            field.responses_in_use,
            tuple(wanted_energies(field)),
            field.offset_band[1],
        ): name
        for name, field in settings.fields.items()
    }
    # Fields with the same settings are not all tested: that takes seconds.
    for (folder, responses, wanted, offset_max), name in fields.items():
        try:
            require_covered(
                datastore(folder), selected_runs(name), responses, wanted, offset_max
            )
        except InputError as error:
            raise Error(f"{name}: {error}") from None


def allowed_failures(name):
    """Return how many runs of a field may fail."""
    return settings.fields[name].allowed_failures(len(selected_runs(name)))


def check_results():
    """Refuse results with a folder for each run, as earlier versions made them."""
    for name in settings.fields:
        folder = f"{RESULTS}/{name}/runs"
        if any(Path(folder).glob("*/record.json")):
            raise Error(
                f"{folder} holds results of an earlier version of gammastack, with a"
                f" folder for each run: delete {RESULTS}/{name}, or give another results"
                " folder with --config results=FOLDER"
            )


@cache
def groups(name):
    """Return the runs of the field in stable groups."""
    field, runs = settings.fields[name], selected_runs(name)
    pointings = datastore(field.datastore).pointings(runs)
    return stable_groups(runs, *pointings, binsz=field.image["binsz"])


def group_runs(wildcards):
    """Return the runs of a group, in the order of OBS_ID."""
    return groups(wildcards.field)[wildcards.group]


@cache
def zenith_bins(name):
    """Return the zenith bin of the acceptance, such as ``30-45``, for each run of the field."""
    field = settings.fields[name]
    store = datastore(field.datastore)
    runs, edges = selected_runs(name), field.acceptance["zenith_bins"]
    # A single bin takes runs of unknown zenith angle, too.
    zeniths = {obs_id: store.zenith(obs_id) for obs_id in runs}
    if len(edges) > 2:
        zeniths = refuse_clearly(store.zeniths, runs)
    return refuse_clearly(bins_of_zenith, zeniths, edges)


def zenith_bin(wildcards):
    """Return the zenith bin of a run, or None if its zenith angle is not known."""
    return zenith_bins(wildcards.field).get(int(wildcards.obs_id))


def zeniths(field):
    """Return the zenith bins that have an acceptance."""
    return sorted(set(zenith_bins(field.name).values())) if field.has_acceptance else []


class Located(NamedTuple):
    """Where the data of a run are.

    Attributes
    ----------
    files : list of str
        Distinct files.
    hdus : dict of str to HDUReference
        HDUs that the images are made from, by type.
    failure : str
        Why there are none, or nothing.
    """

    files: list
    hdus: dict
    failure: str


@cache
def located(name, obs_id, types=None):
    """Return where the data of a run are, of all that its images need or of some types."""
    field = settings.fields[name]
    store = datastore(field.datastore)
    # The doctor asks for what there is.
    is_wanted = types is None or types == types_of_dataset(field)
    if is_wanted and field.has_acceptance and obs_id not in zenith_bins(name):
        reason = "its zenith angle is not known, see background: zenith_bins"
        return Located([], {}, f"observation {obs_id}: {reason}")
    if is_main_process:
        look_up(types)
    try:
        hdus = store.available(obs_id, types or hdu_types(field.responses))
    # The server is to blame, not the run.
    except RemoteError as error:
        raise Error(str(error)) from None
    except InputError as error:
        return Located([], {}, str(error))
    files = list(dict.fromkeys(hdu.path for hdu in hdus.values()))
    references = {
        kind: HDUReference(files.index(hdu.path), hdu.hdu_name, hdu.hdu_class)
        for kind, hdu in hdus.items()
    }
    return Located(files, references, "")


@cache
def look_up(types):
    """Ask servers once for all files that `located` is asked for, in all fields."""
    wanted = []
    for name, field in settings.fields.items():
        if is_remote(field.datastore):
            store, runs = datastore(field.datastore), selected_runs(name)
            if types is None:
                wanted += store.listed(runs, hdu_types(field.responses))
            else:
                wanted += store.listed([*runs, *excluded(name)], tuple(HDU_CLASSES))
    refuse_clearly(remote_files.look_up, wanted)


def types_of_dataset(field):
    """Return the types of the HDUs that the dataset of a run is made from."""
    return hdu_types(field.responses_of_dataset)


def of_run(key, types_of=None):
    """Return an attribute of `Located` as a parameter of the jobs of runs.

    Parameters
    ----------
    key : str
    types_of : callable, optional
        Returns the types of the HDUs that a field needs; by default those of its images.
    """

    def of_job(wildcards):
        types = types_of and types_of(field_of(wildcards))
        return getattr(located(wildcards.field, int(wildcards.obs_id), types), key)

    return of_job


dl3_files = of_run("files")


def index_row(wildcards):
    """Return what the observation index says about a run, to compare with its header."""
    store = datastore(field_of(wildcards).datastore)
    return store.index_row(int(wildcards.obs_id))


def recipes_of_data(wildcards):
    """Yield the recipe of the simulation of a run; other files count by their content."""
    if settings.simulation:
        yield recipe("simulate_run", obs_id=wildcards.obs_id)
