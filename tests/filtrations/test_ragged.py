"""Contract 16: samples of different sizes, each as if it were computed alone."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

import topolayer as tl

from ..helpers.comparing import BACKENDS, persistence
from ..helpers.problems import DTYPES

pytestmark = pytest.mark.native

SIZES = [5, 1, 12, 2, 7, 7]


def clouds(sizes: Sequence[int], dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(size, 2, generator=generator, dtype=torch.float64).to(dtype) for size in sizes]


def matrices(sizes: Sequence[int], dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    """Whole numbers, so that ties abound."""
    generator = torch.Generator().manual_seed(seed)
    upper = [torch.randint(0, 6, (n, n), generator=generator).to(dtype).triu(1) for n in sizes]
    return [part + part.mT for part in upper]


def graphs(
    sizes: Sequence[int], dtype: torch.dtype = torch.float64, seed: int = 0, width: int = 2
) -> tuple[list[Tensor], list[Tensor]]:
    """Values and simplices of each sample, ties among the values."""
    generator = np.random.default_rng(seed)
    values = [torch.from_numpy(generator.integers(0, 5, size)).to(dtype) for size in sizes]
    simplices = []
    for size in sizes:
        rows = [generator.permutation(size)[:width] for _ in range(2 * size)] if size >= width else []
        simplices.append(torch.from_numpy(np.array(rows, dtype=np.int64).reshape(-1, width)))
    return values, simplices


def together(values: list[Tensor], simplices: list[Tensor], superlevel: bool = False) -> Any:
    """One filtration of all, whose simplices are in any order."""
    sizes = torch.tensor([len(v) for v in values], dtype=torch.int64)
    firsts = (sizes.cumsum(0) - sizes).tolist()
    numbered = [part + first for part, first in zip(simplices, firsts, strict=True)]
    rows = torch.cat(numbered) if numbered else torch.empty(0, 2, dtype=torch.int64)
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))]
    batch = torch.arange(len(sizes)).repeat_interleave(sizes)
    flat = torch.cat(values) if values else torch.empty(0)
    return tl.LowerStar(flat, [rows], superlevel=superlevel, batch=batch, samples=len(sizes))


def of_graphs(sizes: Sequence[int], width: int = 2, superlevel: bool = False, **options: Any) -> tuple[Any, list[Any]]:
    """Of all together, and of each alone; None for one without vertices."""
    values, simplices = graphs(sizes, width=width, **options)
    alone = [
        tl.LowerStar(v, [s], superlevel=superlevel) if len(v) else None for v, s in zip(values, simplices, strict=True)
    ]
    return together(values, simplices, superlevel), alone


def _rips(sizes: Sequence[int], **options: Any) -> tuple[Any, list[Any]]:
    given = matrices(sizes, **options)
    return tl.Rips(given, threshold=4), [tl.Rips(matrix, threshold=4) for matrix in given]


def _points(sizes: Sequence[int], **options: Any) -> tuple[Any, list[Any]]:
    given = clouds(sizes, **options)
    return tl.Rips.from_points(given, p=1.5), [tl.Rips.from_points(cloud, p=1.5) for cloud in given]


def _alpha(sizes: Sequence[int], **options: Any) -> tuple[Any, list[Any]]:
    given = clouds(sizes, **options)
    return tl.Alpha(given), [tl.Alpha(cloud) for cloud in given]


KINDS: dict[str, Callable[..., tuple[Any, list[Any]]]] = {
    "rips": _rips,
    "points": _points,
    "alpha": _alpha,
    "graph": of_graphs,
    "superlevel": lambda sizes, **options: of_graphs(sizes, superlevel=True, **options),
    "mesh": lambda sizes, **options: of_graphs(sizes, width=3, **options),
}


def able(backend: str, filtration: Any) -> tuple[int, ...]:
    top = 2 if filtration.top_dimension is None else filtration.top_dimension
    return tuple(d for d in range(top + 1) if BACKENDS[backend].unsupported(filtration, (d,)) is None)


def assert_as_alone(found: Any, filtration: Any, alone: Sequence[Any]) -> None:
    """Every tensor of the bars of each sample; `alone` has its barcode, or None where it has no values."""
    offsets = filtration.offsets.tolist()
    assert filtration.batch_shape == found.batch_shape == (len(alone),)
    assert len(found) == sum(len(barcode) for barcode in alone if barcode is not None)
    for number, barcode in enumerate(alone):
        part = found.select(sample=number)
        if barcode is None:
            assert len(part) == len(part.essential) == 0
            continue
        assert torch.equal(part.pairs - offsets[number], barcode.pairs)
        assert torch.equal(part.essential.indices - offsets[number], barcode.essential.indices)
        for name in ("births", "deaths", "dims", "ranks", "essential_per_bar"):
            assert torch.equal(getattr(part, name), getattr(barcode, name)), name
        for name in ("births", "dims"):
            assert torch.equal(getattr(part.essential, name), getattr(barcode.essential, name)), name


@pytest.mark.parametrize("backend", [*BACKENDS, None])
@pytest.mark.parametrize("kind", KINDS)
def test_bars_are_those_of_each_alone(kind: str, backend: str | None) -> None:
    filtration, alone = KINDS[kind](SIZES)
    # Each sample is asked, as a backend that takes samples of one size is.
    dims = (0, 1) if backend is None else able(backend, alone[2])
    if not dims:
        pytest.skip("it does not compute these")
    assert_as_alone(
        persistence(filtration, dims, backend), filtration, [persistence(one, dims, backend) for one in alone]
    )


@given(st.lists(st.integers(0, 9), max_size=7), st.integers(0, 2**16), st.sampled_from(["graph", "superlevel", "mesh"]))
@settings(deadline=None, max_examples=60)
def test_graphs_of_random_sizes(sizes: list[int], seed: int, kind: str) -> None:
    filtration, alone = KINDS[kind](sizes, seed=seed)
    assert filtration.offsets.tolist() == list(itertools.accumulate(sizes, initial=0))
    expected = [None if one is None else tl.persistence(one, (0, 1)) for one in alone]
    assert_as_alone(tl.persistence(filtration, (0, 1)), filtration, expected)


@given(st.lists(st.integers(1, 9), max_size=7), st.integers(0, 2**16), st.sampled_from(["rips", "points", "alpha"]))
@settings(deadline=None, max_examples=60)
def test_clouds_of_random_sizes(sizes: list[int], seed: int, kind: str) -> None:
    filtration, alone = KINDS[kind](sizes, seed=seed)
    parts = [one.values.flatten() for one in alone]
    assert torch.equal(filtration.values, torch.cat(parts) if parts else torch.empty(0))
    dims = (0, 1) if sizes or kind != "alpha" else (0,)
    assert_as_alone(tl.persistence(filtration, dims), filtration, [tl.persistence(one, dims) for one in alone])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_dtypes(kind: str, dtype: torch.dtype) -> None:
    filtration, alone = KINDS[kind](SIZES, dtype=dtype)
    assert filtration.input_dtype == dtype
    assert filtration.values.dtype == alone[0].values.dtype
    assert_as_alone(tl.persistence(filtration), filtration, [tl.persistence(one) for one in alone])


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_is_the_filtration_of_it_alone(kind: str) -> None:
    filtration, alone = KINDS[kind](SIZES)
    for number, one in enumerate(alone):
        sample = filtration.sample(number)
        assert torch.equal(sample.values, one.values)
        assert sample.batch_shape == () and not sample.is_ragged
        assert repr(sample) == repr(one)
        assert torch.equal(sample.order(), one.order())
    with pytest.raises(ValueError, match=r"^number\b.*< 6, got 6.*\(6,\)"):
        filtration.sample(6)
    with pytest.raises(ValueError, match=r"^sample_shape\b.*differ in size.*filtration\.sample\(0\)"):
        filtration.ranks(filtration.order())


def test_samples_of_one_size() -> None:
    values = torch.rand(2, 3, 4, 5)
    grid = tl.Freudenthal(values, superlevel=True, mask=values > 0.1)
    assert grid.offsets.tolist() == [0, 20, 40, 60, 80, 100, 120]
    assert torch.equal(grid.sample(4).values, values[1, 1])
    assert torch.equal(grid.sample(4).mask, values[1, 1] > 0.1)
    rips = tl.Rips.from_points(torch.rand(3, 4, 2))
    assert rips.offsets.tolist() == [0, 16, 32, 48]
    part = tl.persistence(rips, (0, 1)).select(sample=2)
    assert torch.equal(tl.persistence(rips.sample(2), (0, 1)).pairs, part.pairs - 32)


@pytest.mark.parametrize("kind", KINDS)
def test_functions_of_barcodes(kind: str) -> None:
    """As of the barcodes of single samples, put together."""
    filtration, alone = KINDS[kind](SIZES)
    barcode = tl.persistence(filtration, (0, 1))
    stacked = tl.Barcode.stack([tl.persistence(one, (0, 1)) for one in alone])
    grid = torch.linspace(0, 3, 5)
    functions: dict[str, Callable[[Any], Tensor]] = {
        "sum": lambda b: b.sum(b.lengths),
        "padded": lambda b: b.padded(b.lengths)[0],
        "total": lambda b: tl.total_persistence(b, p=2, k=2),
        "entropy": tl.persistent_entropy,
        "longest": lambda b: tl.longest_lengths(b, 3, dim=0),
        "landscape": lambda b: tl.landscape(b, grid, k=2, dim=0),
        "image": lambda b: tl.persistence_image(b, grid, grid, sigma=1.0, dim=1),
        "betti": lambda b: tl.betti_numbers(b, grid, dim=1),
        "wasserstein": lambda b: tl.wasserstein(b, stacked.select(b.lengths > 1), dim=0, essential="exclude"),
        "sliced": lambda b: tl.sliced_wasserstein(b, stacked, dim=0),
        "bottleneck": lambda b: tl.bottleneck(b, stacked, dim=0),
    }
    for name, function in functions.items():
        assert torch.equal(function(barcode), function(stacked)), name
    assert torch.equal(tl.few_extrema(filtration, k=2), torch.stack([tl.few_extrema(one, k=2) for one in alone]))


@pytest.mark.parametrize("superlevel", [False, True])
def test_functions_of_graphs(superlevel: bool) -> None:
    sizes = [6, 0, 1, 13, 0]
    filtration, alone = of_graphs(sizes, superlevel=superlevel)
    there = [(i, one) for i, one in enumerate(alone) if one is not None]
    extended = tl.extended_persistence(filtration)
    for number, one in there:
        expected, part = tl.extended_persistence(one), extended.select(sample=number)
        assert torch.equal(part.pairs - filtration.offsets[number], expected.pairs)
        assert torch.equal(part.kind, expected.kind)
    for options in ({"k": 1}, {"k": 3}, {"threshold": 2.0}):
        simplified = torch.cat([tl.simplify(one, **options) for _, one in there])
        assert torch.equal(tl.simplify(filtration, **options), simplified)
    for p in (1, 2):
        penalty = tl.few_extrema(filtration, k=1, p=p, gradient="region")
        assert penalty.shape == (5,)
        for number, one in there:
            torch.testing.assert_close(penalty[number], tl.few_extrema(one, k=1, p=p, gradient="region"))
        assert penalty[1] == penalty[4] == 0


class OneByOne:
    """A backend that simplifies, and takes samples of one size."""

    name = "one-by-one"
    capabilities = tl.Capabilities(simplifies=True, checks_finite=True)

    def __init__(self) -> None:
        self.native: Any = tl.backends()["native"]

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        assert not filtration.is_ragged or len(filtration.values) == 0
        return self.native.unsupported(filtration, dims) or ("too large" if filtration.values.numel() > 10 else None)

    def pairs(self, filtration: Any, dims: tuple[int, ...]) -> Any:
        return self.native.pairs(filtration, dims)

    def simplified(self, *arguments: Any) -> Tensor:
        return self.native.simplified(*arguments)


def test_a_backend_that_declares_nothing_gets_one_sample_at_a_time() -> None:
    filtration, _ = of_graphs([6, 0, 1, 9])
    found, expected = (tl.persistence(filtration, (0, 1), backend=b) for b in (OneByOne(), "native"))
    assert torch.equal(found.pairs, expected.pairs)
    assert torch.equal(found.sample, expected.sample)
    assert torch.equal(found.essential.indices, expected.essential.indices)
    assert torch.equal(tl.simplify(filtration, k=2, backend=OneByOne()), tl.simplify(filtration, k=2))
    empty, _ = of_graphs([0, 0])
    assert len(tl.persistence(empty, backend=OneByOne())) == len(tl.simplify(empty, k=1, backend=OneByOne())) == 0
    with pytest.raises(ValueError, match=r"^backend\b.*too large.*'native'"):
        tl.persistence(of_graphs([3, 11])[0], backend=OneByOne())


@pytest.mark.parametrize("kind", KINDS)
def test_threads_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    filtration, _ = KINDS[kind]([40, 1, 90, 3, 60, 60, 2])
    dims, found = (0, 1), []
    for threads in (1, 2, 5):
        monkeypatch.setattr(torch, "get_num_threads", lambda number=threads: number)
        barcode = tl.persistence(filtration, dims)
        found.append((barcode.pairs, barcode.essential.indices, barcode.sample))
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def _gradients(make: Callable[[list[Tensor]], Any], given: list[Tensor]) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in given]
    barcode = tl.persistence(make(leaves), (0, 1))
    loss = (barcode.deaths.square() - barcode.births).sum()
    if loss.requires_grad:  # a single point has no radius
        loss.backward()
    return [leaf.grad if leaf.grad is not None else torch.zeros_like(leaf) for leaf in leaves]


@pytest.mark.parametrize("name", ["rips", "points", "alpha"])
def test_gradients_to_each_tensor_of_a_list(name: str) -> None:
    make = {"rips": tl.Rips, "points": tl.Rips.from_points, "alpha": tl.Alpha}[name]
    given = matrices(SIZES) if name == "rips" else clouds(SIZES)
    for whole, tensor in zip(_gradients(make, given), given, strict=True):
        (alone,) = _gradients(lambda leaves: make(leaves[0]), [tensor])
        torch.testing.assert_close(whole, alone)


def test_gradients_to_values_of_graphs() -> None:
    values, simplices = graphs([4, 0, 9])
    (whole,) = _gradients(lambda v: together([v[0][:4], v[0][4:4], v[0][4:]], simplices), [torch.cat(values)])
    parts = [
        _gradients(lambda v, rows=s: tl.LowerStar(v[0], [rows]), [v])[0]
        for v, s in zip(values, simplices, strict=True)
        if len(v)
    ]
    assert torch.equal(whole, torch.cat(parts))


# Forward mode imports a module of torch that uses what torch deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("p", [1, 2, 3, float("inf")])
def test_derivatives_of_distances(p: float) -> None:
    given = [cloud.requires_grad_() for cloud in clouds([3, 1, 4, 4])]

    def values(*parts: Tensor) -> Tensor:
        return tl.Rips.from_points(list(parts), p=p).values

    assert gradcheck(values, given, check_forward_ad=True)
    weights = torch.rand(42, dtype=torch.float64)
    plain = torch.autograd.grad((values(*given) * weights).sum(), given)
    on_graph = torch.autograd.grad((values(*given) * weights).sum(), given, create_graph=True)
    for one, other in zip(plain, on_graph, strict=True):
        torch.testing.assert_close(one, other.detach())


@pytest.mark.parametrize("make", [tl.Rips, tl.Rips.from_points, tl.Alpha])
@pytest.mark.parametrize("empty", [[], ()])
def test_an_empty_list_is_an_empty_batch(make: Callable[..., Any], empty: Any) -> None:
    filtration = make(empty)
    assert (filtration.samples, filtration.batch_shape, filtration.values.dtype) == (0, (0,), torch.float32)
    assert filtration.offsets.tolist() == [0]
    barcode = tl.persistence(filtration)
    assert len(barcode) == 0
    assert barcode.sum(barcode.lengths).shape == tl.few_extrema(filtration).shape == (0,)
    with pytest.raises(ValueError, match=r"^backend: 'torch' cannot"):
        tl.persistence(filtration, backend="torch")


def test_samples_without_vertices() -> None:
    none, batch = torch.empty(0, 2, dtype=torch.int64), torch.tensor([1, 1, 4])
    filtration = tl.LowerStar(torch.rand(3), none, batch=batch, samples=7)
    assert filtration.offsets.tolist() == [0, 0, 2, 2, 2, 3, 3, 3]
    barcode = tl.persistence(filtration, (0, 1))
    assert barcode.essential.sum(torch.ones(3)).tolist() == [0, 2, 0, 0, 1, 0, 0]
    assert tl.LowerStar(torch.rand(3), none, batch=batch).samples == 5
    empty = tl.LowerStar(torch.empty(0), none, batch=batch[:0], samples=2)
    assert tl.total_persistence(tl.persistence(empty)).tolist() == tl.few_extrema(empty, gradient="region").tolist()
    assert tl.LowerStar(torch.rand(4, 3), none, samples=4).samples == 4
    assert tl.persistence(tl.LowerStar(torch.empty(0), none, batch=batch[:0])).batch_shape == (0,)


def test_a_fault_in_a_list_is_named_with_its_place() -> None:
    good = matrices([3, 5])
    for wrong, message in {
        "nan": r"finite",
        "negative": r"numbers >= 0",
        "asymmetric": r"symmetric",
        "diagonal": r"diagonal.*from_points",
    }.items():
        bad = good[1].clone() + 1
        bad.fill_diagonal_(0)
        place = (4, 4) if wrong == "diagonal" else (1, 3)
        bad[place] = {"nan": torch.nan, "negative": -1, "asymmetric": 9, "diagonal": 3}[wrong]
        if wrong == "negative":
            bad[3, 1] = -1
        with pytest.raises(ValueError, match=rf"^distances\[1\]: .*{message}"):
            tl.Rips([good[0], bad])
    with pytest.raises(ValueError, match=r"^distances\[1\]: .*finite"):
        tl.Rips([good[0], good[0][:1, :1] + torch.inf])
    rounded = good[1].clone()
    rounded[0, 1] = rounded[1, 0] = -1e-15
    assert tl.Rips([good[0], rounded]).values.min() == 0
    for cloud, message in {
        ((0.0, torch.nan),): r"\[1\]: .*finite.*\(0, 1\)",
        ((0.0, 0.0), (1.0, 1.0), (2.0, 2.0)): r"\[1\]: .*hyperplane",
    }.items():
        with pytest.raises(ValueError, match=rf"^points{message}"):
            tl.Alpha([torch.rand(4, 2), torch.tensor(cloud)])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_torch_func(kind: str) -> None:
    values, simplices = graphs(SIZES)
    whole = together(values, simplices)

    def loss(*given: Tensor) -> Tensor:
        if kind in ("rips", "points", "alpha"):
            make = {"rips": tl.Rips, "points": tl.Rips.from_points, "alpha": tl.Alpha}[kind]
            barcode = tl.persistence(make(list(given)), (0, 1))
        else:
            barcode = tl.persistence(dataclasses.replace(whole, values=torch.cat(given)), (0, 1))
        return barcode.deaths.sum() - barcode.births.sum()

    given = matrices(SIZES) if kind == "rips" else clouds(SIZES) if kind in ("points", "alpha") else values
    found = torch.func.grad(loss, argnums=tuple(range(len(given))))(*given)
    leaves = [tensor.clone().requires_grad_() for tensor in given]
    for one, other in zip(found, torch.autograd.grad(loss(*leaves), leaves, allow_unused=True), strict=True):
        torch.testing.assert_close(one, torch.zeros_like(one) if other is None else other)
