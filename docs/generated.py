"""Directives whose text comes from the code: keys, commands, and pictures that are there."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from gammastack.config.schema import SCHEMA, schema

COMMANDS = Path(__file__).resolve().parents[1] / "scripts"
# The workflow starts it, and nobody else.
POOL = "pool.py"
FIELD = "#/$defs/field/"


class Keys(SphinxDirective):
    """All keys of the configuration, from the schema."""

    def run(self):
        self.env.note_dependency(str(SCHEMA))
        lines = []
        for key, value, default, meaning in keys_of_schema():
            term = ", ".join(filter(None, (f"`{key}`: {value}", default)))
            lines += [term, f": {meaning}", ""]
        return self.parse_text_to_nodes("\n".join(lines))


class Commands(SphinxDirective):
    """What each command says when it is asked for help."""

    def run(self):
        return [
            self.command(path)
            for path in sorted(COMMANDS.glob("*.py"))
            if path.name != POOL
        ]

    def command(self, path):
        self.env.note_dependency(str(path))
        text = subprocess.check_output(
            [sys.executable, path, "--help"],
            text=True,
            env={**os.environ, "COLUMNS": "80"},
        )
        section = nodes.section(ids=[path.stem], names=[path.stem])
        section += nodes.title(path.name, path.name)
        section += nodes.literal_block(text, text, language="text")
        return section


class Pictures(SphinxDirective):
    """The pictures of a folder that exist, each with its caption: lines ``name: caption``."""

    required_arguments = 1
    has_content = True

    def run(self):
        self.env.note_reread()
        folder = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        captions = (line.split(": ", 1) for line in self.content)
        lines = []
        for name, caption in captions:
            if (folder / f"{name}.png").exists():
                path = f"{self.arguments[0]}/{name}.png"
                lines += [f":::{{figure}} {path}", f":alt: {caption}", caption, ":::"]
        return self.parse_text_to_nodes("\n".join(lines))


def keys_of_schema():
    """Yield key, value, default and meaning of each key of the configuration."""
    own = {
        key: node
        for key, node in schema()["properties"].items()
        if not node.get("$ref", "").startswith(FIELD)
    }
    yield from _keys({**schema(), "properties": own})
    yield from _keys(schema()["$defs"]["field"])


def _keys(node, prefix=""):
    for key, child in node["properties"].items():
        name, child = prefix + key, _resolved(child)
        default = "required" if key in node.get("required", ()) else ""
        if "default" in child:
            default = f"default `{_yaml(child['default'])}`"
        meaning = " ".join(child.get("description", "").split())
        yield name, _value(child), default, meaning
        for inner in _alternatives(child):
            if "properties" in inner:
                yield from _keys(inner, f"{name}.")
            for item in _alternatives(_resolved(inner.get("items", {}))):
                if "properties" in item:
                    yield from _keys(item, f"{name}[].")


def _resolved(node):
    """Return a node of the schema with what it refers to."""
    if "$ref" not in node:
        return node
    name = node["$ref"].removeprefix("#/$defs/")
    definition = schema()["$defs"][name]
    if name in ("quantity", "position"):
        return {"value": name, "description": definition["description"], **node}
    return {**_resolved(definition), **node}


def _alternatives(node):
    return [_resolved(one) for one in node.get("oneOf", [node])]


def _value(node):
    """Return in words which values are allowed."""
    if "value" in node:
        return node["value"]
    if "oneOf" in node:
        return " or ".join(dict.fromkeys(map(_value, _alternatives(node))))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "items" in node:
        item = _value(_resolved(node["items"]))
        return f"[{item}, {item if node.get('maxItems') == 2 else '...'}]"
    if "properties" in node or "additionalProperties" in node:
        return "settings"
    return "text" if node["type"] == "string" else node["type"]


def _yaml(value):
    return (
        yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
    )


def setup(app):
    app.add_directive("keys-of-the-configuration", Keys)
    app.add_directive("commands", Commands)
    app.add_directive("pictures", Pictures)
    return {"parallel_read_safe": True}
