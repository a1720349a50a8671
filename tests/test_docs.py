"""The documentation is in sync with the code."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from gammastack.config.schema import schema
from gammastack.files.layout import SIMULATED_STORE
from gammastack.products import STEPS, TABLE
from rulegraph import in_order

ROOT = Path(__file__).parents[1]


def line(product):
    """Return the line of a product in docs/results.md."""
    file = product.file.replace("{field}/", "").replace("{store}", SIMULATED_STORE)
    file = re.sub(r"\{(\w+)\}", r"<\1>", file).replace("<radius>", "[_<radius>]")
    unit = product.unit if isinstance(product.unit, str) else " or ".join(product.unit)
    when = product.condition.removeprefix("has_").replace("_", " ")
    return f"| `{file}` | {product.description} | {unit} | {product.step} | {when} |"


def test_table_of_products():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    expected = [line(product) for product in TABLE]
    assert rows == expected, "docs/results.md needs these lines:\n" + "\n".join(
        expected
    )


def test_every_key_of_the_configuration_is_explained():
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    definitions = schema()["$defs"]
    keys = {*schema()["properties"], *definitions["field"]["properties"]}
    keys |= definitions["simulation"]["properties"].keys()
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_defaults_of_the_configuration():
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    _, _, text = text.partition("## Top level or field\n")
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| `([^`|]+)` \|$", text.split("\n## ")[0], re.M
    )
    assert len(rows) > 15
    keys = schema()["$defs"]["field"]["properties"]
    for key, default in rows:
        assert yaml.safe_load(default) == keys[key]["default"], key


def test_length_of_the_readme():
    words = (ROOT / "README.md").read_text(encoding="utf-8").split()
    assert len(words) <= 900


def test_links_between_documents():
    for path in [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*/README.md"),
    ]:
        for target in re.findall(
            r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")
        ):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def documented(text):
    """Yield the names in the section Parameters of a docstring."""
    _, _, section = text.partition("Parameters\n----------\n")
    section, *_ = re.split(r"\n\w+\n---", section)
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names, _, _ = line.partition(" : ")
            yield from (name.strip("* ") for name in names.split(","))


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("scripts/**/*.py")), ids=lambda path: path.stem
)
def test_docstrings_name_all_parameters_or_none(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        given = node.args
        known = [*given.posonlyargs, *given.args, given.vararg]
        known += [*given.kwonlyargs, given.kwarg]
        known = {arg.arg for arg in known if arg} - {"self", "cls"}
        names = {*documented(ast.get_docstring(node) or "")}
        assert names in (set(), known), node.name


def test_graph_of_rules_has_all_of_them():
    paths = sorted(ROOT.glob("workflow/rules/*.smk"))
    code = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    pattern = r'^(?:for variant in variants\("|rule )(\w+)(?:"\))?:'
    rules = {*re.findall(pattern, code, re.MULTILINE)}
    _, *edges = (ROOT / "docs" / "rulegraph.mmd").read_text("utf-8").splitlines()
    names = {name for edge in edges for name in edge.split(" --> ")}
    # The rule of the step doctor leaves its name to the target.
    names = {name.strip().replace("doctor_of_field", "doctor") for name in names}
    assert len(rules) > 15 and names == rules, "make rulegraph"


def test_graph_of_rules_does_not_depend_on_the_order_of_snakemake():
    one = "flowchart TB\n\tid0[all]\n\tid1[b]\n\tid2[a]\n\tid2 --> id1\n\tid1 --> id0\n"
    other = "flowchart TB\n\tid0[a]\n\tid1[all]\n\tid2[b]\n\tid2 --> id1\n\tid0 --> id2"
    assert in_order(one) == in_order(other) == "flowchart TB\n    a --> b"


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("workflow/report/*.rst")), ids=lambda path: path.stem
)
def test_captions_are_those_of_products(path):
    """A caption of no product would not be shown, and one with a wrong wildcard stops the report."""
    wildcards = re.findall(r"wildcards\.(\w+)", path.read_text(encoding="utf-8"))
    steps = [product.step for product in TABLE if product.name == path.stem]
    assert steps or path.stem == "workflow"
    assert all({*wildcards} <= {*STEPS[step]} for step in steps)
