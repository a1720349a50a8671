"""Settings read from YAML or JSON: plain data, each key once, and not too many of them.

YAML allows that a value of a few lines stands for more values than any memory holds, and
its readers take the last of two equal keys without a word.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gammastack.errors import InputError

# The settings of a survey of 10,000 runs have a tenth of that.
MAX_VALUES = 100_000
MAX_BYTES = 10_000_000
MAX_DEPTH = 50

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAG = "tag:yaml.org,2002:"
NAMES = "null", "bool", "int", "float", "str", "seq", "map"
ALLOWED_TAGS = {None, *(TAG + name for name in NAMES)}


def load_settings(path):
    """Read the settings in a file, see `parse_settings`."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return parse_settings(content, path)


def parse_settings(content, name):
    """Return settings as Snakemake reads them, but refuse what is ambiguous or endless.

    Parameters
    ----------
    content : bytes
        YAML or JSON.
    name : path
        Name of the file for messages.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        The message names the file, the line and the key.
    """
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{name}: {len(content)} bytes are too many for a configuration; the limit is"
            f" {MAX_BYTES}"
        )
    try:
        text = content.decode("utf-8-sig")
        _check(text)
        settings = _construct(text)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: byte {error.start + 1} is not UTF-8; save the file as UTF-8 text"
        ) from error
    except _Refused as error:
        raise InputError(f"{name}, {error}") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(
            f"{name}{line}: neither YAML nor JSON ({error.problem}); correct this line"
        ) from error
    # A value such as a date that does not exist can cause any error.
    except Exception as error:
        text = " ".join(str(error).split())
        raise InputError(f"{name}: a value cannot be read ({text})") from error
    if not isinstance(settings, dict):
        raise InputError(
            f"{name}: has no keys; see config/README.md for those it needs"
        )
    return settings


def _construct(text):
    # Snakemake tries JSON first, in which 1e3 is a number.
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return yaml.load(text, LOADER)


class _Refused(ValueError):
    """What is not allowed, without the name of the file."""


@dataclass
class _Open:
    """A list or mapping whose end has not been read.

    Attributes
    ----------
    anchor : str or None
    before : int
        Number of values before it.
    is_mapping : bool
    lines : dict of str to int
        Lines by key.
    key : str or None
        The key whose value comes next.
    """

    anchor: str | None
    before: int
    is_mapping: bool
    lines: dict = field(default_factory=dict)
    key: str | None = None


def _check(text):
    """Refuse text that is unsafe to make values of, while nothing of it is made."""
    loader = LOADER(text)
    opened, sizes, n_values = [], {}, 0
    while loader.check_event():
        event = loader.get_event()
        line = event.start_mark.line + 1

        def refuse(reason, line=line):
            place = "".join(f"{one.key}: " for one in opened if one.key)
            raise _Refused(f"line {line}: {place}{reason}")

        if isinstance(event, yaml.CollectionEndEvent):
            closed = opened.pop()
            sizes[closed.anchor] = n_values - closed.before
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                refuse(f"*{event.anchor} stands for nothing that is complete before it")
            n_values += sizes[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            n_values += 1
            if event.tag not in ALLOWED_TAGS:
                tag = event.tag.replace(TAG, "!!")
                refuse(f"the tag {tag} is not allowed; write a plain value")
        else:
            continue
        if n_values > MAX_VALUES:
            refuse(
                f"there are more than {MAX_VALUES} values up to here, with all aliases"
                " written out; use fewer aliases"
            )
        if isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor] = 1
        if opened and opened[-1].is_mapping and opened[-1].key is None:
            _take_key(loader, event, opened[-1], refuse)
        elif isinstance(event, yaml.CollectionStartEvent):
            is_mapping = isinstance(event, yaml.MappingStartEvent)
            # Until its end it does not stand for anything.
            sizes.pop(event.anchor, None)
            opened.append(_Open(event.anchor, n_values - 1, is_mapping))
            if len(opened) > MAX_DEPTH:
                refuse(f"more than {MAX_DEPTH} lists or mappings are in each other")
        elif opened:
            opened[-1].key = None


def _take_key(loader, event, mapping, refuse):
    """Note the key of the next value of a mapping."""
    if not isinstance(event, yaml.ScalarEvent):
        refuse("a key must be text")
    tag = event.tag or loader.resolve(yaml.ScalarNode, event.value, event.implicit)
    if tag not in (TAG + "str", TAG + "merge"):
        refuse(f"the key {event.value} is not text; put it in quotes")
    key = event.value
    if key in mapping.lines:
        refuse(
            f"the key '{key}' is there already, in line {mapping.lines[key]}; keep one"
            " of the two"
        )
    mapping.key, mapping.lines[key] = key, event.start_mark.line + 1
