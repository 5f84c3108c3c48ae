"""Barcode: sums, selection, the padded view, coordinates."""

from __future__ import annotations

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import found
from ..helpers.families import FAMILIES, Family, grid_family
from ..helpers.problems import CYCLE, SQUARE


def _barcode(batch: tuple[int, ...] = (2, 3), dims: tuple[int, ...] = (0, 1), seed: int = 0) -> tl.Barcode:
    values = grid_family("V", 6, 7).random(batch, seed=seed, levels=9)
    return tl.persistence(tl.Cubical(values, superlevel=True), dims)


def _by_hand(barcode: tl.Barcode, terms: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(torch.Size(barcode.batch_shape).numel(), dtype=terms.dtype)
    for sample, term in zip(barcode.sample.tolist(), terms, strict=True):
        total[sample] += term
    return total.reshape(barcode.batch_shape)


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 1, 2), (0,), (2, 0)], ids=str)
def test_sum_gives_one_number_per_sample(batch: tuple[int, ...]) -> None:
    barcode = _barcode(batch)
    for terms in (barcode.lengths, barcode.births * 2, torch.ones(len(barcode))):
        total = barcode.sum(terms)
        assert total.shape == batch
        assert torch.allclose(total, _by_hand(barcode, terms))
    assert tuple(barcode.batch_shape) == batch


def test_sum_is_differentiable_in_its_terms() -> None:
    barcode = _barcode()
    terms = torch.rand(len(barcode), dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 3, dtype=torch.float64)
    (barcode.sum(terms) * weights).sum().backward()
    assert torch.equal(terms.grad, weights.flatten()[barcode.sample])


def test_sum_counts_by_integers_and_booleans_or_refuses_them_by_name() -> None:
    barcode = _barcode()
    for terms in (torch.ones(len(barcode), dtype=torch.int64), barcode.lengths > 2):
        try:
            total = barcode.sum(terms)
        except (TypeError, ValueError) as error:
            assert "terms" in str(error)
        else:
            assert torch.equal(total.double(), _by_hand(barcode, terms.double()))


@pytest.mark.parametrize("method", ["sum", "padded"])
def test_terms_of_the_wrong_shape(method: str) -> None:
    """Contract 9: the argument by its name, what was expected and what came."""
    barcode = _barcode()
    n = len(barcode)
    for terms in (torch.ones(n + 1), torch.ones(n, 2), torch.ones(()), torch.ones(0)):
        with pytest.raises(ValueError, match=rf"terms.*{n}"):
            getattr(barcode, method)(terms)
    for terms in (None, [1.0] * n, 3.0):
        with pytest.raises(TypeError, match=r"terms.*[Tt]ensor"):
            getattr(barcode, method)(terms)
    with pytest.raises(ValueError, match="terms"):
        barcode.essential.sum(torch.ones(len(barcode.essential) + 1))


def test_len() -> None:
    barcode = _barcode()
    assert len(barcode) == barcode.pairs.shape[0] > 0
    assert len(barcode.essential) == 6


# -- selection


def _agree(part: tl.Barcode, whole: tl.Barcode, keep: torch.Tensor) -> None:
    assert torch.equal(part.pairs, whole.pairs[keep])
    assert torch.equal(part.births, whole.births[keep])
    assert torch.equal(part.deaths, whole.deaths[keep])
    assert torch.equal(part.lengths, whole.lengths[keep])
    assert torch.equal(part.dims, whole.dims[keep])
    assert torch.equal(part.sample, whole.sample[keep])
    assert torch.equal(part.ranks, whole.ranks[keep])  # the original ones
    assert part.batch_shape == whole.batch_shape
    assert torch.equal(part.sum(part.lengths), _by_hand(part, part.lengths))


def test_select_by_mask() -> None:
    barcode = _barcode()
    for mask in (barcode.lengths > 3, barcode.ranks == 1, torch.zeros(len(barcode), dtype=torch.bool)):
        part = barcode.select(mask)
        _agree(part, barcode, mask)
        assert torch.equal(part.essential.indices, barcode.essential.indices)


def test_select_by_dimension() -> None:
    barcode = _barcode()
    for dim in (0, 1):
        part = barcode.select(dim=dim)
        _agree(part, barcode, barcode.dims == dim)
        assert torch.equal(part.essential.indices, barcode.essential.indices[barcode.essential.dims == dim])
        assert (part.essential.dims == dim).all()
        assert part.computed_dims == part.essential.computed_dims == (dim,)
        with pytest.raises(ValueError, match=rf"^dim\b.*\({dim},\), got {1 - dim}"):
            part.select(dim=1 - dim)


def test_select_by_sample() -> None:
    barcode = _barcode()
    for sample in range(6):
        part = barcode.select(sample=sample)
        _agree(part, barcode, barcode.sample == sample)
        assert part.essential.sample.tolist() == [sample]


def test_select_by_all_at_once_and_in_steps() -> None:
    barcode = _barcode()
    mask = barcode.lengths > 2
    part = barcode.select(mask, dim=0, sample=4)
    _agree(part, barcode, mask & (barcode.dims == 0) & (barcode.sample == 4))
    steps = barcode.select(sample=4).select(dim=0)
    steps = steps.select(steps.lengths > 2)
    assert found(steps) == found(part)
    assert torch.equal(steps.ranks, part.ranks)
    assert len(barcode.select()) == len(barcode)


def test_selection_keeps_the_graph() -> None:
    image = torch.rand(5, 5, dtype=torch.float64, requires_grad=True)
    barcode = tl.persistence(tl.Freudenthal(image), (0, 1))
    barcode.select(dim=0).lengths.sum().backward()
    zero = image.grad.clone()
    image.grad = None
    barcode = tl.persistence(tl.Freudenthal(image), 0)
    barcode.lengths.sum().backward()
    assert torch.equal(zero, image.grad)


def test_penalties_of_a_selection_use_the_original_ranks() -> None:
    barcode = _barcode((3,), (0,))
    short = barcode.select(barcode.lengths < 5)
    expected = barcode.sum(barcode.lengths * (barcode.lengths < 5) * (barcode.ranks >= 3))
    assert torch.equal(tl.total_persistence(short, p=1, k=3), expected)


def test_bad_selections() -> None:
    """Contract 9."""
    barcode = _barcode()
    n = len(barcode)
    with pytest.raises(ValueError, match=rf"mask.*{n}"):
        barcode.select(torch.ones(n + 1, dtype=torch.bool))
    for mask in (torch.ones(n), torch.ones(n, dtype=torch.int64), [True] * n):
        with pytest.raises((TypeError, ValueError), match="mask"):
            barcode.select(mask)
    for sample in (6, -1):
        with pytest.raises(ValueError, match="sample"):
            barcode.select(sample=sample)
    with pytest.raises(ValueError, match="dim"):
        barcode.select(dim=-1)
    for wrong in ("0", 0.5, True, (0,)):
        with pytest.raises((TypeError, ValueError), match="dim"):
            barcode.select(dim=wrong)
        with pytest.raises((TypeError, ValueError), match="sample"):
            barcode.select(sample=wrong)
    with pytest.raises(TypeError):
        barcode.select(None, 0)  # everything after the mask is keyword-only


# -- padded view


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,), (2, 0)], ids=str)
def test_padded(batch: tuple[int, ...]) -> None:
    barcode = _barcode(batch)
    padded, mask = barcode.padded(barcode.lengths, fill=-1.0)
    counts = torch.bincount(barcode.sample, minlength=torch.Size(batch).numel())
    longest = int(counts.max()) if counts.numel() else 0
    assert padded.shape == mask.shape == (*batch, longest)
    assert mask.dtype == torch.bool
    assert padded.dtype == barcode.lengths.dtype
    assert (padded[~mask] == -1.0).all()
    assert torch.equal(padded[mask], barcode.lengths)  # samples in order, bars in order
    assert torch.equal(mask.sum(-1), counts.reshape(batch))


def test_padded_fill_is_zero_and_gradients_flow() -> None:
    barcode = _barcode((3,))
    assert (barcode.padded(barcode.lengths)[0][~barcode.padded(barcode.lengths)[1]] == 0).all()
    image = torch.tensor([[0.0, 2, 1, 3, 0], [0.0, 1, 2, 3, 4]], requires_grad=True)
    bars = tl.persistence(tl.Freudenthal(image, ndim=1))
    padded, mask = bars.padded(bars.lengths, fill=7.0)
    assert padded.tolist() == [[1, 3], [7, 7]]
    assert mask.tolist() == [[True, True], [False, False]]
    padded.sum().backward()
    assert image.grad.tolist() == [[0, 1, -1, 1, -1], [0, 0, 0, 0, 0]]


def test_padded_with_no_bars_at_all() -> None:
    bars = tl.persistence(tl.Freudenthal(torch.zeros(3, 4, 4)))
    padded, mask = bars.padded(bars.lengths)
    assert padded.shape == mask.shape == (3, 0)


# -- coordinates


@pytest.mark.parametrize("family", [f for f in FAMILIES if f.kind in "FVT"], ids=lambda family: family.name)
def test_coordinates(family: Family) -> None:
    """Grid coordinates of birth and death, in the order of the axes."""
    values = family.random((2, 3))
    barcode = tl.persistence(family.make(values, True), family.dims)
    where = barcode.coordinates
    assert where.shape == (len(barcode), 2, len(family.shape))
    assert where.dtype == torch.int64
    flat = values.reshape(6, *family.shape)
    for i in range(len(barcode)):
        sample = int(barcode.sample[i])
        assert flat[(sample, *where[i, 0])] == barcode.births[i]
        assert flat[(sample, *where[i, 1])] == barcode.deaths[i]
    place = barcode.essential.coordinates
    assert place.shape == (len(barcode.essential), len(family.shape))
    for i in range(6):
        assert flat[(int(barcode.essential.sample[i]), *place[i])] == barcode.essential.births[i]


def test_coordinates_of_a_known_image() -> None:
    image = torch.tensor([[9.0, 9, 9, 9], [9, 1, 5, 2], [9, 9, 9, 9]])
    barcode = tl.persistence(tl.Freudenthal(torch.stack([image * 0, image])))
    assert barcode.coordinates.tolist() == [[[1, 3], [1, 2]]]
    assert barcode.essential.coordinates.tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    "filtration",
    [
        tl.Rips(torch.tensor(SQUARE)),
        tl.LowerStar(torch.arange(4.0), torch.tensor(CYCLE)),
        tl.Alpha(torch.tensor([[0.0], [1.0]])),
    ],
    ids=lambda filtration: type(filtration).__name__,
)
def test_coordinates_of_what_is_no_grid(filtration: object) -> None:
    barcode = tl.persistence(filtration)
    with pytest.raises(ValueError, match="grid"):
        _ = barcode.coordinates
    with pytest.raises(ValueError, match="grid"):
        _ = barcode.essential.coordinates


def test_coordinates_survive_selection() -> None:
    barcode = _barcode()
    part = barcode.select(barcode.lengths > 4, dim=0)
    assert torch.equal(part.coordinates, barcode.coordinates[(barcode.lengths > 4) & (barcode.dims == 0)])


def test_nothing_can_be_assigned() -> None:
    barcode = _barcode()
    for name in ("pairs", "ranks", "births"):
        with pytest.raises(AttributeError):
            setattr(barcode, name, None)


def test_repr_is_short() -> None:
    """A barcode is looked at in notebooks: no thousands of numbers, no failure."""
    for barcode in (_barcode(), _barcode((0,)), _barcode(())):
        assert 0 < len(repr(barcode)) < 2000
        assert 0 < len(repr(barcode.essential)) < 2000


def test_lengths_are_on_the_graph_whatever_was_read_before() -> None:
    """Logging under no_grad, and ranks, must not cut a later loss off."""
    values = torch.rand(6, 6, requires_grad=True)
    barcode = tl.persistence(tl.Freudenthal(values))
    with torch.no_grad():
        assert not barcode.lengths.requires_grad
    assert barcode.ranks.shape == barcode.lengths.shape
    assert barcode.lengths.requires_grad


def test_small_integer_terms_are_counted_in_large_ones() -> None:
    barcode = tl.persistence(tl.Freudenthal(torch.rand(60, 60)))
    assert len(barcode) > 127
    assert barcode.sum(torch.ones(len(barcode), dtype=torch.int8)) == len(barcode)


def test_a_dimension_that_was_not_computed_is_refused() -> None:
    """A loss on it would be zero for ever."""
    barcode = tl.persistence(tl.Freudenthal(torch.rand(6, 6)))
    assert barcode.computed_dims == (0,)
    with pytest.raises(ValueError, match=r"^dim\b.*\(0,\).*dims="):
        barcode.select(dim=1)
