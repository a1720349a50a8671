"""Archives and results that are damaged, or made in bad faith, end in one clear message.

Their manifest fits, unless it is said otherwise: anybody can write it anew.
"""

import json
import os
import time
from hashlib import sha256
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
import pytest

import compare
import verify
from gammastack.archive.pack import pack, write_manifest
from gammastack.files.fits import write
from gammastack.files.header import Provenance
from gammastack.provenance.software import code_digest
from gammastack.sky.geometry import ImageGeometry
from hostile import fits_header, yaml_bomb

PRODUCT = "1TeV-10TeV/counts.fits"
COUNTS = f"products/{PRODUCT}"
RECORD = "provenance/stack.json"
CONFIG = "code/config/config.yaml"
MANIFEST = "manifest-sha256.txt"
MODULE = "steps/stack.py"
CODE = "SUM = 1  # of runs\n"
REGION = b"icrs; circle(83, 22, 1)"


def digest_of(content):
    return sha256(content).hexdigest()


def product(path, value):
    """The content of a product whose pixels have a value."""
    geometry = ImageGeometry.create((83.63, 22.01), "icrs", "TAN", (0.4, 0.4), 0.1)
    provenance = Provenance({})
    image = provenance.image(np.full(geometry.shape, value, np.int32), geometry)
    write(path, [image, *provenance.tables()])
    return path.read_bytes()


def record(content):
    """The record of the step that made a product."""
    product = {"role": "counts", "kind": "result", "url": PRODUCT}
    region = {"role": "exclusion", "kind": "data", "url": "sources.reg"}
    return {
        "activity_name": "stack",
        "activity_uuid": "0",
        "stop": {"time_utc": "2026-01-01T00:00:00"},
        "status": "completed",
        "config": {},
        "input": [{**region, "sha256": digest_of(REGION)}],
        "output": [{**product, "sha256": digest_of(content)}],
        "software": {"modules": {MODULE: code_digest(CODE)}, "packages": {}},
    }


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """The files of a small archive by name, without its manifest."""
    content = product(tmp_path_factory.mktemp("product") / "counts.fits", 1)
    return {
        COUNTS: content,
        RECORD: json.dumps(record(content)).encode(),
        CONFIG: b"simulation: {}\nfields: {sky: {}}\n",
        f"code/scripts/{MODULE}": CODE.encode(),
        "inputs/1/sources.reg": REGION,
    }


@pytest.fixture
def packed(tmp_path):
    """Return a function that packs files, with a manifest that fits, into an archive."""

    def function(files, name="archive.zip"):
        folder = tmp_path / f"{name}-files"
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        if MANIFEST not in files:
            write_manifest(folder)
        pack(folder, tmp_path / name)
        return tmp_path / name

    return function


@pytest.fixture
def said(capsys):
    """Return a function that calls a command, and returns its exit code and output."""

    def function(command, *arguments):
        start = time.process_time()
        code = command.main([str(argument) for argument in arguments])
        assert time.process_time() - start < 10
        streams = capsys.readouterr()
        return code, streams.out + streams.err

    return function


def test_intact(files, packed, said):
    path = packed(files)
    code, text = said(verify, path)
    # This is not the code of today.
    assert code == 3
    # The record and the configuration are not in any record.
    assert "5 files as the manifest says, 3 of them (products, code, inputs)" in text
    assert "Not proven: who made it" in text
    with ZipFile(path) as archive:
        digest = digest_of(archive.read(MANIFEST))
    assert f"--manifest-sha256: {digest}\n" in text
    code, text = said(verify, path, "--manifest-sha256", digest.upper())
    assert code == 3
    assert "the archive whose manifest was expected" in text
    assert "Not proven" not in text


def test_archive_with_another_manifest_is_refused(files, packed, said):
    code, text = said(verify, packed(files), "--manifest-sha256", "0" * 64)
    assert code == 1
    assert f"{MANIFEST}: its SHA-256 is" in text and f"not {'0' * 64}" in text


@pytest.mark.parametrize(
    "arguments",
    [["a.zip", "--manifest-sha256", "12"], ["a", "b", "--manifest-sha256", "0" * 64]],
)
def test_wrong_use_of_the_hash_of_the_manifest(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        verify.main(arguments)
    assert caught.value.code == 2
    assert "--manifest-sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (COUNTS, b"other counts"),
        (COUNTS, None),
        ("products/runs.csv", b"OBS_ID\n"),
        ("products/better.txt", b"better"),
        ("inputs/1/sources.reg", b"icrs; circle(83, 22, 2)"),
        (f"code/scripts/{MODULE}", b"SUM = 2\n"),
        (f"code/scripts/{MODULE}", b"SUM = (\n"),
        (f"code/scripts/{MODULE}", b"\xff"),
        (f"code/scripts/{MODULE}", b"#\n" * 2_000_000 + CODE.encode()),
        (f"code/scripts/{MODULE}", b"'" * 190_000),
        (f"code/scripts/{MODULE}", None),
    ],
)
def test_altered_with_its_manifest(files, packed, said, name, content):
    """The records tell, whatever the manifest says."""
    changed = {**files, name: content}
    code, text = said(
        verify, packed({k: v for k, v in changed.items() if v is not None})
    )
    assert code == 1
    assert f"{name}: not what the records say" in text


def test_comments_are_no_code(files, packed, said):
    changed = {**files, f"code/scripts/{MODULE}": b"SUM = 1\r\n"}
    assert said(verify, packed(changed))[0] == 3


def recorded(change):
    """The content of a record after a change."""
    content = record(b"")
    change(content)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "Expecting property name"),
        (b"\xff\xfe\xff", "codec can't decode"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "recursion"),
        (b'{"status": "completed"}', "it has no activity_name, activity_uuid"),
        (recorded(lambda it: it.update(input=5)), "input is not of the type list"),
        (
            recorded(lambda it: it.update(output=[5])),
            "item of output is not of the type",
        ),
        (recorded(lambda it: it["output"][0].pop("url")), "item of output has no url"),
        (
            recorded(lambda it: it["output"][0].update(url=[])),
            "url is not of the type str",
        ),
        (recorded(lambda it: it["software"].update(packages=[])), "packages is not"),
        (
            recorded(lambda it: it["software"].update(modules={"a": 1})),
            "a is not of the",
        ),
        (recorded(lambda it: it.update(config=[])), "config is not of the type dict"),
    ],
)
def test_damaged_record(files, packed, said, content, message):
    path = packed({**files, RECORD: content})
    other = packed({**files, COUNTS: b"", RECORD: content}, "other.zip")
    for code, text in (said(verify, path), said(verify, other)):
        assert code == 2
        assert f"ERROR: {path.parent}" in text
        assert f"{RECORD}: damaged result (" in text and message in text


@pytest.mark.parametrize(
    "config",
    [
        {"obs_id": 1, "hdus": 5},
        {"obs_id": 1, "hdus": {"events": 5}},
        {"obs_id": 1, "hdus": {"events": [0, [], {}]}},
        {"energy_bands": 5},
        {"radius": []},
    ],
)
def test_record_of_odd_settings(files, packed, said, config, simulated_store, tmp_path):
    """Whatever they are, there is a message."""
    odd = {**json.loads(files[RECORD]), "config": config}
    odd["input"][0] |= {"role": "dl3"}
    path = packed({**files, RECORD: json.dumps(odd).encode()})
    (tmp_path / "my.yaml").write_text(
        f"datastore: {simulated_store[0].folder}\ncenter: [83, 22]\n"
        "energy_bands: [[1 TeV, 10 TeV]]\nfields: {sky: {}}\n"
    )
    code, text = said(verify, path, "--configfile", tmp_path / "my.yaml")
    assert code in (2, 3)
    assert code == 3 or f"{RECORD}: damaged record" in text


def test_records_in_a_circle(files, packed, said):
    first, second = (json.loads(files[RECORD]) for _ in range(2))
    other = {**first["output"][0], "url": "groups/all.fits"}
    first["input"].append(other)
    second |= {"activity_uuid": "1", "input": first["output"], "output": [other]}
    records = {RECORD: first, "provenance/other.json": second}
    records = {name: json.dumps(it).encode() for name, it in records.items()}
    code, text = said(verify, packed({**files, **records}))
    assert code == 2
    assert f"provenance/other.json, {RECORD}: damaged records (each depends" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", "byte 1 is not UTF-8"),
        (b"a: [", "neither YAML nor JSON"),
        (b"- a", "has no keys"),
        (b"a: 1", "has not one field"),
        (b"fields: {}", "has not one field"),
        (b"fields: [a]", "has not one field"),
        (b"fields: {a: 1}", "has not one field"),
        (b"fields: {a: {}, a: {}}", "line 1: fields: the key 'a' is there already"),
        (b"fields: {a: !!python/object/apply:os.mkdir [made]}", "the tag !!python"),
        (yaml_bomb().encode(), "more than 100000 values"),
    ],
)
def test_damaged_configuration(files, packed, said, content, message, tmp_path):
    path = packed({**files, CONFIG: content})
    (tmp_path / "my.yaml").write_bytes(content)
    for arguments in ([], ["--configfile", tmp_path / "my.yaml"]):
        code, text = said(verify, path, *arguments)
        assert code == 2
        assert text.startswith("ERROR: ")
    code, text = said(verify, path)
    assert f"{path}: {CONFIG}" in text and message in text


@pytest.mark.parametrize("store", ["/dev/null", "a\\0b", "x" * 5000, "~/$NOT_SET"])
def test_odd_datastore(files, packed, said, store):
    config = f'fields: {{sky: {{datastore: "{store}"}}}}'.encode()
    assert said(verify, packed({**files, CONFIG: config}))[0] == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", f"{MANIFEST}, line 1: not one checksum"),
        (b"0  a\n1  a\n", f"{MANIFEST}, line 2: not one checksum"),
        (b"", f"{MANIFEST}, line 1: not one checksum"),
        (b"0" * 64 + b"  nothing\n", "nothing: missing"),
    ],
)
def test_damaged_manifest(files, packed, said, content, message):
    code, text = said(verify, packed({**files, MANIFEST: content}))
    assert code == 1
    assert message in text


@pytest.mark.parametrize("name", [CONFIG, RECORD, COUNTS, "ro-crate-metadata.json"])
def test_damage_that_the_manifest_shows(files, packed, said, name, tmp_path):
    path = packed({**files, "ro-crate-metadata.json": b"{}"})
    with ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    (tmp_path / "unpacked" / name).write_bytes(b"\xff")
    code, text = said(verify, tmp_path / "unpacked")
    if name == CONFIG:
        # It may say where the data are now, but must be readable.
        assert code == 2 and "byte 1 is not UTF-8" in text
    else:
        assert code == 1
        assert f"{name}: its content is not what was written" in text


SIMPLE = "SIMPLE  = T", "BITPIX  = 8"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 5000,
        fits_header(*SIMPLE, "NAXIS   = 2", "NAXIS1  = -2880", "NAXIS2  = 1"),
        fits_header(*SIMPLE, "NAXIS   = 2", f"NAXIS1  = {10**12}", "NAXIS2  = 1000"),
        fits_header(*SIMPLE, "NAXIS   = 999999999"),
        fits_header(*SIMPLE, "NAXIS   = 'x'"),
        fits_header(*SIMPLE, "NAXIS   = 0"),
        fits_header("SIMPLE  = T"),
        fits_header(*SIMPLE, "NAXIS   = 0", *["COMMENT x"] * 200_000),
    ],
)
def test_product_that_is_no_fits_file(files, packed, said, content):
    """Its record fits, too."""
    changed = {**files, COUNTS: content}
    path = packed({**changed, RECORD: json.dumps(record(content)).encode()})
    code, text = said(verify, path)
    assert code == 1
    assert f"{PRODUCT}: no product of gammastack (" in text
    for pair in ([path, packed(files, "b.zip")], [packed(files, "b.zip"), path]):
        code, text = said(compare, *pair)
        assert code == 2
        assert f"{path}: {PRODUCT} is damaged" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CTYPE1  = 'RA---TAN'", b"CTYPE1  = 'XX---TAN'"),
        (b"BUNIT   =", b"XUNIT   ="),
        (b"CODE    =", b"XODE    ="),
        (b"CODE    = '{}      '", b"CODE    = '5       '"),
        (b"CONFIG  = '{}      '", b"CONFIG  = '{       '"),
        (b"CHECKSUM=", b"XHECKSUM="),
    ],
)
def test_compare_odd_headers(files, packed, said, tmp_path, old, new):
    """Without checksums; whatever they say, there is a message or a comparison."""
    content = product(tmp_path / "other.fits", 0)
    assert old in content
    content = content.replace(old, new).replace(b"CHECKSUM=", b"XHECKSUM=")
    content = content.replace(b"DATASUM =", b"XATASUM =")
    path, good = packed({**files, COUNTS: content}), packed(files, "b.zip")
    for pair in ([path, good], [good, path]):
        code, text = said(compare, *pair)
        assert code in (1, 2)
        assert code == 1 or PRODUCT in text


def zipped(path, *members):
    """An archive of members: name or `ZipInfo`, content."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def member(name, mode=0, method=ZIP_DEFLATED):
    info = ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = method
    return info


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["../outside"], "the name '../outside' in it leads elsewhere"),
        (["a/../../outside"], "leads elsewhere"),
        (["/etc/outside"], "the name '/etc/outside' in it leads elsewhere"),
        (["C:/outside"], "leads elsewhere"),
        (["a\\outside"], "leads elsewhere"),
        (["a//b"], "leads elsewhere"),
        (["a\nOK: all is well"], r"the name 'a\nOK: all is well' in it cannot be"),
        (["a\x1b[2J"], r"the name 'a\x1b[2J' in it cannot be printed"),
        (["a", "a"], "a is there 2 times"),
        ([member("link", 0o120777)], "link is a link or a device"),
        ([member("pipe", 0o010666)], "pipe is a link or a device"),
        ([member("a", method=ZIP_BZIP2)], "a is compressed by an unknown method"),
    ],
)
def test_archive_with_unsafe_names(tmp_path, said, names, message):
    path = zipped(tmp_path / "a.zip", *((name, b"../outside") for name in names))
    for code, text in (said(verify, path), said(compare, path, path)):
        assert code == 2
        assert text.startswith(f"ERROR: {path}: ") and text.count("\n") == 1
        assert message in text and "do not unpack it" in text
    assert [one.name for one in tmp_path.iterdir()] == ["a.zip"]


def test_zip_bomb(tmp_path, said, monkeypatch):
    monkeypatch.setattr("gammastack.archive.bundle.MAX_BYTES", 5_000_000)
    path = zipped(tmp_path / "a.zip", *((f"{n}", bytes(1_000_000)) for n in range(6)))
    code, text = said(verify, path)
    assert code == 2
    assert f"{path.stat().st_size} bytes would unpack to 6000000 bytes" in text


def declare(path, size):
    """Let the central directory of an archive declare another size of its only member."""
    content = bytearray(path.read_bytes())
    # APPNOTE.TXT 6.3.10, section 4.3.12: the uncompressed size is 24 bytes from the start
    place = content.rindex(b"PK\1\2") + 24
    content[place : place + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)


def test_declared_sizes_that_are_wrong(tmp_path, said):
    path = zipped(tmp_path / "a.zip", (MANIFEST, bytes(30_000_000)))
    declare(path, 2**32 - 2)
    code, text = said(verify, path)
    assert code == 2 and "would unpack to 4294967294 bytes" in text
    declare(path, 10)
    code, text = said(verify, path)
    assert code == 1 and f"{MANIFEST} is damaged (Bad CRC-32" in text


@pytest.mark.parametrize("n_bytes", [1, 30, 100])
def test_cut_archive(files, packed, said, n_bytes):
    path = packed(files)
    path.write_bytes(path.read_bytes()[:-n_bytes])
    code, text = said(verify, path)
    assert code in (1, 2)
    assert path.name in text


@pytest.fixture
def results(tmp_path, files):
    """The folder of the results of a field."""
    folder = tmp_path / "sky"
    for name, content in {PRODUCT: files[COUNTS], RECORD: files[RECORD]}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    return folder


def test_folder_has_no_manifest(results, said):
    code, text = said(verify, results, "--manifest-sha256", "0" * 64)
    assert code == 2 and "only an archive has a manifest" in text


@pytest.mark.parametrize(
    "links",
    [
        {"a": "..", "b": ".."},
        {"a": ".", "b": "."},
        {"a": "/"},
        {"1TeV-10TeV/a": "..", "1TeV-10TeV/b": ".."},
        {"a": "1TeV-10TeV"},
    ],
)
def test_links_that_lead_to_what_was_read(results, said, links):
    for name, target in links.items():
        (results / name).symlink_to(target)
    for code, text in (said(verify, results), said(compare, results, results)):
        assert code == 2
        assert "delete this link" in text
        assert any(
            f"{results / name}: leads to" in text for name in [*links, PRODUCT[:10]]
        )


def test_links_that_lead_to_files_or_nowhere(results, said, tmp_path):
    (results / PRODUCT).rename(tmp_path / "moved.fits")
    (results / PRODUCT).symlink_to(tmp_path / "moved.fits")
    (results / "itself").symlink_to("itself")
    (results / "nowhere").symlink_to("nothing")
    os.mkfifo(results / "pipe")
    code, text = said(verify, results)
    assert code == 3
    assert "1 files as the records beside them say" in text


def test_names_cannot_fake_lines(results, said):
    names = [b"\xff.txt", b"a\nOK: 9 files", b"\x1b[2J"]
    for name in names:
        open(os.path.join(os.fsencode(results), name), "wb").close()
    code, text = said(verify, results)
    assert code == 3
    assert r"\udcff.txt: no part of the result" in text
    assert r"a\nOK: 9 files: no part" in text and r"\x1b[2J: no part" in text


@pytest.mark.parametrize("kind", ["pipe", "device", "long"])
def test_path_that_is_no_archive(tmp_path, said, kind):
    path = {"pipe": tmp_path / "pipe", "device": "/dev/zero", "long": "x" * 5000}[kind]
    if kind == "pipe":
        os.mkfifo(path)
    for code, text in (said(verify, path), said(compare, path, path)):
        assert code == 2
        assert f"ERROR: {path}: " in text
