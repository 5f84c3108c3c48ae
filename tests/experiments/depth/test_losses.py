"""Eqs. (4) to (8): values computed by hand, gradients by differences, and two other libraries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.depth.losses import (
    Weights,
    data_terms,
    dissimilarity,
    few_minima,
    gradient_error,
    log_rmse,
    sobel,
    ssim,
    variation,
    windows,
)


def random_depths(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prediction, depth = (1 + 9 * torch.rand(*shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return prediction, depth, torch.ones(shape, dtype=torch.bool)


def test_log_rmse_by_hand() -> None:
    depth = torch.tensor([1.0, math.e, 1.0, 5.0]).view(1, 1, 2, 2)
    prediction = torch.tensor([math.e**3, math.e, math.e**4, 1.0]).view(1, 1, 2, 2)
    valid = torch.tensor([True, True, True, False]).view(1, 1, 2, 2)
    assert log_rmse(prediction, depth, valid) == pytest.approx(5)  # 3, 0 and 4
    assert log_rmse(prediction, depth, valid, reduction="mean") == pytest.approx(5 / math.sqrt(3))


def test_log_rmse_has_a_finite_gradient_at_equality() -> None:
    depth = torch.full((2, 1, 2, 2), 3.0)
    prediction = depth.clone().requires_grad_()
    with torch.no_grad():
        prediction[1, 0, 0, 0] = 6
    log_rmse(prediction, depth, torch.ones_like(depth, dtype=torch.bool)).sum().backward()
    assert prediction.grad is not None
    assert prediction.grad[0].eq(0).all()
    assert prediction.grad[1].flatten().tolist() == pytest.approx([1 / 6, 0, 0, 0])


@pytest.mark.parametrize(("k", "expected"), [(1, 16 + 9), (2, 9), (3, 0)])
def test_few_minima_by_hand(k: int, expected: float) -> None:
    """The minima 1, 2 and 3 are parted by 5 and 7; that of value 1 never dies."""
    line = torch.tensor([1.0, 5.0, 2.0, 7.0, 3.0]).view(1, 1, 1, 5).requires_grad_()
    h = line * torch.tensor([0.6, -0.8]).view(1, 2, 1, 1)  # of the magnitude `line`
    penalty = few_minima(h, k=k)
    assert penalty.tolist() == pytest.approx([expected])
    penalty.sum().backward()
    assert line.grad is not None
    wanted = [0, 6 * (k < 3), -6 * (k < 3), 8 * (k < 2), -8 * (k < 2)]
    assert line.grad.flatten().tolist() == pytest.approx(wanted, abs=1e-5)


def test_gradient_error_by_hand() -> None:
    y, x = torch.meshgrid(torch.arange(4.0), torch.arange(5.0), indexing="ij")
    depth, prediction = (1 + image.view(1, 1, 4, 5) for image in (3 * x + y, x - y))
    everywhere = torch.ones_like(depth, dtype=torch.bool)
    # Slopes differ by 2 and 2, the filter multiplies by 8, and 2 x 3 windows lie inside.
    assert gradient_error(prediction, depth, everywhere) == pytest.approx(6 * (16 + 16))
    assert gradient_error(prediction, depth, everywhere, reduction="mean") == pytest.approx(32)
    everywhere[0, 0, 0, 0] = False  # touches one window
    assert gradient_error(prediction, depth, everywhere) == pytest.approx(5 * 32)
    assert gradient_error(prediction, depth, everywhere, reduction="mean") == pytest.approx(32)


def test_sobel_is_that_of_scikit_image() -> None:
    filters = pytest.importorskip("skimage.filters")
    image = random_depths(1, 1, 9, 12)[0]
    horizontal, vertical = sobel(image)[0]
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(horizontal, 4 * filters.sobel_v(image[0, 0].numpy())[inner])  # it divides by 4
    np.testing.assert_allclose(vertical, 4 * filters.sobel_h(image[0, 0].numpy())[inner])


def test_ssim_is_that_of_scikit_image_and_torchmetrics() -> None:
    from topolayer.metrics.torchvision import import_torchvision

    import_torchvision()
    functional = pytest.importorskip("torchmetrics.functional.image")
    prediction, depth, valid = random_depths(3, 1, 24, 20)
    prediction = (prediction + 3 * depth) / 4
    got = ssim(prediction, depth, data_range=9.3)
    _, theirs = functional.structural_similarity_index_measure(
        prediction, depth, data_range=9.3, reduction="none", return_full_image=True
    )
    torch.testing.assert_close(got, theirs[..., 5:-5, 5:-5])  # the border of theirs sees the image mirrored
    torch.testing.assert_close(dissimilarity(prediction, depth, valid, data_range=9.3), (1 - got.mean((1, 2, 3))) / 2)
    metrics = pytest.importorskip("skimage.metrics")
    wanted = metrics.structural_similarity(
        prediction[1, 0].numpy(),
        depth[1, 0].numpy(),
        data_range=9.3,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(got[1].mean()) == pytest.approx(wanted)


def test_ssim_leaves_out_windows_with_unknown_depths() -> None:
    prediction, depth, valid = random_depths(1, 1, 20, 24)
    valid[..., 3, :] = False
    depth[..., 3, :] = math.nan
    wanted = dissimilarity(prediction[..., 4:, :], depth[..., 4:, :], valid[..., 4:, :], data_range=9)
    torch.testing.assert_close(dissimilarity(prediction, depth, valid, data_range=9), wanted)
    with pytest.raises(ValueError, match="windows of 11x11"):
        ssim(depth[..., :10, :], depth[..., :10, :], data_range=1)


def test_windows_are_those_without_an_unknown_pixel() -> None:
    valid = torch.ones(1, 1, 5, 6, dtype=torch.bool)
    valid[0, 0, 0, 2] = valid[0, 0, 4, 5] = False
    assert windows(valid, 3)[0, 0].tolist() == [
        [False, False, False, True],
        [True, True, True, True],
        [True, True, True, False],
    ]


def test_variation_by_hand() -> None:
    h = torch.tensor([[0.0, 1.0], [3.0, 3.0]]).expand(1, 3, 2, 2)
    assert variation(h).tolist() == [3 * (9 + 4 + 1)]
    assert variation(h, reduction="mean").tolist() == [3 * (9 + 4 + 1) / 4]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients(reduction: str) -> None:
    prediction, depth, valid = random_depths(2, 1, 12, 13)
    valid[0, 0, 0, 0] = valid[1, 0, 11, 4] = False
    depth[~valid] = math.nan
    prediction.requires_grad_()

    def terms(predicted: Tensor) -> tuple[Tensor, ...]:
        return tuple(data_terms(predicted, depth, valid, reduction=reduction, data_range=9).values())

    assert torch.autograd.gradcheck(terms, (prediction,))


def test_an_image_without_known_depth_adds_nothing() -> None:
    prediction, depth, valid = random_depths(2, 1, 12, 12)
    valid[1] = False
    depth[1] = math.nan
    prediction[1] = 0
    prediction.requires_grad_()
    for reduction in ("mean", "sum"):
        both = data_terms(prediction, depth, valid, reduction=reduction, data_range=9)
        one = data_terms(prediction[:1], depth[:1], valid[:1], reduction=reduction, data_range=9)
        for name, value in one.items():
            torch.testing.assert_close(2 * both[name], value)
        gradient = torch.autograd.grad(sum(both.values()), prediction)[0]
        assert gradient[1].eq(0).all() and gradient[0].isfinite().all()


def test_weights_carried_over_to_sums() -> None:
    prediction, depth, valid = random_depths(1, 1, 14, 16)
    h = random_depths(1, 4, 7, 8)[0]
    weights = Weights(tv=0.7)
    carried = weights.for_sums(14, 16, 7 * 8)
    totals = []
    for used, reduction in ((weights, "mean"), (carried, "sum")):
        terms = data_terms(prediction, depth, valid, reduction=reduction, data_range=9)
        terms["tv"] = variation(h, reduction=reduction).mean()
        totals.append(sum(getattr(used, name) * value for name, value in terms.items()))
    torch.testing.assert_close(totals[0], totals[1])
    assert (carried.ssim, carried.topology) == (weights.ssim, weights.topology)
