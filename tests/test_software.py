"""What counts as a change of the code of a step."""

import importlib
import inspect
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from gammastack.files import layout
from gammastack.products import STEPS, TABLE
from gammastack.provenance.software import parameters, software, tokens

SCRIPTS = Path(__file__).parents[1] / "scripts"
CODE = '''\
"""Prose."""
import math


def scale(x, factor=2.0, *, text="a b"):
    """More prose."""
    # Why
    if x > 1:
        y = (x + factor) * 3  # here
        return f"{y:.1f} {text!r}" + 'c'
    return math.sqrt(
        x,
    )


class Pair:
    """Prose of a class."""

    @property
    def both(self):
        """Prose of a method."""
        return 1, 0x10
'''


@pytest.mark.parametrize(
    "old, new",
    [
        ('"""Prose."""', '"""Other prose,\n\nin more lines."""'),
        ('"""Prose."""\n', ""),
        ('    """More prose."""\n', ""),
        ('"""More prose."""', "'''More \\n prose.'''"),
        ('"""Prose of a class."""', 'r"""Other prose."""'),
        ('"""Prose of a method."""', '"""Other prose."""'),
        ("    # Why\n", ""),
        ("# Why", "# Because: x = 2"),
        ("  # here", ""),
        ("\n\n\n", "\n"),
        ("(x + factor)", "(\n            x\n            +   factor)"),
        ("math.sqrt(\n        x,\n    )", "math.sqrt(x,)"),
        ("x > 1:\n        y", "x > 1 :\n\n        y"),
        ("def scale(x, factor", "def scale(\n  x,\n  factor"),
        ("return 1, 0x10\n", "return 1, 0x10"),
        ("x > 1", "x \\\n     > 1"),
        ("    @property\n    def both", "    @property\n\n    def both"),
        ("\n", "\r\n"),
        ("    ", "  "),
        ("    ", "\t"),
    ],
)
def test_prose_and_layout_do_not_count(old, new):
    assert old in CODE
    assert tokens(CODE.replace(old, new)) == tokens(CODE)


@pytest.mark.parametrize(
    "old, new",
    [
        ("x > 1", "x >= 1"),
        ("+ factor", "- factor"),
        ("* 3", "* 3.0"),
        ("* 3", "** 3"),
        ("(x + factor) * 3", "x + factor * 3"),
        ("2.0", "2.1"),
        ("0x10", "0x11"),
        ("1, 0x10", "1 + 0x10"),
        ("factor=2.0", "factor"),
        ("factor=2.0, *,", "factor=2.0,"),
        ("a b", "a  b"),
        ("'c'", "'d'"),
        ("'c'", "b'c'"),
        ("'c'", "''"),
        ("{y:.1f}", "{y:.2f}"),
        ("{text!r}", "{text!s}"),
        ("{text!r}", "{x!r}"),
        ("{y:.1f} {", "{y:.1f}  {"),
        ('f"{y', '"{y'),
        ("    @property\n", ""),
        ("@property", "@staticmethod"),
        ("import math", "import cmath as math"),
        ("        return f", "    return f"),
        ("    return math.sqrt", "        return math.sqrt"),
        ("\n\nclass Pair:", "\n    class Pair:"),
        ("sqrt(\n        x,\n    )", "sqrt(\n        x\n    ),"),
        ('"""More prose."""', 'text = """More prose."""'),
        ('"""More prose."""', 'f"""More {prose}."""'),
        ('"""More prose."""', '"""More prose.""".split()'),
        ("return 1", '"b"; return 1'),
        ("return 1", "# return 1"),
        ("return 1", "return -1"),
        ("return 1", "yield 1"),
        ("if x", "while x"),
        ("scale(x", "scale(z"),
    ],
)
def test_every_other_edit_counts(old, new):
    assert old in CODE
    assert tokens(CODE.replace(old, new)) != tokens(CODE)


def test_strings_that_look_like_comments_count():
    assert tokens('a = "# x"') != tokens('a = "# y"')
    assert tokens('a = (\n"x"\n)') != tokens('a = (\n"y"\n)')
    assert tokens('f("""x\ny""")') != tokens('f("""x\nz""")')
    assert tokens('"x".join(a)') != tokens('"y".join(a)')
    assert tokens('"x" % f()') != tokens('"y" % f()')
    assert tokens('a = f"{1}" "x"') != tokens('a = f"{1}" "y"')
    assert tokens('a = f"""{\n1}\nx"""') != tokens('a = f"""{\n1}\ny"""')


def test_string_in_several_parts_at_the_start_of_a_line():
    """Inside brackets, a string on a line of its own counts: it is not a docstring."""
    for text in ('["x",\n%s]', '{"x": 1,\n%s: 2}', "f(\n%s)", '("x"\n%s)'):
        assert tokens(text % '"y"') != tokens(text % '"z"')


def test_lines_are_those_of_python():
    """Characters that only str.splitlines takes for the end of a line do not end it."""
    text = 'a = "\x0c\u2028"\nb = f"{%s}µ"\n'
    assert tokens(text % "x") != tokens(text % "y")
    assert tokens(text % "x")[-2] == 'f"{x}µ"'


def test_f_string_is_one_token():
    """This is as in Python 3.11, so that code has the same hash in all versions."""
    assert tokens('a = f"{x:{w}}" + f"{f(1)!r}"\n') == [
        *("a", "=", 'f"{x:{w}}"', "+", 'f"{f(1)!r}"', "NEWLINE")
    ]
    assert tokens('"y" f"{x}"\n') == ['"y"', 'f"{x}"', "NEWLINE"]
    text = 'a = (f"""b\n  {c}\n""", 1)\n'
    assert tokens(text)[3] == 'f"""b\n  {c}\n"""'


FILES = {
    "steps/maps.py": "import numpy as np\nfrom gammastack.maps import one\n\n\ndef run(): ...\n",
    "gammastack/__init__.py": "from gammastack.version import __version__\n",
    "gammastack/version.py": "__version__ = '1'\n",
    "gammastack/maps/__init__.py": "",
    "gammastack/maps/one.py": "from gammastack.products import TABLE\n",
    "gammastack/maps/other.py": "import scipy\n",
    "gammastack/products.py": "TABLE = ()\n",
}


@pytest.fixture
def made_of(tmp_path_factory):
    """Return a function that finds what a step of a small program is made of."""

    def function(changes=(), step="maps"):
        folder = tmp_path_factory.mktemp("scripts")
        for name, text in {**FILES, **dict(changes)}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return software(f"steps.{step}", folder)

    return function


def test_modules_and_packages(made_of):
    made = made_of()
    assert list(made["modules"]) == [
        "gammastack/__init__.py",
        "gammastack/maps/__init__.py",
        "gammastack/maps/one.py",
        "gammastack/products.py",
        "steps/maps.py",
    ]
    assert made["packages"] == {"numpy": version("numpy")}


def test_step_that_does_not_exist(made_of):
    with pytest.raises(ImportError, match=r"steps\.contours: no such module"):
        made_of(step="contours")


@pytest.mark.parametrize(
    "name",
    [
        *("gammastack/version.py", "gammastack/maps/other.py", "gammastack/new.py"),
        *("steps/stack.py", "gammastack.egg-info/PKG-INFO", "build/lib/numpy.py"),
    ],
)
def test_what_is_no_part_of_the_step(made_of, name):
    assert made_of({name: "x = 2\n"}) == made_of()


def test_this_program_installed_as_a_package(made_of, monkeypatch):
    """It does not count as a package, because its modules count one by one."""
    monkeypatch.setattr("gammastack.provenance.software._version", lambda name: "9")
    assert made_of()["packages"] == {"numpy": "9"}


def test_edit_of_a_module_changes_its_hash_alone(made_of):
    name = "gammastack/maps/one.py"
    before, after = (
        made_of(change)["modules"] for change in ({}, {name: f"{FILES[name]}x = 1\n"})
    )
    assert {key for key in before if before[key] != after[key]} == {name}


def test_new_import_is_followed(made_of):
    made = made_of({"gammastack/maps/__init__.py": "from gammastack.maps import other"})
    assert "gammastack/maps/other.py" in made["modules"]
    assert made["packages"].keys() == {"numpy", "scipy"}


@pytest.mark.parametrize(
    "step, counts", [("maps", True), ("stack", False), ("summary", False)]
)
def test_table_of_products_counts_with_the_lines_of_the_step(
    made_of, monkeypatch, step, counts
):
    """A new map counts, however it is written down; the text of the table does not."""
    before = made_of({"gammastack/products.py": "TABLE = (1, 2)\n"})
    assert before == made_of()
    line = replace(layout.IMAGES["excess"], name="more", step=step)
    monkeypatch.setattr(layout, "TABLE", (*TABLE, line))
    assert (made_of() != before) == counts


def test_table_of_products_counts_with_the_lines_of_what_is_in_a_file(monkeypatch):
    """The unit of the exposure also changes the files of runs and of groups."""

    def hashes():
        software.cache_clear()
        return {
            step: software(f"steps.{step}", SCRIPTS)["modules"].get(
                "gammastack/products.py"
            )
            for step in STEPS
        }

    before = hashes()
    table = [
        replace(one, unit="m2") if one.name == "exposure" else one for one in TABLE
    ]
    monkeypatch.setattr(layout, "TABLE", tuple(table))
    after = hashes()
    software.cache_clear()
    changed = {step for step in STEPS if before[step] != after[step]}
    assert changed == {"run_images", "stack_group", "stack"}


def test_parameters_of_the_steps():
    assert parameters("stack", SCRIPTS) == {
        "field": True,
        "image": True,
        "energy_bands": True,
        "max_failed": True,
        "excluded": True,
        "has_exposure": True,
        "point_radii": True,
        "background": False,
    }
    for step in STEPS:
        function = importlib.import_module(f"steps.{step}").run
        found = inspect.signature(function).parameters.values()
        named = {one.name: one.default is one.empty for one in found if one.kind == 3}
        assert parameters(step, SCRIPTS) == named
        assert [one.name for one in found if one.kind != 3] == [
            *("inputs", "outputs", "origin")
        ]
