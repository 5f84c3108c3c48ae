"""`make verify` on a few grids: it passes on what is right, and finds what is wrong."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

import topolayer as tl

from ..commands import many_grids
from ..commands.many_grids import Config, Disagreement, verify

pytestmark = pytest.mark.native


def test_a_few_rounds() -> None:
    assert verify(Config(grids=399)) == 400


def test_draws_every_kind() -> None:
    """Ties, plateaus, both zeros, denormal and huge values, thin grids, masks; every kind, direction and dtype."""
    drawn = [many_grids.draw(0, number) for number in range(200)]
    assert {(d.kind, d.superlevel, d.values.dtype) for d in drawn} == {
        (kind, superlevel, dtype)
        for kind in "FVT"
        for superlevel in (False, True)
        for dtype in (torch.float32, torch.float64)
    }
    shapes = {d.shape for d in drawn}
    assert {len(shape) for shape in shapes} == {1, 2, 3}
    assert any(len(shape) == 2 and shape[0] == 1 < shape[1] for shape in shapes)
    assert any(len(shape) == 2 and shape[1] == 1 < shape[0] for shape in shapes)
    assert any(min(shape) >= 3 for shape in shapes if len(shape) == 3)
    assert {d.mask is None for d in drawn} == {False, True}
    assert any(not bool(d.values.isfinite().all()) for d in drawn if d.mask is not None)
    for dtype in (torch.float32, torch.float64):
        inside = [d.values.flatten() if d.mask is None else d.values[d.mask] for d in drawn[:20]]
        values = torch.cat([some for some in inside if some.dtype == dtype])
        assert bool(values.isfinite().all())
        assert bool(((values != 0) & (values.abs() < torch.finfo(dtype).tiny)).any())
        assert bool((values.abs() == torch.finfo(dtype).max).any())
        assert bool(((values == 0) & values.signbit()).any())


class _Wrong:
    """The native backend, with a mistake in its finite bars."""

    name = "wrong"

    def __init__(self, mistake: Any) -> None:
        self.mistake = mistake

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        return tl.backends()["native"].unsupported(filtration, dims)

    def pairs(self, filtration: Any, dims: tuple[int, ...]) -> Any:
        return self.mistake(tl.backends()["native"].pairs(filtration, dims))


def _drops_one(pairs: Any) -> Any:
    some = slice(0, max(len(pairs.finite) - 1, 0))
    return replace(pairs, finite=pairs.finite.map(lambda tensor: tensor[some]))


def _swaps_two(pairs: Any) -> Any:
    finite = pairs.finite
    same = (finite.samples[1:] == finite.samples[:-1]) & (finite.dims[1:] == finite.dims[:-1])
    order = torch.arange(len(finite))
    if bool(same.any()):
        first = int(same.nonzero()[0])
        order[[first, first + 1]] = order[[first + 1, first]]
    return replace(pairs, finite=replace(finite, indices=finite.indices[order]))


def _another_essential(pairs: Any) -> Any:
    return replace(pairs, essential=replace(pairs.essential, indices=pairs.essential.indices.roll(1)))


def _by_many_threads_only(pairs: Any) -> Any:
    return _drops_one(pairs) if torch.get_num_threads() > 1 else pairs


@pytest.mark.parametrize(
    "mistake",
    [_drops_one, _swaps_two, _another_essential, _by_many_threads_only],
    ids=lambda mistake: mistake.__name__.strip("_"),
)
def test_finds_a_mistake(mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backends = tl.backends() | {"wrong": _Wrong(mistake)}
    monkeypatch.setattr("topolayer._backends._registry", backends)
    with pytest.raises(Disagreement) as raised:
        verify(Config(grids=400, backends=("wrong",)))
    message = str(raised.value)
    again = re.search(r"again: python -m tests.commands.many_grids --seed 0 --only (\d+) --backends wrong$", message)
    assert again
    with pytest.raises(Disagreement) as same:
        verify(Config(only=int(again[1]), backends=("wrong",)))
    assert str(same.value) == message
    shown: dict[str, Any] = {"torch": torch, "math": math}
    exec(next(line for line in message.splitlines() if line.startswith("values = ")), shown)
    drawn = many_grids.draw(0, int(again[1])).values
    assert any(torch.equal(shown["values"].nan_to_num(), grid.nan_to_num()) for grid in (drawn, *drawn))


def test_an_unknown_backend() -> None:
    with pytest.raises(SystemExit, match="nativ"):
        verify(Config(backends=("nativ",)))
