"""The topological layer of the page on graphs: what a user who copies it relies on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "graphs.md"
CELL = re.compile(r"^```\{code-cell\}\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names of the cells that define something, without what they train."""
    names: dict[str, Any] = {}
    for code in CELL.findall(PAGE.read_text(encoding="utf-8")):
        if "def " in code or code.startswith("import"):
            exec(compile(re.split(r"\n\n\n(?:train, test|optimizer) =", code)[0], str(PAGE), "exec"), names)
    return names


def ring(*sizes: int) -> Tensor:
    """Edges of rings beside each other."""
    parts, first = [], 0
    for size in sizes:
        number = torch.arange(size)
        parts.append(torch.stack([number, (number + 1) % size], dim=1) + first)
        first += size
    return torch.cat(parts)


def layer(page: dict[str, Any], width: int = 5) -> Any:
    torch.manual_seed(0)
    return page["Topological"](width, functions=3).double()


def features(count: int, width: int = 5) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_graph_in_a_batch_is_as_if_alone(page: dict[str, Any]) -> None:
    x, topological = features(11), layer(page)
    together = topological(x, ring(6, 5))
    alone = torch.cat([topological(x[:6], ring(6)), topological(x[6:], ring(5))])
    torch.testing.assert_close(together, alone)


def test_the_numbering_of_the_vertices_makes_no_difference(page: dict[str, Any]) -> None:
    x, topological, edges = features(9), layer(page), torch.cat([ring(4, 5), torch.tensor([[0, 6], [2, 3]])])
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    place = order.argsort()
    torch.testing.assert_close(topological(x[order], place[edges]), topological(x, edges)[order])


def test_the_functions_get_a_gradient(page: dict[str, Any]) -> None:
    topological, edges = layer(page), ring(4, 3)
    assert gradcheck(lambda x: topological(x, edges), features(7).requires_grad_())
    topological(features(7), edges).square().sum().backward()
    assert topological.functions.weight.grad.abs().min() > 0


def test_it_sees_what_messages_do_not(page: dict[str, Any]) -> None:
    """One ring of ten vertices and two rings of five, all vertices alike."""
    same = torch.ones(10, 5, dtype=torch.float64)
    torch.manual_seed(0)
    messages = page["Messages"](5).double()
    one, two = (messages(same, ring(*sizes)).sum(0) for sizes in ((10,), (5, 5)))
    torch.testing.assert_close(one, two)
    one, two = (layer(page)(same, ring(*sizes)).sum(0) for sizes in ((10,), (5, 5)))
    assert (one - two).abs().min() > 0.01
