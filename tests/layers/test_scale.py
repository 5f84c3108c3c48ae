"""Penalties that do not depend on the scale of an activation, and how strongly a penalty pulls."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import topolayer as tl

from ..helpers.problems import DTYPES, OLD_COMPILER


def _activation(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def _divided(h: torch.Tensor) -> torch.Tensor:
    """The definition."""
    axes = tuple(range(1, h.ndim))
    return h / h.detach().square().mean(dim=axes, keepdim=True).sqrt()


@pytest.mark.parametrize("shape", [(3, 4, 9, 10), (1, 1, 12, 12), (2, 3, 5, 6, 4)], ids=str)
@pytest.mark.parametrize("options", [{}, {"k": 1, "p": 1}, {"k": 2, "gradient": "region"}], ids=str)
def test_it_is_the_penalty_of_the_activation_divided_by_its_root_mean_square(
    shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    """Values and gradients: the root mean square of each sample is a constant."""
    h = _activation(*shape).requires_grad_()
    found, wanted = tl.few_maxima(h, scale="rms", **options), tl.few_maxima(_divided(h), **options)
    assert torch.allclose(found, wanted, rtol=1e-10) and found.sum() > 0
    (gradient,) = torch.autograd.grad(found.sum(), h)
    (expected,) = torch.autograd.grad(wanted.sum(), h)
    assert torch.allclose(gradient, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("factor", [1e-18, 1e-3, 1e3, 1e18])
def test_shrinking_earns_nothing(factor: float) -> None:
    """Each sample has a scale of its own; squares neither overflow nor vanish, in float32."""
    h = _activation(2, 1, 12, 12, dtype=torch.float32)
    scaled = h * torch.tensor([factor, 1.0]).reshape(2, 1, 1, 1)
    assert torch.allclose(tl.few_maxima(scaled, scale="rms"), tl.few_maxima(h, scale="rms"), rtol=1e-4)
    assert not torch.allclose(tl.few_maxima(scaled), tl.few_maxima(h))


def test_none_is_the_penalty_as_it_is() -> None:
    h = _activation(2, 3, 12, 12)
    assert torch.equal(tl.few_maxima(h, scale=None), tl.few_maxima(h))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_zeros_and_constants_have_no_penalty_and_no_gradient(dtype: torch.dtype) -> None:
    h = torch.zeros(2, 3, 6, 6, dtype=dtype)
    h[1] = 2
    h.requires_grad_()
    penalty = tl.few_maxima(h, scale="rms")
    penalty.sum().backward()
    assert penalty.tolist() == [0, 0] and torch.equal(h.grad, torch.zeros_like(h))
    assert tl.few_maxima(torch.zeros(0, 3, 4, 4, dtype=dtype), scale="rms").shape == (0,)
    assert tl.few_maxima(torch.zeros(2, 0, 4, 4, dtype=dtype), scale="rms").tolist() == [0, 0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sample_that_is_not_finite_has_a_nan(bad: float) -> None:
    """Contract 9."""
    h = _activation(3, 2, 8, 8)
    broken = h.clone()
    broken[1, 0, 2, 3] = bad
    broken.requires_grad_()
    penalty = tl.few_maxima(broken, k=2, scale="rms")
    penalty.sum().backward()
    assert penalty.isnan().tolist() == [False, True, False] and broken.grad[1].isnan().all()
    assert torch.equal(penalty[[0, 2]], tl.few_maxima(h, k=2, scale="rms")[[0, 2]])
    assert broken.grad[[0, 2]].isfinite().all()


def test_outside_of_a_region_nothing_counts() -> None:
    """Contract 18: the root mean square is that of the entries inside."""
    h = _activation(2, 3, 8, 8)
    region = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    region[0, :, :5, :6] = region[1, :, 2:7, 1:7] = True
    found = tl.few_maxima(torch.where(region, h, math.nan), k=2, scale="rms", region=region)
    alone = [tl.few_maxima(part[None], k=2, scale="rms") for part in (h[0, :, :5, :6], h[1, :, 2:7, 1:7])]
    assert torch.allclose(found, torch.cat(alone))


@pytest.mark.skipif(OLD_COMPILER, reason="one graph needs torch 2.13")
def test_it_compiles_in_one_piece() -> None:
    h = _activation(2, 3, 8, 8).requires_grad_()
    compiled = torch.compile(lambda x: tl.few_maxima(x, k=2, scale="rms"), fullgraph=True, backend="aot_eager")
    (gradient,) = torch.autograd.grad(compiled(h).sum(), h)
    (expected,) = torch.autograd.grad(tl.few_maxima(h, k=2, scale="rms").sum(), h)
    assert torch.allclose(gradient, expected, rtol=1e-10)


# -- gradient_ratio


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_ratio_is_that_of_the_gradients_norms(dtype: torch.dtype) -> None:
    weight = torch.ones(2, 3, 8, 8, dtype=dtype, requires_grad=True)
    h = weight * _activation(2, 3, 8, 8, dtype=dtype)
    penalty, loss = tl.few_maxima(h, k=2).mean(), h.float().square().mean()
    ratio = tl.gradient_ratio(penalty, loss, h)
    norms = [torch.autograd.grad(value, h, retain_graph=True)[0].double().norm() for value in (penalty, loss)]
    assert ratio.item() == pytest.approx(float(norms[0] / norms[1]), rel=1e-3)
    assert not ratio.requires_grad and weight.grad is None
    assert tl.gradient_ratio(3 * penalty, loss, h).item() == pytest.approx(3 * ratio.item(), rel=1e-2)
    (penalty + loss).backward()  # neither graph was freed
    assert weight.grad is not None


def test_a_loss_without_a_gradient_has_no_ratio() -> None:
    h = torch.ones(2, requires_grad=True)
    assert tl.gradient_ratio(h.sum(), 0 * h.sum(), h).item() == math.inf
    assert math.isnan(tl.gradient_ratio(0 * h.sum(), 0 * h.sum(), h).item())


def test_the_ratio_after_backward_says_what_to_do() -> None:
    h = torch.ones(2, requires_grad=True)
    loss = h.square().sum()
    loss.backward()
    with pytest.raises(RuntimeError) as raised:
        tl.gradient_ratio(loss, loss, h)
    assert "call it before backward()" in raised.value.__notes__[0]


@pytest.mark.parametrize("name", ["penalty", "loss"])
def test_what_does_not_depend_on_the_activation_is_refused(name: str) -> None:
    """Contract 9."""
    h = torch.ones(2, requires_grad=True)
    for other in (torch.ones((), requires_grad=True), torch.ones(()), h.detach().sum()):
        values = {"penalty": h.sum(), "loss": h.sum()} | {name: other}
        with pytest.raises(ValueError, match=rf"^{name}: expected a number that was computed from h"):
            tl.gradient_ratio(**values, h=h)
