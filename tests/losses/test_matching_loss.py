"""wasserstein_matching_loss: squared distances over the optimal matching of the barcodes of a prediction and a mask."""

from __future__ import annotations

import inspect
import math

import gudhi.wasserstein
import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.diagrams import apart, diagrams, masks, pictures

RING = torch.tensor(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 1, 0, 0, 1, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]
)


def _by_gudhi(prediction: Tensor, mask: Tensor, dims: tuple[int, ...], construction: str) -> list[float]:
    both = [
        tl.persistence(tl.Cubical(x.double(), construction=construction, superlevel=True), dims)
        for x in (prediction, mask)
    ]
    totals = (both[0].essential.births - both[1].essential.births).detach() ** 2
    assert len(totals) == len(prediction) and 0 in dims
    for dim in dims:
        for number, (x, y) in enumerate(zip(*(diagrams(barcode, dim) for barcode in both), strict=True)):
            totals[number] += gudhi.wasserstein.wasserstein_distance(x, y, order=2, internal_p=2) ** 2
    return totals.tolist()


@pytest.mark.parametrize("construction", ["V", "T"])
@pytest.mark.parametrize("dims", [(0,), (0, 1), (1, 0)], ids=str)
def test_gudhi_on_photographs(dims: tuple[int, ...], construction: str) -> None:
    prediction = pictures()
    mask = prediction > 0.5
    found = tl.wasserstein_matching_loss(prediction, mask, dims=dims, construction=construction)
    assert found.tolist() == pytest.approx(_by_gudhi(prediction, mask, dims, construction), rel=1e-9)


def test_gudhi_on_masks() -> None:
    """The masks show people; the prediction is blurred and noisy."""
    mask = masks(number=8)
    blurred = torch.nn.functional.avg_pool2d(mask[:, None], 5, stride=1, padding=2)[:, 0]
    noise = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prediction = 0.8 * blurred + 0.2 * noise
    found = tl.wasserstein_matching_loss(prediction, mask)
    assert found.tolist() == pytest.approx(_by_gudhi(prediction, mask, (0, 1), "T"), rel=1e-9)


def test_by_hand() -> None:
    """Two peaks where the mask has one component: one bar (0.5, 0.25) too many, and 0.25 from 1."""
    prediction = torch.tensor([[0.75, 0.25, 0.5]], dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1, 0, 0]])
    loss = tl.wasserstein_matching_loss(prediction, mask)
    assert loss.item() == pytest.approx(0.25**2 / 2 + 0.25**2)
    loss.backward()
    torch.testing.assert_close(prediction.grad, torch.tensor([[-0.5, -0.25, 0.25]], dtype=torch.float64))
    # and where it has two: to (1, 0)
    loss = tl.wasserstein_matching_loss(prediction, torch.tensor([[1, 0, 1]]))
    assert loss.item() == pytest.approx(0.5**2 + 0.25**2 + 0.25**2)


def test_defaults() -> None:
    parameters = inspect.signature(tl.wasserstein_matching_loss).parameters
    assert {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY} == {
        "dims": None,
        "construction": "T",
        "ndim": None,
        "region": None,
    }


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float32, torch.float64])
def test_dtypes_of_the_mask(dtype: torch.dtype) -> None:
    prediction = torch.rand(2, 5, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mask = torch.stack([RING, 1 - RING])
    expected = tl.wasserstein_matching_loss(prediction, mask.float())
    found = tl.wasserstein_matching_loss(prediction, mask.to(dtype))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_raised(dtype: torch.dtype) -> None:
    prediction = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    loss = tl.wasserstein_matching_loss(prediction, RING)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, tl.wasserstein_matching_loss(prediction.float(), RING))
    loss.backward()
    assert prediction.grad.dtype == dtype


def test_batches() -> None:
    prediction = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mask = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(1)) > 0.5
    mask[0, 1], mask[1, 0] = False, True
    found = tl.wasserstein_matching_loss(prediction, mask)
    assert found.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(
                found[i, j], tl.wasserstein_matching_loss(prediction[i, j], mask[i, j]), rtol=1e-12, atol=0
            )
    assert tl.wasserstein_matching_loss(prediction[:, :0], mask[:, :0]).shape == (2, 0)


def test_volumes() -> None:
    """A hollow ball in three dimensions, and a prediction whose cavity is half full."""
    mask = torch.zeros(5, 5, 5, dtype=torch.int64)
    mask[1:4, 1:4, 1:4] = 1
    mask[2, 2, 2] = 0
    prediction = mask.double()
    prediction[2, 2, 2] = 0.5
    assert tl.wasserstein_matching_loss(prediction, mask, dims=(0, 1, 2), ndim=3).item() == 0.25
    assert tl.wasserstein_matching_loss(prediction, mask, dims=(0, 1), ndim=3).item() == 0


def test_the_gradient_goes_to_the_prediction_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, mask = (torch.rand(2, 6, 7, generator=generator).requires_grad_() for _ in range(2))
    tl.wasserstein_matching_loss(prediction, mask).sum().backward()
    assert prediction.grad.any() and mask.grad is None


@pytest.mark.parametrize("construction", ["V", "T"])
def test_gradcheck(construction: str) -> None:
    prediction = (0.1 + 0.4 * apart(2, 5, 6).detach()).requires_grad_()  # inside of [0, 1] by more than a step
    mask = torch.stack([RING, RING.flip(0) * (torch.arange(6) != 3)])
    assert torch.autograd.gradcheck(
        lambda x: tl.wasserstein_matching_loss(x, mask, construction=construction), prediction
    )
    assert torch.autograd.gradgradcheck(
        lambda x: tl.wasserstein_matching_loss(x, mask, construction=construction), prediction
    )


@pytest.mark.parametrize("mask", [RING, 0 * RING, 0 * RING + 1, 1 - RING], ids=["ring", "zeros", "ones", "inverse"])
def test_a_perfect_prediction(mask: Tensor) -> None:
    prediction = mask.float().requires_grad_()
    loss = tl.wasserstein_matching_loss(prediction, mask)
    assert loss.item() == 0
    loss.backward()
    assert not prediction.grad.any()


def test_an_empty_mask_pulls_the_maximum_down() -> None:
    prediction = torch.tensor([[0.25, 0.75]], requires_grad=True)
    loss = tl.wasserstein_matching_loss(prediction, torch.zeros(1, 2))
    assert loss.item() == 0.75**2
    loss.backward()
    assert prediction.grad.tolist() == [[0, 1.5]]


def test_it_mends_a_broken_ring() -> None:
    mask = torch.nn.functional.pad(RING, (0, 3))
    prediction = 0.9 * mask.double() + 0.05
    prediction[1, 2] = 0.4  # the gap
    prediction[2, 7] = 0.7  # a component too many
    assert int(((prediction > 0.5) != mask.bool()).sum()) == 2
    logits = prediction.logit().requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        tl.wasserstein_matching_loss(logits.sigmoid(), mask).backward()
        optimizer.step()
    found = logits.detach().sigmoid()
    assert found[1, 2] > 0.8
    assert found[2, 7] < 0.4
    assert torch.equal(found > 0.5, mask.bool())


def test_bad_input() -> None:
    """Contract 9."""
    prediction, mask = torch.rand(2, 5, 6), torch.stack([RING, RING])
    for wrong in (None, prediction.tolist(), prediction.long(), prediction + 1j):
        with pytest.raises(TypeError, match=r"^prediction\b"):
            tl.wasserstein_matching_loss(wrong, mask)
    for wrong in (None, mask.tolist(), mask + 1j):
        with pytest.raises(TypeError, match=r"^mask\b"):
            tl.wasserstein_matching_loss(prediction, wrong)
    for wrong in (mask[0], mask[:1], mask[..., :-1], mask[:, None]):
        with pytest.raises(ValueError, match=r"^mask: .*\(2, 5, 6\)"):
            tl.wasserstein_matching_loss(prediction, wrong)
    with pytest.raises(ValueError, match=r"^mask: .*cpu.*meta"):
        tl.wasserstein_matching_loss(prediction, mask.to("meta"))
    for wrong in (255 * mask, -mask, mask.byte() * 2):
        with pytest.raises(ValueError, match=r"^mask: .*0 .*and 1 .*; .*mask (> 127|== c)"):
            tl.wasserstein_matching_loss(prediction, wrong)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^prediction\b.*finite"):
            tl.wasserstein_matching_loss(prediction.masked_fill(mask.bool(), bad), mask)
        with pytest.raises(ValueError, match=r"^mask\b.*finite"):
            tl.wasserstein_matching_loss(prediction, mask.float().masked_fill(mask.bool(), bad))
    with pytest.raises(ValueError, match=r"^dims\b"):
        tl.wasserstein_matching_loss(prediction, mask, dims=2)
    with pytest.raises((TypeError, ValueError), match=r"^construction\b"):
        tl.wasserstein_matching_loss(prediction, mask, construction="F")
    with pytest.raises(TypeError):
        tl.wasserstein_matching_loss(prediction, mask, (0, 1))  # options are keyword-only
