"""The page for those who come from other packages: both sides run, and agree."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/coming_from.md"
CELLS = re.findall(r"^```\{code-cell\}\n(.*?)^```\n", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_cells_run() -> None:
    """They stop with an error where the two sides differ."""
    names: dict[str, object] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in CELLS:
            exec(compile(cell, PAGE.name, "exec"), names)
    lines = printed.getvalue().splitlines()
    assert sum(line.endswith(" agree") for line in lines) == 32
    assert lines[-2] == "never dies: [2.0]   H1: [1.0] [0.5]"  # as TopologyLayer's README has it
    count, exclude = lines[-1].split()
    assert count == exclude
