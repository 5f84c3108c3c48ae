"""Barcode.from_diagram: births and deaths that are there already, against filtrations and other libraries."""

from __future__ import annotations

import math
import pickle
from typing import Any

import gudhi
import gudhi.hera
import gudhi.wasserstein
import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.diagrams import pictures
from ..helpers.two_barcodes import points

INF = math.inf
GRID = torch.linspace(-1, 1, 9, dtype=torch.float64)
FUNCTIONS: dict[str, Any] = {
    "total_persistence": lambda b: tl.total_persistence(b, p=2, k=3),
    "algebraic": lambda b: tl.algebraic(b, p=1, q=2, k=2, essential="exclude"),
    "persistent_entropy": tl.persistent_entropy,
    "longest_lengths": lambda b: tl.longest_lengths(b, 5),
    "landscape": lambda b: tl.landscape(b, GRID, k=3),
    "silhouette": lambda b: tl.silhouette(b, GRID),
    "betti_numbers": lambda b: tl.betti_numbers(b, GRID),
    "persistence_image": lambda b: tl.persistence_image(b, GRID, GRID.abs(), sigma=0.1),
    "wasserstein": lambda b: tl.wasserstein(b, b.select(b.lengths > 0.1)),
    "bottleneck": lambda b: tl.bottleneck(b, b.select(b.lengths > 0.1)),
    "sliced_wasserstein": lambda b: tl.sliced_wasserstein(b, b.select(b.lengths > 0.1)),
}


def _of_photographs(dim: int, superlevel: bool) -> tl.Barcode:
    """With many ties."""
    values = pictures().mul(30).round().div(30).requires_grad_()
    return tl.persistence(tl.Cubical(values, superlevel=superlevel), dim)


def _rows(barcode: tl.Barcode, *, shuffled: bool = True) -> list[Tensor]:
    """A diagram for each sample, in any order, with infinite deaths and with bars of length zero."""
    never, diagrams = -INF if barcode.superlevel else INF, []
    for number in range(math.prod(barcode.batch_shape)):
        one = barcode.select(sample=number)
        born = one.essential.births
        zero = one.births[:3].detach()
        ends = (one.births, born, zero), (one.deaths, torch.full_like(born, never), zero)
        rows = torch.stack([torch.cat(each) for each in ends], dim=1)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(number))
        diagrams.append(rows[order] if shuffled else rows)
    return diagrams


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("superlevel", [False, True])
def test_the_order_of_very_many_bars(superlevel: bool, dtype: torch.dtype) -> None:
    """So many are sorted in another way: negative numbers, both zeros, ties, tiny numbers and infinite ones."""
    generator = torch.Generator().manual_seed(0)
    tiny, huge = torch.finfo(dtype).smallest_normal / 64, torch.finfo(dtype).max
    kinds = torch.tensor([tiny, 1.0, 1 / 3, 1e30, huge / 32], dtype=dtype)
    ends = torch.randint(-30, 31, (70_000, 2), generator=generator).to(dtype)
    ends = (ends * kinds[torch.randint(5, (70_000, 2), generator=generator)]).sort(dim=1, descending=superlevel).values
    ends = torch.where(ends == 0, ends.copysign(torch.randn(70_000, 2, generator=generator)), ends)
    ends[1000:35_500, 1] = -INF if superlevel else INF
    sizes = [3, 69_000, 0, 997]
    sign = -1 if superlevel else 1
    sample = [number for number, size in enumerate(sizes) for _ in range(size)]
    bars = [(s, sign * d, 2 * i, sign * b) for i, (s, (b, d)) in enumerate(zip(sample, ends.tolist(), strict=True))]
    barcode = tl.Barcode.from_diagram(list(ends.split(sizes)), superlevel=superlevel)
    assert min(len(barcode), len(barcode.essential)) > 2**15
    finite = sorted(bar for bar in bars if bar[1] not in (bar[3], INF))
    assert barcode.pairs[:, 0].tolist() == [bar[2] for bar in finite]
    never = sorted((s, b, i) for s, d, i, b in bars if d == INF)
    assert barcode.essential.indices.tolist() == [bar[2] for bar in never]


def test_by_hand() -> None:
    diagram = torch.tensor([[0, INF], [1, 4], [2, 2.5], [3, 3], [0, 4], [-1, INF]], requires_grad=True)
    barcode = tl.Barcode.from_diagram(diagram, dim=1)
    assert barcode.pairs.tolist() == [[4, 5], [2, 3], [8, 9]]  # the earlier of two equal deaths first
    assert (barcode.births.tolist(), barcode.deaths.tolist()) == ([2, 1, 0], [2.5, 4, 4])
    assert barcode.essential.indices.tolist() == [10, 0]
    assert barcode.essential.births.tolist() == [-1, 0]
    assert barcode.ranks.tolist() == [4, 3, 2]
    assert (barcode.dims.tolist(), barcode.essential.dims.tolist()) == ([1, 1, 1], [1, 1])
    assert (barcode.batch_shape, barcode.grid_shape, barcode.entries, barcode.superlevel) == ((), None, 12, False)
    (barcode.lengths.square().sum() + barcode.essential.births.sum()).backward()
    assert diagram.grad is not None
    assert diagram.grad.tolist() == [[1, 0], [-6, 6], [-1, 1], [0, 0], [-8, 8], [1, 0]]


def test_equal_lengths_rank_by_birth_then_position() -> None:
    rows = torch.tensor([[2.0, 3], [0, 1], [0, 1], [1, 2], [-0.0, 1], [5, 9]])
    ranks = tl.Barcode.from_diagram(rows).ranks
    upside_down = tl.Barcode.from_diagram(-rows, superlevel=True)
    assert ranks.tolist() == upside_down.ranks.tolist() == [1, 2, 3, 4, 5, 0]


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
@pytest.mark.parametrize("dim", [0, 1])
def test_rows_of_a_barcode_make_the_same(dim: int, superlevel: bool) -> None:
    expected = _of_photographs(dim, superlevel)
    for shuffled in (False, True):
        rows = _rows(expected, shuffled=shuffled)
        found = tl.Barcode.from_diagram(rows, dim=dim, superlevel=superlevel)
        assert found.batch_shape == expected.batch_shape
        for ours, theirs in ((found, expected), (found.essential, expected.essential)):
            assert torch.equal(ours.sample, theirs.sample) and torch.equal(ours.dims, theirs.dims)
        assert torch.equal(found.deaths, expected.deaths)
        assert torch.equal(found.essential.births, expected.essential.births)
        flat = torch.cat(rows).flatten()
        assert torch.equal(flat[found.pairs], torch.stack([found.births, found.deaths], dim=1))
        assert torch.equal(flat[found.essential.indices], found.essential.births)
        if not shuffled:
            assert torch.equal(found.births, expected.births)
        for number in range(4):  # each as if it were alone
            one, alone = found.select(sample=number), tl.Barcode.from_diagram(rows[number], superlevel=superlevel)
            assert torch.equal(one.births, alone.births)
            assert torch.equal(one.ranks, alone.ranks)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
def test_functions_and_gradients(name: str, superlevel: bool) -> None:
    image = pictures((14, 16)).clone().requires_grad_()
    found = []
    for through_rows in (False, True):
        barcode = tl.persistence(tl.Cubical(image, superlevel=superlevel))
        if through_rows:
            barcode = tl.Barcode.from_diagram(_rows(barcode), superlevel=superlevel)
        result = FUNCTIONS[name](barcode)
        weights = torch.arange(1.0, 1 + result.numel(), dtype=torch.float64).reshape(result.shape)
        gradient = (None,) if name == "betti_numbers" else torch.autograd.grad((result * weights).sum(), image)
        found.append((result, *gradient))
    torch.testing.assert_close(*found)


# -- other libraries


def _random(n: int, seed: int, superlevel: bool) -> Tensor:
    rows = torch.cat([points(n, seed), torch.tensor([[0.1 * seed, INF], [0.5 + 0.1 * seed, INF]]).double()])
    return -rows if superlevel else rows


@pytest.mark.parametrize("superlevel", [False, True], ids=["sublevel", "superlevel"])
@pytest.mark.parametrize("sizes", [(5, 9), (30, 30), (60, 17)], ids=str)
def test_distances_of_gudhi(sizes: tuple[int, int], superlevel: bool) -> None:
    """Three pairs of diagrams in one call; in GUDHI's, too, a bar that never dies has an infinite death."""
    batches = [[_random(n, 10 * start + i, superlevel) for i in range(3)] for start, n in enumerate(sizes, start=1)]
    first, second = (tl.Barcode.from_diagram(batch, superlevel=superlevel) for batch in batches)
    sign = -1 if superlevel else 1
    theirs = [(sign * x.numpy(), sign * y.numpy()) for x, y in zip(*batches, strict=True)]
    for order, norm in ((1, INF), (2, 2)):
        found = tl.wasserstein(first, second, order=order, norm=norm).tolist()
        exact = [
            gudhi.wasserstein.wasserstein_distance(x, y, order=order, internal_p=norm, keep_essential_parts=True)
            for x, y in theirs
        ]
        assert found == pytest.approx(exact, rel=1e-9)
        hera = [gudhi.hera.wasserstein_distance(x, y, order=order, internal_p=norm, delta=1e-3) for x, y in theirs]
        assert found == pytest.approx(hera, rel=2e-3)
    expected = [gudhi.bottleneck_distance(x, y, 0) for x, y in theirs]
    assert tl.bottleneck(first, second).tolist() == pytest.approx(expected, rel=1e-12)


# -- dtypes, batches, state


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    diagram = torch.tensor([[0, 1], [0.1, INF]], dtype=dtype, requires_grad=True)
    barcode = tl.Barcode.from_diagram([diagram, diagram])
    assert barcode.input_dtype == dtype
    assert barcode.births.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    barcode.lengths.sum().backward()
    assert diagram.grad is not None and diagram.grad.dtype == dtype
    assert diagram.grad.tolist() == [[-2, 2], [0, 0]]


def test_without_bars() -> None:
    for given, shape in (([], (0,)), (torch.empty(0, 2), ()), ([torch.empty(0, 2), torch.ones(3, 2)], (2,))):
        barcode = tl.Barcode.from_diagram(given)
        assert (len(barcode), len(barcode.essential), barcode.batch_shape) == (0, 0, shape)
        assert barcode.births.dtype == torch.float32
        assert tl.total_persistence(barcode, k=1).tolist() == torch.zeros(shape).tolist()
        assert tl.bottleneck(barcode, barcode).shape == shape


def test_put_together_selected_and_pickled() -> None:
    rows = [points(n, n) for n in (4, 7, 1)]
    whole = tl.Barcode.from_diagram(rows)
    for joined in (
        tl.Barcode.stack([tl.Barcode.from_diagram(each) for each in rows]),
        tl.Barcode.cat([tl.Barcode.from_diagram(rows[:1]), tl.Barcode.from_diagram(rows[1:])]),
        pickle.loads(pickle.dumps(whole)),
    ):
        assert torch.equal(joined.pairs, whole.pairs)
        assert torch.equal(joined.births, whole.births)
        assert torch.equal(joined.ranks, whole.ranks)
        assert joined.entries == whole.entries == 24
    long = whole.select(whole.lengths > whole.lengths.median())
    assert torch.equal(long.ranks, whole.ranks[whole.lengths > whole.lengths.median()])


def test_a_high_dimension_needs_no_memory() -> None:
    barcode = tl.Barcode.from_diagram(points(9, 0), dim=2**31 - 1)
    assert sorted(barcode.ranks.tolist()) == list(range(9))


@pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:FutureWarning")
def test_transforms_and_compiled_code() -> None:
    def penalty(rows: Tensor) -> Tensor:
        return tl.total_persistence(tl.Barcode.from_diagram(rows), p=2)

    rows = points(5, 0)
    expected = 2 * (rows[:, 1] - rows[:, 0])[:, None] * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(torch.func.grad(penalty)(rows), expected)
    torch.testing.assert_close(torch.func.jvp(penalty, (rows,), (rows,))[1], 2 * penalty(rows))
    torch.testing.assert_close(torch.compile(penalty, backend="eager")(rows), penalty(rows))
    with pytest.raises(ValueError, match=r"^torch\.func\.vmap"):
        torch.func.vmap(penalty)(torch.stack([rows, rows]))
    with pytest.raises(ValueError, match=r"^torch\.jit\.trace"):
        torch.jit.trace(penalty, (rows,), check_trace=False)
