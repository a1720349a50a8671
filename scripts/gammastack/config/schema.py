"""The schema of the configuration, and what is said of settings that do not fit it."""

import difflib
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from gammastack.errors import InputError

SCHEMA = Path(__file__).with_name("schema.yaml")
# Types of JSON in words
TYPES = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys with values",
    "null": "nothing",
}
BOUNDS = {
    "minimum": "not less than",
    "maximum": "not more than",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}
# A value is shown up to this length.
LONGEST = 80


@cache
def schema():
    """Return the JSON schema as a dictionary."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), loader)


def validate(settings):
    """Raise `InputError` unless settings fit the schema.

    The message names the key, what is given, what is needed in words, and examples.
    """
    errors = Draft202012Validator(schema()).iter_errors(settings)
    error = next(iter(sorted(errors, key=lambda error: len(error.absolute_path))), None)
    if error is None:
        return
    while alternatives := _fitting(error):
        # The one that matched furthest tells users most.
        error = max(
            alternatives,
            key=lambda error: (
                len(error.absolute_path),
                _resemblance(error),
                error.validator == "additionalProperties",
            ),
        )
    path = list(error.absolute_path)
    place = "".join(f"{part}: " for part in map(_part, path)) or "configuration: "
    if error.validator == "additionalProperties":
        raise InputError(f"{place}{_unknown_key(error)}")
    needed = error.schema.get("description") or _described(path, "description")
    needed = f". Needed: {needed.strip().rstrip('.')}." if needed else ""
    raise InputError(f"{place}{_problem(error)}{needed or '.'}{examples(*path)}")


def examples(*path):
    """Return the examples for a key of the schema as text, ready for a configuration.

    Parameters
    ----------
    *path : str or int
        Keys, and numbers of items; the examples are those of the innermost key that has any.
    """
    shown = _described(path, "examples") or ()
    return f" Example{'s' * (len(shown) > 1)}: {'; '.join(shown)}" if shown else ""


def _part(part):
    """Return a part of a place; items of lists are counted from 1."""
    return f"item {part + 1}" if isinstance(part, int) else part


def _wrong_types(error):
    """Return the errors of the alternatives that are for values of another type."""
    return [
        one
        for one in error.context
        if one.validator == "type" and not one.relative_path
    ]


def _fitting(error):
    """Return the errors of the alternatives that are for values of this type."""
    wrong = {one.relative_schema_path[0] for one in _wrong_types(error)}
    return [one for one in error.context if one.relative_schema_path[0] not in wrong]


def _resemblance(error):
    """Return how much the keys of a mapping are like those that its schema knows."""
    known = error.schema.get("properties", ())
    if not (known and isinstance(error.instance, dict)):
        return 0
    return sum(
        max(difflib.SequenceMatcher(None, str(key), other).ratio() for other in known)
        for key in error.instance
    )


def _unknown_key(error):
    known = list(error.schema["properties"])
    unknown = next(key for key in error.instance if key not in known)
    near = difflib.get_close_matches(str(unknown), known, n=1, cutoff=0.8)
    near += [key for key in known if key in str(unknown)]
    near += difflib.get_close_matches(str(unknown), known, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"unknown key '{unknown}'.{hint} Known keys: {', '.join(known)}"


def _problem(error):
    """Return what is wrong with a value, in words."""
    value, rule = error.instance, error.validator_value
    shown = "an empty value" if value is None else _shown(value)
    match error.validator:
        case "required":
            missing = next(key for key in rule if key not in value)
            return f"the key {missing} is missing"
        case "type" | "oneOf":
            rules = [one.validator_value for one in _wrong_types(error)] or [rule]
            types = [one for rule in rules for one in _listed(rule)]
            *most, last = dict.fromkeys(TYPES[one] for one in types)
            words = f"{', '.join(most)} or {last}" if most else last
            return f"{shown} is not {words}{_hint(value, types)}"
        case "enum":
            near = difflib.get_close_matches(str(value).lower(), map(str.lower, rule))
            near = [one for one in rule if one.lower() in near[:1]]
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            return f"{shown} is none of {', '.join(map(repr, rule))}{hint}"
        case "minItems" | "maxItems" | "minProperties" | "maxProperties":
            what = "items" if error.validator.endswith("Items") else "keys"
            bound = "few" if error.validator.startswith("min") else "many"
            return f"{shown} has too {bound} {what} ({len(value)})"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{shown} must be {BOUNDS[error.validator]} {rule}"
    return f"{shown} cannot be used"


def _listed(rule):
    return [rule] if isinstance(rule, str) else rule


def _hint(value, types):
    """Return what to do about a number that is given as a text."""
    if not (isinstance(value, str) and {"number", "integer"} & {*types}):
        return ""
    try:
        float(value)
    except ValueError:
        return ""
    if "e" in value.lower() and "." not in value:
        return " but a text in YAML, where 1e-11 is written 1.0e-11"
    return " but a text: leave out the quotes"


def _described(path, key):
    """Return the description or the examples for a place, or for the innermost one around it."""
    rules, name, found = [schema()], "", None
    for part in path:
        rules = [one for rule in rules for one in _children(rule, part)]
        name = name if isinstance(part, int) else part
        here = [one[key] for rule in rules for one in _alternatives(rule) if key in one]
        if here and key == "examples":
            found = [f"{name}: {_yaml(value)}" for value in here[0]]
        elif here:
            found = here[0]
    return found


def _alternatives(rule):
    """Yield a rule, the one that it refers to, and its alternatives."""
    yield rule
    if "$ref" in rule:
        target = schema()
        for key in rule["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        yield from _alternatives(target)
    for one in rule.get("oneOf", ()):
        yield from _alternatives(one)


def _children(rule, part):
    """Yield the rules for a key, or for an item of a list."""
    for one in _alternatives(rule):
        if isinstance(part, int):
            child = one.get("items")
        else:
            child = one.get("properties", {}).get(part, one.get("additionalProperties"))
        if child:
            yield child


def _yaml(value):
    """Return a value as it can be written into a configuration, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _shown(value):
    text = repr(value) if isinstance(value, str) else _yaml(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
