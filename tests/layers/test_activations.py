"""channel_norm, equation (3), and few_maxima, equations (3) and (1)."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

import topolayer as tl

from ..helpers.problems import DTYPES


def _activation(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# -- channel_norm


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2])
def test_channel_norm_is_the_2_norm(dim: int) -> None:
    h = _activation(3, 4, 5)
    assert torch.allclose(tl.channel_norm(h, dim=dim), torch.linalg.vector_norm(h, dim=dim), rtol=1e-14)


def test_channel_norm_is_over_axis_1_unless_told() -> None:
    assert tl.channel_norm(_activation(2, 3, 4, 5)).shape == (2, 4, 5)
    assert inspect.signature(tl.channel_norm).parameters["dim"].default == 1
    assert tl.channel_norm(torch.tensor([[[3.0]], [[-4.0]]]), dim=0).item() == 5


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_channel_norm_of_few_channels(dtype: torch.dtype) -> None:
    """One channel: the absolute value. None: zero."""
    h = torch.tensor([[[-2.0, 0.0, 3.0]]], dtype=dtype)
    assert tl.channel_norm(h).tolist() == [[2.0, 0.0, 3.0]]
    assert tl.channel_norm(torch.zeros(2, 0, 3, dtype=dtype)).tolist() == [[0.0] * 3] * 2
    assert tl.channel_norm(torch.zeros(0, 4, 3, dtype=dtype)).shape == (0, 3)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, in forward mode
def test_channel_norm_gradient() -> None:
    h = _activation(2, 3, 4).requires_grad_()
    assert gradcheck(tl.channel_norm, (h,), check_forward_ad=True)
    assert gradgradcheck(tl.channel_norm, (h,))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_channel_norm_derivatives_at_zero_vectors_are_zero(dtype: torch.dtype) -> None:
    """First and second derivative exactly 0, not NaN, where a vector is zero; right beside it."""
    h = torch.tensor([[[0.0, 3.0, -0.0], [0.0, 4.0, 0.0]]], dtype=dtype, requires_grad=True)
    weights = torch.tensor([[2.0, 5.0, 7.0]]).to(tl.channel_norm(h).dtype).requires_grad_()
    norm = tl.channel_norm(h)
    assert norm.tolist() == [[0, 5, 0]]
    (first,) = torch.autograd.grad((norm * weights).sum(), h, create_graph=True)
    assert first.tolist() == [[[0, pytest.approx(3, rel=1e-2), 0], [0, pytest.approx(4, rel=1e-2), 0]]]
    assert (first[:, :, [0, 2]] == 0).all()
    second_h, second_w = torch.autograd.grad((first * torch.tensor([1.0, 1.0, 2.0], dtype=dtype)).sum(), (h, weights))
    assert (second_h[:, :, [0, 2]] == 0).all()
    assert (second_w[:, [0, 2]] == 0).all()
    # the Hessian of |v| is (1 - n n^T) / |v|, n = (0.6, 0.8), here times 5 and applied to (1, 1)
    expected = [1 - 0.6 * 1.4, 1 - 0.8 * 1.4]
    assert second_h[0, :, 1].tolist() == pytest.approx(expected, abs=2e-2)
    assert second_w[0, 1].item() == pytest.approx(1.4, rel=1e-2)


def test_channel_norm_of_half_numbers_does_not_overflow() -> None:
    """300**2 is beyond float16."""
    h = torch.full((1, 4, 2), 300.0, dtype=torch.float16, requires_grad=True)
    norm = tl.channel_norm(h)
    assert norm.tolist() == [[600.0, 600.0]]
    norm.sum().backward()
    assert h.grad.dtype == torch.float16
    assert torch.allclose(h.grad, torch.full_like(h, 0.5))
    tiny = torch.full((1, 4, 1), 2.0**-20, dtype=torch.float16)
    assert tl.channel_norm(tiny).item() == 2.0**-19  # its square underflows


def test_channel_norm_errors() -> None:
    """Contract 9."""
    with pytest.raises(TypeError, match=r"^h\b.*[Tt]ensor"):
        tl.channel_norm([1.0])
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(TypeError, match=r"^h\b.*floating"):
            tl.channel_norm(torch.ones(2, 3, 4, dtype=dtype))
    for dim in (3, -4):
        with pytest.raises((ValueError, IndexError), match=r"^dim\b"):
            tl.channel_norm(torch.ones(2, 3, 4), dim=dim)
    for dim in ("C", None, (1, 2)):
        with pytest.raises(TypeError, match=r"^dim: expected an int, .* got .*; in \(B, C, H, W\) it is 1"):
            tl.channel_norm(torch.ones(2, 3, 4), dim=dim)
    for dim in (1.0, "1", torch.tensor(1)):
        with pytest.raises(TypeError, match=r"^dim: expected an int, .* got .*; convert it with int"):
            tl.channel_norm(torch.ones(2, 3, 4), dim=dim)


def test_channel_norm_in_function_transforms() -> None:
    """Gradients per sample, as torch.func makes them."""
    h = _activation(3, 4, 5, 6).requires_grad_()
    weights = _activation(5, 6, seed=1)

    def weighted(sample: torch.Tensor) -> torch.Tensor:
        return (tl.channel_norm(sample, dim=0) * weights).sum()

    per_sample = torch.func.vmap(torch.func.grad(weighted))(h.detach())
    (expected,) = torch.autograd.grad((torch.linalg.vector_norm(h, dim=1) * weights).sum(), h)
    assert torch.allclose(per_sample, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_channel_norm_of_very_large_and_very_small_vectors(dtype: torch.dtype) -> None:
    """As far as the squares are normal numbers; a single channel is not squared."""
    limits = torch.finfo(dtype)
    for size in (limits.max**0.5 / 4, limits.tiny**0.5 * 8):
        h = torch.tensor([[[3.0], [4.0]]], dtype=dtype) * (size / 4)
        h.requires_grad_()
        norm = tl.channel_norm(h)
        assert torch.allclose(norm, h.new_tensor([[5 * size / 4]]), rtol=1e-6, atol=0)
        norm.sum().backward()
        assert h.grad.flatten().tolist() == pytest.approx([0.6, 0.8], rel=1e-6)
    assert tl.channel_norm(torch.tensor([[[-limits.max, limits.tiny, 0]]], dtype=dtype)).tolist() == [
        [limits.max, limits.tiny, 0]
    ]


# -- few_maxima


@pytest.mark.parametrize("shape", [(3, 4, 9, 10), (1, 1, 12, 12), (2, 3, 5, 6, 4), (2, 0, 4, 4), (0, 3, 4, 4)], ids=str)
@pytest.mark.parametrize(("k", "p"), [(8, 2), (1, 1), (0, 2), (3, 0.5)])
def test_few_maxima_is_the_composition(shape: tuple[int, ...], k: int, p: float) -> None:
    h = _activation(*shape)
    filtration = tl.Freudenthal(tl.channel_norm(h), ndim=len(shape) - 2, superlevel=True)
    expected = tl.total_persistence(tl.persistence(filtration), p=p, k=k)
    penalty = tl.few_maxima(h, k=k, p=p)
    assert penalty.shape == shape[:1]
    assert torch.allclose(penalty, expected, rtol=1e-12)


def test_few_maxima_defaults() -> None:
    h = _activation(2, 3, 12, 12)
    assert torch.equal(tl.few_maxima(h), tl.few_maxima(h, k=8, p=2))
    assert (tl.few_maxima(h) > 0).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_few_maxima_dtypes(dtype: torch.dtype) -> None:
    """Contract 7."""
    h = _activation(2, 3, 12, 12, dtype=dtype).requires_grad_()
    penalty = tl.few_maxima(h)
    assert penalty.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    penalty.sum().backward()
    assert h.grad.dtype == dtype
    exact = tl.few_maxima(h.detach().double())
    assert torch.allclose(penalty.double(), exact, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, in forward mode
@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (1, 2, 3, 4, 3)], ids=str)
def test_few_maxima_gradient(shape: tuple[int, ...]) -> None:
    h = _activation(*shape).requires_grad_()
    assert gradcheck(lambda x: tl.few_maxima(x, k=2), (h,), check_forward_ad=True)
    assert gradgradcheck(lambda x: tl.few_maxima(x, k=2), (h,))


def test_few_maxima_behind_relu() -> None:
    """Zero vectors abound: no NaN, first and second order."""
    h = _activation(2, 2, 10, 10).requires_grad_()
    penalty = tl.few_maxima(torch.relu(h - 1), k=2).sum()
    (grad,) = torch.autograd.grad(penalty, h, create_graph=True)
    assert torch.isfinite(grad).all()
    assert grad.abs().sum() > 0
    (second,) = torch.autograd.grad(grad.square().sum(), h)
    assert torch.isfinite(second).all()


@pytest.mark.parametrize("gradient", ["critical", "region"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(4, 3, 10, 10), (4, 2, 5, 5, 5)], ids=str)
def test_few_maxima_of_a_sample_that_is_not_finite(
    shape: tuple[int, ...], dtype: torch.dtype, bad: float, gradient: Any
) -> None:
    """Contract 9: a NaN penalty and gradient for it, the right numbers for the others, and no exception."""
    h = _activation(*shape, dtype=dtype)
    broken = h.clone()
    broken[1, 0, 2, 3] = bad
    broken[3] = bad
    broken.requires_grad_()
    penalty = tl.few_maxima(broken, k=2, gradient=gradient)
    assert penalty.isnan().tolist() == [False, True, False, True]
    fine = h[[0, 2]].clone().requires_grad_()
    expected = tl.few_maxima(fine, k=2, gradient=gradient)
    assert torch.equal(penalty[[0, 2]], expected)
    penalty.sum().backward()
    expected.sum().backward()
    assert torch.equal(broken.grad[[0, 2]], fine.grad)
    assert fine.grad.abs().sum() > 0
    for sample in (1, 3):  # a gradient scaler sees it
        assert broken.grad[sample].isnan().all()


def test_few_maxima_where_every_sample_is_not_finite() -> None:
    h = torch.full((2, 3, 4, 4), math.nan, requires_grad=True)
    penalty = tl.few_maxima(h)
    assert penalty.isnan().all()
    penalty.sum().backward()
    assert h.grad.isnan().all()


def test_few_maxima_where_a_norm_overflows() -> None:
    """The activation is finite, its norm in float16 is not: it is raised to float32 first."""
    h = torch.full((1, 2, 3, 3), 60000.0, dtype=torch.float16)
    h[0, :, 1, 1] = 0
    assert torch.isfinite(tl.few_maxima(h, k=0, p=1)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_few_maxima_of_large_finite_activations(dtype: torch.dtype) -> None:
    """Finite is what is finite at every pixel, though the sum over the pixels is not."""
    large = torch.finfo(dtype).max / 4
    h = torch.full((2, 1, 5, 5), large, dtype=dtype)
    h[0, 0, 2, 2] = math.nan
    assert tl.few_maxima(h, k=1, p=1).tolist() == [pytest.approx(math.nan, nan_ok=True), 0]


@pytest.mark.parametrize("shape", [(3, 4, 9, 10), (1, 1, 12, 12), (2, 3, 5, 6, 4), (2, 0, 4, 4), (0, 3, 4, 4)], ids=str)
@pytest.mark.parametrize(("k", "p"), [(8, 2), (1, 1), (0, 2), (3, 0.5), (2, 0), (10**9, 3)])
def test_few_maxima_by_regions(shape: tuple[int, ...], k: int, p: float) -> None:
    """The distance to what `simplify` makes of the magnitude; it pulls on every pixel that is above that."""
    h = _activation(*shape).requires_grad_()
    magnitude = tl.channel_norm(h)
    filtration = tl.Freudenthal(magnitude.detach(), ndim=len(shape) - 2, superlevel=True)
    excess = magnitude - tl.simplify(filtration, k=max(k, 1))
    above = excess.detach() > 0
    powers = excess.masked_fill(~above, 1) ** p * above
    penalty = tl.few_maxima(h, k=k, p=p, gradient="region")
    assert penalty.shape == shape[:1]
    assert torch.allclose(penalty, powers.flatten(1).sum(1), rtol=1e-12)
    bars = tl.persistence(filtration)
    assert torch.equal(above.flatten(1).any(1), bars.sum((bars.ranks >= k).double()) > 0)  # zero for the same ones
    (gradient,) = torch.autograd.grad(penalty.sum(), h)
    (expected,) = torch.autograd.grad(powers.sum(), h)
    assert torch.allclose(gradient, expected, rtol=1e-12)
    if p > 0:
        assert torch.equal((gradient != 0).any(1), above)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, in forward mode
@pytest.mark.parametrize("shape", [(2, 3, 5, 6), (1, 2, 3, 4, 3)], ids=str)
def test_few_maxima_by_regions_gradient(shape: tuple[int, ...]) -> None:
    """It is that of the distance to a constant: the simplified magnitude is held constant (detached)."""
    h = _activation(*shape).requires_grad_()
    magnitude = tl.channel_norm(h.detach())
    fixed = tl.simplify(tl.Freudenthal(magnitude, ndim=len(shape) - 2, superlevel=True), k=2)
    (gradient,) = torch.autograd.grad(tl.few_maxima(h, k=2, gradient="region").sum(), h)
    (expected,) = torch.autograd.grad((tl.channel_norm(h) - fixed).square().sum(), h)
    assert torch.allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_few_maxima_in_a_checkpoint(use_reentrant: bool) -> None:
    """What is recomputed in the backward pass has the same pairs."""
    h = _activation(2, 3, 12, 12).requires_grad_()
    (expected,) = torch.autograd.grad(tl.few_maxima(h.tanh(), k=2).sum(), h)
    checkpoint(lambda x: tl.few_maxima(x.tanh(), k=2), h, use_reentrant=use_reentrant).sum().backward()
    assert torch.equal(h.grad, expected)
    assert expected.abs().sum() > 0


def test_a_gradient_scaler_skips_the_step() -> None:
    """Contract 9: what the NaN is for."""
    weight = torch.nn.Parameter(torch.ones(1, 1, 4, 4))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    h = weight * torch.tensor([1.0, math.inf]).reshape(2, 1, 1, 1)
    scaler.scale(tl.few_maxima(h, k=1).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(weight.detach(), torch.ones(1, 1, 4, 4))
    assert scaler.get_scale() < 4.0


def test_few_maxima_errors() -> None:
    """Contract 9."""
    for shape in ((), (4,), (4, 4), (3, 4, 4), (1, 2, 3, 4, 5, 6)):
        with pytest.raises(ValueError, match=r"^h\b.*\(B, C, H, W\)"):
            tl.few_maxima(torch.ones(shape))
    for shape in ((2, 3, 0, 4), (2, 3, 4, 0), (2, 3, 4, 4, 0)):
        with pytest.raises(ValueError, match=r"^h\b"):
            tl.few_maxima(torch.ones(shape))
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(TypeError, match=r"^h\b.*floating"):
            tl.few_maxima(torch.ones(1, 2, 3, 4, dtype=dtype))
    for wrong in (None, [[1.0]], 3, {"h": torch.ones(1, 1, 2, 2)}):
        with pytest.raises(TypeError, match=r"^h\b.*[Tt]ensor"):
            tl.few_maxima(wrong)
    h = torch.ones(1, 2, 3, 4)
    with pytest.raises(ValueError, match=r"^k\b"):
        tl.few_maxima(h, k=-1)
    with pytest.raises(TypeError, match=r"^k\b"):
        tl.few_maxima(h, k=1.5)
    with pytest.raises(ValueError, match=r"^p\b"):
        tl.few_maxima(h, p=-2)
    with pytest.raises(TypeError, match=r"^p\b"):
        tl.few_maxima(h, p="2")
    with pytest.raises(ValueError, match=r'^gradient\b.*"critical" or "region", got .everywhere'):
        tl.few_maxima(h, gradient="everywhere")
    for arguments in ({"k": -1}, {"p": -2}):
        with pytest.raises(ValueError, match=rf"^{next(iter(arguments))}\b"):
            tl.few_maxima(h, **arguments, gradient="region")
    for arguments in ({"k": 1.5}, {"p": "2"}):
        with pytest.raises(TypeError, match=rf"^{next(iter(arguments))}\b"):
            tl.few_maxima(h, **arguments, gradient="region")
    with pytest.raises(TypeError):
        tl.few_maxima(h, 8)  # keyword-only


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3])
def test_few_maxima_by_regions_second_derivative_where_nothing_is_superfluous(p: float) -> None:
    h = torch.tensor([[[[5.0, 0.0, 3.0, 1.0, 0.0]]]], dtype=torch.float64, requires_grad=True)
    penalty = tl.few_maxima(h, k=1, p=p, gradient="region").sum()
    (first,) = torch.autograd.grad(penalty, h, create_graph=True)
    if first.requires_grad:
        (second,) = torch.autograd.grad(first.square().sum(), h)
        assert second.isfinite().all()
        assert (second[..., [0, 1, 4]] == 0).all()
    assert first.isfinite().all()
