"""Smoothed gradients of clouds: their definition, another library, descent, and what stays as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import topolayer as tl
from topolayer._filtrations import smoothing


def cloud(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def few_pulls(points: Tensor, share: float = 0.3) -> Tensor:
    """A gradient at some of the points."""
    generator = torch.Generator().manual_seed(1)
    pulls = torch.randn(points.shape, generator=generator, dtype=torch.float64)
    return (pulls * (torch.rand(points.shape[:-1], generator=generator) < share)[..., None]).to(points.dtype)


def by_definition(points: Tensor, pulls: Tensor, bandwidth: float) -> Tensor:
    """One pair of points after another."""
    moved = torch.zeros_like(points, dtype=torch.float64)
    for sample, given, out in zip(points.double(), pulls.double(), moved, strict=True):
        for i, x in enumerate(sample):
            for y, pull in zip(sample, given, strict=True):
                out[i] += math.exp(-float(((x - y) ** 2).sum()) / (2 * bandwidth**2)) * pull
    return moved


def pulled_back(points: Tensor, pulls: Tensor, bandwidth: float) -> Tensor:
    points = points.detach().requires_grad_()
    (found,) = torch.autograd.grad(tl.smooth_gradient(points, bandwidth=bandwidth), points, pulls)
    return found


CLOUDS = {
    "random": cloud(3, 20, 2),
    "in space": cloud(2, 11, 3, seed=2),
    "in R^6": cloud(2, 9, 6, seed=3),
    "equal points": cloud(2, 6, 2).repeat(1, 3, 1),
    "one place": torch.ones(1, 5, 2, dtype=torch.float64),
    "lattice": torch.cartesian_prod(torch.arange(4.0), torch.arange(3.0))[None],
    "on a line": cloud(2, 9, 1, dtype=torch.float32),
    "one point": cloud(4, 1, 2),
    "far from the origin": 3000 + cloud(1, 40, 2, dtype=torch.float32),
}


@pytest.mark.parametrize("bandwidth", [0.05, 0.3, 5.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("points", CLOUDS.values(), ids=CLOUDS)
def test_the_definition(points: Tensor, share: float, bandwidth: float) -> None:
    pulls = few_pulls(points, share)
    expected = by_definition(points, pulls, bandwidth)
    tolerance = 1e-12 if points.dtype == torch.float64 else 1e-5
    torch.testing.assert_close(pulled_back(points, pulls, bandwidth).double(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("chunk", [1, 7, 60, 500])
def test_blocks_make_no_difference(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    points = cloud(5, 12, 2)
    whole = pulled_back(points, few_pulls(points), 0.3)
    monkeypatch.setattr(smoothing, "_CHUNK", chunk)
    torch.testing.assert_close(pulled_back(points, few_pulls(points), 0.3), whole, rtol=0, atol=1e-14)


def test_the_weights_are_those_of_scikit_learn() -> None:
    """rbf_kernel of scikit-learn 1.9, whose gamma is 1 / 2 bandwidth²."""
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    points = cloud(30, 4)
    weights = torch.from_numpy(pairwise.rbf_kernel(points.numpy(), gamma=1 / (2 * 0.4**2)))
    pulls = few_pulls(points)
    torch.testing.assert_close(pulled_back(points, pulls, 0.4), weights @ pulls)


# -- what it is for


def rips(points: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Rips.from_points(points), 1)).sum()


def alpha(points: Tensor) -> Tensor:
    return -tl.total_persistence(tl.persistence(tl.Alpha(points), 1)).sum()


@pytest.mark.parametrize("loss", [rips, alpha])
def test_more_points_move_and_the_loss_goes_down(loss: Callable[[Tensor], Tensor]) -> None:
    points = cloud(60, 2).requires_grad_()
    (plain,) = torch.autograd.grad(loss(points), points)
    smoothed = tl.smooth_gradient(points, bandwidth=0.05)
    assert torch.equal(smoothed, points)
    (moved,) = torch.autograd.grad(loss(smoothed), points)
    torch.testing.assert_close(moved[None], by_definition(points.detach()[None], plain[None], 0.05))
    assert (moved.norm(dim=1) > 1e-6).sum() > (plain != 0).any(1).sum()
    assert (plain * moved).sum() > 0
    assert loss((points - 1e-4 * moved).detach()) < loss(points.detach())


def test_a_narrow_kernel_changes_nothing() -> None:
    points = cloud(40, 2).requires_grad_()
    (plain,) = torch.autograd.grad(rips(points), points)
    (moved,) = torch.autograd.grad(rips(tl.smooth_gradient(points, bandwidth=1e-6)), points)
    assert torch.equal(moved, plain)


def test_other_terms_keep_their_gradient() -> None:
    points = cloud(9, 2).requires_grad_()
    smoothed = tl.smooth_gradient(points, bandwidth=0.4)
    (both,) = torch.autograd.grad(rips(smoothed) + points.square().sum(), points)
    (alone,) = torch.autograd.grad(rips(tl.smooth_gradient(points, bandwidth=0.4)), points)
    torch.testing.assert_close(both, alone + 2 * points.detach())


# -- several clouds


def test_clouds_do_not_see_each_other() -> None:
    points = cloud(2, 3, 8, 2)
    pulls = few_pulls(points)
    pulls[0, 1] = 0
    together = pulled_back(points, pulls, 0.3)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(together[i, j], pulled_back(points[i, j], pulls[i, j], 0.3))
    assert not together[0, 1].any()


def test_lists_of_clouds() -> None:
    clouds = [cloud(size, 2, seed=size).requires_grad_() for size in (9, 1, 14)]
    smoothed = tl.smooth_gradient(clouds, bandwidth=0.3)
    barcode = tl.persistence(tl.Rips.from_points(smoothed), (0, 1))
    barcode.sum(barcode.lengths).sum().backward()
    for points in clouds:
        alone = points.detach().requires_grad_()
        bars = tl.persistence(tl.Rips.from_points(tl.smooth_gradient(alone, bandwidth=0.3)), (0, 1))
        (expected,) = torch.autograd.grad(bars.lengths.sum(), alone, materialize_grads=True)
        torch.testing.assert_close(points.grad, expected)
    assert tl.smooth_gradient([], bandwidth=1.0) == []


def test_no_clouds() -> None:
    points = torch.empty(0, 5, 2, requires_grad=True)
    tl.smooth_gradient(points, bandwidth=1.0).sum().backward()
    assert points.grad is not None
    assert points.grad.shape == (0, 5, 2)


def test_a_gradient_that_is_not_finite_stays_in_its_cloud() -> None:
    points = cloud(2, 8, 2)
    pulls = few_pulls(points)
    pulls[0, 3] = math.nan
    found = pulled_back(points, pulls, 0.3)
    assert found[0].isnan().all()
    torch.testing.assert_close(found[1], pulled_back(points[1], pulls[1], 0.3))


# -- derivatives, dtypes, memory


def test_in_second_derivatives_the_weights_are_constant() -> None:
    points = cloud(7, 2).requires_grad_()
    smoothed = tl.smooth_gradient(points, bandwidth=0.3)
    (first,) = torch.autograd.grad(smoothed.pow(3).sum() / 6, points, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), points)
    weights = pulled_back(points, torch.ones_like(points), 0.3)
    expected = by_definition(points.detach()[None], (points.detach() * weights)[None], 0.3)[0]
    torch.testing.assert_close(second, expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, in forward mode
def test_transforms() -> None:
    points = cloud(8, 2)

    def smoothed(points: Tensor) -> Tensor:
        return rips(tl.smooth_gradient(points, bandwidth=0.3))

    by_autograd = torch.autograd.grad(smoothed(leaf := points.clone().requires_grad_()), leaf)[0]
    torch.testing.assert_close(torch.func.grad(smoothed)(points), by_autograd)
    torch.testing.assert_close(torch.func.jacrev(smoothed)(points), by_autograd)
    assert torch.func.hessian(smoothed)(points).shape == (8, 2, 8, 2)
    value, along = torch.func.jvp(smoothed, (points,), (torch.ones_like(points),))
    assert (value, along.item()) == (rips(points), pytest.approx(0, abs=1e-12))  # all points move alike


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_gradients_in_the_dtype_of_the_points(dtype: torch.dtype) -> None:
    points = cloud(12, 2, dtype=dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        smoothed = tl.smooth_gradient(points, bandwidth=0.3)
        assert smoothed.dtype == torch.float32
        smoothed.square().sum().backward()
    assert points.grad is not None
    assert points.grad.dtype == dtype
    values = points.detach().float()
    expected = by_definition(values[None], 2 * values[None], 0.3)[0].to(dtype)
    torch.testing.assert_close(points.grad, expected)


class Largest(TorchDispatchMode):
    """The most entries of any tensor that an operation returns."""

    entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        if isinstance(returned, Tensor):
            self.entries = max(self.entries, returned.numel())
        return returned


def test_memory_is_that_of_the_points() -> None:
    points = cloud(2**12, 2).requires_grad_()
    smoothed = tl.smooth_gradient(points, bandwidth=0.1)
    with Largest() as largest:
        smoothed.sum().backward()
    assert 2**17 < largest.entries <= 2**18
