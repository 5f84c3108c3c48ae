"""Barcodes to be compared, and the distance between them by its definition, over all matchings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import topolayer as tl

DISTANCES: dict[str, Callable[..., Tensor]] = {
    "wasserstein": tl.wasserstein,
    "bottleneck": tl.bottleneck,
    "sliced_wasserstein": tl.sliced_wasserstein,
}
each_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=list(DISTANCES))


def star(points: Any, essential: Sequence[float] = (-100.0,)) -> tl.Barcode:
    """A barcode with exactly these bars of dimension 0: each is a valley that a pass joins to the lowest vertex."""
    points = torch.as_tensor(points, dtype=torch.float64).reshape(-1, 2)
    births = torch.as_tensor(essential, dtype=torch.float64)
    n, root = len(points), 2 * len(points)
    assert not n or births.min() < points.min()
    values = torch.cat([points.flatten(), births.sort().values])
    edges = [(2 * i, 2 * i + 1) for i in range(n)] + [(2 * i + 1, root) for i in range(n)]
    simplices = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2)
    barcode = tl.persistence(tl.LowerStar(values, simplices))
    assert len(barcode) == int((points[:, 0] != points[:, 1]).sum()) and len(barcode.essential) == len(births)
    return barcode


def noise(*shape: int, seed: int = 0, dims: int | tuple[int, ...] = 0, superlevel: bool = False) -> tl.Barcode:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return tl.persistence(tl.Cubical(values, superlevel=superlevel), dims)


def points(n: int, seed: int, *, levels: int | None = None) -> Tensor:
    """(n, 2) births and deaths; with levels whole numbers, so that there are duplicates and many optimal matchings."""
    generator = torch.Generator().manual_seed(seed)
    if levels is not None:
        births = torch.randint(0, levels, (n,), generator=generator).double()
        return torch.stack([births, births + torch.randint(1, levels, (n,), generator=generator)], dim=1)
    births, lengths = torch.rand(2, n, generator=generator, dtype=torch.float64)
    return torch.stack([births, births + 0.001 + 0.5 * lengths], dim=1)


def _matchings(n: int, m: int) -> Iterator[list[tuple[int, int]]]:
    for size in range(min(n, m) + 1):
        for rows in itertools.combinations(range(n), size):
            for columns in itertools.permutations(range(m), size):
                yield list(zip(rows, columns, strict=True))


def _norm(x: float, y: float, norm: float) -> float:
    return max(abs(x), abs(y)) if norm == math.inf else (abs(x) ** norm + abs(y) ** norm) ** (1 / norm)


def brute_force(x: list[list[float]], y: list[list[float]], order: float, norm: float) -> float:
    """The distance by its definition: of order `order`, which may be infinite."""

    def to_diagonal(b: float, d: float) -> float:
        return _norm((d - b) / 2, (d - b) / 2, norm)

    best = math.inf
    for pairs in _matchings(len(x), len(y)):
        costs = [_norm(x[i][0] - y[j][0], x[i][1] - y[j][1], norm) for i, j in pairs]
        costs += [to_diagonal(*x[i]) for i in set(range(len(x))) - {i for i, _ in pairs}]
        costs += [to_diagonal(*y[j]) for j in set(range(len(y))) - {j for _, j in pairs}]
        largest = max(costs, default=0.0)
        if order == math.inf or largest == 0:
            best = min(best, largest)
        else:
            best = min(best, largest * sum((c / largest) ** order for c in costs) ** (1 / order))
    return best
