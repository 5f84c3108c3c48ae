"""The Betti error and the Betti matching error as metrics: means over batches, classes, patches and processes."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.nn.functional import one_hot

import topolayer as tl
from topolayer.metrics import BettiError, BettiMatchingError
from topolayer.metrics.segmentations import OfMasks

GENERATOR = torch.Generator().manual_seed(0)
PREDS = torch.rand(6, 3, 12, 14, generator=GENERATOR)
TARGET = torch.rand(6, 3, 12, 14, generator=GENERATOR) > 0.5
LABELS, TRUE_LABELS = PREDS.argmax(1), torch.randint(0, 3, (6, 12, 14), generator=GENERATOR)


def betti_error(*pair: Tensor, **options: Any) -> Tensor:
    return tl.betti_error(*pair, **options).sum(-1)


def betti_matching_error(*pair: Tensor, **options: Any) -> Tensor:
    return tl.betti_matching_error(*pair, **options).float()


FUNCTIONS: dict[type[OfMasks], Callable[..., Tensor]] = {
    BettiError: betti_error,
    BettiMatchingError: betti_matching_error,
}
both = pytest.mark.parametrize("kind", FUNCTIONS, ids=lambda kind: kind.__name__)


def score(preds: Tensor, target: Tensor, batch: int = 6, *, kind: type[OfMasks] = BettiError, **options: Any) -> Tensor:
    metric = kind(**options)
    for found, truth in zip(preds.split(batch), target.split(batch), strict=True):
        metric.update(found, truth)
    result: Tensor = metric.compute()
    return result


def hot(labels: Tensor) -> Tensor:
    return one_hot(labels, 3).movedim(-1, 1)


@both
@pytest.mark.parametrize("options", [{}, {"dims": 0}, {"dims": (1,)}, {"construction": "V"}, {"threshold": 1}], ids=str)
def test_it_is_the_mean_of_the_function(kind: type[OfMasks], options: dict[str, Any]) -> None:
    of = partial(score, kind=kind)
    errors = FUNCTIONS[kind](PREDS, TARGET, **options)
    assert errors.any()
    for batch in (1, 4, 6):
        torch.testing.assert_close(of(PREDS, TARGET, batch, **options), errors.mean(0))
        torch.testing.assert_close(of(PREDS[:, 0], TARGET[:, 0], batch, **options), errors[:, 0].mean())


@both
def test_volumes_and_logits(kind: type[OfMasks]) -> None:
    of = partial(score, kind=kind)
    preds, target = torch.rand(2, 2, 2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    expected = FUNCTIONS[kind](preds, target > 0.5, ndim=3)
    torch.testing.assert_close(of(preds, target > 0.5), expected.mean(0))
    torch.testing.assert_close(of(preds.logit(), target > 0.5, threshold=0), expected.mean(0))


@both
def test_labels_of_classes(kind: type[OfMasks]) -> None:
    of = partial(score, kind=kind)
    expected = FUNCTIONS[kind](hot(LABELS).float(), hot(TRUE_LABELS)).mean(0)
    for batch in (2, 6):
        torch.testing.assert_close(of(LABELS, TRUE_LABELS, batch, num_classes=3), expected)
    found = of(LABELS, TRUE_LABELS, num_classes=3, include_background=False)
    torch.testing.assert_close(found, expected[1:])
    torch.testing.assert_close(of(PREDS, TARGET, include_background=False), of(PREDS, TARGET)[1:])
    volumes = torch.randint(0, 3, (2, 2, 4, 5, 6), generator=torch.Generator().manual_seed(0))
    expected = FUNCTIONS[kind](hot(volumes[0]).float(), hot(volumes[1]), ndim=3).mean(0)
    torch.testing.assert_close(of(*volumes, num_classes=3), expected)
    for dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        torch.testing.assert_close(of(*volumes.to(dtype), num_classes=3), expected)


@both
@pytest.mark.parametrize("with_channel", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(4, 9, 11), (2, 4, 5, 6)], ids=["images", "volumes"])
def test_labels_with_a_channel(shape: tuple[int, ...], with_channel: tuple[bool, bool], kind: type[OfMasks]) -> None:
    labels = torch.randint(0, 3, (2, *shape), generator=torch.Generator().manual_seed(0))
    given = [one[:, None] if channel else one for one, channel in zip(labels, with_channel, strict=True)]
    for patch in (None, 4):
        expected = score(*labels, kind=kind, num_classes=3, patch=patch)
        assert (expected > 0).any()
        torch.testing.assert_close(score(*given, kind=kind, num_classes=3, patch=patch), expected)


def test_places_count_beside_numbers() -> None:
    """What is in the wrong place counts twice, once for each image, and its number is right."""
    assert (score(PREDS, TARGET, kind=BettiMatchingError) >= score(PREDS, TARGET)).all()
    moved = torch.zeros(1, 5, 9, dtype=torch.bool)
    moved[:, :, 1] = moved[:, :, 5] = True
    assert score(moved.float(), moved.roll(2, -1)) == 0
    assert score(moved.float(), moved.roll(2, -1), kind=BettiMatchingError) == 2
    assert score(moved.float(), moved, kind=BettiMatchingError) == 0


@both
def test_a_prediction_of_bool_is_one_of_zeros_and_ones(kind: type[OfMasks]) -> None:
    sets = PREDS > 0.4
    assert torch.equal(score(sets, TARGET, kind=kind), score(sets.float(), TARGET, kind=kind))


# -- patches


@both
def test_tiles(kind: type[OfMasks]) -> None:
    """All of the image; where tiles do not fit, the last ones are moved back into it."""
    of = partial(score, kind=kind)
    corners = [(y, x) for y in (0, 5, 7) for x in (0, 5, 9)]
    parts = [(PREDS[..., y : y + 5, x : x + 5], TARGET[..., y : y + 5, x : x + 5]) for y, x in corners]
    expected = torch.stack([FUNCTIONS[kind](*part) for part in parts]).mean((0, 1))
    torch.testing.assert_close(of(PREDS, TARGET, patch=5), expected)
    torch.testing.assert_close(of(PREDS, TARGET, 2, patch=(5, 5)), expected)
    halves = [FUNCTIONS[kind](PREDS[..., part], TARGET[..., part]) for part in (slice(7), slice(7, None))]
    torch.testing.assert_close(of(PREDS, TARGET, patch=(12, 7)), torch.stack(halves).mean((0, 1)))
    assert torch.equal(of(PREDS, TARGET, patch=(12, 14)), of(PREDS, TARGET))


def test_random_patches_are_parts_of_both_at_equally_likely_places() -> None:
    """Each pixel is a component of its own where it is the only one that is set: it is found where patches have it."""
    target = torch.zeros(40, 6, 6, dtype=torch.bool)
    target[torch.arange(40), torch.arange(40) % 6, torch.arange(40) // 7] = True
    assert score(target.float(), target, patch=3, patches=50).item() == 0
    found = score(torch.zeros(40, 6, 6), target, patch=3, patches=500, dims=0).item()
    corners = torch.arange(6)
    holds = sum(((corners - start).clamp(0, 2) == corners - start).float() for start in range(4)) / 4
    expected = (holds[torch.arange(40) % 6] * holds[torch.arange(40) // 7]).mean().item()
    assert abs(found - expected) < 4 * math.sqrt(0.25 / (40 * 500))
    whole = score(torch.zeros(40, 6, 6), target, patch=6, patches=3)
    assert whole.item() == 1


def test_patches_depend_on_the_seed_and_the_target_alone() -> None:
    """Not on batches, their order, epochs, or the state of a generator."""
    options: dict[str, Any] = {"patch": (4, 6), "patches": 7}
    expected = score(PREDS, TARGET, **options)
    torch.rand(3)
    for batch in (1, 4):
        assert torch.equal(score(PREDS.flip(0), TARGET.flip(0), batch, **options), expected)
    metric = BettiError(**options)
    for _ in range(2):
        metric.reset()
        one = metric(PREDS[:2], TARGET[:2])
        metric(PREDS[2:], TARGET[2:])
        assert torch.equal(metric.compute(), expected)
        assert torch.equal(one, score(PREDS[:2], TARGET[:2], **options))
    assert not torch.equal(score(PREDS, TARGET, seed=1, **options), expected)
    assert torch.equal(score(PREDS, TARGET, include_background=False, **options), expected[1:])


# -- states


def test_states_are_copied_and_reset() -> None:
    metric = BettiError()
    metric.update(PREDS[:3], TARGET[:3])
    other = pickle.loads(pickle.dumps(copy.deepcopy(metric)))
    other.update(PREDS[3:], TARGET[3:])
    assert torch.equal(other.compute(), score(PREDS, TARGET))
    assert torch.equal(metric.compute(), score(PREDS[:3], TARGET[:3]))
    other.reset()
    other.update(PREDS[:, :1], TARGET[:, :1])
    assert torch.equal(other.compute(), score(PREDS[:, 0], TARGET[:, 0]))  # one class: one number


def test_an_empty_batch_adds_nothing() -> None:
    for options in ({}, {"patch": 4}, {"patch": 4, "patches": 2}):
        metric = BettiError(**options)
        metric.update(PREDS[:0], TARGET[:0])
        metric.update(PREDS, TARGET)
        assert torch.equal(metric.compute(), score(PREDS, TARGET, **options))


def test_half_precision_is_compared_in_its_own_dtype() -> None:
    preds = torch.full((1, 2, 3), 0.1, dtype=torch.float16)
    assert score(preds, preds < 0.1, threshold=0.1).item() == 1
    assert score(preds, preds >= 0.1, threshold=0.1).item() == 0


def _in_a_process(rank: int, file: str, options: dict[str, Any], of_the_first: tuple[int, ...]) -> None:
    """The first has so many images in each of its batches, the second the rest, in no batch if there are none."""
    seconds = timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2, timeout=seconds)
    metric, first = BettiError(**options), sum(of_the_first)
    own, sizes = (slice(first), of_the_first) if rank == 0 else (slice(first, None), (len(PREDS) - first,))
    for preds, target in zip(PREDS[own].split(sizes), TARGET[own].split(sizes), strict=True):
        if len(preds) > 0:
            metric.update(preds, target)
    assert torch.equal(metric.compute(), score_alone(options))
    dist.destroy_process_group()


def score_alone(options: dict[str, Any]) -> Tensor:
    metric = BettiError(**options)
    metric.sync_on_compute = False
    metric.update(PREDS, TARGET)
    result: Tensor = metric.compute()
    return result


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 and later
@pytest.mark.skipif(
    not dist.is_available() or "fork" not in mp.get_all_start_methods(), reason="needs torch.distributed and fork"
)
@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric BettiError was called before:UserWarning")
@pytest.mark.parametrize("of_the_first", [(4,), (1, 3, 1), (6,)])
def test_two_processes_give_the_score_of_all(tmp_path: Path, of_the_first: tuple[int, ...]) -> None:
    """With as many batches, with more, and with all of them."""
    options = {"patch": 6, "patches": 3}
    arguments = str(tmp_path / "store"), options, of_the_first
    mp.start_processes(_in_a_process, args=arguments, nprocs=2, start_method="fork")


def test_the_package_is_light() -> None:
    """Contract of the extra: neither it nor torchmetrics is loaded before it is asked for."""
    code = (
        "import sys, topolayer; loaded = {'torchmetrics', 'torchvision', 'topolayer.metrics'} & set(sys.modules);"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100, cwd=Path(__file__).parent)


# -- what is refused


def test_options_that_are_refused() -> None:
    """Contract 9."""
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"threshold": "0.5"}, TypeError, r"^threshold\b.*number.*0\.5"),
        ({"threshold": math.nan}, ValueError, r"^threshold\b.*finite"),
        ({"construction": "F"}, ValueError, r"^construction\b.*F"),
        ({"num_classes": 1}, ValueError, r"^num_classes\b.*>= 2, got 1; .*leave it out"),
        ({"include_background": 0}, TypeError, r"^include_background\b.*bool"),
        ({"patch": 0}, ValueError, r"^patch\b.*>= 1, got \(0,\); "),
        ({"patch": ()}, ValueError, r"^patch\b.*sides"),
        ({"patch": 2.5}, TypeError, r"^patch\b.*sides.*2\.5"),
        ({"patches": 3}, ValueError, r"^patches\b.*size.*got 3 and patch=None; give patch"),
        ({"patch": 4, "patches": 0}, ValueError, r"^patches\b.*>= 1, got 0; None.*tiles"),
        ({"seed": -1}, ValueError, r"^seed\b.*>= 0.*-1"),
        ({"average": "macro"}, TypeError, "average"),
    ]
    for options, error, words in cases:
        for kind in FUNCTIONS:
            with pytest.raises(error, match=words):
                kind(**options)


def test_batches_that_are_refused() -> None:
    labelled, volumes = {"num_classes": 3}, torch.zeros(1, 2, 2, 2, 2, dtype=torch.int64)
    cases: list[tuple[dict[str, Any], Any, Any, type[Exception], str]] = [
        ({}, LABELS, TRUE_LABELS, TypeError, r"^preds\b.*floating.*int64.*argmax"),
        ({}, PREDS, TRUE_LABELS, ValueError, r"^target\b.*as preds has.*one-hot"),
        ({}, PREDS, TARGET[:, 0], ValueError, r"^target\b.*as preds has.*preds\[:, c\]"),
        ({}, PREDS, PREDS, ValueError, r"^target\b.*0 and 1.*>= 0\.5"),
        ({}, PREDS * math.nan, TARGET, ValueError, r"^preds\b.*finite"),
        ({}, PREDS[0, 0], TARGET[0, 0], ValueError, r"^preds\b.*\(B, H, W\).*\(12, 14\); .*preds\[None\]"),
        ({}, PREDS.tolist(), TARGET, TypeError, r"^preds\b.*torch\.Tensor.*list"),
        ({"include_background": False}, PREDS[:, 0], TARGET[:, 0], ValueError, r"^include_background\b.*each class"),
        ({"include_background": False}, PREDS[:, :1], TARGET[:, :1], ValueError, r"^include_background\b.*each class"),
        ({"patch": 13}, PREDS, TARGET, ValueError, r"^patch\b.*fit into \(12, 14\).*\(13, 13\); .*smaller"),
        ({"patch": (3, 3, 3)}, PREDS, TARGET, ValueError, r"^patch\b.*2 sides.*\(3, 3, 3\)"),
        ({"dims": 2}, PREDS, TARGET, ValueError, r"^dims\b.*0 to 1"),
        (labelled, PREDS, TRUE_LABELS, TypeError, r"^preds\b.*labels.*float32; .*argmax\(1\)"),
        (labelled, LABELS, hot(TRUE_LABELS), ValueError, r"^target\b.*\(6, 12, 14\), as preds has.*argmax\(1\)"),
        (labelled, LABELS[:1, :1].squeeze(), TRUE_LABELS, ValueError, r"^preds\b.*\(B, H, W\).*\(14,\)"),
        (labelled, volumes, volumes[:, :1], ValueError, r"^preds\b.*channel axis of size 1.*\(1, 2, 2, 2, 2\)"),
        (labelled, LABELS, TRUE_LABELS[:, None, None], ValueError, r"^target\b.*of size 1.*\(6, 1, 1, 12, 14\)"),
        (labelled, LABELS, TRUE_LABELS + 1, ValueError, r"^target\b.*0 to 2.*3"),
        (labelled, LABELS - 1, TRUE_LABELS, ValueError, r"^preds\b.*0 to 2.*-1"),
        (labelled, LABELS, TRUE_LABELS.masked_fill(TRUE_LABELS == 2, 255), ValueError, r"^target\b.*255 marks"),
        (labelled, LABELS, None, TypeError, r"^target\b.*torch\.Tensor.*NoneType"),
    ]
    for options, preds, target, error, words in cases:
        for kind in FUNCTIONS:
            with pytest.raises(error, match=words):
                kind(**options).update(preds, target)
    metric = BettiError()
    metric.update(PREDS, TARGET)
    with pytest.raises(ValueError, match=r"^preds\b.*before, 3 channels, got 2 channels; .*reset"):
        metric.update(PREDS[:, :2], TARGET[:, :2])
    assert torch.equal(metric.compute(), score(PREDS, TARGET))  # what was refused has changed nothing
