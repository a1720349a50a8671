"""Damages of whole files, uncompressed and compressed."""

import gzip
from functools import partial

from fuzzing.raw import BLOCK
from fuzzing.sources import KINDS


def parts(rng, draft):
    """Return path and content of a file, and where in it the header or data of an HDU are."""
    path, name = draft.source.hdus[rng.choice(KINDS)]
    start = 0
    for hdu in draft.hdus(path):
        size = len(hdu.encoded(sums=False))
        stop, data = start + size, start + size - len(hdu.data) - -len(hdu.data) % BLOCK
        if hdu.name == name.upper():
            break
        start = stop
    content = bytearray(draft.content(path))
    return path, content, *((start, data) if rng.random() < 0.5 else (data, stop))


def flip_bits(rng, draft):
    path, content, start, stop = parts(rng, draft)
    for place in rng.integers(start, stop, rng.choice([1, 1, 4, 50])):
        content[place] ^= 1 << int(rng.integers(8))
    draft.write(path, content)


def zero_block(rng, draft):
    path, content, start, stop = parts(rng, draft)
    size = int(rng.choice([16, 512, BLOCK]))
    start = int(rng.integers(start, stop))
    content[start : start + size] = bytes(len(content[start : start + size]))
    draft.write(path, content)


def repeat_block(rng, draft):
    path, content, *_ = parts(rng, draft)
    start = int(rng.integers(len(content) // BLOCK)) * BLOCK
    content[start:start] = content[start : start + BLOCK]
    draft.write(path, content)


def truncate(rng, draft):
    path, content, start, stop = parts(rng, draft)
    draft.write(path, content[: rng.integers(start, stop)])


def append_garbage(rng, draft):
    path, content, *_ = parts(rng, draft)
    size = int(rng.choice([1, 80, BLOCK, 100_000]))
    garbage = (bytes(size), rng.bytes(size), b" " * size)
    draft.write(path, content + garbage[rng.integers(3)])


def replace(new, rng, draft):
    draft.written[draft.path(rng.choice(KINDS))] = new


def compressed(rng, draft):
    path = draft.path(rng.choice(KINDS))
    content = gzip.compress(draft.content(path), 1, mtime=0)
    return path, bytearray(content)


def flip_compressed(rng, draft):
    path, content = compressed(rng, draft)
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    draft.written[path] = bytes(content)


def truncate_compressed(rng, draft):
    path, content = compressed(rng, draft)
    draft.written[path] = bytes(content[: rng.integers(2, len(content))])


def append_to_compressed(rng, draft):
    path, content = compressed(rng, draft)
    more = rng.bytes(100), bytes(100), gzip.compress(b"more")
    draft.written[path] = bytes(content) + more[rng.integers(3)]


def compress_twice(rng, draft):
    path, content = compressed(rng, draft)
    draft.written[path] = gzip.compress(content, 1)


def damage_index_bytes(rng, draft):
    path = rng.choice([path for path in draft.source.files if "index" in path])
    content = bytearray(draft.content(path))
    for place in rng.integers(len(content), size=rng.choice([1, 5, 50])):
        content[place] ^= 1 << int(rng.integers(8))
    draft.write(path, content)


DAMAGES = {
    "bytes: bits flipped": flip_bits,
    "bytes: block of zeros": zero_block,
    "bytes: block repeated": repeat_block,
    "bytes: truncated": truncate,
    "bytes: garbage appended": append_garbage,
    "bytes: HTML": partial(
        replace, b"<!DOCTYPE html>\n<html>404 Not Found</html>\n" * 99
    ),
    "bytes: empty": partial(replace, b""),
    "bytes: index, bits flipped": damage_index_bytes,
    "gzip: bit flipped": flip_compressed,
    "gzip: truncated": truncate_compressed,
    "gzip: more appended": append_to_compressed,
    "gzip: compressed twice": compress_twice,
}
