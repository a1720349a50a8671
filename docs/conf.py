"""Settings of the documentation site, see ``make docs``.

The source is the whole project, so that a link between two documents is the same on
the site and where the files are shown.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "docs")]

from gammastack.version import __version__  # noqa: E402

project = "gammastack"
release = __version__
html_title = f"gammastack {release}"
html_copy_source = False
html_show_copyright = False

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_copybutton",
    "generated",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "config/README.md",
    "benchmarks/*.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "results"]
templates_path = ["templates"]
html_additional_pages = {"index": "redirect.html"}

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]
copybutton_exclude = ".linenos, .gp, .go"

# Constants and what is private have no entry of their own, and errors are named briefly.
nitpick_ignore_regex = [("py:obj", r"_\w+|[A-Z_]+|\w+Error")]

default_role = "autolink"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
