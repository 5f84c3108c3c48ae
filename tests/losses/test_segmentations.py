"""What losses and scores of a prediction and its mask take, refuse and assume, the same in all of them."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

import topolayer as tl

Function = Callable[..., Tensor]
BOTH: list[Function] = [tl.wasserstein_matching_loss, tl.betti_error]
both = pytest.mark.parametrize("function", BOTH, ids=lambda f: f.__name__)

GENERATOR = torch.Generator().manual_seed(0)
HARD = torch.rand(2, 1, 6, 7, generator=GENERATOR) > 0.4
SOFT = torch.rand(2, 1, 6, 7, generator=GENERATOR)
FULL = SOFT / SOFT.amax()  # up to exactly 1
CLASSES = torch.rand(2, 4, 6, 7, generator=GENERATOR)
LABELS = torch.randint(0, 4, (2, 6, 7), generator=GENERATOR)
BINARY = LABELS % 2


class Named(Tensor):
    """A tensor that overrides `__torch_function__` alone."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return super().__torch_function__(function, types, args, kwargs or {})


# -- probabilities

NO_PROBABILITIES = {
    "logits": SOFT.logit(),
    "logarithms": SOFT.log(),
    "log_softmax": CLASSES.log_softmax(1)[:, :1],
    "shades of grey": 255 * SOFT,
    "percents": 100 * SOFT,
    "-1 to 1": 2 * SOFT - 1,
    "a little below": SOFT - SOFT.amin() - 1e-4,
    "a little above": FULL + 1e-5,
    "float64": FULL.double() + 1e-12,
    "float16": 1.02 * FULL.half(),
    "bfloat16": 1.1 * FULL.bfloat16(),
}


@pytest.mark.parametrize("name", NO_PROBABILITIES)
def test_what_is_no_probability(name: str) -> None:
    """Contract 9. A score with a threshold takes any finite numbers."""
    wrong = NO_PROBABILITIES[name]
    low, high = (re.escape(f"{float(end):.7g}") for end in wrong.aminmax())
    with pytest.raises(ValueError, match=rf"^prediction\b.*0 to 1, got .*{low} to {high}; .*sigmoid.*softmax.*255"):
        tl.wasserstein_matching_loss(wrong, HARD)
    assert tl.betti_error(wrong, HARD).shape == (2, 1, 2)


def test_a_score_is_that_of_the_threshold_in_any_units() -> None:
    expected = tl.betti_error(SOFT, HARD)
    assert expected.any()
    for prediction, threshold in ((SOFT.logit(), 0), (255 * SOFT, 127.5), (2 * SOFT - 1, 0.0)):
        assert torch.equal(tl.betti_error(prediction, HARD, threshold=threshold), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rounding_of_the_given_dtype_is_allowed(dtype: torch.dtype) -> None:
    """It is not clipped."""
    eps = torch.finfo(dtype).eps
    prediction = torch.tensor([[1 + 4 * eps, 0.25, 0.75, -4 * eps]], dtype=dtype, requires_grad=True)
    mask = torch.tensor([[1, 0, 1, 0]])
    tl.wasserstein_matching_loss(prediction, mask).backward()
    assert prediction.grad[0, 0].item() == 8 * eps
    assert not tl.wasserstein_matching_loss(prediction.detach(), prediction.detach()).any()
    for end, step in ((0, 16 * eps), (3, -16 * eps)):
        beyond = prediction.detach().clone()
        beyond[0, end] += step
        with pytest.raises(ValueError, match=r"^prediction\b.*probabilities"):
            tl.wasserstein_matching_loss(beyond, mask)
        with pytest.raises(ValueError, match=r"^mask\b"):
            tl.wasserstein_matching_loss(prediction, beyond)


def test_rounding_is_that_of_the_mask_for_a_mask() -> None:
    mask = torch.tensor([[1 + 1e-9, 0.0]], dtype=torch.float64)  # 1 in float32
    with pytest.raises(ValueError, match=r"^mask\b"):
        tl.wasserstein_matching_loss(torch.rand(1, 2), mask)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_threshold_is_compared_as_torch_does(dtype: torch.dtype) -> None:
    for threshold in (0.1, 0.3, np.float64(0.7)):
        prediction = torch.full((3, 3), float(threshold), dtype=dtype)
        for truth in (prediction >= threshold, prediction < threshold):
            missing = int(prediction[0, 0] >= threshold) != int(truth[0, 0])
            assert tl.betti_error(prediction, truth, threshold=threshold, dims=0).item() == missing


# -- masks


def test_a_soft_mask_has_the_barcode_of_its_values() -> None:
    """In the loss; a score has whole numbers and refuses it."""
    prediction, mask = torch.tensor([[0.5, 0.0, 0.5]]), torch.tensor([[0.75, 0.25, 0.5]])
    assert tl.wasserstein_matching_loss(prediction, mask, dims=0).item() == 0.25**2 + 0.25**2
    with pytest.raises(ValueError, match=r"^mask\b.*0 and 1, got 0\.75; .*mask >= 0\.5"):
        tl.betti_error(prediction, mask)


@both
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.uint16, torch.int64, torch.float32])
def test_masks_of_any_dtype(function: Function, dtype: torch.dtype) -> None:
    assert torch.equal(function(SOFT, HARD.to(dtype)), function(SOFT, HARD.double()))


@both
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float32])
def test_a_subclass_as_a_mask(function: Function, dtype: torch.dtype) -> None:
    found = function(SOFT, HARD.to(dtype).as_subclass(Named))
    assert type(found) is Tensor
    assert torch.equal(found, function(SOFT, HARD))


CUT = r"0 and 255; .*mask / 255.*mask > 127"
LABELLED = (
    r"whole numbers from {} to {}; labels of classes have to be one-hot.*one_hot\({}\.long\(\), classes\).*mask == c"
)
WRONG_VALUES: list[tuple[Tensor, Tensor, str]] = [
    (SOFT, HARD.byte() * 255, CUT),
    (SOFT, HARD.float() * 255, CUT),
    (SOFT, HARD.bfloat16() * 255, CUT),
    (SOFT[:, 0], 255 * BINARY, CUT),
    (SOFT[0, 0], torch.full((6, 7), 255), CUT),
    (SOFT, LABELS[:, None], LABELLED.format(0, 3, r"mask\.squeeze\(-3\)")),
    (SOFT, LABELS, LABELLED.format(0, 3, "mask")),
    (SOFT[:, 0], LABELS, LABELLED.format(0, 3, "mask")),
    (SOFT[0, 0], LABELS[0].float(), LABELLED.format(0, 3, "mask")),
    (SOFT[:, 0], LABELS[:, None], LABELLED.format(0, 3, r"mask\.squeeze\(-3\)")),
    (SOFT, LABELS - 1, LABELLED.format(-1, 2, r"mask\.where\(mask != -1, 0\)")),
    (SOFT, HARD.long() * 2, LABELLED.format(0, 2, r"mask\.squeeze\(-3\)")),
    (SOFT[:, 0], LABELS * 85, LABELLED.format(0, 255, r"mask\.where\(mask != 255, 0\)") + r".*mask > 127"),
    (SOFT, SOFT.logit(), r"numbers from -\d.*sigmoid.*255"),
    (SOFT, 255 * SOFT, r"numbers from \d.*sigmoid.*255.*mask > 127"),
]


@both
@pytest.mark.parametrize("case", range(len(WRONG_VALUES)))
def test_other_values_than_those_of_a_mask(function: Function, case: int) -> None:
    """Contract 9: never a remedy that merges classes."""
    prediction, mask, words = WRONG_VALUES[case]
    with pytest.raises(ValueError, match=rf"^mask: expected 0 .* and 1 .*, got {words}") as raised:
        function(prediction, mask)
    assert "mask > 0" not in str(raised.value)


@both
@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.float32])
def test_masks_of_plus_and_minus_one(function: Function, dtype: torch.dtype) -> None:
    for hard in (HARD, torch.zeros_like(HARD)):
        mask = hard.to(dtype) * 2 - 1
        with pytest.raises(ValueError, match=r"^mask: expected 0 .* and 1 .*, got -1 and 1; .*mask > 0$"):
            function(SOFT, mask)
        assert torch.equal(function(SOFT, mask > 0), function(SOFT, hard))


@both
@pytest.mark.parametrize("ignored", [255, -100, -1])
def test_a_mask_with_pixels_to_ignore(function: Function, ignored: int) -> None:
    """The remedy makes them background in both."""
    mask = HARD.long()
    mask[..., :2, :] = ignored
    words = rf"^mask\b.*got {ignored} besides; .*ignore, take mask == 1 and prediction \* \(mask != {ignored}\)"
    with pytest.raises(ValueError, match=words):
        function(SOFT, mask)
    assert function(SOFT * (mask != ignored), mask == 1).isfinite().all()


@both
@pytest.mark.parametrize("labels", [LABELS, BINARY, LABELS.byte(), LABELS.double()])
@pytest.mark.parametrize("missing", [True, False], ids=["no channel", "one channel"])
@pytest.mark.parametrize("sample", [False, True], ids=["batch", "one image"])
def test_labels_beside_a_channel_for_each_class(
    function: Function, labels: Tensor, missing: bool, sample: bool
) -> None:
    """The remedy in the message is run, and is right."""
    mask, prediction = (labels[0], CLASSES[0]) if sample else (labels, CLASSES)
    mask = mask if missing else mask[..., None, :, :]
    with pytest.raises(ValueError, match=r"^mask: .*\(4, 6, 7|^mask: .*\(2, 4, 6, 7") as raised:
        function(prediction, mask)
    (remedy,) = re.findall(r"one-hot, (.*)$", str(raised.value))
    one_hot = eval(remedy, {"mask": mask, "torch": torch})
    expected = torch.stack([labels == number for number in range(4)], dim=1)
    assert torch.equal(one_hot, (expected[0] if sample else expected).long())
    assert torch.equal(function(prediction, one_hot), function(prediction, one_hot.bool()))


@both
@pytest.mark.parametrize("ignored", [255, -1, -100])
def test_labels_that_mark_no_class(function: Function, ignored: int) -> None:
    """torch.nn.functional.one_hot takes neither of them."""
    labels = LABELS.masked_fill(LABELS == 2, ignored)
    for prediction, mask in ((CLASSES, labels), (CLASSES, labels[:, None]), (SOFT, labels[:, None])):
        with pytest.raises(ValueError, match=rf"^mask\b.*{ignored} marks pixels to ignore") as raised:
            function(prediction, mask)
        (remedy,) = re.findall(r"one-hot, (.*movedim\(-1, -3\))", str(raised.value))
        one_hot = eval(remedy, {"mask": mask, "torch": torch, "classes": 4})
        assert torch.equal(one_hot.argmax(1), LABELS.masked_fill(LABELS == 2, 0))
        assert "outside" not in str(raised.value)
    with pytest.raises(ValueError, match=r"^mask\b.*outside of 0 to 3"):
        function(CLASSES, labels + 7 * (labels == 1))


@both
def test_a_mask_of_one_class_beside_a_channel_for_each(function: Function) -> None:
    """A mask of bools has no labels."""
    for mask, remedy in ((HARD, r"prediction\[:, c : c \+ 1\]"), (HARD[:, 0], r"prediction\[:, c\]")):
        with pytest.raises(ValueError, match=rf"^mask\b.*of one class c, .*{remedy}"):
            function(CLASSES, mask)
    assert torch.equal(function(CLASSES[:, 2], HARD[:, 0]), function(CLASSES[:, 2:3], HARD)[:, 0])


@both
def test_a_channel_of_the_background_in_one_of_the_two(function: Function) -> None:
    for prediction, mask, remedy in (
        (CLASSES[:, 1:], CLASSES > 0.5, r"mask\[:, 1:\]"),
        (CLASSES, CLASSES[:, 1:] > 0.5, r"prediction\[:, 1:\]"),
        (CLASSES[0, 1:], CLASSES[0] > 0.5, r"mask\[1:\]"),
    ):
        with pytest.raises(ValueError, match=rf"^mask\b.*background, with {remedy} if"):
            function(prediction, mask)


@both
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64])
def test_a_prediction_of_labels(function: Function, dtype: torch.dtype) -> None:
    for prediction in (CLASSES.argmax(1), HARD):
        with pytest.raises(TypeError, match=rf"^prediction\b.*floating-point.*{dtype}; .*argmax.*probabilities"):
            function(prediction.to(dtype), BINARY)


@both
def test_labels_of_volumes_and_signals(function: Function) -> None:
    for shape, ndim in (((3, 4, 5), 3), ((6,), 1)):
        labels = torch.randint(0, 3, (2, *shape), generator=GENERATOR)
        for mask in (labels, labels[:, None]):
            with pytest.raises(ValueError, match=r"^mask\b.*one-hot") as raised:
                function(torch.rand(2, 3, *shape), mask, ndim=ndim)
            (remedy,) = re.findall(r"one-hot, (.*)$", str(raised.value))
            assert eval(remedy, {"mask": mask, "torch": torch}).shape == (2, 3, *shape)


WRONG_SHAPES: list[tuple[Tensor, Tensor, str | None]] = [
    (SOFT, HARD[:, 0], r"mask\.unsqueeze\(-3\)"),
    (SOFT[0], HARD[0, 0], r"mask\.unsqueeze\(-3\)"),
    (SOFT[:, 0], HARD, r"mask\.squeeze\(-3\)"),
    (CLASSES, (CLASSES > 0.5).movedim(1, -1), r"mask\.movedim\(-1, -3\)"),
    (CLASSES[0], (CLASSES[0] > 0.5).movedim(0, -1), r"mask\.movedim\(-1, -3\)"),
    (SOFT, HARD[:1], None),
    (SOFT, HARD[..., :-1], None),
    (CLASSES, CLASSES[:, :2] > 0.5, None),
]


@both
@pytest.mark.parametrize("case", range(len(WRONG_SHAPES)))
def test_masks_of_another_shape(function: Function, case: int) -> None:
    prediction, mask, remedy = WRONG_SHAPES[case]
    shapes = (re.escape(str(tuple(tensor.shape))) for tensor in (prediction, mask))
    with pytest.raises(
        ValueError, match=r"^mask: expected shape {}, .*got {}; .*{}".format(*shapes, remedy or "")
    ) as raised:
        function(prediction, mask)
    if remedy is not None:
        (found,) = re.findall(r"mask\.\w+\(.*?\)", str(raised.value))
        assert eval(found, {"mask": mask}).shape == prediction.shape


@both
@pytest.mark.filterwarnings("ignore:.*quantize")
def test_what_is_no_dense_tensor(function: Function) -> None:
    """Contract 9: what came, and what to do."""
    for wrong, words in (
        (None, r"torch\.Tensor, got NoneType; .*as_tensor"),
        (HARD.numpy(), r"torch\.Tensor, got ndarray; .*as_tensor"),
        (HARD.to_sparse(), r"dense.*to_dense"),
        (SOFT + 1j, r"complex64; .*real"),
        (torch.quantize_per_tensor(SOFT, 0.1, 0, torch.quint8), r"not quantized, got torch\.quint8; .*dequantize"),
    ):
        with pytest.raises(TypeError, match=rf"^mask: .*{words}"):
            function(SOFT, wrong)
    with pytest.raises(ValueError, match=r"^mask: .*cpu.*meta.*mask\.to\(prediction\.device\)"):
        function(SOFT, HARD.to("meta"))


# -- axes and dimensions


@both
def test_no_samples(function: Function) -> None:
    """An empty batch is no error, an empty grid is one of the prediction."""
    for shape in ((0, 5, 6), (0, 3, 5, 6), (2, 0, 5, 6)):
        assert function(torch.empty(shape), torch.empty(shape)).shape[: len(shape) - 2] == shape[:-2]
    for shape in ((0,), (2, 0, 6), (2, 5, 0), (6,)):
        with pytest.raises(ValueError, match=rf"^prediction\b.*2 axes.*empty.*{re.escape(str(shape))}; ndim"):
            function(torch.empty(shape), torch.empty(shape))


@both
def test_defaults(function: Function) -> None:
    parameters = inspect.signature(function).parameters
    assert [parameters[name].default for name in ("construction", "ndim", "dims")] == ["T", None, None]


@both
@pytest.mark.parametrize(
    ("shape", "ndim", "dims"),
    [
        ((5, 6), None, (0, 1)),
        ((2, 5, 6), None, (0, 1)),
        ((2, 2, 5, 6), None, (0, 1)),
        ((2, 1, 2, 5, 6), 2, (0, 1)),
        ((4, 5, 6), 3, (0, 1, 2)),
        ((2, 1, 4, 5, 6), 3, (0, 1, 2)),
        ((2, 6), 1, (0,)),
    ],
    ids=str,
)
def test_defaults_are_those_of_the_grid(
    function: Function, shape: tuple[int, ...], ndim: int | None, dims: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, mask = torch.rand(shape, generator=generator), torch.rand(shape, generator=generator) > 0.5
    expected = function(prediction, mask, ndim=ndim or 2, dims=dims, construction="T")
    assert expected.any()
    assert torch.equal(function(prediction, mask, ndim=ndim), expected)


@both
def test_volumes_are_no_images_by_accident(function: Function) -> None:
    """From five axes on it has to be said."""
    for shape in ((2, 1, 4, 5, 6), (1, 2, 1, 4, 5, 6), (0, 1, 4, 5, 6)):
        with pytest.raises(ValueError, match=rf"^ndim\b.*None.*{re.escape(str(shape))}; 3 for volumes.*2 for images"):
            function(torch.empty(shape), torch.empty(shape))


def test_a_cavity_is_counted_in_a_volume() -> None:
    solid = torch.ones(1, 1, 5, 5, 5)
    hollow = solid.clone()
    hollow[..., 2, 2, 2] = 0
    assert tl.betti_error(hollow, solid, ndim=3).tolist() == [[[0, 0, 1]]]
    assert tl.wasserstein_matching_loss(hollow, solid, ndim=3).item() == pytest.approx(0.5)


def test_a_diagonal_line_is_connected() -> None:
    """8 pixels; scipy counts with and without corners."""
    line = torch.eye(8)
    counts = [ndimage.label(line.numpy(), structure=np.ones((3, 3)))[1], ndimage.label(line.numpy())[1]]
    assert counts == [1, 8]
    nothing = torch.zeros(8, 8)
    assert tl.betti_error(line, nothing).tolist() == [counts[0], 0]
    assert tl.betti_error(line, nothing, construction="V").tolist() == [counts[1], 0]
    # Under V seven bars from 1 to 0 go to the diagonal, at the cost of 1/2 each, and the first birth is 1 too high.
    assert tl.wasserstein_matching_loss(line, nothing).item() == 1
    assert tl.wasserstein_matching_loss(line, nothing, construction="V").item() == 1 + 7 / 2


@both
def test_wrong_options(function: Function) -> None:
    """Contract 9."""
    for options, error, words in (
        ({"ndim": "2"}, TypeError, r"^ndim\b.*1, 2 or 3.*got str '2'; "),
        ({"ndim": True}, TypeError, r"^ndim\b.*1, 2 or 3.*got bool True; "),
        ({"ndim": 0}, ValueError, r"^ndim\b.*1, 2 or 3.*got 0; "),
        ({"ndim": 4}, ValueError, r"^ndim\b.*1, 2 or 3.*got 4; "),
        ({"dims": ()}, TypeError, r"^dims\b.*got \(\)"),
        ({"dims": (0, 2)}, ValueError, r"^dims\b.*from 0 to 1.*\(0, 2\)"),
        ({"construction": None}, ValueError, r'^construction\b.*"V".*"T".*None'),
    ):
        with pytest.raises(error, match=words):
            function(SOFT, HARD, **options)
    for bad in (math.nan, -math.inf):
        with pytest.raises(ValueError, match=r"^prediction\b.*finite"):
            function(SOFT.masked_fill(HARD, bad), HARD)
        with pytest.raises(ValueError, match=r"^mask\b.*finite"):
            function(SOFT, SOFT.masked_fill(HARD, bad))


@both
def test_vmap_over_masks_alone_is_refused(function: Function) -> None:
    with pytest.raises(ValueError, match="give the filtration all samples at once"):
        torch.func.vmap(lambda mask: function(SOFT[0], mask))(HARD.float())
