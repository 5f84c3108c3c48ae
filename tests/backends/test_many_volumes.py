"""`make verify` on a few volumes: it passes on what is right, and finds what is wrong."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

import topolayer as tl

from ..commands import many_volumes
from ..commands.many_volumes import Config, Disagreement, verify

pytestmark = pytest.mark.native


def test_a_few_rounds() -> None:
    assert verify(Config(volumes=299)) == 300


def test_draws_every_kind() -> None:
    """Every kind, direction and dtype, thin and thick volumes, masks with values that are not finite outside."""
    drawn = [many_volumes.draw(0, number) for number in range(200)]
    assert len({(d.kind, d.superlevel, d.values.dtype) for d in drawn}) == 3 * 2 * 2
    sides = {min(d.shape) for d in drawn}
    assert {1, 2, 5} <= sides
    assert {d.mask is None for d in drawn} == {False, True}
    assert any(not bool(d.values.isfinite().all()) for d in drawn if d.mask is not None)


class _DropsALoop:
    """The native backend without its last bar in dimension 1."""

    name = "wrong"

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        return tl.backends()["native"].unsupported(filtration, dims)

    def pairs(self, filtration: Any, dims: tuple[int, ...]) -> Any:
        pairs = tl.backends()["native"].pairs(filtration, dims)
        loops = pairs.finite.dims == 1
        keep = ~(loops & (loops.cumsum(0) == loops.sum()))
        return replace(pairs, finite=pairs.finite.map(lambda tensor: tensor[keep]))


def test_finds_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topolayer._backends._registry", tl.backends() | {"wrong": _DropsALoop()})
    with pytest.raises(Disagreement) as raised:
        verify(Config(volumes=100, backends=("wrong",)))
    message = str(raised.value)
    again = re.search(r"again: python -m tests.commands.many_volumes --seed 0 --only (\d+) --backends wrong$", message)
    assert again
    with pytest.raises(Disagreement) as same:
        verify(Config(only=int(again[1]), backends=("wrong",)))
    assert str(same.value) == message
    shown: dict[str, Any] = {"torch": torch, "math": math}
    exec(next(line for line in message.splitlines() if line.startswith("values = ")), shown)
    drawn = many_volumes.draw(0, int(again[1]))
    torch.testing.assert_close(shown["values"], drawn.values, rtol=0, atol=0, equal_nan=True)


def test_an_unknown_backend() -> None:
    with pytest.raises(SystemExit, match="nativ"):
        verify(Config(backends=("nativ",)))
