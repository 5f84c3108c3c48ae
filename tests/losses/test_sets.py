"""Scores take a prediction of bool as one of 0 and 1 (contract, point 9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import topolayer as tl

GENERATOR = torch.Generator().manual_seed(0)
FOUND = torch.rand(2, 1, 12, 14, generator=GENERATOR) > 0.5
TRUE = torch.rand(2, 1, 12, 14, generator=GENERATOR) > 0.5
SCORES: list[Callable[..., Tensor]] = [tl.betti_error, tl.betti_matching_error]


@pytest.mark.parametrize("region", [None, torch.ones(12, 14).triu() > 0])
@pytest.mark.parametrize("function", SCORES, ids=lambda f: f.__name__)
def test_a_set_is_its_float_copy(function: Callable[..., Tensor], region: Tensor | None) -> None:
    found = function(FOUND, TRUE, region=region)
    assert torch.equal(found, function(FOUND.float(), TRUE, region=region)) and found.any()
