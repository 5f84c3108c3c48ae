"""Contract 10: Rips of points, by distances that are exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl

from ..helpers.problems import DTYPES

NORMS = [1, 1.5, 2, 3, 7.3, 100, math.inf]


def points(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def exact(cloud: Tensor, p: float) -> Tensor:
    """In float64, in units of the largest coordinate difference."""
    cloud = cloud.double()
    difference = (cloud[..., :, None, :] - cloud[..., None, :, :]).abs()
    unit = difference.amax(-1)
    return unit if p == math.inf else unit * ((difference / unit.where(unit > 0, 1)[..., None]) ** p).sum(-1) ** (1 / p)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (2996, 2), (-1e4, 1e-2), (1, 1e-3)])
def test_distances_are_exact(p: float, dtype: torch.dtype, offset: float, scale: float) -> None:
    """Symmetric bit for bit, with zeros on the diagonal and between equal points, and nowhere else."""
    cloud = (offset + scale * points(2, 33, 3)).to(dtype)
    cloud = torch.cat([cloud, cloud[:, :5]], dim=1)
    distances = tl.Rips.from_points(cloud, p=p).distances
    assert distances.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(distances, distances.mT)
    assert not distances.diagonal(dim1=1, dim2=2).any()
    tolerance = 1e-13 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(distances.double(), exact(cloud, p), rtol=tolerance, atol=0)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("scale", [1e-35, 1e-30, 1e-20, 1e20, 1e30, 1e37])
def test_squares_and_powers_leave_no_range(p: float, scale: float) -> None:
    """In a batch, beside a cloud of another size."""
    cloud = points(7, 2)
    both = torch.stack([cloud * scale, cloud]).float()
    distances = tl.Rips.from_points(both, p=p).distances
    torch.testing.assert_close(distances.double(), exact(both, p), rtol=1e-6, atol=0)


def test_bars_of_a_photographed_plane() -> None:
    """Coordinates near 3000: by torch.cdist there were no bars."""
    cloud = 2996 + 2 * points(40, 2, dtype=torch.float32)
    barcode = tl.persistence(tl.Rips.from_points(cloud), (0, 1))
    expected = tl.persistence(tl.Rips.from_points(cloud.double()), (0, 1))
    assert (barcode.dims == 0).sum() == 39
    assert torch.equal(barcode.pairs, expected.pairs)
    torch.testing.assert_close(barcode.deaths, expected.deaths.float())


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 1), (0, 4, 2), (2, 0, 4, 2), (3, 2, 5, 2), (30, 1)], ids=str)
@pytest.mark.parametrize("p", [1, 2, 3, math.inf])
def test_shapes(shape: tuple[int, ...], p: float) -> None:
    """Each sample is what it is alone."""
    cloud = points(*shape).requires_grad_()
    filtration = tl.Rips.from_points(cloud, p=p, threshold=0.7)
    assert filtration.batch_shape == shape[:-2]
    barcode = tl.persistence(filtration)
    assert barcode.sum(barcode.deaths).shape == shape[:-2]
    barcode.deaths.sum().backward()
    assert cloud.grad.shape == shape
    for index, one in enumerate(cloud.detach().reshape(-1, *shape[-2:])):
        alone = tl.persistence(tl.Rips.from_points(one, p=p, threshold=0.7))
        assert torch.equal(alone.deaths, barcode.select(sample=index).deaths)


# -- derivatives


# Forward mode imports a module of torch that uses what torch deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("p", NORMS)
def test_gradcheck(p: float) -> None:
    cloud = points(2, 4, 3).requires_grad_()

    def distances(x: Tensor) -> Tensor:
        return tl.Rips.from_points(x, p=p).distances

    assert gradcheck(distances, (cloud,), check_forward_ad=True)
    assert gradgradcheck(distances, (cloud,), check_fwd_over_rev=True)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_no_gradient_between_equal_points(p: float, dtype: torch.dtype) -> None:
    """Zero, and nowhere NaN, also of second order; coordinates that two points share are common."""
    cloud = (points(6, 2) * 3).round().to(dtype)
    cloud = torch.cat([cloud, cloud[:2]]).requires_grad_()
    values = tl.Rips.from_points(cloud, p=p).values
    (between,) = torch.autograd.grad(values[0, 6] + values[1, 7], cloud, retain_graph=True)
    assert not between.any()
    (gradient,) = torch.autograd.grad((values + values.square()).sum(), cloud, create_graph=True)
    assert gradient.dtype == dtype
    (curvature,) = torch.autograd.grad(gradient.square().sum(), cloud, allow_unused=True, materialize_grads=True)
    assert gradient.isfinite().all()
    assert curvature.isfinite().all()


@pytest.mark.parametrize("second_order", [False, True])
def test_subgradients_at_kinks(second_order: bool) -> None:
    cloud = torch.tensor([[0.0, 0.0, 0.0], [2.0, -2.0, 0.0]], requires_grad=True)

    def gradient(p: float) -> list[float]:
        distance = tl.Rips.from_points(cloud, p=p).distances[0, 1]
        (slopes,) = torch.autograd.grad(distance, cloud, create_graph=second_order)
        assert torch.equal(slopes[0], -slopes[1])
        return slopes[1].tolist()

    assert gradient(1) == [1, -1, 0]
    assert gradient(math.inf) == [0.5, -0.5, 0]
    assert gradient(2) == pytest.approx([math.sqrt(0.5), -math.sqrt(0.5), 0])


@pytest.mark.parametrize("p", NORMS)
def test_the_gradient_is_the_same_with_and_without_a_graph_of_it(p: float) -> None:
    """The plain one looks at the entries alone that have a gradient."""
    cloud, weights = points(2, 8, 3).requires_grad_(), points(2, 8, 8, seed=1) * (points(2, 8, 8, seed=2) > 0.7)
    distances = tl.Rips.from_points(cloud, p=p).distances
    loss = (distances * weights).sum()
    (plain,) = torch.autograd.grad(loss, cloud, retain_graph=True)
    (on_graph,) = torch.autograd.grad(loss, cloud, create_graph=True)
    torch.testing.assert_close(plain, on_graph.detach())


# -- what is refused, and thresholds


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ([[0.0, 1.0]], TypeError, "list.*as_tensor"),
        (np.zeros((3, 2)), TypeError, "ndarray.*as_tensor"),
        ([torch.rand(3, 2), torch.rand(4, 3)], ValueError, r"R\^2.*\(4, 3\).*filtration of their own"),
        ((torch.rand(1, 3, 2),), ValueError, r"\(n, d\).*\(1, 3, 2\).*list\(points\[0\]\)"),
        (torch.ones(3, 2, dtype=torch.int64), TypeError, r"int64.*float\(\)"),
        (torch.ones(3, 2, dtype=torch.complex64), TypeError, "real"),
        (torch.rand(3), ValueError, r"\(\*batch, n, d\).*\(3,\).*points\[:, None\]"),
        (torch.tensor(1.0), ValueError, r"\(\*batch, n, d\)"),
        (torch.rand(0, 2), ValueError, r"\(0, 2\)"),
        (torch.rand(2, 3, 0), ValueError, r"\(2, 3, 0\)"),
        (torch.tensor([[0.0], [math.nan]]), ValueError, r"finite.*\(1, 0\)"),
        (torch.tensor([[0.0], [math.inf]], dtype=torch.float16), ValueError, r"finite.*\(1, 0\)"),
        (torch.tensor([[3e38], [-3e38]]), ValueError, r"range of torch.float32.*rescale"),
    ],
)
def test_points_that_are_refused(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=rf"^points\b.*{message}"):
        tl.Rips.from_points(wrong)


@pytest.mark.parametrize("p", [0.5, 0, -1, math.nan, -math.inf, "2", None, True, 1j])
def test_norms_that_are_refused(p: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^p\b.*number"):
        tl.Rips.from_points(points(3, 2), p=p)


def test_a_threshold_is_refused_before_any_work() -> None:
    huge = torch.zeros(1).expand(10**9, 1)  # with a matrix that no memory holds
    for threshold, error in ((-1, ValueError), (math.nan, ValueError), ("1", TypeError)):
        with pytest.raises(error, match=r"^threshold\b"):
            tl.Rips.from_points(huge, threshold=threshold)


def test_options_are_keywords() -> None:
    with pytest.raises(TypeError):
        tl.Rips.from_points(points(3, 2), 1)  # type: ignore[misc]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_threshold_in_the_dtype_of_the_points(dtype: torch.dtype) -> None:
    line = torch.tensor([[0.0], [0.1]], dtype=dtype)
    assert len(tl.persistence(tl.Rips.from_points(line, threshold=0.1))) == 1
    assert len(tl.persistence(tl.Rips.from_points(line, threshold=0.099))) == 0
