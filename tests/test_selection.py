import pytest

from dl3_files import refused, write_index
from gammastack.dl3.datastore import DataStore
from gammastack.dl3.selection import bins_of_zenith, select_observations

CRAB = 83.6, 22.0
RUNS = [
    (40, "Crab", 83.6, 21.5, 45.0),
    (10, "Crab", 83.6, 22.5, 55.0),
    (30, "Crab ", 87.6, 22.0, 20.0),
    (50_000_000_000, "Vela", 128.5, -45.0, 30.0),
    (20, "Wrap", 359.9, 0.0, 10.0),
]
ALL = [10, 20, 30, 40, 50_000_000_000]


@pytest.fixture
def store(tmp_path):
    write_index(tmp_path, RUNS, [(10, "events", "events", "", "run.fits", "EVENTS")])
    return DataStore.from_dir(tmp_path)


@pytest.mark.parametrize(
    ("conditions", "selected"),
    [
        ({}, ALL),
        ({"obs_ids": [40, 10]}, [10, 40]),
        ({"obs_ids": [40, 40]}, [40]),
        ({"obs_ids": [50_000_000_000]}, [50_000_000_000]),
        ({"exclude": [40]}, [10, 20, 30, 50_000_000_000]),
        ({"exclude": []}, ALL),
        ({"query": "OBJECT == 'Crab'"}, [10, 30, 40]),
        ({"query": "OBJECT == 'Crab' and ZEN_PNT < 50"}, [30, 40]),
        ({"query": "ZEN_PNT < 25 or OBS_ID == 10"}, [10, 20, 30]),
        ({"query": "OBJECT in ['Vela', 'Wrap']"}, [20, 50_000_000_000]),
        ({"query": "(OBJECT == 'Crab') & ~(ZEN_PNT < 50)"}, [10]),
        ({"query": "OBJECT not in ['Vela', 'Wrap'] and OBS_ID != 10"}, [30, 40]),
        ({"query": "20 <= ZEN_PNT < 50"}, [30, 40, 50_000_000_000]),
        ({"query": "DEC_PNT > -1e3 and OBJECT >= 'W'"}, [20]),
        ({"query": "not ZEN_PNT > 20"}, [20, 30]),
        ({"query": "ZEN_PNT > 50"}, [10]),
        ({"cone": 1.0}, [10, 40]),
        ({"cone": 3.8}, [10, 30, 40]),  # 4 deg in RA are 3.71 deg on the sky
        ({"cone": 3.6}, [10, 40]),
        ({"cone": 180.0}, ALL),
        ({"cone": 1.0, "query": "ZEN_PNT > 50"}, [10]),
        ({"cone": 1.0, "exclude": [10]}, [40]),
        ({"obs_ids": [10, 30], "query": "ZEN_PNT > 50"}, [10]),
        ({"obs_ids": [10, 30, 40], "exclude": [30], "cone": 5.0}, [10, 40]),
        (
            {
                "obs_ids": [10, 20, 30, 40],
                "query": "OBJECT == 'Crab'",
                "cone": 5.0,
                "exclude": [30],
            },
            [10, 40],
        ),
    ],
)
def test_conditions(store, conditions, selected):
    assert select_observations(store, conditions, CRAB) == selected


def test_cone_across_the_wrap_of_the_longitude(store):
    assert select_observations(store, {"cone": 0.3}, (0.1, 0.0)) == [20]
    with refused("cone: 0.19"):
        select_observations(store, {"cone": 0.19}, (0.1, 0.0))


@pytest.mark.parametrize(
    "text",
    [
        "OBS_ID\n10\n40\n",
        "OBJECT,OBS_ID\nCrab,10\nCrab,40\n",
        "# of last night\nOBS_ID, note\n10, fine\n40, fine # clouds\n",
        "OBS_ID\r\n10\r\n40\r\n",
        "\ufeffOBS_ID\n10\n40\n",
    ],
    ids=["plain", "columns", "comments", "crlf", "bom"],
)
def test_table(store, tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_bytes(text.encode())
    conditions = {"table": str(path)}
    assert select_observations(store, conditions) == [10, 40]
    assert select_observations(store, {**conditions, "exclude": [40]}) == [10]
    assert select_observations(store, {**conditions, "obs_ids": [20, 40]}) == [40]


def test_own_table_of_results_can_be_used_again(store, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("OBS_ID,status,reason\n10,used,\n40,dropped,too few counts\n")
    assert select_observations(store, {"table": str(path)}) == [10, 40]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"RUN,OBJECT\n10,Crab\n", ["column OBS_ID", "RUN, OBJECT"]),
        (b"OBS_ID\nten\n", ["OBS_ID", "whole numbers"]),
        (b"OBS_ID\n10.5\n", ["OBS_ID", "whole numbers"]),
        (b"OBS_ID\n10\n99\n", ["OBS_ID 99", "observation index"]),
        (b"OBS_ID\n", []),
        (b"", []),
        (b"OBS_ID\n10,Crab,1\n40,Crab,1,2,3\n", []),
        (b"\x1f\x8b\x08\x00\xff\xfe", []),
    ],
    ids=["other", "text", "float", "unknown", "header", "empty", "ragged", "binary"],
)
def test_table_that_cannot_be_used(store, tmp_path, content, words):
    path = tmp_path / "runs.csv"
    path.write_bytes(content)
    with refused("observations: table", *words):
        select_observations(store, {"table": str(path)})


def test_missing_table(store, tmp_path):
    with refused("observations: table", tmp_path / "no.csv", "no such file"):
        select_observations(store, {"table": str(tmp_path / "no.csv")})


@pytest.mark.parametrize("key", ["obs_ids", "exclude"])
def test_unknown_run(store, key):
    with refused("observations", key, "OBS_ID 11, 99", "not in the observation index"):
        select_observations(store, {key: [10, 11, 99]})


def test_long_lists_are_cut(store):
    with refused("OBS_ID 101, 102, 103, 104, 105 and 95 more"):
        select_observations(store, {"obs_ids": list(range(101, 201))})


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("ZENITH < 50", "there is no column ZENITH"),
        ("ZEN_PNT < 'low'", "ZEN_PNT and 'low': a text cannot be compared"),
        ("OBJECT == 3", "a text cannot be compared"),
        ("OBJECT in ['Crab', 3]", "a text cannot be compared"),
        ("OBJECT in 'Crab'", "a list is possible after 'in' only, and needed there"),
        ("OBJECT == ['Crab']", "a list is possible after 'in' only"),
        ("1 < 2", "none of 1 and 2 is a column"),
        ("ZEN_PNT", "'ZEN_PNT' is not a condition"),
        ("ZEN_PNT + 1 > 3", "'ZEN_PNT + 1' is not a column"),
        ("ZEN_PNT > 3 & OBS_ID > 3", "'3 & OBS_ID' is not a column"),
        ("True", "'True' is not a condition"),
        ("X = ZEN_PNT > 5", "is not a condition"),
        ("OBJECT = 'Crab' and", "is not a condition"),
        ("", "is not a condition"),
        ("(" * 5000, "is not a condition"),
        ("not " * 5000 + "ZEN_PNT > 1", "is not a condition"),
        # Whatever could run code, or take forever
        ("import os", "is not a condition"),
        ("__import__('os').system('touch hacked')", "is not a condition"),
        ("@pd.io.common.os.getcwd() == OBJECT", "is not a condition"),
        ("OBJECT.to_pickle('hacked') == 1", "'OBJECT.to_pickle('hacked')' is not a"),
        ("[x for x in ZEN_PNT] == 1", "is not a column"),
        ("OBS_ID < 9**9**9", "'9 ** 9 ** 9' is not a column"),
        ("OBJECT == f'{OBS_ID}'", "is not a column"),
        ("OBJECT == (lambda: 1)()", "is not a column"),
    ],
)
def test_query_that_cannot_be_used(store, query, words):
    with refused(f"observations: query: '{query}'", words, "OBS_ID, OBJECT, RA_PNT"):
        select_observations(store, {"query": query})


def test_message_of_a_query_begins_with_its_reason(store):
    with refused("query: 'ZENITH < 5': there is no column ZENITH. It may compare"):
        select_observations(store, {"query": "ZENITH < 5"})


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"obs_ids": []}, ["obs_ids: []"]),
        ({"query": "OBJECT == 'M 31'"}, ["query: OBJECT == 'M 31'"]),
        ({"obs_ids": [20], "cone": 1.0}, ["obs_ids: [20]", "cone: 1.0"]),
    ],
)
def test_nothing_selected(store, conditions, words):
    with refused("none of the 5 runs", store.folder, *words):
        select_observations(store, conditions, CRAB)


def test_hess_release(hess_store):
    crab = [23523, 23526, 23559, 23592]
    query = {"query": "TARGET_NAME == 'Crab'"}
    assert select_observations(hess_store, query) == crab
    assert select_observations(hess_store, {"cone": 2.0}, (83.633, 22.014)) == crab


def test_bins_of_zenith():
    zenith = {1: 0.0, 2: 29.9, 3: 30.0, 4: 59.9}
    names = ["0-30", "0-30", "30-60", "30-60"]
    assert list(bins_of_zenith(zenith, [0, 30, 60]).values()) == names


@pytest.mark.parametrize("zenith", [60.0, 90.0])
def test_zenith_in_none_of_the_bins(zenith):
    with refused("zenith_bins", "run 7", "add a bin"):
        bins_of_zenith({1: 20.0, 7: zenith}, [0, 30, 60])


def test_run_of_unknown_zenith_is_in_no_bin():
    zenith = {1: 20.0, 7: float("nan")}
    assert bins_of_zenith(zenith, [0, 30, 60]) == {1: "0-30"}
    assert bins_of_zenith({**zenith, 8: 200.0}, [0, 90]) == dict.fromkeys(
        (1, 7, 8), "0-90"
    )


def test_single_bin_needs_no_zenith():
    unknown = {1: float("nan"), 7: float("nan")}
    assert bins_of_zenith(unknown, [0, 90]) == {1: "0-90", 7: "0-90"}
    with refused("zenith_bins", "not known", "a single bin"):
        bins_of_zenith(unknown, [0, 30, 60])
    with refused("zenith_bins", "run 7"):
        bins_of_zenith({1: 20.0, 7: 70.0}, [0, 60])


def test_zenith_of_the_index(store):
    assert store.zenith(10) == 55.0
    assert store.index_row(10)["ZENITH"] == 55.0
