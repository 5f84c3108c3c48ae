"""The benchmark of what learns from barcodes: whoever takes part computes the same."""

from __future__ import annotations

import pytest

from experiments.speed.contender import Contender
from experiments.speed.contenders import LOADERS, tiny
from experiments.speed.learners import learners, tiny_inputs


@pytest.mark.parametrize("package", ["topolayer", "torchperslay", "scipy"])
def test_everyone_computes_the_same(package: str) -> None:
    try:
        found = [contender for contender in LOADERS[package]() if contender.job in tiny_inputs()]
    except ImportError as error:
        pytest.skip(f"{package}: {error}")
    assert found
    for contender in found:
        assert outcome(contender) == pytest.approx(outcome(first(contender.job)), rel=1e-5)
        assert outcome(contender) > 0


def first(job: str) -> Contender:
    return next(contender for contender in learners() if contender.job == job)


def outcome(contender: Contender) -> float:
    return contender.outcome(contender.run(tiny(contender.job)))
