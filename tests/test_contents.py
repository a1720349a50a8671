import hashlib
import os
from pathlib import Path

import pytest

from gammastack import memory
from gammastack.provenance import contents as module
from gammastack.provenance.contents import Contents


@pytest.fixture
def reads(monkeypatch):
    """Record the names of the files that are read."""
    names = []
    read = module.sha256_of
    monkeypatch.setattr(
        module, "sha256_of", lambda path: names.append(Path(path).name) or read(path)
    )
    return names


def make(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture
def old(monkeypatch):
    """Make all files seem older than they are."""
    monkeypatch.setattr(memory, "TOO_YOUNG", -(10**12))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_untouched_files_are_read_once(tmp_path, reads, old):
    path = make(tmp_path / "a", b"one")
    contents = Contents(tmp_path / "memory.json")
    assert contents.sha256(path) == contents.sha256(path) == sha256(b"one")
    assert reads == ["a"]


def test_memory_is_kept(tmp_path, reads, old):
    path = str(make(tmp_path / "a", b"one"))
    first = Contents(tmp_path / "memory.json")
    first.sha256(path)
    first.save()
    assert Contents(tmp_path / "memory.json").sha256(path) == sha256(b"one")
    assert reads == ["a"]


def test_file_replaced_by_an_older_one_of_the_same_size(tmp_path, old):
    """The change is noticed even if rsync --times or tar sets the time back."""
    path = make(tmp_path / "a", b"one")
    contents = Contents(tmp_path / "memory.json")
    assert contents.sha256(path) == sha256(b"one")
    times = os.stat(path)
    make(tmp_path / "b", b"two").replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert contents.sha256(path) == sha256(b"two")


def test_file_that_was_just_written_is_not_trusted(tmp_path, reads):
    path = make(tmp_path / "a", b"one")
    contents = Contents(tmp_path / "memory.json")
    for _ in range(2):
        contents.sha256(path)
    assert reads == ["a", "a"]


@pytest.mark.parametrize("text", ["", "[]", "{", "[1, 2]"])
def test_damaged_memory_is_forgotten(tmp_path, text, old):
    (tmp_path / "memory.json").write_text(text)
    contents = Contents(tmp_path / "memory.json")
    path = str(make(tmp_path / "a", b"one"))
    assert contents.sha256(path) == sha256(b"one")
    contents.save()
    assert path in (tmp_path / "memory.json").read_text()
