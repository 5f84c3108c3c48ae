"""`make verify` on a few distance matrices: it passes on what is right, and finds what is wrong."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

import topolayer as tl

from ..commands import many_metrics
from ..commands.many_metrics import Config, Disagreement, verify

pytestmark = pytest.mark.native


def test_a_few_metrics() -> None:
    assert verify(Config(metrics=300)) == 300


def test_draws_every_kind() -> None:
    """Both dtypes, tiny clouds, thresholds of all kinds, one of them at a distance, and ties at it."""
    drawn = [many_metrics.draw(0, number) for number in range(300)]
    assert {metric.kind for metric in drawn} == {kind.__name__.strip("_") for kind in many_metrics.KINDS}
    assert {metric.distances.dtype for metric in drawn} == {torch.float32, torch.float64}
    assert {1, 2, 3} < {len(metric.distances) for metric in drawn}
    assert {0.0, math.inf} < {metric.threshold for metric in drawn}
    at_ties = [metric for metric in drawn if int((metric.distances == metric.threshold).sum()) > 2]
    assert any(metric.threshold > 0 for metric in at_ties)
    assert any(0 < metric.threshold < _least(metric.distances) for metric in drawn)


def _least(distances: torch.Tensor) -> float:
    positive = distances[distances > 0]
    return float(positive.min()) if len(positive) else 0.0


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
        verify(Config(metrics=100, backends=("wrong",)))
    message = str(raised.value)
    again = re.search(r"again: python -m tests.commands.many_metrics --seed 0 --only (\d+) --backends wrong$", message)
    assert again
    with pytest.raises(Disagreement) as same:
        verify(Config(only=int(again[1]), backends=("wrong",)))
    assert str(same.value) == message
    shown: dict[str, Any] = {"torch": torch}
    exec(next(line for line in message.splitlines() if line.startswith("distances = ")), shown)
    assert torch.equal(shown["distances"], many_metrics.draw(0, int(again[1])).distances)


def test_an_unknown_backend() -> None:
    with pytest.raises(SystemExit, match="nativ"):
        verify(Config(backends=("nativ",)))
