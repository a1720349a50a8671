import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from compare import main
from gammastack.archive.bundle import open_bundle
from gammastack.archive.compare import compare, map_difference
from gammastack.files.fits import write
from gammastack.files.header import Provenance, runs_table
from gammastack.provenance.origin import Origin, code_hash
from gammastack.sky.geometry import ImageGeometry
from gammastack.stacking.run_table import bkg_norm_table

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare.py"
LOW, HIGH = "1TeV-10TeV", "10TeV-50TeV"
GEOMETRY = ImageGeometry.create((83.63, 22.01), "galactic", "TAN", (0.6, 0.4), 0.1)
SHAPE = 4, 6
UNITS = {"counts": "", "bkg": "", "exposure": "m2 s", "significance": ""}
CONFIG = {
    "bkg_norm": True,
    "image": {"binsz": 0.1, "width": [0.6, 0.4]},
    "exclusion_mask": ["sources.reg", "icrs; circle(1, 2, 3)"],
}
MODULES = {"gammastack/stacking/stack.py": "1111", "steps/stack.py": "2222"}


def make_runs(obs_ids=(1, 2, 3), **columns):
    n = len(obs_ids)
    table = {
        "OBS_ID": list(obs_ids),
        "status": ["used"] * n,
        "reason": [""] * n,
        "bkg_scale": [1.0] * n,
        "bkg_scale_err": [0.1] * n,
        "n_counts": [100] * n,
        "n_bkg": [100.0] * n,
        "n_events": [120] * n,
        "ontime": [2000.0] * n,
        "livetime": [1800.0] * n,
    }
    return pd.DataFrame({**table, **columns})


def make_inputs(obs_ids=(1, 2, 3), **digests):
    """Return inputs of a product; the digest of a file is its name, unless given."""
    names = [("dl3", obs_id, f"run_{obs_id}.fits") for obs_id in obs_ids]
    names.append(("exclusion", 0, "sources.reg"))
    return tuple(
        (kind, obs_id, name, digests.get(name.split(".")[0], name))
        for kind, obs_id, name in names
    )


def make_result(
    folder,
    images=None,
    runs=None,
    config=None,
    inputs=None,
    modules=MODULES,
    packages=None,
    geometry=GEOMETRY,
    units=UNITS,
    cards=(),
    bands=(LOW, HIGH),
    time="2020-01-01",
):
    """Write results; `images` by band and kind and `runs` by band are exceptions."""
    folder.mkdir()
    origin = Origin(
        {"stack": code_hash(modules)},
        {"numpy": "2.0", **(packages or {})},
        make_inputs() if inputs is None else inputs,
    )
    config = {**CONFIG, **(config or {})}
    provenance = Provenance(config, origin=origin)
    mask = provenance.image(np.ones(SHAPE, np.uint8), GEOMETRY)
    write(folder / "exclusion_mask.fits", [mask, *provenance.tables()])
    for band in bands:
        (folder / band).mkdir()
        table = (runs or {}).get(band, make_runs())
        provenance = Provenance(
            config, origin=origin, runs=runs_table(table), cards=cards
        )
        tables = provenance.tables()
        for kind, unit in units.items():
            dtype = np.int32 if kind == "counts" else float
            image = np.ones(geometry.shape, dtype)
            image = (images or {}).get((band, kind), image)
            hdu = provenance.image(image, geometry, unit)
            write(folder / band / f"{kind}.fits", [hdu, *tables])
        norms = bkg_norm_table(table)
        norms.to_csv(folder / band / "table_bkg_norm.csv", index=False)
        columns = {name: values.to_numpy() for name, values in norms.items()}
        hdu = provenance.table(columns, "BKG_NORM")
        write(folder / band / "table_bkg_norm.fits", [hdu, *tables])
    (folder / "provenance").mkdir()
    record = {
        "activity_name": "stack",
        "activity_uuid": "0",
        "stop": {"time_utc": "2026-01-01T00:00:00"},
        "status": "completed",
        "input": [],
        "output": [],
        "start": {"time_utc": time},
        "config": {},
        "software": {"modules": modules, "packages": {}},
    }
    (folder / "provenance" / "stack.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def compared(tmp_path):
    """Return a function that compares two results, made with `old` and with `new`."""

    def function(old=None, **new):
        a = make_result(tmp_path / "a", **(old or {}))
        b = make_result(tmp_path / "b", **new)
        return compare(open_bundle(a), open_bundle(b))

    return function


def said(comparison, title):
    """Return the statements of the section whose title starts with `title`."""
    (found,) = (
        lines for name, lines in comparison.sections.items() if name.startswith(title)
    )
    return found


def test_identical_results(tmp_path, capsys):
    a, b = make_result(tmp_path / "a"), make_result(tmp_path / "b", time="2021-01-01")
    assert main([str(a), str(b)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "The results are identical: all 13 products are the same byte by byte.",
        "The records of how they were made may differ, as in their times.",
        f"A: {a}",
        f"B: {b}",
    ]


def test_archive_packed_or_not_is_the_same_as_the_results(tmp_path):
    results = make_result(tmp_path / "results")
    for name in ("runs/1.fits", "groups/all.fits"):
        (results / name).parent.mkdir()
        shutil.copy(results / LOW / "counts.fits", results / name)
    unpacked = tmp_path / "unpacked"
    ignore = shutil.ignore_patterns("runs", "groups", "provenance")
    shutil.copytree(results, unpacked / "products", ignore=ignore)
    shutil.copytree(results / "provenance", unpacked / "provenance")
    packed = Path(shutil.make_archive(tmp_path / "archive", "zip", unpacked))
    for other in (unpacked, packed):
        assert main([str(results), str(other)]) == 0
    (unpacked / "products" / LOW / "table_bkg_norm.csv").write_text("")
    assert main([str(packed), str(unpacked)]) == 1


def test_script_is_a_command(tmp_path):
    a, b = make_result(tmp_path / "a"), make_result(tmp_path / "b", config={"new": 1})
    assert os.access(SCRIPT, os.X_OK)
    command = [sys.executable, SCRIPT, a]
    assert subprocess.run([*command, a], capture_output=True).returncode == 0
    assert subprocess.run([*command, b], capture_output=True).returncode == 1
    done = subprocess.run([*command, tmp_path / "c"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"ERROR: {tmp_path}/c: no such file or folder\n"


def test_map_difference():
    a = np.array([[1.0, np.nan, np.nan, 4.0], [0.0, -2.0, 5.0, np.inf]])
    b = np.array([[1.0, np.nan, 3.0, 4.5], [0.1, 2.0, np.nan, np.inf]])
    found = map_difference(a[:, :3], b[:, :3])
    assert (found.n_differ, found.n_nan) == (4, 2)
    # From -2 to 2, the change is twice the larger absolute value
    assert (found.largest, found.relative) == (4, 2)
    assert found.sums == (4, pytest.approx(6.1))
    assert found.peaks == (5, 3)
    found = map_difference(a[:, 3], b[:, 3])
    assert (found.n_differ, found.largest, found.relative) == (1, 0.5, 0.5 / 4.5)
    found = map_difference(a[0], a[0])
    assert (found.n_differ, found.n_nan, found.largest, found.relative) == (0, 0, 0, 0)
    found = map_difference(np.array([np.inf, 1.0]), np.array([1.0, np.nan]))
    assert (found.n_differ, found.n_nan, found.largest) == (2, 1, np.inf)
    nothing = np.full(3, np.nan)
    assert np.isnan(map_difference(nothing, nothing).peaks).all()


def test_numbers_of_small_integers_do_not_wrap():
    found = map_difference(np.array([1], np.uint8), np.array([0], np.uint8))
    assert (found.largest, found.sums) == (1, (1, 0))


def test_differences_of_maps(compared, tmp_path, capsys):
    counts = np.ones(SHAPE, np.int32)
    counts[0, :2] = 5, 3
    significance = np.ones(SHAPE)
    significance[1, 1:4] = 7, -1, np.nan
    changed = {(LOW, "counts"): counts, (HIGH, "significance"): significance}
    comparison = compared(images=changed)
    assert comparison.verdict == "The results differ, in 2 of 9 maps."
    assert said(comparison, "Maps") == [
        f"{HIGH}/significance.fits: 3 of 24 pixels differ, at most by 6 sigma and by"
        " 200 % of the larger value; sum 24 -> 27 sigma (+3); peak 1 -> 7 sigma;"
        " NaN in one map only: 1 pixels",
        f"{LOW}/counts.fits: 2 of 24 pixels differ, at most by 4 counts and by"
        " 80 % of the larger value; sum 24 -> 30 counts (+6)",
        "7 of 9 maps have equal pixel values",
    ]
    assert said(comparison, "Tables") == ["0 of 4 tables differ"]
    # DATASUM and CHECKSUM change with the pixels, and are not reported
    silent = ("Bands", "Runs", "Norms", "Conf", "Code", "Other")
    assert not any(said(comparison, title) for title in silent)
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines()[3:])) <= 88
    assert said(comparison, "Maps")[0] in " ".join(text.split())
    assert "Norms" not in text


@pytest.mark.parametrize(
    "geometry, text",
    [
        (((83.63, 22.01), "galactic", "TAN", (0.8, 0.4)), "6 x 4 -> 8 x 4 pixels"),
        (((83.64, 22.01), "galactic", "TAN", (0.6, 0.4)), "other positions (WCS)"),
        (((83.63, 22.01), "icrs", "TAN", (0.6, 0.4)), "other positions (WCS)"),
        (((83.63, 22.01), "galactic", "SIN", (0.6, 0.4)), "other positions (WCS)"),
    ],
)
def test_maps_of_other_pixels_are_not_compared(compared, geometry, text):
    comparison = compared(geometry=ImageGeometry.create(*geometry, 0.1))
    assert comparison.verdict == "The results differ, in 8 of 9 maps."
    lines = said(comparison, "Maps")
    assert len(lines) == 9
    assert all(text in line and "not compared" in line for line in lines[:-1])


def test_rounding_of_the_wcs_is_no_difference(compared):
    shifted = ImageGeometry.create((83.63, 22.01), "galactic", "TAN", (0.6, 0.4), 0.1)
    shifted.wcs.wcs.crval = shifted.wcs.wcs.crval + 1e-11
    comparison = compared(geometry=shifted)
    assert comparison.verdict.startswith("All pixel values are equal (9 maps)")


def test_units_of_maps(compared):
    exposure = np.full(SHAPE, 1e4)
    comparison = compared(
        bands=[LOW],
        old={"bands": [LOW]},
        units={**UNITS, "exposure": "cm2 s"},
        images={(LOW, "exposure"): exposure},
    )
    assert said(comparison, "Maps")[0] == (
        f"{LOW}/exposure.fits: unit 'm2 s' -> 'cm2 s'; 24 of 24 pixels differ, at most"
        " by 1e+04 and by 100 % of the larger value; sum 24 -> 240000 (+2.4e+05)"
    )


def test_same_values_in_another_unit_differ(compared):
    comparison = compared(units={**UNITS, "exposure": "cm2 s"})
    assert comparison.verdict == "The results differ, in 2 of 9 maps."
    assert said(comparison, "Maps")[0].endswith("exposure.fits: unit 'm2 s' -> 'cm2 s'")


def test_only_headers_differ(compared, tmp_path, capsys):
    comparison = compared(cards=(("NOTE", "new"), ("RADIUS", 2)))
    verdict = "All pixel values are equal (9 maps): only headers and provenance differ."
    assert (comparison.identical, comparison.verdict) == (False, verdict)
    assert said(comparison, "Maps") == ["9 of 9 maps have equal pixel values"]
    assert said(comparison, "Other") == ["NOTE, RADIUS"]
    assert main([str(tmp_path / "a"), str(tmp_path / "b")]) == 1
    assert capsys.readouterr().out.startswith(verdict + "\n")


def test_products_in_one_result_only(compared):
    units = {kind: unit for kind, unit in UNITS.items() if kind != "bkg"}
    comparison = compared(old={"bands": [LOW]}, bands=[LOW], units=units)
    assert comparison.verdict == (
        "The results differ, but the 4 maps in both have equal pixel values."
    )
    assert said(comparison, "Bands") == [f"only in A: {LOW}/bkg.fits"]


def test_band_in_one_result_only(compared):
    comparison = compared(old={"bands": [LOW]})
    assert said(comparison, "Bands") == [f"only in B: band {HIGH} (6 files)"]
    assert said(comparison, "Tables") == ["0 of 2 tables differ"]


def test_what_is_left_over_is_not_compared(tmp_path):
    a, b = make_result(tmp_path / "a"), make_result(tmp_path / "b", bands=[LOW])
    names = [path.relative_to(b).as_posix() for path in b.rglob("*.*s*")]
    file = {"role": "products", "kind": "result", "sha256": "", "size": 0}
    record = json.loads((b / "provenance" / "stack.json").read_text())
    record |= {"activity_name": "provenance", "activity_uuid": "1"}
    record["input"] = [{**file, "url": name} for name in names]
    (b / "provenance" / "provenance.json").write_text(json.dumps(record))
    shutil.copytree(a / HIGH, b / HIGH)
    assert said(compare(open_bundle(a), open_bundle(b)), "Bands") == [
        f"only in A: band {HIGH} (6 files)",
        f"of another configuration, not compared, in B: band {HIGH} (6 files)",
    ]


def test_causes_before_maps_and_maps_in_short(tmp_path, capsys):
    images = {(LOW, kind): np.full(SHAPE, 2.0) for kind in ("bkg", "significance")}
    a = make_result(tmp_path / "a")
    b = make_result(tmp_path / "b", images, {LOW: make_runs([1, 2])}, {"new": 1})
    main([str(a), str(b)])
    short = capsys.readouterr().out
    titles = [line for line in short.splitlines() if line and line[0] not in " AB:T"]
    assert titles[:3] == ["Runs", "Configuration", "Maps"]
    assert f"{LOW}/significance.fits: 24 of 24 pixels differ" in short
    assert f"  {LOW}/bkg differ, too; --all says by how much\n" in short
    main([str(a), str(b), "--all"])
    assert f"{LOW}/bkg.fits: 24 of 24 pixels differ" in capsys.readouterr().out


def test_long_lists_of_runs_are_cut(compared):
    new = make_runs(range(1, 16))
    comparison = compared(old={"bands": [LOW]}, bands=[LOW], runs={LOW: new})
    assert said(comparison, "Runs")[1:] == [
        "12 runs only in B: 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and 2 more"
    ]


def test_runs_added_and_removed(compared):
    new = make_runs([2, 3, 4, 5], status=["used", "used", "used", "dropped"])
    comparison = compared(runs={LOW: new, HIGH: new}, inputs=make_inputs([2, 3, 4, 5]))
    assert said(comparison, "Runs") == [
        "1 run only in A: 1",
        "2 runs only in B: 4, 5 (dropped)",
    ]
    assert said(comparison, "Norms") == []


def test_used_runs_and_livetime(compared):
    new = make_runs([1, 2])
    comparison = compared(runs={LOW: new})
    assert said(comparison, "Runs") == [
        f"{LOW}: 3 -> 2 runs used, livetime 1.50 -> 1.00 h",
        f"{LOW}: 1 run only in A: 3",
    ]


def test_content_of_dl3_files(compared):
    comparison = compared(inputs=make_inputs(run_2="other"))
    assert said(comparison, "Runs") == [
        "DL3 files of 1 run differ in content: 2 (run_2.fits)"
    ]
    assert said(comparison, "Conf") == []


def test_renamed_dl3_file_is_no_change(compared):
    renamed = [
        (kind, obs_id, "new.fits" if obs_id == 2 else name, digest)
        for kind, obs_id, name, digest in make_inputs()
    ]
    comparison = compared(inputs=tuple(renamed))
    assert not comparison.identical
    assert said(comparison, "Runs") == []


def test_status_of_runs(compared):
    def runs(status, reason, scale):
        columns = {"status": status, "reason": reason, "bkg_scale": scale}
        return {LOW: make_runs(**columns)}

    comparison = compared(
        old={
            "runs": runs(["used", "failed", "used"], ["", "no norm", ""], [1, 0.0, 1])
        },
        runs=runs(["dropped", "used", "used"], ["3 events", "", ""], [np.nan, 1, 1]),
    )
    assert said(comparison, "Runs") == [
        f"{LOW}: 2 runs with another status: 1 used -> dropped (3 events),"
        " 2 failed -> used (before: no norm)"
    ]
    # 0 -> 1 has no relative change
    assert said(comparison, "Norms") == [
        f"{LOW}: the norms of 1 of 2 runs differ, at most by 1 (run 2), by 10 times the"
        " error in A (run 2), 1 run with a norm in one result only"
    ]


def test_norms(compared):
    columns = {"bkg_scale": [1.0, 2.0, 0.5], "bkg_scale_err": [0.1, 0.5, 0.01]}
    changed = {**columns, "bkg_scale": [1.0, 2.4, 0.65]}
    old, new = (
        {band: make_runs(**one) for band in (LOW, HIGH)} for one in (columns, changed)
    )
    comparison = compared(old={"runs": old}, runs=new)
    assert said(comparison, "Norms") == [
        "the norms of 2 of 3 runs differ, at most by 0.4 (run 2), by 30 % (run 3),"
        " by 15 times the error in A (run 3)"
    ]
    names = [
        f"{band}/table_bkg_norm.{kind}"
        for band in (HIGH, LOW)
        for kind in ("csv", "fits")
    ]
    assert said(comparison, "Tables") == [f"4 of 4 tables differ: {', '.join(names)}"]
    assert comparison.verdict == (
        "The results differ, but the 9 maps in both have equal pixel values."
    )


def test_candidates_differ(tmp_path):
    """Nothing else does if only their threshold is another one."""
    for name, text in (("a", "C1"), ("b", "C1 C2")):
        folder = make_result(tmp_path / name)
        (folder / LOW / "candidates.ecsv").write_text(text)
    comparison = compare(*(open_bundle(tmp_path / name) for name in "ab"))
    assert not comparison.identical
    expected = f"1 of 5 tables differ: {LOW}/candidates.ecsv"
    assert said(comparison, "Tables") == [expected]


def test_runs_without_norm_are_equal(compared):
    runs = {LOW: make_runs(bkg_scale=[np.nan, 1, 1], bkg_scale_err=[np.nan, 0, 0])}
    changed = {LOW: runs[LOW].assign(bkg_scale=[np.nan, 2, 1])}
    comparison = compared(old={"runs": runs}, runs=changed)
    # An error of 0 cannot be the unit of a difference
    assert said(comparison, "Norms") == [
        f"{LOW}: the norms of 1 of 2 runs differ, at most by 1 (run 2), by 100 % (run 2)"
    ]


def test_other_columns_of_runs(compared):
    comparison = compared(runs={LOW: make_runs(n_events=[1, 120, 120])})
    assert said(comparison, "Other") == ["n_events"]
    assert said(comparison, "Runs") == []


def test_configuration(compared):
    changed = {
        "bkg_norm": False,
        "image": {"binsz": 0.1, "width": [0.6, 0.5]},
        "exclusion_mask": ["sources.reg", "icrs; circle(1, 2, 4)"],
        "ncounts_min": 3,
    }
    assert said(compared(config=changed), "Conf") == [
        "bkg_norm: true -> false",
        "exclusion_mask: only in A: icrs; circle(1, 2, 3); only in B: icrs; circle(1, 2, 4)",
        "image.width: [0.6, 0.4] -> [0.6, 0.5]",
        "ncounts_min: none -> 3",
    ]


def test_order_of_exclusions(compared):
    comparison = compared(config={"exclusion_mask": CONFIG["exclusion_mask"][::-1]})
    assert said(comparison, "Conf") == ["exclusion_mask: in another order"]


def test_content_of_exclusion_files(compared):
    comparison = compared(inputs=make_inputs(sources="other"))
    assert said(comparison, "Conf") == [
        "the file sources.reg of the exclusions has another content"
    ]
    assert said(comparison, "Runs") == []


def test_intermediate_files_are_no_exclusions(compared):
    inputs = (("intermediate", 0, "all/counts.fits", "other"), *make_inputs())
    assert said(compared(inputs=inputs), "Conf") == []


def test_setting_of_some_products_names_them(tmp_path):
    a, b = make_result(tmp_path / "a"), make_result(tmp_path / "b")
    path = b / LOW / "significance.fits"
    provenance = Provenance({**CONFIG, "radius": "2 pix"}, runs=runs_table(make_runs()))
    image = provenance.image(np.ones(SHAPE), GEOMETRY)
    write(path, [image, *provenance.tables()])
    comparison = compare(open_bundle(a), open_bundle(b))
    assert f"{LOW}/significance.fits: radius: none -> 2 pix" in said(comparison, "Conf")


def test_code_with_records_names_the_modules(compared):
    modules = {
        **MODULES,
        "gammastack/stacking/stack.py": "3333",
        "gammastack/new.py": "4444",
    }
    assert said(compared(modules=modules), "Code") == [
        "code of stack: gammastack/new.py, gammastack/stacking/stack.py"
    ]


def test_code_without_records(compared, tmp_path):
    modules = {**MODULES, "gammastack/stacking/stack.py": "3333"}
    compared(modules=modules)
    (tmp_path / "b" / "provenance" / "stack.json").write_text('{"status": "error"}')
    comparison = compare(open_bundle(tmp_path / "a"), open_bundle(tmp_path / "b"))
    assert said(comparison, "Code") == [
        f"code of stack: {code_hash(MODULES)} -> {code_hash(modules)}"
        " (no record of the modules)"
    ]


def test_packages_and_version(compared, tmp_path, monkeypatch):
    make_result(tmp_path / "old", packages={"numpy": "1.9"})
    monkeypatch.setattr("gammastack.files.header.__version__", "9.9")
    new = make_result(tmp_path / "new", packages={"scipy": "1.0"})
    old = fits.getheader(tmp_path / "old" / LOW / "counts.fits")["CREATOR"]
    comparison = compare(open_bundle(tmp_path / "old"), open_bundle(new))
    assert said(comparison, "Code") == [
        "numpy 1.9 -> 2.0",
        "scipy none -> 1.0",
        f"program {old} -> gammastack 9.9",
    ]


def cut(path):
    path.write_bytes(path.read_bytes()[:-2000])


def flip(path):
    content = bytearray(path.read_bytes())
    # The image is in the block of 2880 bytes before the first table
    content[content.index(b"XTENSION") - 2880] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def without_origin(path):
    write(path, [Provenance({}).image(np.ones(SHAPE), GEOMETRY)])


def without_image(path):
    provenance = Provenance({})
    write(path, provenance.tables())


def with_a_run_twice(path):
    provenance = Provenance({}, runs=runs_table(make_runs([1, 1])))
    image = provenance.image(np.ones(SHAPE), GEOMETRY)
    write(path, [image, *provenance.tables()])


@pytest.mark.parametrize(
    "damage", [cut, flip, empty, without_origin, without_image, with_a_run_twice]
)
def test_damaged_map(tmp_path, capsys, damage):
    a, b = make_result(tmp_path / "a"), make_result(tmp_path / "b")
    damage(b / LOW / "counts.fits")
    refused(capsys, a, b, f"ERROR: {b}: {LOW}/counts.fits is damaged (")


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "completed"}'])
def test_damaged_record(tmp_path, capsys, content):
    a, b = make_result(tmp_path / "a"), make_result(tmp_path / "b", modules={})
    (b / "provenance" / "stack.json").write_text(content)
    refused(capsys, a, b, f"ERROR: {b}: provenance/stack.json: damaged result (")


def test_damaged_archive(tmp_path, capsys):
    a = make_result(tmp_path / "a")
    b = tmp_path / "b.zip"
    with ZipFile(b, "w") as archive:
        archive.writestr("products/runs.csv", "x" * 100)
    b.write_bytes(b.read_bytes().replace(b"xxxx", b"yyyy", 1))
    (a / "runs.csv").write_text("x")
    refused(capsys, a, b, f"ERROR: {b}: products/runs.csv is damaged (")


def test_what_is_no_result(tmp_path, capsys):
    a = make_result(tmp_path / "a")
    (tmp_path / "b").mkdir()
    refused(capsys, a, tmp_path / "b", f"ERROR: {tmp_path}/b: neither an archive")
    (tmp_path / "b" / "products").mkdir()
    refused(capsys, a, tmp_path / "b", f"ERROR: {tmp_path}/b: there are no maps")
    (tmp_path / "c").write_text("text")
    refused(capsys, a, tmp_path / "c", f"ERROR: {tmp_path}/c: no readable archive")


def test_file_that_cannot_be_read(tmp_path, capsys, monkeypatch):
    a, b = make_result(tmp_path / "a"), make_result(tmp_path / "b")

    def read_bytes(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    refused(capsys, a, b, "ERROR: ")


def refused(capsys, a, b, message):
    for paths in ((a, b), (b, a)):
        assert main([str(path) for path in paths]) == 2
        streams = capsys.readouterr()
        assert streams.out == ""
        assert streams.err.startswith(message)
        assert streams.err.count("\n") == 1
