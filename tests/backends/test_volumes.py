"""Loops of volumes: against other algorithms, laws that they obey, threads, gradients."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

import topolayer as tl

from ..helpers.comparing import Cripser

pytestmark = pytest.mark.native
ALL = (0, 1, 2)


def make(kind: str, values: Tensor, superlevel: bool = False) -> Any:
    if kind == "F":
        return tl.Freudenthal(values, ndim=3, superlevel=superlevel)
    return tl.Cubical(values, ndim=3, construction=kind, superlevel=superlevel)  # type: ignore[arg-type]


def draw(family: str, shape: tuple[int, ...]) -> Tensor:
    rng = np.random.default_rng(len(family) + sum(shape))
    if family == "noise":
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    if family == "smooth":
        return torch.from_numpy(gaussian_filter(rng.standard_normal(shape), 1.5))
    if family == "mask of noise":  # the bad case: chains of edges wander through it, and cocycles of faces take over
        return torch.from_numpy((rng.random(shape) < 0.55).astype(np.float32))
    if family == "mask of blobs":
        return torch.from_numpy((gaussian_filter(rng.standard_normal(shape), 1.5) > 0).astype(np.float32))
    return torch.from_numpy(rng.integers(0, 4, shape).astype(np.float64))


FAMILIES = ("noise", "smooth", "mask of noise", "mask of blobs", "ties")


def multiset(filtration: Any, dims: Any, backend: Any) -> Counter[tuple[int, ...]]:
    barcode = tl.persistence(filtration, dims, backend=backend)
    return Counter(map(tuple, torch.cat([barcode.dims[:, None], barcode.pairs], 1).tolist()))


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("kind", ["F", "V", "T"])
@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_are_those_of_gudhi(family: str, kind: str, superlevel: bool) -> None:
    for shape in ((9, 10, 11), (2, 14, 15), (1, 20, 20), (7, 2, 30)):
        filtration = make(kind, draw(family, shape), superlevel)
        assert multiset(filtration, ALL, "native") == multiset(filtration, ALL, "gudhi")


@pytest.mark.parametrize("kind", ["V", "T"])
@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_are_those_of_cripser(family: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topolayer._backends._registry", tl.backends() | {"cripser": Cripser()})
    filtration = make(kind, draw(family, (32, 32, 33)))
    assert multiset(filtration, ALL, "native") == multiset(filtration, ALL, "cripser")


@pytest.mark.parametrize("kind", ["F", "V", "T"])
@pytest.mark.parametrize("family", FAMILIES)
def test_one_computation_whatever_the_dimensions(family: str, kind: str) -> None:
    filtration = make(kind, draw(family, (12, 13, 14)))
    together = multiset(filtration, ALL, "native")
    for dims in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2)):
        assert multiset(filtration, dims, "native") == Counter(
            {bar: count for bar, count in together.items() if bar[0] in dims}
        )


@pytest.mark.parametrize("kind", ["F", "V", "T"])
@pytest.mark.parametrize("family", FAMILIES)
def test_threads_change_nothing(family: str, kind: str) -> None:
    """Threads are started for parts of 131,072 values; the bars come in the same order."""
    filtration = make(kind, draw(family, (66, 65, 64)))
    expected = tl.persistence(filtration, ALL, backend="native")
    assert (expected.dims == 1).sum() > 100
    for threads in (2, 3):
        torch.set_num_threads(threads)
        found = tl.persistence(filtration, ALL, backend="native")
        torch.set_num_threads(1)
        assert torch.equal(found.pairs, expected.pairs)
        assert torch.equal(found.dims, expected.dims)


@pytest.mark.parametrize("family", FAMILIES)
def test_euler_characteristic_of_every_level(family: str) -> None:
    """Vertices less edges plus squares less cubes, counted; and components less loops plus cavities, by the bars."""
    values = draw(family, (11, 12, 13))
    barcode = tl.persistence(make("V", values), ALL, backend="native")
    numpy = values.numpy()

    def largest(*axes: int) -> np.ndarray:
        cells = numpy
        for axis in axes:
            cells = np.maximum(
                np.take(cells, range(cells.shape[axis] - 1), axis), np.take(cells, range(1, cells.shape[axis]), axis)
            )
        return cells

    cells = [[()], [(0,), (1,), (2,)], [(0, 1), (0, 2), (1, 2)], [(0, 1, 2)]]
    for level in np.quantile(numpy, np.linspace(0, 1, 9), method="nearest"):
        counted = sum(
            (-1) ** dim * (largest(*axes) <= level).sum() for dim, group in enumerate(cells) for axes in group
        )
        alive = (barcode.births <= float(level)) & (barcode.deaths > float(level))
        sign = 1 - 2 * (barcode.dims == 1).long()
        assert counted == 1 + int(sign[alive].sum())


@pytest.mark.parametrize(("kind", "dual"), [("F", "F"), ("V", "T"), ("T", "V")])
@pytest.mark.parametrize("family", ["noise", "smooth"])
def test_the_dual_has_the_same_loops(family: str, kind: str, dual: str) -> None:
    """In the reversed order, and with the outside, here a frame, before all: births and deaths are exchanged."""
    values = draw(family, (9, 10, 11)).double()
    framed = torch.nn.functional.pad(-values, (1, 1, 1, 1, 1, 1), value=-float(values.max()) - 1)
    here = tl.persistence(make(kind, values), 1, backend="native")
    there = tl.persistence(make(dual, framed), 1, backend="native")
    assert len(here) > 3
    assert sorted(zip(here.births.tolist(), here.deaths.tolist(), strict=True)) == sorted(
        zip((-there.deaths).tolist(), (-there.births).tolist(), strict=True)
    )


@pytest.mark.parametrize("kind", ["F", "V", "T"])
def test_gradients(kind: str) -> None:
    values = torch.randn(2, 4, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def lengths(values: Tensor) -> Tensor:
        return tl.total_persistence(tl.persistence(make(kind, values), 1), p=2)

    assert lengths(values).sum() > 0
    assert torch.autograd.gradcheck(lengths, values.clone().requires_grad_())
    by_transform = torch.func.grad(lambda v: lengths(v).sum())(values)
    leaf = values.clone().requires_grad_()
    lengths(leaf).sum().backward()
    assert torch.equal(by_transform, leaf.grad)  # type: ignore[arg-type]


def test_values_that_are_not_finite_are_named() -> None:
    values = torch.zeros(2, 4, 5, 6)
    values[1, 2, 3, 4] = torch.nan
    for dims in ((1,), ALL):
        with pytest.raises(ValueError, match=r"^values: .* at index \(1, 2, 3, 4\) \(nan\)"):
            tl.persistence(make("V", values), dims)
