"""Losses as modules: their options, those of MONAI among them."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn.functional import interpolate

import topolayer as tl
from topolayer.losses import BettiMatchingLoss, BettiNumberLoss, WassersteinMatchingLoss

from ..helpers.diagrams import apart
from ..helpers.loss_modules import FUNCTIONS, LABELS, LOGITS, ONE_HOT, SINGLE, called, classes, of_masks

# -- options that several have


@classes
def test_sigmoid_and_softmax(kind: Callable[..., nn.Module]) -> None:
    for option, probabilities in (("sigmoid", LOGITS.sigmoid()), ("softmax", LOGITS.softmax(1))):
        found = called(kind(**{option: True}), LOGITS, ONE_HOT)
        assert torch.equal(found, called(kind(), probabilities, ONE_HOT))
        assert found > 0


@classes
def test_reductions(kind: Callable[..., nn.Module]) -> None:
    each = called(kind(sigmoid=True, reduction="none"), LOGITS, ONE_HOT)
    assert each.shape == (2, 3)
    torch.testing.assert_close(called(kind(sigmoid=True), LOGITS, ONE_HOT), each.sum() / 6)
    torch.testing.assert_close(called(kind(sigmoid=True, reduction="sum"), LOGITS, ONE_HOT), each.sum())


@classes
@pytest.mark.parametrize("grid", [(5, 6), (3, 4, 5)], ids=["images", "volumes"])
def test_the_grid_is_what_comes_after_the_channels(kind: Callable[..., nn.Module], grid: tuple[int, ...]) -> None:
    input = torch.rand(2, 3, *grid, generator=torch.Generator().manual_seed(0))
    target = (input > 0.6).int()
    found = called(kind(reduction="none"), input, target)
    assert found.shape == (2, 3)
    if kind in FUNCTIONS:
        assert torch.equal(found, FUNCTIONS[kind](input, target, ndim=len(grid)))


@classes
@pytest.mark.parametrize("shape", [(0, 2, 5, 6), (2, 0, 5, 6)], ids=["no images", "no channels"])
def test_no_samples(kind: Callable[..., nn.Module], shape: tuple[int, ...]) -> None:
    """The mean of none is 0, as in a process that got no images."""
    input = torch.empty(shape, requires_grad=True)
    assert called(kind(reduction="none"), input, torch.empty(shape)).shape == shape[:2]
    for reduction in ("mean", "sum"):
        loss = called(kind(reduction=reduction), input, torch.empty(shape))
        loss.backward()
        assert loss.item() == 0
        assert input.grad is not None


@classes
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_under_autocast(kind: Callable[..., nn.Module], dtype: torch.dtype) -> None:
    """Contract 7: the loss is in float32, also its sigmoid; the gradient in the dtype of the input."""
    input = LOGITS.to(dtype).requires_grad_()
    for option in ("sigmoid", "softmax"):
        with torch.autocast("cpu", dtype=dtype if dtype is torch.bfloat16 else torch.float16):
            loss = called(kind(**{option: True}), input, ONE_HOT)
        (gradient,) = torch.autograd.grad(loss, input)
        assert (loss.dtype, gradient.dtype) == (torch.float32, dtype)
        assert torch.equal(loss, called(kind(**{option: True}), input.float(), ONE_HOT))
        assert gradient.isfinite().all()
        assert gradient.any()


@classes
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_a_compiled_model_has_the_same_loss(kind: Callable[..., nn.Module]) -> None:
    model, loss = nn.Conv2d(1, 3, 3, padding=1), kind(softmax=True)
    target = () if kind is BettiNumberLoss else (ONE_HOT,)
    expected = loss(model(SINGLE), *target)
    expected_gradient = torch.autograd.grad(expected, model.weight)[0]
    torch.compiler.reset()
    step = torch.compile(lambda images: loss(model(images), *target), backend="aot_eager")
    compiled = torch.compile(loss, backend="aot_eager")
    for found in (step(SINGLE), compiled(model(SINGLE), *target)):
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found, model.weight)[0], expected_gradient)


@classes
def test_copies_and_states(kind: Callable[..., nn.Module]) -> None:
    loss = kind(sigmoid=True, reduction="sum")
    assert not loss.state_dict()
    assert not list(loss.parameters())
    buffer = io.BytesIO()
    torch.save(loss, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(loss), torch.load(buffer, weights_only=False)):
        assert torch.equal(called(other, LOGITS, ONE_HOT), called(loss, LOGITS, ONE_HOT))


def test_what_is_printed() -> None:
    assert repr(WassersteinMatchingLoss()) == "WassersteinMatchingLoss()"
    changed = WassersteinMatchingLoss(softmax=True, weight=[1, 0.5], dims=(0,), construction="V")
    assert repr(changed) == "WassersteinMatchingLoss(softmax=True, weight=[1.0, 0.5], dims=(0,), construction='V')"
    assert repr(BettiMatchingLoss(min_length=0.25)) == "BettiMatchingLoss(min_length=0.25)"
    assert repr(BettiNumberLoss(2, cavities=1)) == "BettiNumberLoss(components=2, cavities=1)"


# -- the target


@of_masks
def test_it_is_the_function(kind: Callable[..., nn.Module]) -> None:
    prediction = LOGITS.softmax(1)
    for options in ({}, {"dims": 1}, {"dims": (0,), "construction": "V"}, {"construction": "V"}):
        found = kind(reduction="none", **options)(prediction, ONE_HOT)
        assert torch.equal(found, FUNCTIONS[kind](prediction, ONE_HOT, **options))


def test_options_of_betti_matching() -> None:
    """`min_length` is compared in the dtype of probabilities, and in that of the logits' sigmoid, contract 10."""
    prediction = LOGITS.softmax(1)
    for options in ({"comparison": "intersection"}, {"min_length": 0.2}, {"min_length": math.inf}):
        found = BettiMatchingLoss(reduction="none", **options)(prediction, ONE_HOT)
        assert torch.equal(found, tl.betti_matching_loss(prediction, ONE_HOT, **options))
        assert not torch.equal(found, tl.betti_matching_loss(prediction, ONE_HOT))
    half = torch.tensor([[[[0.6, 0.5, 0.6]]]], dtype=torch.float16)
    length = (half[0, 0, 0, 0] - half[0, 0, 0, 1]).item()  # 0.1001 in float16, as 0.1 is not
    target = torch.ones(1, 1, 1, 3)
    whole = BettiMatchingLoss()(half, target)
    assert BettiMatchingLoss(min_length=length)(half, target) < whole
    assert BettiMatchingLoss(min_length=0.99 * length)(half, target) == whole


@of_masks
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.float16])
def test_labels_become_one_hot(kind: Callable[..., nn.Module], dtype: torch.dtype) -> None:
    loss = kind(softmax=True, to_onehot_y=True)
    expected = kind(softmax=True)(LOGITS, ONE_HOT)
    for labels in (LABELS, LABELS[:, 0]):
        assert torch.equal(loss(LOGITS, labels.to(dtype)), expected)
    two = kind(softmax=True, to_onehot_y=True)(LOGITS[:, :2], LABELS > 0)
    assert torch.equal(two, kind(softmax=True)(LOGITS[:, :2], torch.cat([LABELS == 0, LABELS > 0], 1)))


@of_masks
def test_the_background_is_the_first_channel(kind: Callable[..., nn.Module]) -> None:
    each = kind(softmax=True, reduction="none")(LOGITS, ONE_HOT)
    without = kind(softmax=True, reduction="none", include_background=False)
    assert torch.equal(without(LOGITS, ONE_HOT), each[:, 1:])  # the softmax is of all three
    labelled = kind(softmax=True, reduction="none", include_background=False, to_onehot_y=True)
    assert torch.equal(labelled(LOGITS, LABELS), each[:, 1:])


@of_masks
def test_weights_of_classes(kind: Callable[..., nn.Module]) -> None:
    each = kind(softmax=True, reduction="none")(LOGITS, ONE_HOT)
    for weight in (
        [1, 0, 2.5],
        (1.0, 0.0, 2.5),
        torch.tensor([1, 0, 2.5]),
        0.5,
        torch.tensor(0.5),
        torch.tensor([4, 0, 1]),
    ):
        factor = torch.as_tensor(weight)
        loss = kind(softmax=True, reduction="none", weight=weight)
        assert torch.equal(loss(LOGITS, ONE_HOT), each * factor)
        mean = kind(softmax=True, weight=weight)
        torch.testing.assert_close(mean(LOGITS, ONE_HOT), (each * factor).mean())
    loss = kind(softmax=True, include_background=False, weight=[1, 3], reduction="none")
    assert torch.equal(loss(LOGITS, ONE_HOT), each[:, 1:] * torch.tensor([1, 3]))
    assert list(loss.state_dict()) == ["weight"]
    other = kind(weight=[0, 0])
    other.load_state_dict(loss.state_dict())
    assert other.weight is not None
    assert other.weight.tolist() == [1, 3]


@of_masks
def test_no_gradient_goes_to_the_target(kind: Callable[..., nn.Module]) -> None:
    input, target = LOGITS.clone().requires_grad_(), LOGITS.flip(0).softmax(1).requires_grad_()
    kind(softmax=True)(input, target).backward()
    assert input.grad is not None
    assert input.grad.any()
    assert target.grad is None


@of_masks
def test_deep_supervision(kind: Callable[..., nn.Module]) -> None:
    """What wraps a loss, as that of nnU-Net or MONAI does, calls it at every resolution."""
    loss = kind(softmax=True, to_onehot_y=True)
    inputs = [LOGITS, LOGITS[..., ::2, ::2], LOGITS[..., ::4, ::4]]
    targets = [interpolate(LABELS.float(), input.shape[2:], mode="nearest-exact") for input in inputs]
    several = [loss(*pair) for pair in zip(inputs, targets, strict=True)]
    assert all(part.ndim == 0 for part in several)
    wrapper = pytest.importorskip("monai.losses").DeepSupervisionLoss(loss, weights=[1.0, 0.5, 0.25])
    torch.testing.assert_close(wrapper(inputs, LABELS.float()), several[0] + several[1] / 2 + several[2] / 4)


OPTIONS: list[dict[str, Any]] = [
    {"softmax": True},
    {"sigmoid": True},
    {"softmax": True, "to_onehot_y": True},
    {"softmax": True, "include_background": False},
    {"softmax": True, "to_onehot_y": True, "include_background": False},
    {"softmax": True, "weight": [1, 2, 3]},
    {"softmax": True, "include_background": False, "weight": (2, 3)},
    {"softmax": True, "weight": 0.5},
]


@of_masks
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options_mean_what_they_mean_to_monai(
    kind: Callable[..., nn.Module], options: dict[str, Any], reduction: str
) -> None:
    """Its loss is computed on what it makes of input and target, with ours in the place of Dice."""
    dice = pytest.importorskip("monai.losses.dice")
    target = LABELS if options.get("to_onehot_y") else ONE_HOT
    plain = dice.DiceLoss(reduction=reduction, **options)
    found: list[tuple[Tensor, Tensor]] = []

    class Seen(Exception):
        """Ends the computation once input and target are known."""

    def look(input: Tensor, target: Tensor, *rest: object) -> None:
        found.append((input, target))
        raise Seen

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Seen):
        patch.setattr(dice, "compute_tp_fp_fn", look)
        plain(LOGITS, target)
    each = FUNCTIONS[kind](*found[0])
    if plain.class_weight is not None:
        each = each * plain.class_weight
    expected = {"none": each, "mean": each.mean(), "sum": each.sum()}[reduction]
    loss = kind(reduction=reduction, **options)
    torch.testing.assert_close(loss(LOGITS, target), expected)
    assert plain(LOGITS, target).squeeze().shape == expected.shape


# -- numbers of components, loops and cavities


def by_definition(values: Tensor, wanted: tuple[int, int, int]) -> float:
    """One sample: lengths in descending order, filled up with zeros, the component that never dies among them."""
    barcode = tl.persistence(
        tl.Cubical(values, ndim=values.ndim, construction="T", superlevel=True), range(values.ndim)
    )
    cost = 0.0
    for dim in range(values.ndim):
        lengths = barcode.select(dim=dim).lengths.tolist() + barcode.essential.births.tolist() * (dim == 0)
        lengths = sorted(lengths, reverse=True) + [0.0] * wanted[dim]
        cost += sum((1 - length) ** 2 for length in lengths[: wanted[dim]])
        cost += sum(length**2 for length in lengths[wanted[dim] :])
    return cost


@pytest.mark.parametrize("wanted", [(1, 0, 0), (0, 0, 0), (3, 2, 0), (40, 1, 2), (2, 30, 30)], ids=str)
@pytest.mark.parametrize("grid", [(5, 6), (3, 4, 5)], ids=["images", "volumes"])
def test_numbers_by_the_definition(grid: tuple[int, ...], wanted: tuple[int, int, int]) -> None:
    input = torch.rand(2, 3, *grid, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    if len(grid) == 2:
        wanted = (*wanted[:2], 0)
    found = BettiNumberLoss(*wanted, reduction="none")(input)
    expected = [[by_definition(values, wanted) for values in sample] for sample in input]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_numbers_by_hand() -> None:
    ring = torch.ones(1, 1, 5, 5)
    ring[..., 1:4, 1:4] = 0
    assert BettiNumberLoss(1, 1)(ring).item() == 0
    assert BettiNumberLoss(1, 0)(ring).item() == 1
    assert BettiNumberLoss(2, 1)(ring).item() == 1  # the second component is missing
    assert BettiNumberLoss(0, 1)(ring).item() == 1
    assert BettiNumberLoss(1)(0 * ring).item() == 1  # nothing is there
    assert BettiNumberLoss(0)(0 * ring).item() == 0
    hollow = torch.ones(1, 1, 3, 3, 3)
    hollow[..., 1, 1, 1] = 0.25
    assert BettiNumberLoss(1, 0, 1)(hollow).item() == 0.25**2
    assert BettiNumberLoss(1)(torch.full((1, 1, 4, 3), 0.5)).item() == 0.25


def test_a_missing_bar_costs_what_one_of_length_zero_does() -> None:
    """The loss is continuous where a bar appears."""
    flat = torch.full((1, 1, 3, 3), 0.5, dtype=torch.float64)
    bump = flat.clone()
    bump[..., 0, 0] += 1e-9
    bump[..., 2, 2] += 1e-9
    for wanted in ((1, 0), (2, 0), (3, 1)):
        loss = BettiNumberLoss(*wanted)
        assert abs(loss(flat).item() - loss(bump).item()) < 1e-8


@pytest.mark.parametrize("wanted", [(1, 0), (3, 2), (0, 0)], ids=str)
def test_gradients_of_numbers(wanted: tuple[int, int]) -> None:
    values = apart(5, 6).detach()
    probabilities = ((values - values.min() + 1) / (values.max() - values.min() + 2))[None, None].requires_grad_()
    assert gradcheck(BettiNumberLoss(*wanted, reduction="none"), (probabilities,), eps=1e-7)
    logits = values[None, None].requires_grad_()
    assert gradcheck(BettiNumberLoss(*wanted, sigmoid=True), (logits,))
