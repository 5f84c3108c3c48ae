"""Loops of graphs by the core: against GUDHI, against Euler's formula, with edges that are given twice, on threads."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor

import topolayer as tl

pytestmark = pytest.mark.native


def draw(seed: int) -> tuple[Tensor, Tensor]:
    """(samples, vertices) values, and edges, some of them twice or in both directions."""
    rng = torch.Generator().manual_seed(seed)
    vertices = int(torch.randint(2, 30, (1,), generator=rng))
    first = torch.randint(vertices, (int(torch.randint(0, 60, (1,), generator=rng)),), generator=rng)
    second = (first + torch.randint(1, vertices, first.shape, generator=rng)) % vertices
    edges = torch.stack([first, second], dim=1)
    values = torch.rand(3, vertices, generator=rng, dtype=torch.float64)
    return ((values * 4).floor() - 1 if seed % 3 == 0 else values), torch.cat([edges, edges[::2].flip(1), edges[::3]])


def bars(filtration: tl.LowerStar, dims: int | tuple[int, ...], backend: str | None) -> list[Counter[tuple[int, ...]]]:
    barcode = tl.persistence(filtration, dims, backend=backend)
    never = barcode.essential
    return [
        Counter(zip(kind.sample.tolist(), kind.dims.tolist(), map(str, indices.tolist()), strict=True))
        for kind, indices in ((barcode, barcode.pairs), (never, never.indices))
    ]


@pytest.mark.parametrize("superlevel", [False, True])
def test_pairs_are_those_of_gudhi(superlevel: bool) -> None:
    for seed in range(150):
        values, edges = draw(seed)
        filtration = tl.LowerStar(values, edges, superlevel=superlevel)
        for dims in (1, (0, 1), (1, 0)):
            assert bars(filtration, dims, "native") == bars(filtration, dims, "gudhi"), seed


def test_a_multigraph_of_pairs_has_as_many_loops_as_euler_says() -> None:
    for seed in range(50):
        values, edges = draw(seed)
        never = tl.persistence(tl.LowerStar(values[0], edges), (0, 1), backend="native").essential
        different = len(edges.sort(dim=1).values.unique(dim=0))
        components, loops = (int((never.dims == dim).sum()) for dim in (0, 1))
        assert components - loops == values.shape[1] - different


def test_neither_threads_nor_the_batch_change_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    values = torch.rand(40, 3000, generator=rng)
    edges = torch.randint(3000, (9000, 2), generator=rng)
    edges = edges[edges[:, 0] != edges[:, 1]]
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        found.append(tl.persistence(tl.LowerStar(values, edges), 1, backend="native").essential)
    assert torch.equal(found[0].indices, found[1].indices)
    alone = [tl.persistence(tl.LowerStar(row, edges), 1).essential.births for row in values]
    assert torch.equal(found[0].births, torch.cat(alone))


def test_the_order_is_that_of_births() -> None:
    values, edges = draw(1)
    births = tl.persistence(tl.LowerStar(values[0], edges, superlevel=True), 1).essential.births
    assert len(births) > 3 and bool((births[1:] <= births[:-1]).all())


def test_values_that_are_not_finite_are_refused() -> None:
    edges = torch.tensor([[0, 1], [1, 2], [2, 0]])
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="values: expected finite"):
            tl.persistence(tl.LowerStar(torch.tensor([0.0, bad, 1.0]), edges), 1)


def test_a_loop_is_pulled_at_its_last_vertex() -> None:
    values = torch.tensor([[0.0, 3.0, 1.0], [5.0, 4.0, 2.0]], requires_grad=True)
    barcode = tl.persistence(tl.LowerStar(values, torch.tensor([[0, 1], [1, 2], [2, 0]])), 1)
    barcode.essential.births.sum().backward()
    assert values.grad is not None and values.grad.tolist() == [[0, 1, 0], [1, 0, 0]]
