"""Barcodes put together, moved, taken off the graph, copied, pickled, saved, and sent between processes."""

from __future__ import annotations

import copy
import io
import pickle
import weakref
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import topolayer as tl

from ..helpers.problems import SQUARE


def _images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 9, shape, generator=torch.Generator().manual_seed(seed)).double()


def _barcode(*shape: int, seed: int = 0, dims: Any = (0, 1), superlevel: bool = True) -> tl.Barcode:
    return tl.persistence(tl.Cubical(_images(*shape, seed=seed), superlevel=superlevel), dims)


def _agree(found: tl.Barcode, expected: tl.Barcode) -> None:
    for name in ("births", "deaths", "pairs", "dims", "sample", "ranks", "lengths", "essential_per_bar"):
        assert torch.equal(getattr(found, name), getattr(expected, name)), name
    for name in ("births", "indices", "dims", "sample"):
        assert torch.equal(getattr(found.essential, name), getattr(expected.essential, name)), name
    for name in ("computed_dims", "batch_shape", "grid_shape"):
        assert getattr(found, name) == getattr(expected, name) == getattr(found.essential, name), name
    assert (found.superlevel, found.entries) == (expected.superlevel, expected.entries)


# -- put together


@pytest.mark.parametrize("shape", [(6, 7), (2, 5, 4)], ids=str)
def test_barcodes_in_a_row_are_that_of_the_batch(shape: tuple[int, ...]) -> None:
    images = _images(5, *shape)
    whole = tl.persistence(tl.Cubical(images), (0, 1))
    each = [tl.persistence(tl.Cubical(image), (0, 1)) for image in images]
    _agree(tl.Barcode.stack(each), whole)
    _agree(tl.Barcode.cat([tl.persistence(tl.Cubical(part), (0, 1)) for part in images.split([2, 0, 3])]), whole)
    _agree(tl.Barcode.cat([whole]), whole)


def test_selections_in_a_row_keep_their_ranks() -> None:
    images = _images(5, 6, 7)
    whole = tl.persistence(tl.Cubical(images))
    parts = [tl.persistence(tl.Cubical(part)) for part in images.split([2, 3])]
    for some in ((True, True), (True, False)):
        chosen = [part.select(part.lengths > 2) if by_mask else part for part, by_mask in zip(parts, some, strict=True)]
        kept = (whole.lengths > 2) | ((whole.sample >= 2) & (not some[1]))
        found = tl.Barcode.cat(chosen)
        _agree(found, whole.select(kept))
        for essential in ("count", "exclude"):
            expected = tl.total_persistence(whole.select(kept), k=2, essential=essential)
            assert torch.equal(tl.total_persistence(found, k=2, essential=essential), expected)


def test_grids_and_clouds_of_several_sizes() -> None:
    """Indices are flat into the values of all, one after another."""
    for filtrations in (
        [tl.Freudenthal(_images(n, n)) for n in (4, 6, 3)],
        [tl.Rips(torch.tensor(SQUARE)), tl.Rips(1 - torch.eye(3)), tl.Rips(torch.zeros(1, 1))],
        [tl.Alpha(torch.rand(n, 2, generator=torch.Generator().manual_seed(n))) for n in (6, 9)],
    ):
        each = [tl.persistence(filtration) for filtration in filtrations]
        found = tl.Barcode.stack(each)
        values = torch.cat([filtration.values.flatten() for filtration in filtrations])
        assert found.grid_shape is None
        assert found.entries == len(values)
        assert torch.equal(values[found.pairs], torch.stack([found.births, found.deaths], dim=1))
        assert torch.equal(values[found.essential.indices], found.essential.births)
        for number, barcode in enumerate(each):
            mine = found.select(sample=number)
            assert torch.equal(mine.births, barcode.births)
            assert torch.equal(mine.ranks, barcode.ranks)
    with pytest.raises(ValueError, match=r"^coordinates: .*flat indices"):
        _ = found.coordinates


def test_gradients_flow_to_all() -> None:
    images = [_images(5, 5, seed=seed).requires_grad_() for seed in range(3)]
    barcode = tl.Barcode.stack([tl.persistence(tl.Freudenthal(image)) for image in images])
    (tl.total_persistence(barcode, p=2, k=1) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    for weight, image in enumerate(images, 1):
        alone = image.detach().clone().requires_grad_()
        (weight * tl.total_persistence(tl.persistence(tl.Freudenthal(alone)), p=2, k=1)).backward()
        assert torch.equal(image.grad, alone.grad)


UNLIKE: dict[str, tuple[Callable[[], tl.Barcode], str]] = {
    "dimensions": (lambda: _barcode(2, 4, 4, dims=0), r"dimensions \(0, 1\).*got \(0,\) at 1"),
    "direction": (lambda: _barcode(2, 4, 4, superlevel=False), "superlevel True.*got False"),
    "dtype": (lambda: tl.persistence(tl.Cubical(_images(2, 4, 4).float(), superlevel=True), (0, 1)), "dtype .*float32"),
    "axes": (lambda: _barcode(2, 1, 4, 4), r"batch shape .*\('any', 1\)|batch shape \(2,\).*\(2, 1\)"),
}


@pytest.mark.parametrize("what", UNLIKE)
@pytest.mark.parametrize("join", [tl.Barcode.cat, tl.Barcode.stack])
def test_what_does_not_go_together(join: Callable[..., tl.Barcode], what: str) -> None:
    other, words = UNLIKE[what]
    with pytest.raises(ValueError, match=rf"^barcodes: expected .*{words}.*; make"):
        join([_barcode(2, 4, 4), other()])


def test_a_batch_shape_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"^barcodes: .*batch shape \(2,\).*got \(3,\) at 2"):
        tl.Barcode.stack([_barcode(2, 4, 4), _barcode(2, 4, 4), _barcode(3, 4, 4)])
    with pytest.raises(ValueError, match=r"^barcodes: .*batch axis.*Barcode\.stack"):
        tl.Barcode.cat([_barcode(4, 4)])


# -- moved and taken off the graph


def _everything() -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(_images(2, 6, 6).requires_grad_()), (0, 1))


VARIANTS: dict[str, Callable[[tl.Barcode], tl.Barcode]] = {
    "all": lambda barcode: barcode,
    "a dimension": lambda barcode: barcode.select(dim=1),
    "by a mask": lambda barcode: barcode.select(barcode.lengths > 2),
    "by a mask, of a dimension and a sample": lambda barcode: barcode.select(barcode.lengths > 1, dim=0).select(
        sample=1
    ),
    "none": lambda barcode: barcode.select(barcode.lengths > 100),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_on_the_graph_or_off_it(variant: str) -> None:
    barcode = VARIANTS[variant](_everything())
    assert barcode.births.requires_grad
    for moved in (barcode.cpu(), barcode.to("cpu"), barcode.to(torch.device("cpu"), non_blocking=True)):
        _agree(moved, barcode)
        assert moved.births.requires_grad
    off = barcode.detach()
    _agree(off, barcode)
    assert not any(tensor.requires_grad for tensor in (off.births, off.deaths, off.lengths, off.essential.births))


def test_to_another_device() -> None:
    moved = _everything().to("meta")
    for bars in (moved, moved.essential):
        assert {bars.births.device, bars.dims.device, bars.sample.device} == {torch.device("meta")}
    for wrong in (torch.float64, None, True, torch.ones(2)):
        with pytest.raises(TypeError, match=r"^device: expected one such as .*got .*; a dtype is changed before"):
            _everything().to(wrong)


def test_a_selection_lets_the_barcode_go() -> None:
    """But for one by a mask: ranks are computed later, from all bars."""
    barcode = _everything()
    alive = weakref.ref(barcode)
    parts = [barcode.select(dim=1), barcode.select(sample=0), barcode.select(dim=0, sample=1)]
    ranks = [barcode.ranks[barcode.dims == 1], barcode.ranks[barcode.sample == 0]]
    masked = barcode.select(barcode.lengths > 2)
    by_mask = barcode.ranks[barcode.lengths > 2]
    del barcode
    assert alive() is not None
    assert torch.equal(masked.ranks, by_mask)
    del masked
    assert alive() is None
    for part, expected in zip(parts, ranks, strict=False):
        assert torch.equal(part.ranks, expected)


# -- pickled


def _saved(barcode: tl.Barcode, **options: Any) -> tl.Barcode:
    file = io.BytesIO()
    torch.save(barcode, file)
    with zipfile.ZipFile(file) as archive:
        assert sum("/data/" in name for name in archive.namelist()) == 1  # one tensor: one file descriptor
    file.seek(0)
    return torch.load(file, **options)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_copies(variant: str, dtype: torch.dtype) -> None:
    for shape in ((3, 5, 5), (2, 1, 4, 4), *(((0, 4, 4), (4, 4)) if "sample" not in variant else ())):
        barcode = tl.persistence(tl.Freudenthal(_images(*shape).to(dtype), superlevel=True), (0, 1))
        barcode = VARIANTS[variant](barcode)
        for other in (
            pickle.loads(pickle.dumps(barcode)),
            copy.copy(barcode),
            copy.deepcopy(barcode),
            _saved(barcode, weights_only=False),
            _saved(barcode, weights_only=True),
        ):
            _agree(other, barcode)
            assert other.births.dtype == dtype


def test_copies_of_what_is_on_the_graph() -> None:
    barcode = _everything()
    for wrong in (copy.deepcopy, pickle.dumps, lambda b: torch.save(b, io.BytesIO())):
        with pytest.raises(ValueError, match=r"^barcode: expected one off the autograd graph.*detach\(\)"):
            wrong(barcode)
    _agree(pickle.loads(pickle.dumps(barcode.detach())), barcode)
    assert copy.copy(barcode).births.requires_grad


class _Barcodes(Dataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, number: int) -> tl.Barcode:
        return _barcode(5, 6, seed=number)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 and later
def test_barcodes_from_a_worker() -> None:
    loader = DataLoader(_Barcodes(), batch_size=3, num_workers=1, collate_fn=tl.Barcode.stack, timeout=80)
    expected = [tl.Barcode.stack([_Barcodes()[i] for i in three]) for three in ((0, 1, 2), (3, 4, 5))]
    for found, barcode in zip(loader, expected, strict=True):
        _agree(found, barcode)


# -- shown


def test_repr_says_how_many_bars_of_which_dimension() -> None:
    image = torch.tensor([[9.0, 9, 9, 9], [9, 1, 5, 2], [9, 9, 9, 9]])
    barcode = tl.persistence(tl.Freudenthal(torch.stack([image, image])), (0, 1))
    essential = "essential: 2 of dimension 0, 0 of dimension 1"
    assert (
        repr(barcode) == f"Barcode(finite: 2 of dimension 0, 0 of dimension 1; {essential}, in a batch of shape (2,))"
    )
    one = repr(barcode.select(sample=0, dim=0))
    assert one == "Barcode(finite: 1 of dimension 0; essential: 1 of dimension 0, in a batch of shape (2,))"
    assert repr(barcode.essential) == "EssentialBars(2 of dimension 0, 0 of dimension 1)"
