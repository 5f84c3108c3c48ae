"""The benchmark of Betti matching: whoever takes part computes the same."""

from __future__ import annotations

import pytest

import topolayer as tl
from experiments.speed.contenders import LOADERS
from experiments.speed.inputs import prediction_and_target


@pytest.mark.parametrize("size", ["2x1x9x10", "12x13", "8x9x8"])
@pytest.mark.parametrize("package", ["topolayer", "topolosses"])
def test_everyone_computes_the_same_matching(package: str, size: str) -> None:
    """With a mask, in the grid V. topolosses leaves out what never dies."""
    both = prediction_and_target("mask", size)
    try:
        found = [contender for contender in LOADERS[package]() if contender.job == "matching"]
    except ImportError as error:
        pytest.skip(f"{package}: {error}")
    assert found
    dims = tuple(range(both.ndim - 3))
    matching = tl.induced_matching(*(tl.Cubical(v, ndim=len(dims), superlevel=True) for v in both), dims)
    loss = tl.betti_matching_loss(*both, construction="V", ndim=len(dims)).mean().item()
    never = 2 * (matching.first.essential.births - matching.second.essential.births).square().mean().item()
    expected = {
        "betti_matching_loss": loss,
        "induced_matching": matching.pairs.shape[1],
        "three barcodes": len(matching.first),
        "topolosses": loss - never,
    }
    for contender in found:
        assert contender.outcome(contender.run(both)) == pytest.approx(expected[contender.name], rel=1e-4)
