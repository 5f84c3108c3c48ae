"""Contract 18: a grid with a mask gives what its cells inside give alone, whatever the values outside are."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

import topolayer as tl

from ..helpers.comparing import BACKENDS, able_dims, assert_consistent, found, persistence
from ..helpers.families import Family, grid_family
from ..helpers.problems import DTYPES

pytestmark = pytest.mark.native

KINDS = "FVT"
SHAPES = (9,), (5, 6), (3, 4, 3)
ENDS = {dtype: torch.finfo(dtype).max for dtype in DTYPES}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frame(*shape: int) -> Tensor:
    """The border alone: in two axes one loop, in three a shell around a cavity."""
    mask = torch.ones(shape, dtype=torch.bool)
    mask[tuple(slice(1, -1) for _ in shape)] = False
    return mask


def masks(*shape: int) -> dict[str, Tensor]:
    """Masks of one sample each."""
    one = torch.zeros(shape, dtype=torch.bool)
    one.flatten()[math.prod(shape) // 2] = True
    halves = torch.ones(shape, dtype=torch.bool)
    halves[..., shape[-1] // 2] = False
    random = {f"random {share}": torch.rand(shape, generator=generator(1)) < share for share in (0.3, 0.7, 0.9)}
    return {"one pixel": one, "halves": halves, "frame": frame(*shape), **random}


def outside(values: Tensor, mask: Tensor, *fillings: float) -> Tensor:
    """The values, and outside of the mask all sorts of numbers that are none."""
    fill = torch.tensor(fillings or (math.nan, math.inf, -math.inf, 0.0), dtype=values.dtype)
    return torch.where(mask, values, fill[torch.arange(values.numel()) % len(fill)].reshape(values.shape))


def check(family: Family, values: Tensor, superlevel: bool, dims: tuple[int, ...], backend: str) -> tl.Barcode:
    filtration = family.make(values, superlevel)
    barcode = persistence(filtration, dims, backend)
    assert found(barcode) == family.expected(values, superlevel, dims)
    assert_consistent(barcode, filtration)
    return barcode


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_against_the_reference(kind: str, superlevel: bool, backend: str) -> None:
    for shape in SHAPES:
        for number, mask in enumerate(masks(*shape).values()):
            family = grid_family(kind, *shape, mask=mask)
            dims = able_dims(BACKENDS[backend], family)
            if dims:
                dtype, levels = DTYPES[number % len(DTYPES)], 1 + number % 4
                values = outside(family.random((2,), dtype, seed=number, levels=levels), mask)
                check(family, values, superlevel, dims, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_values_at_the_ends_of_the_range(kind: str, superlevel: bool, backend: str) -> None:
    """Nothing is later than the largest number: bars that die there are no bars that never die."""
    for shape in SHAPES:
        for number, mask in enumerate(masks(*shape).values()):
            family = grid_family(kind, *shape, mask=mask)
            dims, dtype = able_dims(BACKENDS[backend], family), DTYPES[number % len(DTYPES)]
            if dims:
                values = (family.random((2,), dtype, seed=number) - 2).clamp(-1, 1) * ENDS[dtype]
                check(family, outside(values, mask, math.nan, ENDS[dtype], -ENDS[dtype]), superlevel, dims, backend)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_bars_is_that_of_all_barcodes(kind: str) -> None:
    """Contract 2: backends that order their bars themselves, and those whose bars are ordered."""
    for seed, shape in itertools.product(range(5), SHAPES):
        family = grid_family(kind, *shape)
        values = family.random((3,), seed=seed, levels=3)
        mask = torch.rand(values.shape, generator=generator(seed)) < 0.6
        mask.flatten(1)[:, 0] = True
        filtration = tl.Freudenthal if kind == "F" else lambda *a, **o: tl.Cubical(*a, construction=kind, **o)
        for superlevel in (False, True):
            masked = filtration(values, ndim=len(shape), superlevel=superlevel, mask=mask)
            native, gudhi = (tl.persistence(masked, family.dims, backend=name) for name in ("native", "gudhi"))
            for name in ("pairs", "dims", "sample", "ranks"):
                assert torch.equal(getattr(native, name), getattr(gudhi, name))
            for name in ("indices", "dims", "sample"):
                assert torch.equal(getattr(native.essential, name), getattr(gudhi.essential, name))
            key = native.essential.births * (-1 if superlevel else 1)
            rows = torch.stack([native.essential.sample, native.essential.dims, key, native.essential.indices], 1)
            assert rows.tolist() == sorted(rows.tolist())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["native", "torch", "gudhi"])
def test_a_mask_for_each_sample_is_each_sample_with_its_own(kind: str, backend: str) -> None:
    family = grid_family(kind, 5, 6)
    dims = able_dims(BACKENDS[backend], family)
    values = family.random((2, 3), seed=3)
    mask = torch.rand(2, 3, 5, 6, generator=generator()) < 0.6
    make = tl.Freudenthal if kind == "F" else lambda *a, **o: tl.Cubical(*a, construction=kind, **o)
    whole = persistence(make(outside(values, mask), mask=mask), dims, backend)
    for number, (one, inside) in enumerate(zip(values.flatten(0, 1), mask.flatten(0, 1), strict=True)):
        alone, part = found(persistence(make(one, mask=inside), dims, backend)), whole.select(sample=number)
        rows = torch.cat([part.dims[:, None], part.pairs - 30 * number], 1).tolist()
        assert sorted([0, *row] for row in rows) == [list(row) for row in alone.finite]
        never = torch.stack([part.essential.dims, part.essential.indices - 30 * number], 1).tolist()
        assert sorted([0, *row] for row in never) == [list(row) for row in alone.essential]


@pytest.mark.parametrize(
    "shape", [(5, 6), (3, 5, 6), (1, 5, 6), (1, 3, 5, 6), (2, 1, 5, 6), (1, 1, 5, 6), (2, 3, 5, 6)]
)
def test_axes_of_the_batch_are_broadcast(shape: tuple[int, ...]) -> None:
    values = grid_family("V", 5, 6).random((2, 3), levels=None)
    mask = torch.rand(shape, generator=generator()) < 0.6
    one, other = (tl.persistence(tl.Cubical(values, mask=m), (0, 1)) for m in (mask, mask.expand(2, 3, 5, 6).clone()))
    assert found(one) == found(other)
    assert tl.Cubical(values, mask=mask).mask.shape == values.shape


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_mask_is_none(kind: str) -> None:
    for shape in SHAPES:
        family, full = grid_family(kind, *shape), grid_family(kind, *shape, mask=torch.ones(shape, dtype=torch.bool))
        values = family.random((3,), levels=2)
        one, other = (tl.persistence(f.make(values, True), family.dims) for f in (family, full))
        assert torch.equal(one.pairs, other.pairs)
        assert torch.equal(one.essential.indices, other.essential.indices)


def test_known_loops_and_pieces() -> None:
    """A frame has a loop that never dies, a shell a cavity, two halves two components."""
    values = torch.zeros(4, 5, 6)
    for kind in KINDS:
        ring = grid_family(kind, 5, 6, mask=frame(5, 6)).make(values, False)
        assert tl.persistence(ring, (0, 1)).essential.dims.tolist() == [0, 1] * 4
        shell = grid_family(kind, 4, 5, 6, mask=frame(4, 5, 6)).make(values, True)
        assert tl.persistence(shell, (0, 1, 2)).essential.dims.tolist() == [0, 2]
        halves = grid_family(kind, 5, 6, mask=masks(5, 6)["halves"]).make(values, False)
        assert tl.persistence(halves, (0, 1)).essential.dims.tolist() == [0, 0] * 4


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_are_zero_outside(dtype: torch.dtype) -> None:
    """And not NaN, though the values there may be."""
    family = grid_family("F", 5, 6)
    mask = torch.rand(2, 5, 6, generator=generator()) < 0.7
    values = outside(family.random((2,), dtype, levels=None), mask).requires_grad_()
    barcode = tl.persistence(tl.Freudenthal(values, mask=mask), (0, 1))
    loss = tl.total_persistence(barcode, p=2) + barcode.essential.sum(barcode.essential.births)
    loss.sum().backward()
    assert values.grad is not None and values.grad.dtype == dtype
    assert not values.grad[~mask].any()
    assert values.grad[mask].isfinite().all() and values.grad[mask].any()


def test_gradcheck() -> None:
    mask = frame(4, 5)
    values = torch.rand(4, 5, dtype=torch.float64, generator=generator(), requires_grad=True)

    def loss(values: Tensor) -> Tensor:
        barcode = tl.persistence(tl.Cubical(values, superlevel=True, mask=mask), (0, 1))
        return tl.total_persistence(barcode, p=2) + barcode.essential.sum(barcode.essential.births**2)

    assert gradcheck(loss, values)


def test_bars_that_never_die_count() -> None:
    """Towards k, in Betti numbers and in distances, as those of a graph do."""
    values = torch.tensor([[5.0, 1.0, 4.0], [1.0, 0.0, 2.0], [3.0, 1.0, 2.0]])
    ring = tl.persistence(tl.Cubical(values, superlevel=True, mask=frame(3, 3)), (0, 1))
    assert ring.lengths.tolist() == [3.0, 2.0]
    assert ring.ranks.tolist() == [1, 2]
    assert ring.essential.births.tolist() == [5.0, 1.0]
    assert tl.total_persistence(ring.select(dim=0), k=2).item() == 2.0
    assert tl.betti_numbers(ring, torch.tensor([4.0, 1.0, -9.0]), dim=1).tolist() == [0.0, 1.0, 1.0]
    later = tl.persistence(tl.Cubical(values - 0.5, superlevel=True, mask=frame(3, 3)), (0, 1))
    assert tl.bottleneck(ring, later, dim=1).item() == 0.5
    assert tl.wasserstein(ring, tl.persistence(tl.Cubical(values, superlevel=True), (0, 1)), dim=1).item() == math.inf


def test_order_and_ranks() -> None:
    """Pixels outside come last, and have no rank."""
    values, mask = torch.tensor([math.nan, 3.0, -1.0, 2.0]), torch.tensor([False, True, False, True])
    filtration = tl.Cubical(values, ndim=1, mask=mask)
    order = filtration.order()
    assert order.tolist() == [[3, 1, 0, 2]]
    assert filtration.ranks(order).tolist() == [[math.inf, 1.0, math.inf, 0.0]]
    filtration.check_finite()


def test_an_empty_batch() -> None:
    for shape in ((5, 6), (1, 5, 6), (0, 5, 6)):
        mask = torch.zeros(shape, dtype=torch.bool)  # no sample has nothing inside
        barcode = tl.persistence(tl.Freudenthal(torch.empty(0, 5, 6), mask=mask), (0, 1))
        assert len(barcode) == len(barcode.essential) == 0


# -- what is refused


@pytest.mark.parametrize("backend", ["native", "torch", "gudhi"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_inside_that_is_not_finite_is_named(bad: float, backend: str) -> None:
    """A number is named by its place in the tensor that was given, beside the largest number too."""
    for other in (0.0, ENDS[torch.float32]):
        values, mask = torch.full((2, 3, 4), other), torch.ones(2, 3, 4, dtype=torch.bool)
        values[0, 0, 0] = math.nan
        mask[0, 0, 0] = False
        values[1, 2, 3] = bad
        with pytest.raises(ValueError, match=rf"^values: expected finite.*got 1 .*\(1, 2, 3\) \({bad}\)"):
            tl.persistence(tl.Cubical(values, mask=mask), 0, backend=backend)
        with pytest.raises(ValueError, match=r"^values: expected finite"):
            tl.Cubical(values, mask=mask).check_finite()


@pytest.mark.parametrize("shape", [(), (6,), (6, 5), (1, 6), (2, 5, 6), (4, 5, 6), (2, 1, 3, 5, 6)], ids=str)
def test_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^mask: expected shape \(3, 5, 6\).*\(5, 6\).*got \(.*unsqueeze"):
        tl.Freudenthal(torch.zeros(3, 5, 6), mask=torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize(
    ("shape", "given", "remedy"),
    [
        ((3, 5, 6), (1, 3, 5, 6), "squeeze(0)"),
        ((3, 5, 6), (3, 1, 5, 6), "squeeze(1)"),
        ((3, 2, 5, 6), (3, 5, 6), "unsqueeze(1)"),
        ((3, 1, 5, 6), (3, 2, 5, 6), "any(1, keepdim=True)"),
        ((2, 2, 5, 6), (2, 5, 6), "view(2, 1, 5, 6)"),  # it would fit, as one for each channel
        ((2, 2, 5, 6), (2, 5, 6), "[None]"),
    ],
)
def test_the_remedy_for_another_shape(shape: tuple[int, ...], given: tuple[int, ...], remedy: str) -> None:
    mask = torch.ones(given, dtype=torch.bool)
    with pytest.raises(ValueError, match=rf"^mask: expected shape .*got {re.escape(str(given))}.*{re.escape(remedy)}"):
        tl.Freudenthal(torch.zeros(shape), mask=mask)
    mended: Tensor = eval(f"mask{remedy}" if remedy == "[None]" else f"mask.{remedy}")
    assert tl.Freudenthal(torch.zeros(shape), mask=mended).mask.shape == shape


@pytest.mark.parametrize("mask", [torch.ones(5, 6), torch.ones(5, 6, dtype=torch.uint8), [[True]], True, "inside"])
def test_no_bool_tensor(mask: Any) -> None:
    with pytest.raises(TypeError, match=r"^mask: expected a (bool tensor, True inside|torch.Tensor), got "):
        tl.Cubical(torch.zeros(5, 6), mask=mask)


def test_other_tensors() -> None:
    values, mask = torch.zeros(5, 6), torch.ones(5, 6, dtype=torch.bool)
    with pytest.raises(TypeError, match=r"^mask: expected a dense tensor.*to_dense"):
        tl.Cubical(values, mask=mask.to_sparse())
    with pytest.raises(ValueError, match=r"^mask: expected a tensor on cpu.*meta.*mask\.to\('cpu'\)"):
        tl.Cubical(values, mask=mask.to("meta"))


@pytest.mark.parametrize("backend", [None, "native", "torch", "gudhi"])
def test_nothing_inside(backend: str | None) -> None:
    mask = torch.ones(2, 3, 5, 6, dtype=torch.bool)
    mask[1, 2] = False
    filtration = tl.Cubical(torch.zeros(2, 3, 5, 6), mask=mask)
    with pytest.raises(ValueError, match=r"^mask: expected at least one pixel.*none in sample \(1, 2\).*~mask"):
        tl.persistence(filtration, backend=backend)
    with pytest.raises(ValueError, match=r"^mask: .*got none; "):
        tl.persistence(tl.Cubical(torch.zeros(5, 6), mask=torch.zeros(5, 6, dtype=torch.bool)), backend=backend)


def test_simplification_is_refused() -> None:
    """The pieces of the mask never die and would have to stay, which no k of the whole grid says."""
    filtration = tl.Freudenthal(torch.rand(5, 6), mask=frame(5, 6))
    with pytest.raises(ValueError, match=r"^filtration: expected a grid without a mask.*torch\.where"):
        tl.simplify(filtration, k=1)
    with pytest.raises(ValueError, match=r"^filtration: expected a grid without a mask"):
        tl.few_extrema(filtration, gradient="region")
    assert tl.few_extrema(filtration, k=1).shape == ()


def test_repr() -> None:
    shown = repr(tl.Freudenthal(torch.zeros(2, 5, 6), superlevel=True, mask=frame(5, 6)))
    assert shown == "Freudenthal(<torch.float32 of shape (2, 5, 6)>, superlevel=True, mask=...)"
