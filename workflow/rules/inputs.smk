# What the rules ask for: inputs and parameters by field.

# What an archive has of the project, to make its results again
PROJECT = [
    "Snakefile",
    "workflow",
    "scripts",
    "profiles",
    "config/README.md",
    "Makefile",
    "requirements.txt",
    "environment.yml",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CITATION.cff",
]
PROJECT_SUFFIXES = (".py", ".smk", ".yaml")

# What is made in a band beside counts: per pixel, with a ring, and per correlation radius
IMAGES = (
    *("bkg", "exposure", "livetime", "n_runs", "bkg_norm_relative"),
    *("excess", "flux"),
)
RING_IMAGES = ("off", "acceptance", "acceptance_off")
CORRELATED = (
    *("significance", "excess_corr", "flux_corr", "flux_corr_errn", "flux_corr_errp"),
    *("flux_corr_ul", "flux_corr_sensitivity"),
)


def field_of(wildcards):
    return settings.fields[wildcards.field]


def of_field(key):
    """A setting of the field as a parameter of its jobs."""
    return lambda wildcards: getattr(field_of(wildcards), key)


def names_of_fields(condition):
    """Wildcard constraint: the fields that meet a condition."""
    return one_of(name for name, field in settings.fields.items() if condition(field))


with_background = names_of_fields(lambda field: field.make_background_image)
with_acceptance = names_of_fields(lambda field: field.acceptance is not None)
without_acceptance = names_of_fields(
    lambda field: field.make_background_image and field.acceptance is None
)
counts_only = names_of_fields(lambda field: not field.make_background_image)
with_ring = names_of_fields(lambda field: field.has_ring)
without_ring = names_of_fields(
    lambda field: field.make_background_image and not field.has_ring
)
sources_known = names_of_fields(lambda field: field.source_search is None)
sources_searched = names_of_fields(lambda field: field.source_search is not None)

# Of a band with a ring background
on_off_images = {
    kind: f"<results>/{{field}}/{{band}}/{kind}.fits"
    for kind in ("counts", "bkg", "acceptance", "off", "acceptance_off")
}


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
        if field.acceptance is not None:
            zenith_bins(name)


def refuse_clearly(function, *arguments):
    """Call a function; what the user got wrong ends in a message, not in a traceback."""
    try:
        return function(*arguments)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def field_products(name):
    """What is made of a field by default."""
    field = settings.fields[name]
    yield f"{settings.results}/{name}/runs.csv"
    if field.make_background_image:
        yield f"{settings.results}/{name}/exclusion_mask.fits"
    if field.source_search is not None:
        yield f"{settings.results}/{name}/known_sources.fits"
    if field.acceptance is not None:
        for zenith in sorted(set(zenith_bins(name).values())):
            yield f"{settings.results}/{name}/acceptance/zenith_{zenith}.fits"
            yield f"{settings.results}/{name}/acceptance/zenith_{zenith}.png"
    for band in field.energy_bands:
        folder = f"{settings.results}/{name}/{band}"
        yield f"{folder}/counts.fits"
        yield f"{folder}/runs.csv"
        if not field.make_background_image:
            continue
        for kind in IMAGES + RING_IMAGES * field.has_ring:
            yield f"{folder}/{kind}.fits"
        for kind in CORRELATED + ("alpha",) * field.has_ring:
            for suffix in field.radii:
                yield f"{folder}/{kind}{suffix}.fits"
        yield f"{folder}/off_statistics.csv"
        yield f"{folder}/off_histogram.csv"
        if field.save_bkg_scale:
            yield f"{folder}/table_bkg_norm.csv"
            yield f"{folder}/table_bkg_norm.fits"


def products(wildcards):
    """What is made of all fields by default."""
    if settings.simulation:
        yield from rules.simulate_index.output
    for name in settings.fields:
        yield from field_products(name)
        yield f"{settings.results}/{name}/provenance/prov.json"


def leftovers():
    """Maps and tables beside those that this configuration makes."""
    wanted = {Path(path) for path in products(None)}
    folders = [Path(folder) for folder, _ in fields_and_bands()]
    folders += [
        Path(settings.results) / name / "acceptance" for name in settings.fields
    ]
    for folder in folders:
        for path in sorted(folder.glob("*")):
            if path not in wanted:
                yield str(path)


def simulated_files(wildcards):
    return [
        f"{settings.results}/{SIMULATED_STORE}/run_{obs_id}.fits"
        for obs_id in datastore(f"{settings.results}/{SIMULATED_STORE}").observations.index
    ]


def dl3_hdus(wildcards):
    """Locations of the HDUs of a run that its images are made of."""
    field = field_of(wildcards)
    obs_id = int(wildcards.obs_id)
    types = hdu_types(field.responses)
    return refuse_clearly(datastore(field.datastore).hdus, obs_id, types)


def dl3_files(wildcards):
    """The distinct files of a run."""
    return list(dict.fromkeys(hdu.path for hdu in dl3_hdus(wildcards).values()))


def hdus_in_files(wildcards):
    """For each HDU the number of its file in `dl3_files`, its name and its class."""
    files = dl3_files(wildcards)
    return {
        kind: (files.index(hdu.path), hdu.hdu_name, hdu.hdu_class)
        for kind, hdu in dl3_hdus(wildcards).items()
    }


def is_made_here(path):
    """Whether a file is a result, which Snakemake itself follows."""
    return Path(path).absolute().is_relative_to(Path(settings.results).absolute())


def by_content(files):
    """Input that counts by its content alone: together with `names_and_contents`.

    Snakemake does not look at the content of a file that is older than a result.
    """
    return lambda wildcards: [
        path if is_made_here(path) else ancient(path) for path in files(wildcards)
    ]


def names_and_contents(files):
    """Names without folders, and hashes, of input files, as a parameter of their job."""
    return lambda wildcards: [
        (Path(path).name, None if is_made_here(path) else contents.sha256(path))
        for path in files(wildcards)
    ]


def index_row(wildcards):
    """What the observation index says of a run, to compare with its header."""
    store = datastore(field_of(wildcards).datastore)
    return store.index_row(int(wildcards.obs_id))


@cache
def zenith_bins(name):
    """For each run of the field the zenith bin of its acceptance, such as ``30-45``."""
    field = settings.fields[name]
    store = datastore(field.datastore)
    zenith = {obs_id: store.zenith(obs_id) for obs_id in selected_runs(name)}
    return refuse_clearly(bins_of_zenith, zenith, field.acceptance["zenith_bins"])


def zenith_bin(wildcards):
    return zenith_bins(wildcards.field)[int(wildcards.obs_id)]


def runs_of_zenith_bin(wildcards):
    """OBS_IDs of the runs that share an acceptance."""
    bins = zenith_bins(wildcards.field)
    if wildcards.zenith not in bins.values():
        raise WorkflowError(
            f"no run of {wildcards.field} is in the zenith bin {wildcards.zenith}; its"
            f" bins are {', '.join(sorted(set(bins.values())))}"
        )
    return [obs_id for obs_id, name in bins.items() if name == wildcards.zenith]


def histogram_files(wildcards):
    """Histograms of the runs that share an acceptance."""
    folder = f"{settings.results}/{wildcards.field}/runs"
    return [
        f"{folder}/{obs_id}/histogram.fits" for obs_id in runs_of_zenith_bin(wildcards)
    ]


def acceptance_class(wildcards):
    """GADF class of the acceptance of a run, or None."""
    acceptance = field_of(wildcards).acceptance
    if acceptance is None:
        return None
    return "bkg_2d" if acceptance["shape"] == "radial" else "bkg_3d"


def acceptance_file(wildcards):
    """The acceptance of a run."""
    folder = f"{settings.results}/{wildcards.field}/acceptance"
    return f"{folder}/zenith_{zenith_bin(wildcards)}.fits"


@cache
def groups(name):
    """The runs of the field in stable groups."""
    runs = datastore(settings.fields[name].datastore).observations.loc[
        selected_runs(name)
    ]
    return stable_groups(runs["OBS_ID"], runs["RA_PNT"], runs["DEC_PNT"])


def group_runs(wildcards):
    """The runs of a group, in the order of OBS_ID."""
    return groups(wildcards.field)[wildcards.group]


def all_runs(wildcards):
    """The runs of the field, in the order of OBS_ID."""
    return selected_runs(wildcards.field)


def run_files(kind, runs=group_runs):
    """The images of one kind of all runs of a group, or of others."""
    return lambda wildcards: [
        f"{settings.results}/{wildcards.field}/runs/{obs_id}/{kind}.fits"
        for obs_id in runs(wildcards)
    ]


def group_files(wildcards):
    """The sums of all groups of the field."""
    return [
        f"{settings.results}/{wildcards.field}/groups/{group}.fits"
        for group in groups(wildcards.field)
    ]


def recipes_of_data(wildcards):
    """Of the simulation of a run; what else is read counts by its content."""
    if settings.simulation:
        yield recipe("simulate_run", obs_id=wildcards.obs_id)


def recipes_of_histograms(wildcards):
    """Of what an acceptance is made from."""
    for obs_id in runs_of_zenith_bin(wildcards):
        yield recipe("run_histogram", field=wildcards.field, obs_id=str(obs_id))


def recipes_of_acceptance(wildcards):
    """Of the acceptance of a run, if it has one."""
    if field_of(wildcards).acceptance is not None:
        zenith = zenith_bin(wildcards)
        yield recipe("acceptance", field=wildcards.field, zenith=zenith)


def recipes_of_runs(runs=group_runs):
    """Of the images of all runs of a group, or of others."""
    return lambda wildcards: [
        recipe("run_images", field=wildcards.field, obs_id=str(obs_id))
        for obs_id in runs(wildcards)
    ]


def recipes_of_mask(wildcards):
    """Of the exclusion mask, if the field has a background."""
    field = field_of(wildcards)
    if field.make_background_image:
        maker = "exclusion_mask" if field.source_search is None else "iterate_exclusion"
        yield recipe(maker, field=wildcards.field)


def recipes_of_groups(wildcards):
    """Of the sums of all groups of the field."""
    for group in groups(wildcards.field):
        yield recipe("stack_group", field=wildcards.field, group=group)


def recipes_of_stack(wildcards):
    """Of the sums of the field in a band."""
    yield recipe("stack", field=wildcards.field, band=wildcards.band)


def recipes_of_bands(wildcards):
    """Of the sums of the field in all bands."""
    for band in field_of(wildcards).energy_bands:
        yield recipe("stack", field=wildcards.field, band=band)


def recipes_of_products(wildcards):
    """Of all that is made of a field by default, but for what a stack is made from."""
    name, field = wildcards.field, field_of(wildcards)
    yield recipe("run_table", field=name)
    for band in field.energy_bands:
        if not field.make_background_image:
            continue
        for maker in ("excess", "off_statistics", "bkg_norm_table"):
            yield recipe(maker, field=name, band=band)
        for radius in field.radii:
            yield recipe("significance", field=name, band=band, radius=radius)
            yield recipe("flux", field=name, band=band, radius=radius)


def recipes_of_archive(wildcards):
    """Of all that an archive is made from."""
    yield recipe("provenance", field=wildcards.field)


def recipes_of_fields(wildcards):
    """Of what the summary of all fields and bands is made from."""
    for name, field in settings.fields.items():
        for band in field.energy_bands:
            yield recipe("stack", field=name, band=band)
            if field.make_background_image:
                yield recipe("significance", field=name, band=band, radius="")


def exclusion_files(wildcards):
    """Regions, masks and catalogues among the exclusions."""
    return [*filter(None, map(file_of, field_of(wildcards).exclusion_mask))]


def project_files(wildcards):
    """The program, and what is needed to install it."""
    for name in PROJECT:
        path = Path(os.path.relpath(workflow.basedir)) / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in PROJECT_SUFFIXES or file == path:
                yield str(file)


def terms_of_use(wildcards):
    """What the store says of its use."""
    folder = Path(field_of(wildcards).datastore)
    names = ("README*", "LICENSE*", "LICENCE*", "TERMS*")
    return sorted(str(path) for name in names for path in folder.glob(name))


def archived_files(wildcards):
    """What an archive has beside the results."""
    for files in (project_files, exclusion_files, terms_of_use):
        yield from files(wildcards)


def config_as_given(wildcards):
    """What the user wrote, for this field."""
    return {**config, "fields": {wildcards.field: config["fields"][wildcards.field]}}


def fields_and_bands():
    for name, field in settings.fields.items():
        for band in field.energy_bands:
            image = "significance" if field.make_background_image else "counts"
            yield f"{settings.results}/{name}/{band}", image


if workflow.exec_mode == ExecMode.DEFAULT:
    check_observations()
