"""Contract 10 and 7: numbers are compared with half-precision input as torch compares them with the input itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.comparing import OF_RIPS
from ..helpers.problems import DTYPES

# 0.1 is rounded up in bfloat16 and down in float16, 0.7 the other way round, 1.3 as 0.7
NUMBERS = [0.1, 0.3, 0.7, 1.3]
PATH = torch.tensor([[0, 1], [1, 2], [2, 3]])

everywhere = pytest.mark.parametrize("dtype", DTYPES, ids=str)
of_numbers = pytest.mark.parametrize("number", NUMBERS)


def steps(number: float, dtype: torch.dtype) -> Tensor:
    """The number itself in this dtype, and its neighbours."""
    exact = torch.tensor(number, dtype=dtype)
    below, above = (torch.nextafter(exact, torch.tensor(to, dtype=dtype)) for to in (0.0, 2.0))
    return torch.stack([below, exact, above])


@everywhere
@of_numbers
@pytest.mark.parametrize("backend", OF_RIPS)
def test_rips(dtype: torch.dtype, number: float, backend: str) -> None:
    for distance in steps(number, dtype):
        matrix = torch.stack([torch.zeros_like(distance), distance, distance, torch.zeros_like(distance)]).view(2, 2)
        barcode = tl.persistence(tl.Rips(matrix, threshold=number), backend=backend)
        assert len(barcode) == int(distance <= number)
        assert len(tl.persistence(tl.Rips.from_points(matrix[:1].mT, threshold=number))) == int(distance <= number)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_numbers_are_rounded_as_torch_rounds_them(dtype: torch.dtype) -> None:
    """All sizes, numbers midway between two of the dtype, and a hair from there, which float32 does not see."""
    sizes = 10.0 ** (torch.rand(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 90 - 46)
    midway = 1 + torch.finfo(dtype).eps * torch.tensor(
        [0.5, 1.5, 0.5 + 1e-9, 1.5 - 1e-9, 1 + 1e-9], dtype=torch.float64
    )
    ends = [0.0, 65504, 65519, 65520, 3.38e38, 3.39e38, 3.4e38, 3.5e38, 6e-8, 2.9e-8, 3e-8, 9e-41, 4e-41, 1e-46]
    matrix = torch.zeros(1, 1, dtype=dtype)
    for number in [*sizes.tolist(), *midway.tolist(), *ends]:
        assert tl.Rips(matrix, threshold=number).threshold == torch.tensor(number, dtype=dtype).item(), number


FILTRATIONS: dict[str, Callable[[Tensor, bool], tl.Filtration]] = {
    "Freudenthal": lambda x, superlevel: tl.Freudenthal(x, ndim=1, superlevel=superlevel),
    "Cubical": lambda x, superlevel: tl.Cubical(x, ndim=1, superlevel=superlevel),
    "LowerStar": lambda x, superlevel: tl.LowerStar(x, PATH, superlevel=superlevel),
}


def one_bar(height: Tensor, superlevel: bool) -> Tensor:
    """From 0 to a height, or in superlevel sets down from it."""
    low, high = torch.zeros_like(height), 2 * torch.ones_like(height)
    return torch.stack([high, low, height, low] if superlevel else [-high, height, low, height])


@everywhere
@of_numbers
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("name", FILTRATIONS)
def test_bars_and_their_lengths(name: str, superlevel: bool, number: float, dtype: torch.dtype) -> None:
    for height in steps(number, dtype):
        signal = one_bar(height, superlevel)
        filtration = FILTRATIONS[name](signal, superlevel)
        barcode = tl.persistence(filtration)
        assert barcode.lengths.tolist() == [float(height)]
        assert filtration.input_dtype == dtype
        for kept in (barcode, barcode.select(dim=0, sample=0)):
            assert tl.length_weights(kept, number).tolist() == [float(height > number)]
            # the other component is there at all of these levels
            alive = 1 + (height >= number if superlevel else height > number)
            for level in (number, torch.tensor(number, dtype=torch.float64), torch.tensor(number, dtype=dtype)):
                assert tl.betti_numbers(kept, level) == alive
        simple = tl.simplify(filtration, threshold=number)
        assert torch.equal(simple, signal.to(simple.dtype)) == bool(height >= number)


@everywhere
@of_numbers
def test_levels_in_a_tensor_are_not_rounded(number: float, dtype: torch.dtype) -> None:
    """As torch compares a tensor in half precision with one in float32."""
    for height in steps(number, dtype):
        barcode = tl.persistence(tl.Freudenthal(one_bar(height, superlevel=True), ndim=1, superlevel=True))
        levels = torch.tensor([number], dtype=barcode.births.dtype)
        assert tl.betti_numbers(barcode, levels) == 1 + (height >= levels)


@everywhere
@of_numbers
def test_betti_error(number: float, dtype: torch.dtype) -> None:
    for prediction in steps(number, dtype)[:, None, None].expand(3, 3, 4):
        assert not tl.betti_error(prediction, prediction >= number, threshold=number).any()
        assert tl.betti_error(prediction, prediction < number, threshold=number).tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_softness_compares_nothing(dtype: torch.dtype) -> None:
    barcode = tl.persistence(tl.Freudenthal(torch.tensor([0.0, 1.0, 0.5], dtype=dtype), ndim=1))
    wide = tl.persistence(tl.Freudenthal(torch.tensor([0.0, 1.0, 0.5]), ndim=1))
    assert tl.betti_numbers(barcode, 0.7, softness=0.1) == tl.betti_numbers(wide, 0.7, softness=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_numbers_beyond_the_range(dtype: torch.dtype) -> None:
    matrix = (1 - torch.eye(3)).to(dtype)
    assert len(tl.persistence(tl.Rips(matrix, threshold=1e300))) == 2
    assert len(tl.persistence(tl.Rips(matrix, threshold=10**400))) == 2
    assert torch.equal(tl.simplify(tl.Cubical(matrix), threshold=1e300), tl.simplify(tl.Cubical(matrix), k=1))
