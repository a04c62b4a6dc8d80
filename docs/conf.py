"""Configuration of the documentation site: `make docs` builds it.

The source folder is the whole repository, so that links between its pages, figures and files work on the site
as they do in the repository.
"""

import sys
from pathlib import Path

import rl3_jax

sys.path.insert(0, str(Path(__file__).parent))

project = "rl3_jax"
copyright = "the rl3_jax developers, MIT licence"
version = release = rl3_jax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "site_extension",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "notebooks/*.ipynb",
    "results/README.md",
    "results/ablations/README.md",
    "benchmarks/README.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "runs", "rl3_jax", "tests", "**/runs", "**/.ipynb_checkpoints"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "image/gif", 25)]
suppress_warnings = ["myst.header"]  # a page made by `rl3 report` may skip a level

default_role = "code"
smartquotes = False  # dashes of options stay as they are
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_attr_annotations = False  # `site_extension` gives types, and defaults with them
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", ".*")
]  # types of JAX and of the standard library, whose pages are elsewhere

html_theme = "furo"
html_title = "rl3_jax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
templates_path = ["_templates"]
html_additional_pages = {"index": "to_index.html"}
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"
