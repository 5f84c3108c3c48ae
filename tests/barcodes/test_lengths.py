"""Functions of the lengths of bars: persistent entropy, thresholds, the k longest."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from gudhi.representations import Entropy
from persim.persistent_entropy import persistent_entropy
from torch.autograd import gradcheck, gradgradcheck

import topolayer as tl

from ..helpers.diagrams import NO_BARS, apart, barcode, diagrams, masks, no_bars, noise, pictures
from ..helpers.families import BATCHES
from ..helpers.problems import CYCLE


def line(*values: float, superlevel: bool = True, dtype: torch.dtype = torch.float64) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(torch.tensor(values, dtype=dtype), ndim=1, superlevel=superlevel))


# -- persistent entropy


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_entropy_by_its_formula(batch: tuple[int, ...], superlevel: bool) -> None:
    bars = barcode(batch, superlevel)
    for normalized in (False, True):
        found = tl.persistent_entropy(bars, normalized=normalized)
        assert found.shape == batch
        for value, diagram in zip(found.flatten().tolist(), diagrams(bars), strict=True):
            lengths = np.diff(diagram)[:, 0].tolist()
            shares = [length / sum(lengths) for length in lengths]
            expected = -sum(p * math.log(p) for p in shares)
            assert value == pytest.approx(expected / math.log(len(shares)) if normalized else expected, rel=1e-12)


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("source", [noise, pictures], ids=["noise", "photographs"])
def test_entropy_against_two_libraries(source: Callable[[], torch.Tensor], superlevel: bool, dim: int) -> None:
    bars = tl.persistence(tl.Cubical(source(), superlevel=superlevel), dim)
    known = diagrams(bars, dim)
    assert tl.persistent_entropy(bars).numpy() == pytest.approx(persistent_entropy(known), rel=1e-10)
    assert tl.persistent_entropy(bars).numpy() == pytest.approx(Entropy().fit_transform(known)[:, 0], rel=1e-10)
    normalized = persistent_entropy(known, normalize=True)
    assert tl.persistent_entropy(bars, normalized=True).numpy() == pytest.approx(normalized, rel=1e-10)


def test_entropy_of_masks_against_persim() -> None:
    blurred = torch.nn.functional.avg_pool2d(masks(), 5, 1)
    bars = tl.persistence(tl.Freudenthal(blurred, superlevel=True))
    for value, diagram in zip(tl.persistent_entropy(bars).tolist(), diagrams(bars), strict=True):
        expected = persistent_entropy([diagram])[0] if len(diagram) else 0
        assert value == pytest.approx(expected, abs=1e-12)


def test_entropy_takes_the_bars_of_all_dimensions_together() -> None:
    bars = barcode(dims=(0, 1))
    for number, value in enumerate(tl.persistent_entropy(bars).tolist()):
        lengths = bars.lengths[bars.sample == number].numpy()
        assert value == pytest.approx(persistent_entropy([np.stack([0 * lengths, lengths], 1)])[0], rel=1e-12)
    one = tl.persistent_entropy(barcode(dims=0))
    assert torch.equal(tl.persistent_entropy(bars.select(dim=0)), one)


def test_entropy_of_one_bar_and_of_equal_bars() -> None:
    one, four = line(0, 1, 0, 5), line(0, 1, 0, 1, 0, 1, 0, 1, 0, 1)
    for normalized in (False, True):
        assert tl.persistent_entropy(one, normalized=normalized).item() == 0
    assert tl.persistent_entropy(four).item() == pytest.approx(math.log(4), rel=1e-14)
    assert tl.persistent_entropy(four, normalized=True).item() == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_entropy_of_lengths_at_the_edge(dtype: torch.dtype) -> None:
    """Two bars whose sum overflows, two that are no normal numbers, and one that is nothing beside the other."""
    kind = torch.finfo(dtype)
    high, low = 0.6 * kind.max, kind.tiny / 4
    cases = {(high, 0, high, 0, high): math.log(2), (low, 0, low, 0, low): math.log(2), (high, 0, high, 0, low): 0}
    for values, expected in cases.items():
        x = torch.tensor(values, dtype=dtype, requires_grad=True)
        entropy = tl.persistent_entropy(tl.persistence(tl.Freudenthal(x, ndim=1, superlevel=True)))
        assert entropy.item() == pytest.approx(expected, abs=1e-6)
        entropy.backward()
        assert not x.grad.isnan().any()


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_entropy_where_a_length_itself_overflows(dtype: torch.dtype, superlevel: bool) -> None:
    """A sample with lengths 3h/2 and 3h/2, h the largest number, beside one with lengths 1 and 3."""
    h = torch.finfo(dtype).max
    x = torch.tensor([[-h, h / 2, -h, h / 2, -h], [0, 1, 0, 3, 0]], dtype=dtype)
    x = torch.nn.functional.pad(x, (1, 1), value=h)  # which never dies
    x = (x if superlevel else -x).requires_grad_()
    bars = tl.persistence(tl.Freudenthal(x, ndim=1, superlevel=superlevel))
    entropy = tl.persistent_entropy(bars.select(bars.births.abs() < h))
    three_quarters = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert entropy.tolist() == pytest.approx([math.log(2), three_quarters], rel=1e-6)
    (gradient,) = torch.autograd.grad(entropy.sum(), x)
    assert torch.isfinite(gradient).all()


def test_entropy_has_the_right_derivatives() -> None:
    """-(log p_i + E) / L, by hand; and both derivatives by differences."""
    x = apart(2, 6, 6)
    bars = tl.persistence(tl.Freudenthal(x, superlevel=True))
    (gradient,) = torch.autograd.grad(tl.persistent_entropy(bars).sum(), x)
    expected = torch.zeros_like(gradient).flatten()
    for number in (0, 1):
        mine = bars.sample == number
        share = (bars.lengths[mine] / bars.lengths[mine].sum()).detach()
        slope = -(share.log() - (share * share.log()).sum()) / bars.lengths[mine].sum().detach()
        expected.index_add_(0, bars.pairs[mine, 0], slope).index_add_(0, bars.pairs[mine, 1], -slope)
    torch.testing.assert_close(gradient.flatten(), expected)

    def entropy(x: torch.Tensor) -> torch.Tensor:
        bars = tl.persistence(tl.Freudenthal(x), (0, 1))
        return tl.persistent_entropy(bars) + tl.persistent_entropy(bars, normalized=True)

    assert gradcheck(entropy, (x,))
    assert gradgradcheck(entropy, (x,))


# -- thresholds


@pytest.mark.parametrize("superlevel", [False, True])
def test_length_weights(superlevel: bool) -> None:
    bars = barcode((2, 3), superlevel, (0, 1))
    for epsilon in (0, 1, 1.5, 3, 100):
        weights = tl.length_weights(bars, epsilon)
        assert weights.dtype == torch.float64
        assert weights.tolist() == [float(length > epsilon) for length in bars.lengths.tolist()]
        for softness in (0.1, 2):
            soft = tl.length_weights(bars, epsilon, softness=softness)
            expected = [0.5 + 0.5 * math.tanh((length - epsilon) / softness / 2) for length in bars.lengths.tolist()]
            assert soft.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_counting_long_bars() -> None:
    bars = barcode((4,), levels=None)
    counted = bars.sum(tl.length_weights(bars, 0.3))
    assert counted.tolist() == [float((np.diff(diagram) > 0.3).sum()) for diagram in diagrams(bars)]
    assert 0 < counted.sum() < len(bars)


def test_the_limits_of_a_soft_threshold() -> None:
    """Softness to 0 is the hard threshold, with 1/2 at it; one that the dtype cannot hold divides nothing by 0."""
    for dtype in (torch.float32, torch.float64):
        bars = line(9, 0, 1, 0, 2, 0, 3, dtype=dtype)
        for softness in (1e-3, 1e-30, 1e-300, 5e-324):
            assert tl.length_weights(bars, 2, softness=softness).tolist() == [0, 0.5, 1]
        assert tl.length_weights(bars, 2, softness=1e300).tolist() == pytest.approx([0.5] * 3)
        assert tl.length_weights(bars, 1e300).tolist() == [0] * 3


def test_gradients_of_thresholds() -> None:
    assert gradcheck(lambda x: tl.length_weights(tl.persistence(tl.Freudenthal(x)), 0.2, softness=0.1), (apart(6, 6),))
    bars = tl.persistence(tl.Freudenthal(apart(6, 6)))
    assert not tl.length_weights(bars, 0.2).requires_grad
    assert (tl.length_weights(bars, 0.2) * bars.lengths).requires_grad


# -- the k longest


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_longest(batch: tuple[int, ...], superlevel: bool) -> None:
    bars = barcode(batch, superlevel, (0, 1))
    for dim in (0, 1):
        for k in (1, 3, 40):
            found = tl.longest_lengths(bars, k, dim=dim)
            assert found.shape == (*batch, k)
            expected = [
                (sorted(np.diff(diagram)[:, 0].tolist(), reverse=True) + [0] * k)[:k] for diagram in diagrams(bars, dim)
            ]
            assert found.reshape(-1, k).tolist() == expected


def test_none_of_the_longest() -> None:
    assert tl.longest_lengths(barcode((2, 3)), 0).shape == (2, 3, 0)


def test_longest_agrees_with_the_ranks_under_ties() -> None:
    """The gradient shows which of equal bars is the k-th."""
    x = torch.randint(0, 4, (3, 8, 9), generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    bars = tl.persistence(tl.Freudenthal(x, superlevel=True))
    for k in (1, 4, 7):
        (found,) = torch.autograd.grad(tl.longest_lengths(bars, k).sum(), x, retain_graph=True)
        (expected,) = torch.autograd.grad(bars.lengths[bars.ranks <= k].sum(), x, retain_graph=True)
        assert torch.equal(found, expected)


def test_longest_of_a_selection_and_its_gradient() -> None:
    bars = barcode((2, 3), levels=None)
    part = bars.select(bars.births < 0.7)
    assert 0 < len(part) < len(bars)
    expected = [(sorted(np.diff(diagram)[:, 0], reverse=True) + [0] * 4)[:4] for diagram in diagrams(part)]
    assert tl.longest_lengths(part, 4).reshape(6, 4).tolist() == expected
    assert gradcheck(lambda x: tl.longest_lengths(tl.persistence(tl.Freudenthal(x)), 30), (apart(2, 6, 6),))


# -- without bars, and bad input

FUNCTIONS = {
    "persistent_entropy": lambda bars: tl.persistent_entropy(bars),
    "normalized": lambda bars: tl.persistent_entropy(bars, normalized=True),
    "length_weights": lambda bars: bars.sum(tl.length_weights(bars, 1, softness=0.5)),
    "longest_lengths": lambda bars: tl.longest_lengths(bars, 3).sum(dim=-1),
}


@pytest.mark.parametrize("case", NO_BARS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_bars(name: str, case: str) -> None:
    bars, values = no_bars(case)
    found = FUNCTIONS[name](bars)
    assert found.shape == values.shape[:-2]
    assert not found.any()
    found.sum().backward()
    assert not values.grad.any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_essential_bars_alone(name: str) -> None:
    bars = tl.persistence(tl.LowerStar(torch.arange(4.0), torch.tensor(CYCLE)), 1)
    assert (len(bars), len(bars.essential)) == (0, 1)
    assert FUNCTIONS[name](bars).item() == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_sample_without_bars_beside_others(name: str) -> None:
    """Nothing of it reaches the others, nor the other way round."""
    x = apart(3, 6, 6).detach()
    x[1] = 0.5
    x.requires_grad_()
    together = FUNCTIONS[name](tl.persistence(tl.Freudenthal(x)))
    together.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert together[1] == 0
    for number in range(3):
        alone = FUNCTIONS[name](tl.persistence(tl.Freudenthal(x[number])))
        torch.testing.assert_close(together[number], alone)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_dtypes(name: str, dtype: torch.dtype) -> None:
    """Half precision is raised to float32; the numbers are those of float64."""
    x = barcode_values().to(dtype)
    for autocast in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            found = FUNCTIONS[name](tl.persistence(tl.Freudenthal(x)))
        assert found.dtype == torch.float32
        exact = FUNCTIONS[name](tl.persistence(tl.Freudenthal(x.double())))
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-6)


def barcode_values() -> torch.Tensor:
    return torch.rand(2, 7, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_bad_arguments() -> None:
    """Contract 9."""
    bars = barcode(dims=(0, 1))
    for call in (tl.persistent_entropy, lambda b: tl.length_weights(b, 1), lambda b: tl.longest_lengths(b, 1, dim=0)):
        for wrong in (None, bars.lengths, 3, [bars]):
            with pytest.raises(TypeError, match=r"^barcode\b.*Barcode"):
                call(wrong)
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match=r"^normalized\b.*bool"):
            tl.persistent_entropy(bars, normalized=wrong)
    for wrong in (-1, -1e-9, math.nan, math.inf, 10**400):
        with pytest.raises(ValueError, match=r"^epsilon\b.*>= 0"):
            tl.length_weights(bars, wrong)
        with pytest.raises(ValueError, match=r"^softness\b.*>= 0"):
            tl.length_weights(bars, 1, softness=wrong)
    for wrong in (None, "1", True, torch.ones(2)):
        with pytest.raises(TypeError, match=r"^epsilon\b.*number"):
            tl.length_weights(bars, wrong)
        with pytest.raises(TypeError, match=r"^softness\b.*number"):
            tl.length_weights(bars, 1, softness=wrong)
    with pytest.raises(ValueError, match=r"^k\b.*>= 0.*-1"):
        tl.longest_lengths(bars, -1, dim=0)
    for wrong in (2**31, 10**30):
        with pytest.raises(ValueError, match=rf"^k\b.*<= 2147483647.*got {wrong};"):
            tl.longest_lengths(bars, wrong, dim=0)
    for wrong in (1.0, None, True):
        with pytest.raises(TypeError, match=r"^k\b.*int"):
            tl.longest_lengths(bars, wrong, dim=0)


def test_the_dimension_that_is_meant() -> None:
    """One that was computed; None if there is one only, in a selection too."""
    both, one = barcode(dims=(0, 1)), barcode(dims=1)
    assert torch.equal(tl.longest_lengths(both, 3, dim=1), tl.longest_lengths(one, 3))
    assert torch.equal(tl.longest_lengths(both.select(dim=1), 3), tl.longest_lengths(one, 3))
    with pytest.raises(ValueError, match=r"^dim\b.*\(0, 1\).*None.*dim="):
        tl.longest_lengths(both, 3)
    with pytest.raises(ValueError, match=r"^dim\b.*\(1,\), got 0"):
        tl.longest_lengths(one, 3, dim=0)
    with pytest.raises(ValueError, match=r"^dim\b.*\(1,\), got 0"):
        tl.longest_lengths(both.select(dim=1), 3, dim=0)
    for wrong in ("0", 0.0, True):
        with pytest.raises(TypeError, match=r"^dim\b.*int"):
            tl.longest_lengths(both, 3, dim=wrong)
