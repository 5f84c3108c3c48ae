"""Families of random inputs: a kind of filtration of one shape, with the reference that computes its bars."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import topolayer as tl

from . import reference
from .problems import COMPLEXES, INF, star_tensor
from .reference import Bars

BATCHES: tuple[tuple[int, ...], ...] = ((), (3,), (2, 3), (0,))


@dataclass(frozen=True)
class Family:
    name: str
    kind: str  # F, V, T, star or rips
    shape: tuple[int, ...]  # of one sample
    make: Callable[[Tensor, bool], Any]  # values, superlevel
    compute: Callable[[Sequence[float], bool], Bars]  # flat values of one sample, superlevel; every dimension
    dims: tuple[int, ...]
    signs: tuple[bool, ...] = (False, True)

    def random(
        self, batch: tuple[int, ...] = (), dtype: torch.dtype = torch.float64, *, seed: int = 0, levels: int | None = 4
    ) -> Tensor:
        """Integers from 0 to `levels`, so that ties abound; or, without levels, no ties at all."""
        generator = torch.Generator().manual_seed(seed)
        shape = (*batch, *self.shape)
        if levels is None:
            values = torch.rand(shape, generator=generator, dtype=dtype)
        else:
            values = torch.randint(0, levels + 1, shape, generator=generator).to(dtype)
        if self.kind == "rips":
            values = values.triu(1)
            values = values + values.mT
        return values

    def expected(self, values: Tensor, superlevel: bool = False, dims: Sequence[int] | None = None) -> Expected:
        """The bars of a whole batch, by the reference."""
        size = math.prod(self.shape)
        samples = values.detach().double().reshape(-1, size) if values.numel() else values.new_empty(0, size)
        finite, essential = [], []
        for number, sample in enumerate(samples.tolist()):
            bars = _bars(self, tuple(sample), superlevel).restrict(self.dims if dims is None else dims)
            start = number * size
            finite += [(number, dim, start + birth, start + death) for dim, birth, death in bars.finite]
            essential += [(number, dim, start + birth) for dim, birth in bars.essential]
        return Expected(sorted(finite), sorted(essential))


@dataclass(frozen=True)
class Expected:
    finite: list[tuple[int, int, int, int]]  # sample, dimension, birth, death
    essential: list[tuple[int, int, int]]  # sample, dimension, birth


@functools.cache
def _bars(family: Family, sample: tuple[float, ...], superlevel: bool) -> Bars:
    return family.compute(sample, superlevel)


def grid_family(kind: str, *shape: int, mask: Tensor | None = None) -> Family:
    """With a mask: one for all samples, of the shape of the grid."""
    inside = None if mask is None else mask.flatten().tolist()

    def make(values: Tensor, superlevel: bool = False) -> Any:
        options: dict[str, Any] = {"ndim": len(shape), "superlevel": superlevel, "mask": mask}
        if kind == "F":
            return tl.Freudenthal(values, **options)
        return tl.Cubical(values, construction=kind, **options)

    def compute(sample: Sequence[float], superlevel: bool) -> Bars:
        return reference.reduce(COMPLEXES[kind](sample, shape, superlevel, inside), sample)

    name = f"{kind}-{'x'.join(map(str, shape))}{'' if mask is None else '-mask'}"
    return Family(name, kind, shape, make, compute, tuple(range(len(shape))))


def star_family(name: str, vertices: int, simplices: Sequence[Sequence[int]]) -> Family:
    tensors = star_tensor(simplices)
    in_a_list = len(tensors) > 1 or len(tensors[0]) == 2 < tensors[0].shape[1]  # as edges in two rows are refused
    given = tensors if in_a_list else tensors[0]

    def make(values: Tensor, superlevel: bool = False) -> Any:
        return tl.LowerStar(values, given, superlevel=superlevel)

    def compute(sample: Sequence[float], superlevel: bool) -> Bars:
        return reference.reduce(reference.lower_star(sample, simplices, superlevel), sample)

    return Family(name, "star", (vertices,), make, compute, tuple(range(max(map(len, simplices)))))


def rips_family(n: int, threshold: float = INF, top: int = 2) -> Family:
    def make(values: Tensor, superlevel: bool = False) -> Any:
        assert not superlevel
        return tl.Rips(values, threshold=threshold)

    def compute(sample: Sequence[float], superlevel: bool) -> Bars:
        matrix = [list(sample[i * n : (i + 1) * n]) for i in range(n)]
        return reference.reduce(reference.rips(matrix, threshold, top + 1), sample).restrict(range(top + 1))

    return Family(f"rips-{n}-at-{threshold}-to-{top}", "rips", (n, n), make, compute, tuple(range(top + 1)), (False,))


_RING_AND_PIXEL = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()
GRAPH = star_family("graph", 8, [(0, 1), (1, 2), (2, 0), (2, 3), (4, 3), (4, 5), (5, 6), (6, 4), (1, 5)])  # 7 is apart
MESH = star_family(
    "mesh", 9, [(0, 1, 2), (1, 2, 3), (2, 3, 4), (4, 0, 2), (4, 5), (5, 6), (6, 4), (7, 6, 5), *((0, 1), (1, 3))]
)
SOLID = star_family(
    "solid", 7, [(0, 1, 2, 3), (1, 2, 3, 4), (4, 5), (0, 4, 5), (0, 5, 6), (0, 4, 6), (4, 5, 6), (3, 6)]
)

FAMILIES: list[Family] = [
    *(grid_family(kind, *shape) for kind in "FVT" for shape in ((7,), (4, 5), (3, 3, 3))),
    GRAPH,
    MESH,
    rips_family(6),
    rips_family(6, threshold=2.0),
]
# grids with a mask, a ring and a pixel: three bars that never die
MASKED: list[Family] = [grid_family(kind, 4, 5, mask=_RING_AND_PIXEL) for kind in "FVT"]
# shapes at which an implementation may stumble: thin, tiny, longer than wide
THIN: list[Family] = [
    *(
        grid_family(kind, *shape)
        for kind in "FVT"
        for shape in ((1,), (2,), (1, 1), (1, 6), (6, 1), (2, 2), (2, 5), (1, 1, 1), (1, 1, 5), (5, 1, 1), (1, 5, 1),
                      (1, 3, 4), (3, 1, 4), (4, 3, 1), (2, 2, 2), (2, 3, 4))
    ),
    SOLID,
    rips_family(1),
    rips_family(2),
    rips_family(5, threshold=0.0),
    rips_family(5, threshold=1.0),
    rips_family(6, threshold=2.0, top=3),
]  # fmt: skip
