"""From a folder of images or volumes to a table of vectors (the extra `tables`).

`python -m topolayer.tables FOLDER TABLE` does what `tabulate` does, and `--help` lists its options.
"""

from importlib.util import find_spec as _find_spec

if any(_find_spec(package) is None for package in ("pyarrow", "rich", "tyro")):
    raise ImportError('topolayer.tables needs pyarrow, rich and tyro: pip install "topolayer[tables]"')

from topolayer.tables.tabulate import tabulate
from topolayer.tables.vectors import Vectors

__all__ = ["Vectors", "tabulate"]
