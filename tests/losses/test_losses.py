"""The losses on the page about losses: they run, are short, and do what the page says."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[2] / "docs/tutorials/losses.md"
CELLS = re.findall(r"^```\{code-cell\}\n(.*?)^```\n", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
LOSSES = ("exactly", "one_hole", "matching", "apart", "confident")

PRINTED = """\
components before [5.0, 1.0]
components after  [3.0, 3.0]
holes before 0 of radius 0.24 or more, 16 of 0.1 or more
holes after  1 of radius 0.24 or more, 1 of 0.1 or more
Betti error before [0.0, 1.0]
Betti error after  [0.0, 0.0]
one loss for each image and class (2, 2)
Betti error of components and holes, mean [9.75, 3.5]
step 0: Betti error of both classes [3.0, 3.5]
step 59: Betti error of both classes [0.0, 0.0]
Betti error before [0.0, 1.0]
Betti error after  [0.0, 0.0]
components before 1.0
components after  3.0
components that reach 0.85 before 0.0
components that reach 0.85 after  5.0
"""


@pytest.fixture(scope="module")
def page() -> tuple[dict[str, Any], str]:
    """The names that the cells define, one after the other, and what they print."""
    names: dict[str, Any] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in CELLS:
            exec(compile(cell, PAGE.name, "exec"), names)
    return names, printed.getvalue()


def test_what_the_page_prints(page: tuple[dict[str, Any], str]) -> None:
    assert page[1] == PRINTED


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_short(name: str) -> None:
    (cell,) = (cell for cell in CELLS if cell.startswith(f"def {name}("))
    (function,) = ast.parse(cell).body
    assert isinstance(function, ast.FunctionDef)
    assert len(cell.splitlines()) < 15


@pytest.mark.parametrize("dim", [0, 1])
def test_the_matching_is_the_distance_of_an_independent_library(dim: int, page: tuple[dict[str, Any], str]) -> None:
    """The square of the Wasserstein distance of order 2 with the Euclidean norm, of the finite bars."""
    from gudhi.hera import wasserstein_distance

    import topolayer as tl

    matching = page[0]["matching"]
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        images = torch.rand(2, 9, 10, generator=generator, dtype=torch.float64)
        bars = [tl.persistence(tl.Cubical(x, construction="T", superlevel=True), dim) for x in images]
        diagrams = [torch.stack([b.deaths, b.births], dim=1).numpy() for b in bars]
        expected = wasserstein_distance(*diagrams, order=2, internal_p=2, delta=1e-6) ** 2
        essential = (bars[0].essential.births - bars[1].essential.births).square().sum()
        assert matching(*images, dim).item() == pytest.approx(expected + essential.item(), rel=1e-5)
        assert expected > 0
