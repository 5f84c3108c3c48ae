"""Contract 20: barcodes of arrays that are read slab by slab are those of the whole. What is refused on the way."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import zarr
from scipy.ndimage import gaussian_filter

import topolayer as tl
from topolayer import _core

pytestmark = pytest.mark.native

Construction = Literal["T", "V", "freudenthal"]
CONSTRUCTIONS: tuple[Construction, ...] = ("T", "V", "freudenthal")
SHAPES = [(6, 7, 8), (9, 3, 5), (5, 2, 6), (2, 6, 5), (7, 1, 6), (6, 5, 1), (1, 5, 6), (8, 1, 1), (1, 1, 1)]
SHAPES += [(7, 9), (8, 2), (2, 9), (5, 1), (1, 6), (12,), (2,), (1,)]


def draw(family: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    match family:
        case "noise":
            return rng.standard_normal(shape, dtype=np.float32)
        case "ties":
            return rng.integers(-1, 3, shape).astype(np.int16)
        case "two levels":
            return rng.random(shape) < 0.5
        case "constant":
            return np.full(shape, -0.0)
        case "slopes":  # ways that lead through all slabs, in both directions
            places = np.indices(shape).sum(axis=0)
            return np.abs(places % 11 - 5).astype(np.float64)
    raise AssertionError(family)


FAMILIES = ("noise", "ties", "two levels", "constant", "slopes")


def filtration_of(values: np.ndarray, construction: Construction, superlevel: bool) -> tl.Filtration:
    tensor = torch.from_numpy(np.array(values))
    if construction == "freudenthal":
        return tl.Freudenthal(tensor, ndim=tensor.ndim, superlevel=superlevel)
    return tl.Cubical(tensor, ndim=tensor.ndim, construction=construction, superlevel=superlevel)


def assert_same(found: tl.Barcode, whole: tl.Barcode) -> None:
    for name in ("pairs", "births", "deaths", "dims", "sample", "ranks", "coordinates"):
        assert torch.equal(getattr(found, name), getattr(whole, name)), name
        assert getattr(found, name).dtype == getattr(whole, name).dtype
    for name in ("indices", "births", "dims", "sample", "coordinates"):
        assert torch.equal(getattr(found.essential, name), getattr(whole.essential, name)), name
    for name in ("computed_dims", "batch_shape", "grid_shape", "superlevel", "entries", "input_dtype"):
        assert getattr(found, name) == getattr(whole, name), name


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("construction", CONSTRUCTIONS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bars_are_those_of_the_whole(
    shape: tuple[int, ...], family: str, construction: Construction, superlevel: bool
) -> None:
    """In the same order, in slabs of every thickness."""
    values = draw(family, shape)
    dims = tuple({0, len(shape) - 1})
    whole = tl.persistence(filtration_of(values, construction, superlevel), dims, backend="native")
    for slab in range(1, shape[0] + 1):
        options: dict[str, Any] = {"construction": construction, "superlevel": superlevel, "slab": slab}
        assert_same(tl.persistence_in_slabs(values, dims, **options), whole)


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_pairs_are_those_of_gudhi(construction: Construction, superlevel: bool) -> None:
    for family, shape in itertools.product(("noise", "ties"), ((9, 8, 7), (17, 11))):
        values, top = draw(family, shape, seed=1), len(shape) - 1
        expected = tl.persistence(filtration_of(values, construction, superlevel), (0, top), backend="gudhi")
        for slab in (1, 4):
            found = tl.persistence_in_slabs(
                values, [top, 0], construction=construction, superlevel=superlevel, slab=slab
            )
            bars = [torch.cat([bars.dims[:, None], bars.pairs], 1).tolist() for bars in (found, expected)]
            assert Counter(map(tuple, bars[0])) == Counter(map(tuple, bars[1]))
            assert len(found) > 5


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_large_slabs(construction: Construction, threads: int) -> None:
    """Threads are started for parts of 131,072 values; rows do not begin at words of pixels."""
    rng = np.random.default_rng(0)
    values = gaussian_filter(rng.standard_normal((61, 83, 87)), 1.2)
    values = ((values - values.min()) / np.ptp(values) * 60).astype(np.uint8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        whole = tl.persistence(filtration_of(values, construction, True), (0, 2), backend="native")
        assert len(whole) > 1000
        for slab in (7, 40):
            found = tl.persistence_in_slabs(values, (0, 2), construction=construction, superlevel=True, slab=slab)
            assert_same(found, whole)
    finally:
        torch.set_num_threads(before)


class Told:
    def __init__(self) -> None:
        self.done: list[tuple[int, int]] = []

    def __call__(self, planes: int, of: int) -> None:
        self.done.append((planes, of))


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "f2", "f4", "f8", ">i2", ">f4", ">f8"])
def test_mapped_files_and_zarr(dtype: str, tmp_path: Path) -> None:
    """Of every dtype, in any order of bytes; each plane is read once."""
    values = (100 * np.random.default_rng(0).random((13, 6, 7))).astype(dtype)
    native = values.astype(values.dtype.newbyteorder("="))
    whole = tl.persistence(filtration_of(native, "T", False), (0, 2), backend="native")
    mapped = np.memmap(tmp_path / "values", dtype, "w+", shape=values.shape)
    mapped[...] = values
    mapped.flush()
    mapped = np.memmap(tmp_path / "values", dtype, "r", shape=values.shape)
    path = str(tmp_path / "values.zarr")
    stored = zarr.open_array(path, mode="w", shape=values.shape, chunks=(4, 3, 7), dtype=dtype)
    stored[...] = values
    for array, slab in itertools.product((mapped, mapped[:], stored), (None, 1, 5)):
        told = Told()
        found = tl.persistence_in_slabs(array, (0, 2), slab=slab, progress=told)
        assert_same(found, whole)
        planes = slab or 13
        assert told.done == [(min(end, 13), 13) for end in range(planes, 13 + planes, planes)]


def test_results_are_barcodes() -> None:
    """What is done next works as with any other."""
    values = draw("noise", (8, 9, 10))
    found = tl.persistence_in_slabs(values, (0, 2), slab=3)
    whole = tl.persistence(filtration_of(values, "T", False), (0, 2))
    for function in (tl.total_persistence, tl.persistent_entropy):
        assert torch.equal(function(found), function(whole))
    assert torch.equal(tl.longest_lengths(found, 3, dim=2), tl.longest_lengths(whole, 3, dim=2))
    levels = torch.linspace(-2, 2, 5)
    assert torch.equal(tl.betti_numbers(found.select(dim=0), levels), tl.betti_numbers(whole.select(dim=0), levels))
    assert torch.equal(tl.wasserstein(found.select(dim=0), whole.select(dim=0)), torch.tensor(0.0))
    assert not found.births.requires_grad


@pytest.mark.parametrize("top", [False, True])
@pytest.mark.parametrize("kind", [_core.Slabs, _core.DoubleSlabs])
def test_positions_beyond_32_bits(kind: Any, top: bool) -> None:
    """The volume is the end of a larger one, whose planes before are not there."""
    first = 2**33 + 12345
    values = draw("noise", (7, 9, 10)).astype(np.float32 if kind is _core.Slabs else np.float64)
    found = []
    for offset in (0, first):
        slabs = kind(values.shape, _core.Connectivity.FREUDENTHAL, False, top, offset)
        assert slabs.add(values[:4].reshape(-1), 1) and slabs.add(values[2:].reshape(-1), 1)
        found.append(slabs.bars())
    (pairs, ends, born, at_birth), (far_pairs, far_ends, far_born, far_at_birth) = found
    assert len(pairs) > 5 and len(born) == (not top)
    assert np.array_equal(far_pairs, pairs + first) and np.array_equal(far_born, born + first)
    assert np.array_equal(far_ends, ends) and np.array_equal(far_at_birth, at_birth)
    assert np.array_equal(values.reshape(-1)[pairs].reshape(-1), ends)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0), (4, 2, 3), (8, 3, 4)], ids=str)
def test_numbers_that_are_not_finite(place: tuple[int, ...], bad: float) -> None:
    values = draw("noise", (9, 4, 5))
    values[place] = bad
    for slab, dims in itertools.product((1, 3, 9), (0, 2)):
        with pytest.raises(ValueError, match=re.escape(f"array: expected finite numbers, got {bad} at index {place};")):
            tl.persistence_in_slabs(values, dims, slab=slab)
    thin = values[:, :2]  # all of it lies on the border: there are no voids, but numbers to look at
    if place[1] < 2:
        with pytest.raises(ValueError, match=r"^array: expected finite"):
            tl.persistence_in_slabs(thin, 2)


class Changing:
    """An array that is another one after some slabs."""

    def __init__(self, values: np.ndarray, other: np.ndarray, after: int) -> None:
        self.values, self.other, self.after = values, other, after
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, planes: slice) -> np.ndarray:
        return (self.values if planes.start < self.after else self.other)[planes]


@pytest.mark.parametrize(
    ("other", "got"),
    [
        (np.zeros((7, 4, 5), np.float32), r"\(1, 4, 5\) and float32"),
        (np.zeros((9, 4, 6), np.float32), r"\(3, 4, 6\) and float32"),
        (np.zeros((9, 4, 5), np.float64), r"\(3, 4, 5\) and float64"),
    ],
)
def test_slices_of_another_array(other: np.ndarray, got: str) -> None:
    array = Changing(draw("noise", (9, 4, 5)), other, 6)
    with pytest.raises(ValueError, match=rf"^array: expected array\[6:9\] of shape \(3, 4, 5\) .*, got {got};"):
        tl.persistence_in_slabs(array, slab=3)


@pytest.mark.parametrize("change", ["end", "write", "delete"])
def test_files_that_change(change: str, tmp_path: Path) -> None:
    path = tmp_path / "values"
    values = draw("noise", (9, 40, 50))
    path.write_bytes(values.tobytes())
    mapped = np.memmap(path, np.float32, "r", shape=values.shape)

    def interfere(done: int, _: int) -> None:
        if done != 6:
            return
        if change == "end":
            with path.open("r+b") as file:
                file.truncate(values.nbytes // 2)
        elif change == "write":
            path.write_bytes((values + 1).tobytes() + b"more")
        else:
            path.unlink()

    with pytest.raises(ValueError, match=r"^array: expected the file .* to stay as it is .*changed"):
        tl.persistence_in_slabs(mapped, slab=3, progress=interfere)


def test_a_file_that_ended_before(tmp_path: Path) -> None:
    path = tmp_path / "values"
    path.write_bytes(bytes(9 * 4000))
    mapped = np.memmap(path, np.uint8, "r", shape=(9, 40, 100))
    with path.open("r+b") as file:
        file.truncate(20_000)
    for array in (mapped, mapped[5:], mapped[:, 39], mapped[::-1].T, np.asarray(mapped)[6:]):
        with pytest.raises(ValueError, match=r"^array: expected the file .* with 36000 bytes or more, .* 20000 bytes;"):
            tl.persistence_in_slabs(array)


def test_masked_values() -> None:
    """What reads NetCDF has slices with a mask, whose values below it stand for nothing."""
    values = draw("noise", (9, 4, 5))
    masked = np.ma.array(values, mask=False)
    whole = tl.persistence_in_slabs(values)
    assert_same(tl.persistence_in_slabs(Changing(values, masked, 3), slab=3), whole)
    masked[7, 1, 1] = np.ma.masked
    with pytest.raises(ValueError, match=r"^array: expected slices without masked values, got some in array\[6:9\];"):
        tl.persistence_in_slabs(Changing(values, masked, 3), slab=3)


def test_an_array_for_which_there_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("topolayer._barcodes.slabs.bars_of_slabs", none)
    with pytest.raises(MemoryError, match=r"^not enough memory .* of shape \(9, 4, 5\), .* 0 planes .* slab=3;"):
        tl.persistence_in_slabs(draw("noise", (9, 4, 5)), slab=3)
