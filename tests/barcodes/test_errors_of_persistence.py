"""Contract 9 for `persistence`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import topolayer as tl

from ..helpers.families import grid_family
from ..helpers.problems import CYCLE, SQUARE

pytestmark = pytest.mark.native
IMAGE = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "wrong", [IMAGE, None, "image", 3, tl.Freudenthal, [tl.Freudenthal(IMAGE)]], ids=lambda w: type(w).__name__
)
def test_what_is_no_filtration(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^filtration\b.*Freudenthal.*(Tensor|NoneType|str|int|type|list)"):
        tl.persistence(wrong)


@pytest.mark.parametrize(
    "dims",
    [0.0, 1.5, "0", None, True, False, (0, True), (0, 1.0), (0, "1"), torch.tensor(0), (torch.tensor(0),)],
    ids=str,
)
def test_dims_of_another_type(dims: Any) -> None:
    with pytest.raises(TypeError, match=r"^dims\b.*int"):
        tl.persistence(tl.Freudenthal(IMAGE), dims)


@pytest.mark.parametrize("dims", [{0}, {0: 1}, "01", iter((0, 1))], ids=lambda dims: type(dims).__name__)
def test_dims_are_an_int_or_have_an_order(dims: Any) -> None:
    with pytest.raises(TypeError, match=r"^dims\b.*tuple"):
        tl.persistence(tl.Freudenthal(IMAGE), dims)


@pytest.mark.parametrize("dims", [(0, 0), (1, 0, 1)], ids=str)
def test_dims_twice(dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^dims\b"):
        tl.persistence(tl.Freudenthal(IMAGE), dims)


def test_no_dims() -> None:
    with pytest.raises((TypeError, ValueError), match=r"^dims\b"):
        tl.persistence(tl.Freudenthal(IMAGE), ())


@pytest.mark.parametrize(
    ("filtration", "top"),
    [
        *((grid_family(kind, *(3,) * n).make(torch.rand((3,) * n), False), n - 1) for kind in "FVT" for n in (1, 2, 3)),
        (tl.LowerStar(torch.rand(4), torch.tensor(CYCLE)), 1),
        (tl.LowerStar(torch.rand(4), torch.tensor([[0], [1]])), 0),
        (tl.LowerStar(torch.rand(4), [torch.tensor(CYCLE), torch.tensor([[0, 1, 2, 3]])]), 3),
        (tl.Alpha(torch.rand(3, 1)), 0),
        (tl.Alpha(torch.rand(4, 2)), 1),
        (tl.Alpha(torch.rand(6, 3)), 2),
    ],
)
def test_dims_out_of_range(filtration: Any, top: int) -> None:
    """Negative, or above the top dimension: which there are, and what was asked for."""
    tl.persistence(filtration, tuple(range(top + 1)))
    for dims in (-1, (0, -1), top + 1, (0, top + 1), 99):
        with pytest.raises(ValueError, match=r"^dims\b") as raised:
            tl.persistence(filtration, dims)
        assert repr(dims) in str(raised.value)
        assert str(top) in str(raised.value)


def test_dims_of_rips_are_unbounded_but_not_negative() -> None:
    rips = tl.Rips(torch.tensor(SQUARE))
    assert len(tl.persistence(rips, 5)) == 0
    with pytest.raises(ValueError, match=r"^dims\b"):
        tl.persistence(rips, -1)


def test_keyword_only() -> None:
    with pytest.raises(TypeError):
        tl.persistence(tl.Freudenthal(IMAGE), 0, "native")
    with pytest.raises(TypeError):
        tl.persistence(tl.Freudenthal(IMAGE), dim=0)


def test_errors_are_raised_for_an_empty_batch_too() -> None:
    """What is wrong with the call does not depend on how many samples came."""
    empty = tl.Freudenthal(torch.rand(0, 4, 4))
    with pytest.raises(ValueError, match="dims"):
        tl.persistence(empty, 2)
    with pytest.raises(ValueError, match="backend"):
        tl.persistence(empty, backend="nativ")
    with pytest.raises(ValueError, match="backend"):
        tl.persistence(empty, backend="ripser")
