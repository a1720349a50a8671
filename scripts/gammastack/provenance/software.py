"""The software of a step: its modules by content, and the packages that they import."""

import ast
import io
import json
import os
import sys
import tokenize
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

from gammastack.files.layout import lines_of

# A new version alone changes no result.
NOT_CODE = "gammastack/version.py"
# Only the lines of the table of products that concern the step count.
TABLE = "gammastack/products.py"
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER)
# A string after one of these that is a whole statement is a docstring, or has no effect.
BEFORE_STATEMENT = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, None)
# Since Python 3.12 a formatted string is more than one token.
FSTRING_START = getattr(tokenize, "FSTRING_START", None)
FSTRING_END = getattr(tokenize, "FSTRING_END", None)

# Both map the hash of a source to the hash of its tokens and to its imports.
_known, _recalled = {}, {}


@cache
def software(module, folder):
    """Find the modules below a folder that a step consists of, and what they import.

    Parameters
    ----------
    module : str
        Such as ``steps.stack``.
    folder : pathlib.Path

    Returns
    -------
    dict
        ``modules``: hash by file name; ``packages``: version by name.

    Raises
    ------
    ImportError
        If there is no such module.
    """
    if _file(module, folder) is None:
        raise ImportError(f"{module}: no such module in {folder}")
    modules, packages, todo, seen = {}, set(), [module], set()
    while todo:
        name = todo.pop()
        # Importing a module also imports its package.
        parent = name.rpartition(".")[0]
        for part in {name, parent} - seen - {""}:
            seen.add(part)
            if path := _file(part, folder):
                digest, imports = _analysed(path)
                modules[path.relative_to(folder).as_posix()] = digest
                todo += imports
            else:
                packages.add(part.partition(".")[0])
    modules.pop(NOT_CODE, None)
    if TABLE in modules:
        modules[TABLE] = _hash(repr(lines_of(module.rpartition(".")[2])))
    # The name of a folder here is not a package, even if one is installed under that name.
    packages -= {path.name for path in folder.iterdir() if path.is_dir()}
    versions = {name: _version(name) for name in packages - sys.stdlib_module_names}
    return {
        "modules": dict(sorted(modules.items())),
        "packages": dict(sorted((k, v) for k, v in versions.items() if v)),
    }


def recall(memory):
    """Load what an earlier process found out about the sources, from a JSON file."""
    # Without a memory, or with a damaged one, all sources are analysed.
    with suppress(OSError, ValueError, TypeError):
        _known.update(json.loads(memory.read_bytes()))
    _recalled.update(_known)


def remember(memory):
    """Save what was found out about the sources, if there is anything new."""
    if _known.keys() == _recalled.keys():
        return
    with suppress(OSError):
        temporary = memory.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(_known))
        temporary.replace(memory)


@cache
def parameters(step, folder):
    """Find the parameters that the function ``run`` of a step takes by name.

    Parameters
    ----------
    step : str
    folder : pathlib.Path

    Returns
    -------
    dict of str to bool
        Whether each of them is required.
    """
    tree = ast.parse((folder / "steps" / f"{step}.py").read_bytes())
    (function,) = (
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == "run"
    )
    arguments = function.args
    return {
        argument.arg: default is None
        for argument, default in zip(
            arguments.kwonlyargs, arguments.kw_defaults, strict=True
        )
    }


def tokens(source):
    """List the tokens of Python code, without comments, docstrings and line breaks.

    Changes of prose and layout do not change the code. The list is the same in all versions
    of Python.

    Parameters
    ----------
    source : str

    Returns
    -------
    list of str
    """
    found, depth, before, start, prose = [], 0, None, None, []
    # Python counts lines in this way.
    lines = io.StringIO(source).readlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == FSTRING_START:
            depth += 1
            start = start or token.start
        if depth:
            depth -= token.type == FSTRING_END
            if not depth:
                found += [*prose, _between(lines, start, token.end)]
                before, start, prose = token.type, None, []
            continue
        if token.type in SKIPPED:
            continue
        if before in BEFORE_STATEMENT and _is_prose(token):
            prose.append(token.string)
            continue
        if prose and token.type == tokenize.NEWLINE:
            prose = []
            continue
        found += prose
        prose = []
        name = tokenize.tok_name[token.type]
        is_layout = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        found.append(name if is_layout else token.string)
        before = token.type
    return found


def _is_prose(token):
    """Return whether a token is a constant string, which may be a docstring."""
    if token.type != tokenize.STRING:
        return False
    quote = token.string[-1]
    return "f" not in token.string.partition(quote)[0].lower()


def _between(lines, start, stop):
    (first, left), (last, right) = start, stop
    if first == last:
        return lines[first - 1][left:right]
    middle = lines[first : last - 1]
    return "".join([lines[first - 1][left:], *middle, lines[last - 1][:right]])


@cache
def _file(module, folder):
    path = folder.joinpath(*module.split("."))
    candidates = path.with_suffix(".py"), path / "__init__.py"
    return next((path for path in candidates if path.is_file()), None)


@cache
def _analysed(path):
    """Return the hash of the tokens of a module, and the names that it imports."""
    source = path.read_text(encoding="utf-8")
    key = _hash(source)
    if key not in _known:
        _known[key] = code_digest(source), _imports(source)
    return _known[key]


def code_digest(source):
    """Return the hash of a module by its tokens, given its text with plain line breaks."""
    return _hash("\0".join(tokens(source)))


def _hash(text):
    return sha256(text.encode()).hexdigest()[:16]


def _imports(source):
    """Return the names that a module imports; a name imported from a module may be one, too."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [
                node.module,
                *(f"{node.module}.{alias.name}" for alias in node.names),
            ]
    return names


@cache
def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
