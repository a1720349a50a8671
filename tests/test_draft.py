"""A draft of a configuration for a store."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import yaml

from dl3_files import (
    ENERGIES,
    OBS_ID,
    POINTING,
    TIME,
    hdu_rows,
    plain_run,
    refused,
    write_index,
    write_run,
)
from doctor import config_of
from gammastack.config.fields import read_config
from gammastack.dl3.coverage import readable_observations
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.selection import select_observations
from gammastack.draft import (
    config_text,
    draft_responses,
    field_at,
    field_of_target,
    find_fields,
)
from gammastack.sky.known_sources import known_sources
from gammastack.sky.sphere import separation, unit_vectors
from project import ROOT

ALL = slice(None)


def init(folder, *arguments, store="."):
    """Run the command in a folder."""
    command = [sys.executable, ROOT / "scripts" / "init.py", store, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def store_at(folder, *observations):
    rows = [
        (number, name, ra, dec, 20.0)
        for number, (name, ra, dec) in enumerate(observations, 1)
    ]
    write_index(folder, rows, [(1, "events", "events", "", "run.fits", "EVENTS")])
    return DataStore.from_dir(folder)


def store_without_responses(folder, is_event, spread=1.0, energies=ENERGIES, more=()):
    """Return a store of a run with some of the plain events, near its pointing.

    The observation index may have more runs.
    """
    run = plain_run()
    columns = run["events"].columns
    distance = spread * np.linspace(0, 1, len(TIME))
    columns["RA"].values = np.full(len(TIME), POINTING[0])
    columns["DEC"].values = POINTING[1] + distance
    columns["ENERGY"].values = energies
    for column in columns.values():
        column.values = column.values[is_event]
    del run["aeff"], run["bkg"]
    write_run(folder / "run.fits", run)
    classes = {"events": "events", "gti": "gti"}
    rows = [(OBS_ID, "A star", *POINTING, 20.0), *more]
    write_index(folder, rows, hdu_rows(OBS_ID, classes=classes))
    return DataStore.from_dir(folder)


def test_fields_are_clusters_of_pointings(tmp_path):
    """Pointings on both sides of RA 0 belong together; others with the name do not."""
    store = store_at(
        tmp_path,
        ("Crab Nebula", 83.1, 22.0),
        ("A star", 359.7, 10.0),
        ("Crab Nebula", 84.2, 22.0),
        ("A star", 0.3, 10.0),
        ("A star", 0.0, 10.0),
        ("Crab Nebula", 120.0, 22.0),
    )
    fields = {field.name: field for field in find_fields(store)}
    assert [*fields] == ["a-star", "crab-nebula", "crab-nebula-2"]
    assert fields["a-star"].obs_ids == [2, 4, 5]
    ra, dec = fields["a-star"].center
    assert separation(unit_vectors(ra, dec), unit_vectors(0, 10)) < 0.002
    assert fields["crab-nebula"].obs_ids == [1, 3]
    assert fields["crab-nebula"].center[0] == pytest.approx(83.65)
    # Half of 1.1 deg in right ascension
    assert fields["crab-nebula"].radius == pytest.approx(
        0.55 * np.cos(np.radians(22)), rel=0.01
    )


def test_fields_of_many_runs(tmp_path):
    """All pairs of runs that point to one field would take gigabytes."""
    n_runs, random = 3000, np.random.default_rng(1)
    ra, dec = random.uniform(-0.5, 0.5, (2, n_runs))
    store = store_at(tmp_path, *(("A star", *at) for at in zip(ra, dec, strict=True)))
    tracemalloc.start()
    (field,) = find_fields(store)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(field.obs_ids) == n_runs
    assert peak < 30e6


@pytest.mark.parametrize("where", [[], ["--position", "20", "-30"]])
def test_run_without_pointing_is_named(tmp_path, where):
    store = store_without_responses(tmp_path, ALL, more=[(7, "A star", np.nan, 0, 20)])
    (field,) = find_fields(store)
    assert field.obs_ids == [OBS_ID]
    done = init(tmp_path, *where)
    assert done.returncode == 0, done.stderr
    assert "left out: runs without RA_PNT or DEC_PNT: 7\n" in done.stdout


def test_store_without_pointings(tmp_path):
    with refused(tmp_path, "no run has a pointing"):
        find_fields(store_at(tmp_path, ("A star", np.nan, 0.0)))


@pytest.mark.parametrize(
    "objects, names",
    [
        (["crab", "crab", "crab-2"], ["crab", "crab-2", "crab-2-2"]),
        (["crab-2", "crab", "crab"], ["crab-2", "crab", "crab-3"]),
        (["provenance"], ["provenance-2"]),
        (["NULL", "2012", "2012-99-99"], ["null", "2012", "2012-99-99"]),
    ],
)
def test_names_of_fields(tmp_path, objects, names):
    """They differ, are free, and are text in YAML."""
    rows = [(number, name, 30.0 * number, 0, 20) for number, name in enumerate(objects)]
    store = store_without_responses(tmp_path, ALL, more=rows)
    draft = config_text(store, [*find_fields(store)[-1:], *find_fields(store)[:-1]])
    assert [*yaml.safe_load(draft)["fields"]] == ["a-star", *names]
    assert read_config(yaml.safe_load(draft))


def test_target_and_position(tmp_path):
    store = store_at(tmp_path, ("Crab Nebula", 83.1, 22.0), ("Q2", 166.5, 38.2))
    fields = find_fields(store)
    for name in ("Crab Nebula", "crabnebula", "crab"):
        assert field_of_target(store, fields, name).obs_ids == [1]
    assert field_of_target(store, fields, "Markarian 421").obs_ids == [2]
    assert field_at(store, (84, 22), 1).obs_ids == [1]
    with refused("--target", "Krab Nebula", "similar: crabnebula", "--position"):
        field_of_target(store, fields, "Krab Nebula")
    with refused("no run points to within 1 deg", "RA 10", "Dec 0"):
        field_at(store, (10, 0), 1)


def test_draft_is_a_configuration(simulated_store):
    """The simulated responses: areas from 0.1 to 100 TeV, and offsets up to 3 deg."""
    store, *_ = simulated_store
    fields = find_fields(store)
    text = config_text(store, fields)
    config = read_config(yaml.safe_load(text))
    ((_, field),) = config.fields.items()
    responses = draft_responses(store, store.obs_ids)
    assert [*field.energy_bands.values()] == [pytest.approx(responses.band)]
    observations = {"cone": field.observations["cone"]}
    assert field.observations == observations
    assert field.has_background and field.acceptance is None
    # The Crab Nebula is in the image of the simulated runs.
    assert [83.633, 22.015] in [list(item["center"]) for item in field.exclusion_mask]
    assert field.source_search["threshold"] == 5


@pytest.mark.parametrize(
    "n_runs, looked_at",
    [
        (0, []),
        (1, [1001]),
        (2, [1001, 1002]),
        (3, [1001, 1002, 1003]),
        (4, [1001, 1002, 1004]),
    ],
)
def test_runs_that_are_looked_at(simulated_store, n_runs, looked_at):
    """The first, the one in the middle, and the last."""
    store, *_ = simulated_store
    observations = readable_observations(store, store.obs_ids[:n_runs], [])
    assert [observation.obs_id for observation in observations] == looked_at


def test_known_sources():
    """Positions are those of SIMBAD to a pixel."""
    sources = {name: (ra, dec) for name, ra, dec, _ in known_sources()}
    assert sources["Crab Nebula"] == pytest.approx((83.633, 22.014), abs=0.01)
    assert sources["PKS 2155-304"] == pytest.approx((329.717, -30.226), abs=0.01)
    assert sources["Markarian 421"] == pytest.approx((166.114, 38.209), abs=0.01)
    assert all(0.2 <= radius <= 1.2 for *_, radius in known_sources())


def test_init_writes_once(simulated_store, tmp_path):
    store, *_ = simulated_store
    done = init(tmp_path, store=store.folder)
    assert done.returncode == 0, done.stderr
    assert "gammastack.yaml: 1 field: " in done.stdout
    assert "Next: snakemake" in done.stdout
    text = (tmp_path / "gammastack.yaml").read_text()
    assert read_config(yaml.safe_load(text))
    done = init(tmp_path, store=store.folder)
    assert done.returncode == 2
    assert "exists and is not overwritten" in done.stderr
    assert (tmp_path / "gammastack.yaml").read_text() == text


@pytest.mark.parametrize(
    "words, options",
    [
        (["has events"], {"is_event": slice(0)}),
        (
            ["1.22 TeV and 1.38 TeV"],
            {"is_event": ALL, "energies": np.linspace(1.15, 1.38, len(TIME))},
        ),
        (["offsets only up to 0.0"], {"is_event": ALL, "spread": 0.05}),
    ],
)
def test_runs_that_allow_no_draft(tmp_path, words, options):
    """The doctor examines them nevertheless."""
    store = store_without_responses(tmp_path, **options)
    with refused(tmp_path, *words):
        draft_responses(store, store.obs_ids)
    settings = config_of(store, str(tmp_path / "doctor"))
    ((low, high),) = read_config(settings).fields["store"].energy_bands.values()
    assert low < high


def test_targets_and_positions_that_cannot_be(tmp_path):
    store = store_at(tmp_path, ("Crab Nebula", 83.1, 22.0), ("A star", 263.6, 22.0))
    with refused("--target: '***' has no letters"):
        field_of_target(store, find_fields(store), "***")
    for position in ((263.6, 158.0), (-96.4, 22.0), (263.6, np.nan)):
        with refused("--position", "not on the sky", "-90 to 90"):
            field_at(store, position)


def test_radius_is_written_as_given(tmp_path):
    """A larger one selects runs that were not meant."""
    ra, dec = POINTING
    more = [(7, "A star", ra, dec + 0.8, 20)]
    store = store_without_responses(tmp_path, ALL, more=more)
    field = field_at(store, POINTING, 0.71)
    assert field.obs_ids == [OBS_ID]
    config = read_config(yaml.safe_load(config_text(store, [field])))
    (drafted,) = config.fields.values()
    assert drafted.observations == {"cone": 0.71}


def test_cone_of_a_field_selects_its_runs(tmp_path):
    rows = [("A star", 30.0, 0.0), ("A star", 30.0, 1.0), ("A star", 30.0, 1.5)]
    store = store_at(tmp_path, *rows)
    (field,) = find_fields(store)
    conditions = {"cone": field.cone}
    assert select_observations(store, conditions, field.center) == field.obs_ids


@pytest.mark.parametrize("name", ["init.py", "doctor.py"])
def test_results_that_cannot_be_written(simulated_store, tmp_path, name):
    """A folder that is missing, or a file in its place, is one error."""
    (tmp_path / "file").touch()
    option = "--output" if name == "init.py" else "--results"
    place = "file/draft.yaml" if name == "init.py" else "file"
    command = [sys.executable, ROOT / "scripts" / name, simulated_store[0].folder]
    done = subprocess.run(
        [*command, option, place], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ERROR: ") and place in done.stderr
    assert done.stderr.count("\n") == 1
