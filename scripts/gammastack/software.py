"""What a step is made of: its modules by content, and the packages that they import."""

import sys
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from modulefinder import ModuleFinder
from pathlib import Path

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
    """
    finder = ModuleFinder(path=[str(folder)])
    finder.import_hook(module)
    modules = {}
    # A builtin module has no file
    paths = [Path(one.__file__) for one in finder.modules.values() if one.__file__]
    for path in paths:
        if (name := path.relative_to(folder).as_posix()) != NOT_CODE:
            modules[name] = sha256(path.read_bytes()).hexdigest()[:16]
    # What is not found below the folder comes from elsewhere
    imported = {name.split(".")[0] for name in finder.badmodules}
    packages = {name: _version(name) for name in imported - sys.stdlib_module_names}
    return {
        "modules": dict(sorted(modules.items())),
        "packages": dict(sorted((k, v) for k, v in packages.items() if v)),
    }


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
