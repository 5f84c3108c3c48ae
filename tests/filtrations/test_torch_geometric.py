"""Batches of PyTorch Geometric, where it is installed: its Batch goes into LowerStar as it is, and trains a network."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import topolayer as tl

geometric: Any = pytest.importorskip("torch_geometric")
from torch_geometric.data import Batch, Data  # noqa: E402
from torch_geometric.nn import SimpleConv  # noqa: E402


def ring_with_tail(ring: int, tail: int, kinds: list[int]) -> Any:
    number = torch.arange(ring + tail)
    edges = torch.cat([torch.stack([number[:-1], number[1:]], dim=1), torch.tensor([[0, ring - 1]])])
    both_ways = torch.cat([edges, edges.flip(1)]).mT
    # Whether the ring has vertices of the first kind alone.
    label = torch.tensor([float(not any(kinds[:ring]))])
    return Data(
        x=torch.nn.functional.one_hot(torch.tensor(kinds), 2).float(), edge_index=both_ways.contiguous(), y=label
    )


GRAPHS = [
    ring_with_tail(4, 2, [0, 0, 0, 0, 1, 1]),
    ring_with_tail(5, 1, [0, 0, 1, 0, 0, 0]),
    ring_with_tail(3, 3, [0, 0, 0, 1, 0, 1]),
    ring_with_tail(6, 1, [1, 0, 0, 0, 0, 0, 0]),
]


def bars_of(values: torch.Tensor, data: Any) -> tl.Barcode:
    filtration = tl.LowerStar(values, data.edge_index.mT, batch=data.batch, samples=data.num_graphs)
    return tl.persistence(filtration, (0, 1))


def test_a_batch_has_the_bars_of_its_graphs() -> None:
    """A graph without vertices too, at the end."""
    none = torch.zeros(2, 0, dtype=torch.int64)
    data = Batch.from_data_list([*GRAPHS, Data(x=torch.zeros(0, 2), edge_index=none, y=torch.zeros(1))])
    values = torch.rand(data.num_nodes, generator=torch.Generator().manual_seed(0))
    barcode = bars_of(values, data)
    assert barcode.batch_shape == (5,)
    for number, graph in enumerate(GRAPHS):
        alone = tl.persistence(tl.LowerStar(values[data.batch == number], graph.edge_index.mT), (0, 1))
        mine = barcode.select(sample=number)
        assert torch.equal(mine.births, alone.births) and torch.equal(mine.deaths, alone.deaths)
        assert torch.equal(mine.essential.births, alone.essential.births)
        assert alone.essential.dims.tolist() == [0, 1]


def test_a_network_learns_what_the_ring_is_made_of() -> None:
    """A value for each kind of vertex, and for what is around it; and a level below which the loop has to be born."""
    torch.manual_seed(0)
    data = Batch.from_data_list(GRAPHS)
    around, value = SimpleConv(aggr="mean"), torch.nn.Linear(4, 1)
    level = torch.nn.Parameter(torch.tensor(0.0))
    optimizer = torch.optim.Adam([*value.parameters(), level], lr=0.05)

    def logits() -> torch.Tensor:
        features = torch.cat([data.x, around(data.x, data.edge_index)], dim=1)
        loops = bars_of(value(features).squeeze(-1), data).select(dim=1).essential
        return loops.sum(level - loops.births)

    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(logits(), data.y).backward()
        optimizer.step()
    assert torch.equal((logits() > 0).float(), data.y)
