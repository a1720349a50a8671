# Which runs a field has, where their files are, and how they are divided.

from gammastack.dl3.datastore import (
    HDU_INDEX,
    OBS_INDEX,
    DataStore,
    HDUReference,
    hdu_types,
)
from gammastack.dl3.selection import bins_of_zenith, select_observations
from gammastack.stacking.groups import stable_groups


@cache
def datastore(folder):
    if settings.simulation:
        # The store is made by this workflow: its index is known beforehand
        from gammastack.dl3.simulate import simulated_index

        index = simulated_index(**settings.simulation)
        return DataStore(Path(folder), dict(zip((OBS_INDEX, HDU_INDEX), index)))
    return refuse_clearly(DataStore.from_dir, folder)


@cache
def selected_runs(name):
    """Return the OBS_IDs of the runs of a field."""
    field = settings.fields[name]
    center = field.image["center"]
    return refuse_clearly(
        select_observations, datastore(field.datastore), field.observations, center
    )


def check_observations():
    """Refuse a bad selection before any job starts.

    Snakemake takes results whose inputs have gone for up to date.
    """
    for name, field in settings.fields.items():
        store = datastore(field.datastore)
        types = hdu_types(field.responses)
        if not settings.simulation:
            refuse_clearly(store.require, selected_runs(name), types)
        if field.has_acceptance:
            zenith_bins(name)


def check_results():
    """Refuse results with a folder for each run, as earlier versions made them."""
    for name in settings.fields:
        folder = f"{RESULTS}/{name}/runs"
        if any(Path(folder).glob("*/record.json")):
            raise WorkflowError(
                f"{folder} holds results of an earlier version of gammastack, with a"
                f" folder for each run: delete {RESULTS}/{name}, or give another results"
                " folder with --config results=FOLDER"
            )


@cache
def groups(name):
    """Return the runs of the field in stable groups."""
    store, runs = datastore(settings.fields[name].datastore), selected_runs(name)
    return stable_groups(runs, *store.pointings(runs))


def group_runs(wildcards):
    """Return the runs of a group, in the order of OBS_ID."""
    return groups(wildcards.field)[wildcards.group]


@cache
def zenith_bins(name):
    """Return the zenith bin of the acceptance, such as ``30-45``, for each run of the field."""
    field = settings.fields[name]
    store = datastore(field.datastore)
    zenith = {obs_id: store.zenith(obs_id) for obs_id in selected_runs(name)}
    return refuse_clearly(bins_of_zenith, zenith, field.acceptance["zenith_bins"])


def zenith_bin(wildcards):
    return zenith_bins(wildcards.field)[int(wildcards.obs_id)]


def zeniths(field):
    """Return the zenith bins that have an acceptance."""
    return sorted(set(zenith_bins(field.name).values())) if field.has_acceptance else []


@cache
def located(name, obs_id):
    """Return the files of a run, and the HDUs in them that its images are made from."""
    field = settings.fields[name]
    store, types = datastore(field.datastore), hdu_types(field.responses)
    hdus = refuse_clearly(store.hdus, obs_id, types)
    files = list(dict.fromkeys(hdu.path for hdu in hdus.values()))
    return files, {
        kind: HDUReference(files.index(hdu.path), hdu.hdu_name, hdu.hdu_class)
        for kind, hdu in hdus.items()
    }


def dl3_files(wildcards):
    """Return the distinct files of a run."""
    files, _ = located(wildcards.field, int(wildcards.obs_id))
    return files


def hdus_in_files(wildcards):
    """Return the HDUs of a run, by type, in the files of `dl3_files`."""
    _, hdus = located(wildcards.field, int(wildcards.obs_id))
    return hdus


def index_row(wildcards):
    """Return what the observation index says about a run, to compare with its header."""
    store = datastore(field_of(wildcards).datastore)
    return store.index_row(int(wildcards.obs_id))


def recipes_of_data(wildcards):
    """Yield the recipe of the simulation of a run; other files count by their content."""
    if settings.simulation:
        yield recipe("simulate_run", obs_id=wildcards.obs_id)
