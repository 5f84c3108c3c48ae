"""Sphinx configuration. `make docs` builds the pages, runs their code cells, and treats warnings as errors."""

import os
from importlib.metadata import version as version_of

project = "topolayer"
author = "The topolayer developers"
copyright = "2026, The topolayer developers"
release = version = version_of("topolayer")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "sphinxcontrib.bibtex", "myst_nb"]
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "alpha"
bibtex_reference_style = "author_year"
exclude_patterns = ["_build", "_*.md"]
default_role = "literal"  # single backticks in docstrings are code

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_show_tb = True  # and a warning, which `make docs` turns into an error
nb_execution_timeout = 120
nb_merge_streams = True
os.environ.setdefault("OMP_NUM_THREADS", "1")  # in the kernels that run the cells, which are small

html_theme = "furo"
html_title = f"topolayer {release}"
html_static_path: list[str] = []
