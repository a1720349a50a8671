"""What a step is made of: its modules by content, and the packages that they import."""

import ast
import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

# A new version alone changes no result
NOT_CODE = "gammastack/version.py"


@cache
def software(module, folder):
    """Modules below a folder that a module consists of, and the packages they import.

    Parameters
    ----------
    module : str
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
        # With a module its package is imported
        parent = name.rpartition(".")[0]
        for one in {name, parent} - seen - {""}:
            seen.add(one)
            if path := _file(one, folder):
                modules[path.relative_to(folder).as_posix()] = _digest(path)
                todo += _imports(path)
            else:
                packages.add(one.partition(".")[0])
    modules.pop(NOT_CODE, None)
    versions = {name: _version(name) for name in packages - sys.stdlib_module_names}
    return {
        "modules": dict(sorted(modules.items())),
        "packages": dict(sorted((k, v) for k, v in versions.items() if v)),
    }


def _file(module, folder):
    path = folder.joinpath(*module.split("."))
    candidates = path.with_suffix(".py"), path / "__init__.py"
    return next((one for one in candidates if one.is_file()), None)


@cache
def _digest(path):
    return sha256(path.read_bytes()).hexdigest()[:16]


@cache
def _imports(path):
    """Names that a module imports; what is imported from a module may be one, too."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    return names


@cache
def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
