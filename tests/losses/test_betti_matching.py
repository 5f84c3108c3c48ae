"""betti_matching_loss and betti_matching_error: costs of the induced matching of a prediction and its target."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch

import topolayer as tl

GENERATOR = torch.Generator().manual_seed(0)
PREDICTION = torch.rand(2, 3, 9, 10, generator=GENERATOR, dtype=torch.float64)
TARGET = PREDICTION + 0.4 * torch.rand(PREDICTION.shape, generator=GENERATOR, dtype=torch.float64) > 0.7
RING = torch.tensor([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]])


def _by_definition(prediction: torch.Tensor, target: torch.Tensor, **options: Any) -> torch.Tensor:
    """One sample, bar by bar."""
    first, second = (tl.Cubical(v.double(), superlevel=True, **options) for v in (prediction, target))
    m = tl.induced_matching(first, second, (0, 1))
    total = torch.zeros(())
    partner = dict(m.pairs.T.tolist())
    for i, (b, d) in enumerate(zip(m.first.births, m.first.deaths, strict=True)):
        if i in partner:
            total = total + 2 * ((b - m.second.births[partner[i]]) ** 2 + (d - m.second.deaths[partner[i]]) ** 2)
        else:
            total = total + (b - d) ** 2
    for j, (b, d) in enumerate(zip(m.second.births, m.second.deaths, strict=True)):
        if j not in partner.values():
            total = total + (b - d) ** 2
    (one,), (other,) = m.first.essential.births, m.second.essential.births
    return total + 2 * (one - other) ** 2


@pytest.mark.parametrize("construction", ["V", "T"])
def test_the_definition(construction: Any) -> None:
    found = tl.betti_matching_loss(PREDICTION, TARGET, construction=construction)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            expected = _by_definition(PREDICTION[i, j], TARGET[i, j], construction=construction)
            assert found[i, j].item() == pytest.approx(expected.item())


def test_by_hand() -> None:
    """A ring with a gap of 0.6 where the target is whole, and a blob that it does not have."""
    target = torch.nn.functional.pad(RING, (0, 2))
    prediction = 0.9 * target.double()
    prediction[1, 2], prediction[2, 5] = 0.6, 0.5
    found = tl.betti_matching_loss(prediction, target)
    assert found.item() == pytest.approx(2 * 0.4**2 + 0.5**2 + 2 * 0.1**2)
    assert tl.betti_matching_loss(prediction, target, dims=1).item() == pytest.approx(2 * 0.4**2)
    assert tl.betti_matching_loss(prediction, target, min_length=0.5).item() == pytest.approx(2 * 0.4**2 + 2 * 0.1**2)
    assert tl.betti_matching_loss(prediction, target, min_length=0.4).item() == pytest.approx(found.item())


def test_a_feature_in_another_place_is_another_feature() -> None:
    """Where `wasserstein_matching_loss` finds nothing to do."""
    prediction, target = torch.zeros(5, 12), torch.zeros(5, 12, dtype=torch.long)
    prediction[:, :5], target[:, -5:] = RING.float(), RING
    prediction[2, 9], target[2, 2] = 0.9, 1  # so that both have a component there
    assert tl.wasserstein_matching_loss(prediction, target, dims=1).item() == 0
    assert tl.betti_matching_loss(prediction, target, dims=1).item() == 2
    assert tl.betti_error(prediction, target).tolist() == [0, 0]
    assert tl.betti_matching_error(prediction, target, dims=1).item() == 2


def test_nothing_is_silently_zero() -> None:
    """One blob of another height, nothing at all, a blob elsewhere."""
    blob, nothing = torch.zeros(4, 5), torch.zeros(4, 5)
    blob[1:3, 1:3] = 1
    assert tl.betti_matching_loss(0.3 * blob, blob).item() == pytest.approx(2 * 0.7**2)
    assert tl.betti_matching_loss(nothing, blob).item() == 2
    assert tl.betti_matching_error(nothing, blob).item() == 1
    assert tl.betti_matching_error(blob, nothing).item() == 1
    assert tl.betti_matching_error(nothing, nothing).item() == 0
    assert tl.betti_matching_loss(blob, blob).item() == tl.betti_matching_error(blob, blob).item() == 0


def test_the_error_counts_what_is_alone() -> None:
    found = tl.betti_matching_error(PREDICTION, TARGET, threshold=0.4)
    assert found.dtype == torch.int64 and found.shape == (2, 3)
    foreground = (PREDICTION >= 0.4).double()
    first, second = (tl.Cubical(v, construction="T", superlevel=True) for v in (foreground, TARGET.double()))
    m = tl.induced_matching(first, second, (0, 1))
    assert torch.equal(found, m.first.sum(m.unmatched_first) + m.second.sum(m.unmatched_second))
    assert found.sum() > 10
    exchanged = tl.betti_matching_error(TARGET.double(), PREDICTION >= 0.4)
    assert torch.equal(found, exchanged)
    least = tl.betti_error(PREDICTION, TARGET, threshold=0.4).sum(-1)
    assert bool((found >= least).all())


def test_the_target_has_no_gradient() -> None:
    prediction = PREDICTION.clone().requires_grad_()
    target = PREDICTION.flip(3).clone().requires_grad_()
    tl.betti_matching_loss(prediction, target).sum().backward()
    assert prediction.grad is not None and prediction.grad.any()
    assert target.grad is None
    assert not tl.betti_matching_error(prediction, TARGET).requires_grad


@pytest.mark.parametrize("comparison", ["union", "intersection"])
def test_gradcheck(comparison: Any) -> None:
    prediction = PREDICTION[0, :2, :6, :7].clone().requires_grad_()
    target = TARGET[0, :2, :6, :7]

    def loss(p: torch.Tensor) -> torch.Tensor:
        return tl.betti_matching_loss(p, target, comparison=comparison, min_length=0.1)

    assert torch.autograd.gradcheck(loss, prediction)


def test_descent_makes_the_ring_whole() -> None:
    prediction = (0.4 * RING.double() + 0.3).requires_grad_()
    optimizer = torch.optim.Adam([prediction], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        tl.betti_matching_loss(prediction.clamp(0, 1), RING).backward()
        optimizer.step()
    assert tl.betti_matching_error(prediction, RING).item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype: torch.dtype) -> None:
    prediction = PREDICTION.to(dtype).requires_grad_()
    loss = tl.betti_matching_loss(prediction, TARGET)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, tl.betti_matching_loss(prediction.float(), TARGET))
    loss.sum().backward()
    assert prediction.grad.dtype == dtype
    bump = torch.tensor([[1, 0, 0.1]], dtype=dtype)  # as long as what 0.1 is in this dtype
    assert tl.betti_matching_loss(bump, torch.tensor([[1, 0, 0]]), min_length=0.1).item() == 0


def test_volumes() -> None:
    prediction = torch.rand(2, 6, 7, 8, generator=torch.Generator().manual_seed(0))
    target = prediction > 0.5
    loss = tl.betti_matching_loss(prediction, target, ndim=3)
    assert loss.shape == (2,) and bool((loss > 0).all())
    assert tl.betti_matching_error(prediction, target, ndim=3).tolist() == [0, 0]


def test_a_region() -> None:
    """What is outside is in neither. A loop around a gap never dies, and counts where only one of the two has it."""
    line, gap, whole = torch.zeros(5, 5), torch.ones(5, 5, dtype=torch.bool), torch.ones(5, 5)
    line[2], gap[2, 2] = 1.0, False
    assert tl.betti_matching_error(line, whole).tolist() == 0
    assert tl.betti_matching_error(line, whole, region=gap).item() == 2
    assert tl.betti_matching_loss(line, whole, region=gap).item() == 1 + 2
    region = torch.rand(2, 1, 9, 10, generator=torch.Generator().manual_seed(1)) > 0.3
    disturbed = PREDICTION.where(region, math.nan).requires_grad_()
    loss = tl.betti_matching_loss(disturbed, torch.where(region, TARGET, 7), region=region)
    loss.sum().backward()
    assert disturbed.grad.isfinite().all() and not disturbed.grad[~region.expand_as(disturbed)].any()
    assert torch.equal(loss.detach(), tl.betti_matching_loss(PREDICTION, TARGET, region=region))


def test_empty_batches() -> None:
    empty = torch.empty(0, 3, 9, 10)
    assert tl.betti_matching_loss(empty, empty).shape == tl.betti_matching_error(empty, empty).shape == (0, 3)


def test_defaults() -> None:
    shared = {"dims": None, "construction": "T", "ndim": None, "region": None}
    for function, own in (
        (tl.betti_matching_loss, {"comparison": "union", "min_length": 0.0}),
        (tl.betti_matching_error, {"threshold": 0.5}),
    ):
        parameters = inspect.signature(function).parameters.values()
        assert {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY} == shared | own
