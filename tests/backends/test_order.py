"""Contract 2: the total order, the order of bars, and ranks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import pairings, persistence, places
from ..helpers.families import FAMILIES, MASKED, Family

pytestmark = pytest.mark.native
LINE_BACKENDS = ["native", "torch", "gudhi"]


def _line(numbers: list[float], superlevel: bool, backend: str) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(torch.tensor(numbers), ndim=1, superlevel=superlevel), backend=backend)


@pytest.mark.parametrize("backend", LINE_BACKENDS)
@pytest.mark.parametrize(
    ("numbers", "superlevel", "pairs", "essential"),
    [
        ([0.0, 1.0, 0.0], False, [[2, 1]], 0),  # the earlier of two equal minima is older
        ([1.0, 0.0, 1.0], True, [[2, 1]], 0),  # and of two equal maxima, in a superlevel filtration
        ([0.0, 1.0, -0.0], False, [[2, 1]], 0),  # -0.0 equals +0.0, wherever it stands
        ([-0.0, 1.0, 0.0], False, [[2, 1]], 0),
        ([0.0, -1.0, -0.0], True, [[2, 1]], 0),
        ([-0.0, -1.0, 0.0], True, [[2, 1]], 0),
        ([0.0, 1.0, 1.0, 0.0], False, [[3, 2]], 0),  # a saddle is the last of its edge's pixels
        ([1.0, 0.0, 0.0, 1.0], True, [[3, 2]], 0),
        ([0.0, 2.0, 0.0, 2.0, 0.0], False, [[2, 1], [4, 3]], 0),
        ([1.0, 2.0, 0.0, 2.0, 0.0], False, [[0, 1], [4, 3]], 2),
    ],
)
def test_among_equals_the_earlier_enters_first(
    numbers: list[float], superlevel: bool, pairs: list[list[int]], essential: int, backend: str
) -> None:
    barcode = _line(numbers, superlevel, backend)
    assert barcode.pairs.tolist() == pairs
    assert barcode.essential.indices.tolist() == [essential]


@pytest.mark.parametrize("backend", LINE_BACKENDS)
def test_of_two_equal_saddles_the_earlier_unites(backend: str) -> None:
    for superlevel in (False, True):
        image = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        image = 1 - image if superlevel else image
        barcode = tl.persistence(tl.Cubical(image, superlevel=superlevel), backend=backend)
        assert barcode.pairs.tolist() == [[3, 1]]


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_zeros_of_both_signs_are_one_value(zero: float) -> None:
    """No bar between them, and the same pairs whatever the signs."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(-1, 2, (12, 12), generator=generator).double()
    signs = torch.where(torch.rand(12, 12, generator=generator) < 0.5, -0.0, 0.0).double()
    mixed = torch.where(image == 0, signs, image)
    plain = torch.where(image == 0, torch.full_like(image, zero), image)
    for superlevel in (False, True):
        for backend in LINE_BACKENDS:
            a = tl.persistence(tl.Freudenthal(mixed, superlevel=superlevel), backend=backend)
            b = tl.persistence(tl.Freudenthal(plain, superlevel=superlevel), backend=backend)
            assert torch.equal(a.pairs, b.pairs)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_bars_are_ordered(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Bars are sorted by sample, dimension, death, birth, the last two in filtration order."""
    for superlevel in family.signs:
        values = family.random((4, 6), seed=3)
        place = places(family, values, superlevel)
        barcode = persistence(family.make(values, superlevel), dims, backend)
        keys = [
            (sample, dim, place[death], place[birth])
            for sample, dim, (birth, death) in zip(
                barcode.sample.tolist(), barcode.dims.tolist(), barcode.pairs.tolist(), strict=True
            )
        ]
        assert len(keys) > 8
        assert keys == sorted(keys)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings(tuple(FAMILIES)))
def test_ranks(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Ranks are by length within sample and dimension, essential bars first; ties by earlier birth, then death."""
    for superlevel in family.signs:
        values = family.random((24,), seed=4, levels=3)
        place = places(family, values, superlevel)
        barcode = persistence(family.make(values, superlevel), dims, backend)
        samples, lengths = barcode.sample.tolist(), barcode.lengths.tolist()
        ties = 0
        for sample in range(24):
            for dim in dims:
                mine = [i for i in range(len(barcode)) if samples[i] == sample and barcode.dims[i] == dim]
                keys = [(-lengths[i], place[int(barcode.pairs[i, 0])], place[int(barcode.pairs[i, 1])]) for i in mine]
                ties += len(keys) - len({key[0] for key in keys})
                first = int(((barcode.essential.sample == sample) & (barcode.essential.dims == dim)).sum())
                ranked = sorted(zip(barcode.ranks[mine].tolist(), keys, strict=True))
                assert [rank for rank, _ in ranked] == list(range(first, first + len(mine)))
                assert [key for _, key in ranked] == sorted(keys)
        assert ties > 0 or family.kind == "star"  # those have few bars


def test_the_longest_finite_bar_of_a_connected_image_has_rank_1() -> None:
    barcode = _line([0.0, 2.0, 1.0, 5.0, 3.0, 9.0, 4.0], False, "native")
    lengths = dict(zip(barcode.lengths.tolist(), barcode.ranks.tolist(), strict=True))
    assert lengths == {1.0: 3, 2.0: 2, 5.0: 1}


@pytest.mark.parametrize(("dtype", "ranks"), [(torch.float64, [2, 1]), (torch.float32, [1, 2])])
def test_lengths_are_compared_in_the_dtype_of_the_values(dtype: torch.dtype, ranks: list[int]) -> None:
    """2^24 and 2^24 + 1 differ in float64 and tie in float32: then the earlier birth comes first."""
    line = torch.tensor([-5.0, 2.0**24, 0.0, 2.0**24 + 2, 1.0], dtype=dtype)
    barcode = tl.persistence(tl.Freudenthal(line, ndim=1))
    assert barcode.pairs.tolist() == [[2, 1], [4, 3]]
    assert barcode.ranks.tolist() == ranks


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_pairs_do_not_depend_on_the_batch(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    """Batch size, and the place in the batch: a batch is its samples, one after another."""
    values = family.random((5,), torch.float32, seed=6)
    superlevel = family.signs[-1]
    size = values[0].numel()
    whole = persistence(family.make(values, superlevel), dims, backend)
    single = [persistence(family.make(sample, superlevel), dims, backend) for sample in values]
    assert torch.equal(whole.pairs, torch.cat([b.pairs + i * size for i, b in enumerate(single)]))
    assert torch.equal(whole.dims, torch.cat([b.dims for b in single]))
    assert torch.equal(whole.ranks, torch.cat([b.ranks for b in single]))
    assert torch.equal(
        whole.essential.indices, torch.cat([b.essential.indices + i * size for i, b in enumerate(single)])
    )
    permutation = torch.tensor([3, 0, 4, 1, 2])
    shuffled = persistence(family.make(values[permutation], superlevel), dims, backend)
    expected = torch.cat([single[s].pairs + i * size for i, s in enumerate(permutation.tolist())])
    assert torch.equal(shuffled.pairs, expected)


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_pairs_do_not_depend_on_threads(backend: str, family: Family, dims: tuple[int, ...], threads: None) -> None:
    values = family.random((7,), seed=7)
    barcodes = []
    for number in (1, 2, 3, 16):
        torch.set_num_threads(number)
        barcodes.append(persistence(family.make(values, family.signs[-1]), dims, backend))
    for other in barcodes[1:]:
        assert torch.equal(other.pairs, barcodes[0].pairs)
        assert torch.equal(other.ranks, barcodes[0].ranks)


def test_many_threads_on_a_large_batch(threads: None) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 9, (33, 40, 50), generator=generator).float()
    torch.set_num_threads(1)
    one = tl.persistence(tl.Freudenthal(images, superlevel=True), backend="native")
    torch.set_num_threads(4)
    many = tl.persistence(tl.Freudenthal(images, superlevel=True), backend="native")
    assert torch.equal(one.pairs, many.pairs)
    with ThreadPoolExecutor(4) as pool:  # callers' own threads
        runs = list(pool.map(lambda _: tl.persistence(tl.Freudenthal(images, superlevel=True)).pairs, range(8)))
    assert all(torch.equal(run, one.pairs) for run in runs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_pairs_do_not_depend_on_the_device(family: Family) -> None:
    """Contract 2 and 8: the same pairs, on the device of the values."""
    values = family.random((3,))
    here = tl.persistence(family.make(values, family.signs[-1]), family.dims)
    there = tl.persistence(family.make(values.cuda(), family.signs[-1]), family.dims)
    assert torch.equal(here.pairs, there.pairs.cpu())
    for tensor in (there.pairs, there.births, there.deaths, there.lengths, there.dims, there.sample, there.ranks):
        assert tensor.device.type == "cuda"
    for tensor in (there.essential.births, there.essential.indices, there.essential.dims, there.essential.sample):
        assert tensor.device.type == "cuda"
    assert there.sum(there.lengths).device.type == "cuda"
