"""NumPy's numbers are numbers, and a list of dimensions is as good as a tuple."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.problems import SQUARE

IMAGES = torch.rand(2, 6, 7, generator=torch.Generator().manual_seed(0))
GRID = torch.linspace(0, 1, 5)


def _barcode(dims: Any = 0, **options: Any) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(IMAGES, **options), dims)


def _lengths(barcode: tl.Barcode) -> Tensor:
    return barcode.lengths


# each argument that is a number, as a function of it, and a value of it
INTEGERS: dict[str, tuple[Callable[[Any], Tensor], int]] = {
    "ndim": (lambda n: _lengths(_barcode(ndim=n)), 3),
    "dims": (lambda n: _lengths(_barcode(n)), 1),
    "dims in a tuple": (lambda n: _lengths(_barcode((0, n))), 1),
    "dim of select": (lambda n: _lengths(_barcode((0, 1)).select(dim=n)), 1),
    "sample of select": (lambda n: _lengths(_barcode().select(sample=n)), 1),
    "k of total_persistence": (lambda n: tl.total_persistence(_barcode(), k=n), 2),
    "k of longest": (lambda n: tl.longest_lengths(_barcode(), n), 3),
    "k of landscape": (lambda n: tl.landscape(_barcode(), GRID, k=n), 2),
    "k of few_maxima": (lambda n: tl.few_maxima(IMAGES[:, None], k=n), 2),
    "k of simplify": (lambda n: tl.simplify(tl.Freudenthal(IMAGES), k=n), 2),
    "dim of betti_numbers": (lambda n: tl.betti_numbers(_barcode((0, 1)), 0.5, dim=n), 1),
    "directions": (lambda n: tl.sliced_wasserstein(_barcode(), _barcode(), directions=n), 7),
}
REALS: dict[str, tuple[Callable[[Any], Tensor], float]] = {
    "p of total_persistence": (lambda x: tl.total_persistence(_barcode(), p=x), 2),
    "q of algebraic": (lambda x: tl.algebraic(_barcode(), p=1, q=x), 0.5),
    "p of few_maxima": (lambda x: tl.few_maxima(IMAGES[:, None], k=2, p=x), 1.5),
    "p of few_maxima on a region": (lambda x: tl.few_maxima(IMAGES[:, None], k=2, p=x, gradient="region"), 2),
    "p of silhouette": (lambda x: tl.silhouette(_barcode(), GRID, p=x), 2),
    "epsilon": (lambda x: tl.length_weights(_barcode(), x), 0.25),
    "softness of length_weights": (lambda x: tl.length_weights(_barcode(), 0.25, softness=x), 0.125),
    "levels": (lambda x: tl.betti_numbers(_barcode(), x), 0.5),
    "softness of betti_numbers": (lambda x: tl.betti_numbers(_barcode(), 0.5, softness=x), 0.125),
    "sigma": (lambda x: tl.persistence_image(_barcode(), GRID, GRID, sigma=x), 0.25),
    "threshold of simplify": (lambda x: tl.simplify(tl.Freudenthal(IMAGES), threshold=x), 0.25),
    "threshold of Rips": (lambda x: _lengths(tl.persistence(tl.Rips(torch.tensor(SQUARE), threshold=x))), 1),
    "threshold of betti_matching_error": (lambda x: tl.betti_matching_error(IMAGES, IMAGES > 0.5, threshold=x), 0.25),
    "min_length": (lambda x: tl.betti_matching_loss(IMAGES, IMAGES > 0.5, min_length=x), 0.25),
    "threshold of betti_error": (lambda x: tl.betti_error(IMAGES, IMAGES > 0.5, threshold=x), 0.25),
    "order": (lambda x: tl.wasserstein(_barcode(), _barcode(superlevel=False), order=x), 2),
    "norm": (lambda x: tl.wasserstein(_barcode(), _barcode(), norm=x), 2),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_of_numpy(name: str) -> None:
    call, number = INTEGERS[name]
    for kind in (np.int64, np.int32, np.uint8):
        assert torch.equal(call(kind(number)), call(number))


@pytest.mark.parametrize("name", REALS)
def test_real_numbers_of_numpy_and_the_standard_library(name: str) -> None:
    call, number = REALS[name]
    for kind in (np.float64, np.float32, np.float16, Fraction, *([np.int64, int] if number == int(number) else [])):
        found = call(kind(number))
        assert torch.equal(found, call(number))
        assert found.dtype == call(float(number)).dtype


@pytest.mark.parametrize("name", INTEGERS)
def test_a_float_is_no_integer(name: str) -> None:
    call, number = INTEGERS[name]
    argument = name.split()[0]
    for wrong in (float(number), np.float32(number), np.True_, torch.tensor(number)):
        words = rf"^{argument}: expected .*got {type(wrong).__name__}\b.*; convert it with int\(\.\.\.\)"
        with pytest.raises(TypeError, match=words):
            call(wrong)


def test_dimensions_in_a_list() -> None:
    expected = _barcode((1, 0))
    arrays = np.array([1, 0]), torch.tensor([1, 0], dtype=torch.int32)
    for dims in ([1, 0], [np.int64(1), 0], range(1, -1, -1), *arrays):
        found = _barcode(dims)
        assert found.computed_dims == expected.computed_dims == (1, 0)
        assert all(type(dim) is int for dim in found.computed_dims)
        assert torch.equal(found.pairs, expected.pairs)
    mask = IMAGES > 0.5
    assert torch.equal(tl.betti_error(1 - IMAGES, mask, dims=[1, 0]), tl.betti_error(1 - IMAGES, mask, dims=(1, 0)))
    assert torch.equal(
        tl.wasserstein_matching_loss(IMAGES, mask, dims=[0]), tl.wasserstein_matching_loss(IMAGES, mask, dims=0)
    )


@pytest.mark.parametrize("name", [*INTEGERS, *REALS])
def test_what_holds_no_number_is_not_told_to_be_made_one(name: str) -> None:
    call, _ = (INTEGERS | REALS)[name]
    for wrong in ("many", 2j, {}):
        with pytest.raises(
            TypeError, match=rf"^{name.split()[0]}: expected .*got {type(wrong).__name__}\b.*; "
        ) as raised:
            call(wrong)
        assert not {"int(...)", "float(...)"} & set(str(raised.value).split())


@pytest.mark.parametrize("name", [*INTEGERS, *REALS])
def test_a_huge_integer_is_no_overflow(name: str) -> None:
    call, _ = (INTEGERS | REALS)[name]
    with suppress(ValueError, MemoryError):
        call(10**400)
