"""simplify: against a slow reference, morphological reconstruction, and what its barcode must be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from skimage.morphology import reconstruction
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl

from ..commands import many_grids
from ..helpers import reference
from ..helpers.families import GRAPH, MESH, Family, grid_family
from ..helpers.problems import DTYPES, WIDE

pytestmark = pytest.mark.native
BACKENDS = ("native", "torch")
KINDS = "FVT"
ROUNDS = 1000 // many_grids.PER_ROUND

Edges = Sequence[tuple[int, int]]


def kept_extrema(
    values: np.ndarray, edges: Edges, superlevel: bool, k: float, threshold: float
) -> tuple[list[tuple[int, int]], list[int]]:
    """(birth, death) of the finite bars that are kept, and the births of the essential ones."""
    bars = reference.components(values.tolist(), edges, superlevel)
    place = reference.ranks(values.tolist(), superlevel)

    def length(bar: tuple[int, int]) -> float:
        with np.errstate(over="ignore"):
            return float(np.abs(values[bar[0]] - values[bar[1]]))  # in the precision of the values

    essential = [birth for _, birth in bars.essential]
    finite = [(birth, death) for _, birth, death in bars.finite]
    finite.sort(key=lambda bar: (-length(bar), place[bar[0]], place[bar[1]]))
    finite = finite[: max(0, int(min(k, len(values))) - len(essential))]
    return [bar for bar in finite if length(bar) >= values.dtype.type(threshold)], essential


def reconstructed(values: Sequence[float], edges: Edges, seeds: Iterable[int], superlevel: bool) -> list[float]:
    """From the seeds to their neighbours, as high as these allow, over and over until nothing changes."""
    first, second = (max, min) if superlevel else (min, max)
    result = [-math.inf if superlevel else math.inf] * len(values)
    for seed in seeds:
        result[seed] = values[seed]
    changed = True
    while changed:
        changed = False
        for a, b in itertools.chain(edges, ((b, a) for a, b in reversed(edges))):
            spread = first(result[b], second(values[b], result[a]))
            changed |= spread != result[b]
            result[b] = spread
    return result


def edges_of(family: Family) -> Edges:
    if family.kind in KINDS:
        return reference.neighbours(family.shape, family.kind)
    simplices = family.make(family.random()).cells.maximal_simplices()
    return sorted({pair for rows in simplices for row in rows.tolist() for pair in itertools.combinations(row, 2)})


def footprint(kind: str, ndim: int) -> np.ndarray:
    offsets = np.indices((3,) * ndim) - 1
    if kind == "T":
        return np.ones((3,) * ndim, bool)
    if kind == "V":
        return np.abs(offsets).sum(0) <= 1
    return np.abs(offsets.sum(0)) == np.abs(offsets).sum(0)


def bars_of(filtration: Any) -> tuple[list[tuple[float, float]], list[float]]:
    barcode = tl.persistence(filtration)
    return sorted(zip(barcode.births.tolist(), barcode.deaths.tolist(), strict=True)), sorted(
        barcode.essential.births.tolist()
    )


def options(number: int, values: torch.Tensor) -> dict[str, Any]:
    """Few and many, and thresholds that are lengths of bars or lie between them."""
    if number % 3:
        return {"k": (1, 2, 3, 5, 10**30)[number % 5]}
    spread = float(values.double().max() - values.double().min())
    return {"threshold": (1, 2, spread / 3, spread / 8, math.inf, 0)[number // 3 % 6]}


def check(family: Family, values: torch.Tensor, superlevel: bool, kept: dict[str, Any]) -> None:
    """One sample."""
    flat, edges = values.flatten().tolist(), edges_of(family)
    k, threshold = kept.get("k", math.inf), kept.get("threshold", 0)
    finite, essential = kept_extrema(values.flatten().numpy(), edges, superlevel, k, threshold)
    expected = reconstructed(flat, edges, [birth for birth, _ in finite] + essential, superlevel)
    result = tl.simplify(family.make(values, superlevel), **kept)
    assert result.flatten().tolist() == expected
    assert torch.equal(tl.simplify(family.make(result, superlevel), **kept), result)
    bars = bars_of(family.make(result, superlevel))
    assert bars == (sorted((flat[a], flat[b]) for a, b in finite), sorted(flat[a] for a in essential))
    if len(set(flat)) == len(flat):
        barcode = tl.persistence(family.make(result, superlevel))
        assert sorted(map(tuple, barcode.pairs.tolist())) == sorted(finite)
        assert sorted(barcode.essential.indices.tolist()) == sorted(essential)


# -- what it is


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_thousand_grids(number: int) -> None:
    """Every kind of filtration, shape, value and direction."""
    drawn = many_grids.draw(7, number)
    family = grid_family(drawn.kind, *drawn.shape)
    for i, values in enumerate(drawn.values.nan_to_num()):  # simplify takes no mask, outside of which there are NaN
        kept = options(i + number, values)
        check(family, values, drawn.superlevel, kept)
        native, other = (tl.simplify(family.make(values, drawn.superlevel), backend=name, **kept) for name in BACKENDS)
        assert torch.equal(native, other)


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("family", [GRAPH, MESH], ids=lambda family: family.name)
def test_graphs_and_meshes(family: Family, superlevel: bool) -> None:
    for seed, levels in itertools.product(range(30), (2, 6, None)):
        values = family.random(dtype=WIDE[seed % 2], seed=seed, levels=levels)
        check(family, values, superlevel, options(seed, values))


# With NumPy 2.5 scikit-image warns.
@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(40,), (30, 41), (9, 10, 11), (1, 50), (50, 1)], ids=str)
def test_it_is_morphological_reconstruction(shape: tuple[int, ...], kind: str) -> None:
    """scikit-image reconstructs it from the extrema that are kept."""
    family = grid_family(kind, *shape)
    for seed, superlevel, levels in itertools.product(range(4), (False, True), (5, 50, None)):
        values = family.random(seed=seed, levels=levels, dtype=WIDE[seed % 2])
        filtration = family.make(values, superlevel)
        barcode = tl.persistence(filtration)
        for k in (1, 2, 7):
            kept = torch.cat([barcode.pairs[barcode.ranks < k, 0], barcode.essential.indices])
            seeds = torch.full_like(values, -math.inf if superlevel else math.inf)
            seeds.view(-1)[kept] = values.view(-1)[kept]
            method = "dilation" if superlevel else "erosion"
            expected = reconstruction(seeds.numpy(), values.numpy(), method, footprint(kind, len(shape)))
            assert np.array_equal(tl.simplify(filtration, k=k).numpy(), expected)
            assert np.array_equal(tl.simplify(filtration, k=k, backend="torch").numpy(), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_by_hand(kind: str, backend: str) -> None:
    signal = torch.tensor([0.0, 5, 3, 4, 1, 2, 2, 0, 6])
    up, down = (grid_family(kind, 9).make(signal, superlevel) for superlevel in (True, False))
    assert tl.simplify(up, k=1, backend=backend).tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 6]
    assert tl.simplify(up, k=2, backend=backend).tolist() == [0, 5, 3, 3, 1, 1, 1, 0, 6]
    assert tl.simplify(up, threshold=1, backend=backend).tolist() == [0, 5, 3, 4, 1, 2, 2, 0, 6]
    assert tl.simplify(up, threshold=1.5, backend=backend).tolist() == [0, 5, 3, 3, 1, 1, 1, 0, 6]
    assert tl.simplify(down, k=2, backend=backend).tolist() == [0, 5, 4, 4, 2, 2, 2, 0, 6]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_of_equal_lengths_the_first_are_kept(k: int, backend: str) -> None:
    """As `Barcode.ranks` places them: three peaks of length 1, the essential one first."""
    filtration = tl.Freudenthal(torch.tensor([1.0, 0, 1, 0, 1]), ndim=1, superlevel=True)
    expected = {1: [1, 0, 0, 0, 0], 2: [1, 0, 1, 0, 0], 3: [1, 0, 1, 0, 1]}[k]
    assert tl.simplify(filtration, k=k, backend=backend).tolist() == expected


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_and_all_is_kept(backend: str) -> None:
    family = grid_family("F", 12, 13)
    for superlevel, levels in itertools.product((False, True), (0, 3, None)):
        values = family.random((3,), levels=levels)
        filtration = family.make(values, superlevel)
        for most in ({"k": 156}, {"threshold": 0}, {"k": 10**30}):
            assert torch.equal(tl.simplify(filtration, **most, backend=backend), values)
        for least in ({"k": 1}, {"threshold": math.inf}, {"threshold": 1e300}):
            result = tl.simplify(filtration, **least, backend=backend)
            assert len(tl.persistence(family.make(result, superlevel))) == 0


def test_components_that_never_die_all_stay() -> None:
    values = torch.tensor([3.0, 1.0, 2.0, 0.0, 5.0])
    pieces = tl.LowerStar(values, torch.tensor([[0, 1], [1, 2], [3, 4]]), superlevel=True)
    assert tl.simplify(pieces, k=1).tolist() == [3, 1, 1, 0, 5]
    assert tl.simplify(pieces, k=3).tolist() == values.tolist()


# -- batches, threads, dtypes, devices


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("family", [grid_family("V", 7, 6), grid_family("T", 4, 3, 5)], ids=lambda family: family.name)
def test_a_sample_alone_is_what_it_is_in_a_batch(family: Family, backend: str) -> None:
    values = family.random((2, 3), levels=6)
    together = tl.simplify(family.make(values, True), k=2, backend=backend)
    assert together.shape == values.shape
    for i, j in itertools.product(range(2), range(3)):
        assert torch.equal(together[i, j], tl.simplify(family.make(values[i, j], True), k=2, backend=backend))
    empty = tl.simplify(family.make(family.random((0,)), True), k=2, backend=backend)
    assert empty.shape == (0, *family.shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2**18,), (640, 650), (1, 2**18), (2**18, 1), (60, 61, 70)], ids=str)
def test_threads_do_not_matter(shape: tuple[int, ...], kind: str, threads: None) -> None:
    """Within an image: ways cross from the rows of one thread to those of others."""
    ramp = torch.linspace(0, 3, math.prod(shape), dtype=torch.float64).reshape(shape)
    family = grid_family(kind, *shape)
    for values in (family.random(levels=9), family.random(levels=None), family.random(levels=None) + ramp, -ramp):
        filtration = family.make(values, True)
        found = []
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append(tl.simplify(filtration, k=8))
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])
        assert not torch.equal(found[0], values) or len(tl.persistence(filtration)) < 8


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, 5, 3, 4, 1, 2], dtype=dtype, requires_grad=True)
    result = tl.simplify(tl.Freudenthal(values, ndim=1, superlevel=True), k=1)
    assert result.dtype == (dtype if dtype in WIDE else torch.float32)
    assert result.tolist() == [0, 5, 3, 3, 1, 1]
    result.sum().backward()
    assert values.grad.tolist() == [1, 1, 2, 0, 2, 0]
    assert values.grad.dtype == dtype


@pytest.mark.parametrize("backend", BACKENDS)
def test_strides_do_not_matter(backend: str) -> None:
    values = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(0))
    expected = tl.simplify(tl.Freudenthal(values, superlevel=True), k=2, backend=backend)
    for view in (values.mT.contiguous().mT, torch.stack([values, values], -1)[..., 1], -torch._neg_view(values)):
        result = tl.simplify(tl.Freudenthal(view, superlevel=True), k=2, backend=backend)
        assert torch.equal(result, expected)
    negative = tl.simplify(tl.Freudenthal(torch._neg_view(values)), k=2, backend=backend)
    assert torch.equal(negative, -expected)


# -- the gradient


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, in forward mode
def test_gradient(backend: str) -> None:
    values = torch.rand(2, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()

    def simplified(x: torch.Tensor) -> torch.Tensor:
        return tl.simplify(tl.Freudenthal(x, superlevel=True), k=2, backend=backend).square()

    assert gradcheck(simplified, (values,), check_forward_ad=True)
    assert gradgradcheck(simplified, (values,))


def test_what_is_flattened_passes_its_gradient_on_to_the_saddle() -> None:
    values = torch.tensor([0.0, 5, 3, 4, 1, 2], requires_grad=True)
    weights = torch.tensor([1.0, 10, 100, 1000, 1e4, 1e5])
    (tl.simplify(tl.Freudenthal(values, ndim=1, superlevel=True), k=1) * weights).sum().backward()
    assert values.grad.tolist() == [1, 10, 1100, 0, 1.1e5, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_stays_has_its_own_gradient_under_ties(backend: str) -> None:
    """No entry takes the value of another one that is equal."""
    values = torch.randint(0, 4, (9, 9), generator=torch.Generator().manual_seed(0)).float().requires_grad_()
    result = tl.simplify(tl.Freudenthal(values, superlevel=True), k=3, backend=backend)
    assert not torch.equal(result, values)
    (gradient,) = torch.autograd.grad((result * (result == values)).sum(), values)
    assert torch.equal(gradient, (result == values).float())


# -- backends


class PairsOnly:
    name = "pairs-only"

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        return None

    def pairs(self, filtration: Any, dims: tuple[int, ...]) -> tl.IndexPairs:
        return tl.backends()["native"].pairs(filtration, dims)


class Lowest(PairsOnly):
    """Gives whatever it is told to."""

    name = "lowest"
    capabilities = tl.Capabilities(simplifies=True)

    def __init__(self, indices: Any) -> None:
        self.indices = indices

    def simplified(self, filtration: Any, k: int, threshold: float) -> Any:
        assert not filtration.values.requires_grad
        return self.indices


def test_a_backend_of_ones_own() -> None:
    values = torch.tensor([2.0, 1.0, 3.0], requires_grad=True)
    mine = Lowest(torch.tensor([1, 1, 1]))
    result = tl.simplify(tl.Freudenthal(values, ndim=1), k=1, backend=mine)
    assert result.tolist() == [1, 1, 1]
    result.sum().backward()
    assert values.grad.tolist() == [0, 3, 0]


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, 1, 2], TypeError, "'lowest' .*int32 or int64 tensor, got list"),
        (torch.ones(3), TypeError, "'lowest' .*int32 or int64 tensor, got torch.float32"),
        (torch.zeros(1, 3, dtype=torch.int64), ValueError, r"'lowest' .*\(3,\), got \(1, 3\)"),
        (torch.tensor([0, 3, 1]), IndexError, "index"),
    ],
)
def test_what_a_backend_returns_is_checked(indices: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tl.simplify(tl.Freudenthal(torch.zeros(3), ndim=1), k=1, backend=Lowest(indices))


def test_backends_that_cannot_do_it() -> None:
    """Contract 9: the message says which ones can."""
    image = tl.Freudenthal(torch.rand(4, 4))
    for backend in ("gudhi", PairsOnly()):
        with pytest.raises(ValueError, match=r"^backend: .* cannot simplify .*pairs only.*can: 'native', 'torch'$"):
            tl.simplify(image, k=1, backend=backend)
    with pytest.raises(ValueError, match=r"^backend: 'torch' cannot simplify LowerStar.*can: 'native'$"):
        tl.simplify(tl.LowerStar(torch.rand(3), torch.tensor([[0, 1]])), k=1, backend="torch")
    with pytest.raises(ValueError, match=r"^backend: unknown name 'nativ', did you mean 'native'\?"):
        tl.simplify(image, k=1, backend="nativ")


# -- bad input


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("backend", [None, *BACKENDS])
def test_values_that_are_not_finite_are_refused(backend: str | None, bad: float) -> None:
    values = torch.rand(2, 6, 7)
    values[1, 2, 3] = bad
    with pytest.raises(ValueError, match=r"^values: .*NaN.*\(1, 2, 3\)"):
        tl.simplify(tl.Freudenthal(values), k=1, backend=backend)
    if backend != "torch":
        star = tl.LowerStar(values[1, 2], torch.tensor([[0, 1]]))
        with pytest.raises(ValueError, match=r"^values: .*NaN.*\(3,\)"):
            tl.simplify(star, k=1, backend=backend)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, r"^k: .*exactly one of k and threshold, got neither"),
        ({"k": 1, "threshold": 0.5}, TypeError, r"^k: .*exactly one of k and threshold, got both"),
        ({"k": 0}, ValueError, r"^k: .*>= 1.*got 0"),
        ({"k": -3}, ValueError, r"^k: .*>= 1.*got -3"),
        ({"k": 1.0}, TypeError, r"^k: .*int, got float"),
        ({"k": True}, TypeError, r"^k: .*int, got bool"),
        ({"threshold": -0.1}, ValueError, r"^threshold: .*>= 0, got -0.1"),
        ({"threshold": math.nan}, ValueError, r"^threshold: .*>= 0, got nan"),
        ({"threshold": "1"}, TypeError, r"^threshold: .*number, got str"),
        ({"threshold": torch.tensor(1.0)}, TypeError, r"^threshold: .*number, got Tensor"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    for values in (torch.rand(4, 4), torch.rand(0, 4, 4)):
        with pytest.raises(error, match=message):
            tl.simplify(tl.Freudenthal(values), **arguments)


@pytest.mark.parametrize("filtration", [torch.rand(4, 4), None, tl.Rips(torch.zeros(2, 2))], ids=lambda f: type(f))
def test_other_filtrations_are_refused(filtration: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^filtration: .*Freudenthal, Cubical or LowerStar.*got (Tensor|NoneType|Rips)"
    ):
        tl.simplify(filtration, k=1)


def test_an_empty_batch_does_not_hide_a_bad_backend() -> None:
    nothing = tl.Freudenthal(torch.zeros(0, 4, 4))
    assert tl.simplify(nothing, k=1).shape == (0, 4, 4)
    for backend, message in {"natve": "unknown name 'natve'", "gudhi": "pairs only"}.items():
        with pytest.raises(ValueError, match=message):
            tl.simplify(nothing, k=1, backend=backend)
