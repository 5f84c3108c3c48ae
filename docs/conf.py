"""Sphinx configuration. `make docs` builds the pages, runs their code cells, and treats warnings as errors."""

import os
from importlib.metadata import version as version_of
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

project = "topolayer"
author = "The topolayer developers"
copyright = "2026, The topolayer developers"
release = version = version_of("topolayer")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.bibtex", "myst_nb"]
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "alpha"
bibtex_reference_style = "author_year"
exclude_patterns = ["_build", "_ipython", "_*.md"]
default_role = "literal"  # single backticks in docstrings are code

autodoc_member_order = "bysource"
autodoc_mock_imports = ["lightning", "pyarrow", "rich", "tyro"]  # which no page runs
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
os.environ["IPYTHONDIR"] = str(Path(__file__).parent / "_ipython")

html_theme = "furo"
html_title = f"topolayer {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]


# Formulas become MathML when the pages are built: every browser draws it, and no page loads a script from elsewhere.
html_math_renderer = "mathml"


def _inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
