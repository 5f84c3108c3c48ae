"""Contract 14: connectivity, invariance and duality."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import topolayer as tl

from ..helpers.comparing import BACKENDS, found, persistence, value_bars
from ..helpers.families import Family, grid_family

pytestmark = pytest.mark.native
DUAL = {"V": "T", "T": "V", "F": "F"}


def _able(family: Family, dim: int) -> list[str]:
    filtration = family.make(family.random(), False)
    return [name for name, backend in BACKENDS.items() if backend.unsupported(filtration, (dim,)) is None]


@pytest.mark.parametrize(("ndim", "degrees"), [(2, {"V": 4, "T": 8, "F": 6}), (3, {"V": 6, "T": 26, "F": 14})])
@pytest.mark.parametrize("kind", "VTF")
def test_number_of_neighbours(kind: str, ndim: int, degrees: dict[str, int]) -> None:
    """A low pixel beside a low centre makes a bar exactly where the two are not connected."""
    family = grid_family(kind, *(3,) * ndim)
    for backend in _able(family, 0):
        joined = set()
        for step in itertools.product((-1, 0, 1), repeat=ndim):
            if any(step):
                values = torch.full((3,) * ndim, 9.0)
                values[(1,) * ndim] = 0
                values[tuple(1 + s for s in step)] = 1
                if not len(persistence(family.make(values, False), 0, backend)):
                    joined.add(step)
        assert len(joined) == degrees[kind]
        if kind == "F":  # the diagonal (i, j)-(i+1, j+1), and those like it
            assert joined == {s for s in itertools.product((-1, 0, 1), repeat=ndim) if any(s) and min(s) * max(s) >= 0}
        if kind == "V":
            assert joined == {s for s in itertools.product((-1, 0, 1), repeat=ndim) if sum(map(abs, s)) == 1}


def _outside(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The exactly reversed order in value and position, with the outside before everything, as a padded grid.

    Returns it and, for each of its entries, the flat index in `values` (-1 outside).
    """
    flat = values.flatten()
    place = torch.empty(flat.numel(), dtype=torch.int64)
    place[torch.sort(flat, stable=True).indices] = torch.arange(flat.numel())
    padding = (1, 1) * values.ndim
    reversed_ = (flat.numel() - 1 - place).double().reshape(values.shape)
    index = torch.arange(flat.numel()).reshape(values.shape)
    return (
        torch.nn.functional.pad(reversed_, padding, value=-1.0),
        torch.nn.functional.pad(index, padding, value=-1),
    )


def _with_holes(family: Family, seed: int, levels: int) -> torch.Tensor:
    """Random, with every other inner pixel raised, so that there is something in the top dimension."""
    values = family.random(seed=seed, levels=levels)
    values[tuple(slice(1, -1, 2) for _ in family.shape)] += 2
    return values


@pytest.mark.parametrize("shape", [(4, 5), (7, 6), (1, 5), (3, 3), (3, 3, 3), (4, 3, 5), (1, 3, 4)], ids=str)
@pytest.mark.parametrize("kind", "VTF")
@pytest.mark.parametrize("superlevel", [False, True])
def test_duality(kind: str, shape: tuple[int, ...], superlevel: bool) -> None:
    """Finite bars of the top dimension are H0 of the dual connectivity in the reversed order, pairs swapped."""
    family = grid_family(kind, *shape)
    top = len(shape) - 1
    total = 0
    for seed in range(8):
        values = _with_holes(family, seed, levels=(1, 3, 9)[seed % 3])
        order, index = _outside(values)
        dual = grid_family(DUAL[kind], *order.shape)
        values = -values if superlevel else values
        for backend in _able(family, top):
            primal = found(persistence(family.make(values, superlevel), top, backend)).finite
            components = persistence(dual.make(order, False), 0, backend)
            inside, flat = index.flatten()[components.pairs], values.flatten()
            assert (inside >= 0).all()  # the outside is the oldest component, and born at once
            swapped = [(0, top, death, birth) for birth, death in inside.tolist() if flat[birth] != flat[death]]
            assert sorted(swapped) == primal
            total += len(primal)
    assert (total > 0) == (1 not in shape)


@pytest.mark.parametrize("kind", "VTF")
def test_negated_image_has_the_same_values_only(kind: str) -> None:
    """Turning the values round, but not the positions, keeps values; under ties not always pairs."""
    family, dual = grid_family(kind, 7, 8), grid_family(DUAL[kind], 9, 10)
    differ = 0
    for seed in range(10):
        values = _with_holes(family, seed, levels=2)
        primal = tl.persistence(family.make(values, False), 1)
        padded = torch.nn.functional.pad(-values, (1, 1, 1, 1), value=-100.0)
        components = tl.persistence(dual.make(padded, False), 0)
        assert value_bars(primal)[0] == sorted((1, -death, -birth) for _, birth, death in value_bars(components)[0])
        index = torch.nn.functional.pad(torch.arange(56).reshape(7, 8), (1, 1, 1, 1), value=-1).flatten()
        differ += sorted(index[components.pairs].flip(1).tolist()) != sorted(primal.pairs.tolist())
    assert differ > 0


_PERMUTATIONS = {1: [(0,)], 2: [(0, 1), (1, 0)], 3: list(itertools.permutations(range(3)))}


@pytest.mark.parametrize("shape", [(7,), (4, 6), (5, 5), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("kind", "VTF")
def test_transposition_and_half_turn(kind: str, shape: tuple[int, ...]) -> None:
    """Freudenthal is invariant under both (V and T under every flip too): values always, pairs without ties."""
    for seed, levels in itertools.product(range(4), (2, None)):
        values = grid_family(kind, *shape).random(seed=seed, levels=levels)
        position = torch.arange(values.numel()).reshape(shape)
        dims = tuple(range(len(shape)))
        plain = tl.persistence(grid_family(kind, *shape).make(values, False), dims)
        changes = [lambda x, axes=axes: x.permute(axes) for axes in _PERMUTATIONS[len(shape)]]
        changes.append(lambda x: x.flip(tuple(range(len(shape)))))
        if kind != "F":
            changes.append(lambda x: x.flip(0))
        for change in changes:
            changed = change(values)
            other = tl.persistence(grid_family(kind, *changed.shape).make(changed, False), dims)
            assert value_bars(other) == value_bars(plain)
            if levels is None:
                back = change(position).flatten()[other.pairs]
                rows = lambda dim, pairs: sorted(map(tuple, torch.cat([dim[:, None], pairs], 1).tolist()))  # noqa: E731
                assert rows(other.dims, back) == rows(plain.dims, plain.pairs)


def test_freudenthal_is_not_invariant_under_flips() -> None:
    image = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert len(tl.persistence(tl.Freudenthal(image))) == 0
    assert len(tl.persistence(tl.Freudenthal(image.flip(0)))) == 1
    assert len(tl.persistence(tl.Freudenthal(image.flip(1)))) == 1


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 3)], ids=str)
def test_a_grid_has_euler_characteristic_1(shape: tuple[int, ...]) -> None:
    """The grid itself is contractible: one essential bar, in dimension 0, at the first pixel, in every construction."""
    for kind, superlevel in itertools.product("VTF", (False, True)):
        values = grid_family(kind, *shape).random((4,))
        barcode = tl.persistence(grid_family(kind, *shape).make(values, superlevel), tuple(range(len(shape))))
        assert barcode.essential.dims.tolist() == [0] * 4
        flat = values.reshape(4, -1)
        first = (flat.max(1) if superlevel else flat.min(1)).values
        assert torch.equal(barcode.essential.births, first)
        for sample, index in enumerate(barcode.essential.indices.tolist()):
            assert index == sample * math.prod(shape) + flat[sample].tolist().index(first[sample])


def test_more_connections_make_fewer_components() -> None:
    """Every V edge is a Freudenthal edge, and that a T edge: at every level no more components, so fewer births."""
    values = torch.rand(6, 7, generator=torch.Generator().manual_seed(0))
    count = {kind: len(tl.persistence(grid_family(kind, 6, 7).make(values, False))) for kind in "VFT"}
    assert count["V"] > count["F"] > count["T"]


def test_1d_is_the_same_for_all() -> None:
    line = torch.rand(50, generator=torch.Generator().manual_seed(0))
    v, t, f = (tl.persistence(grid_family(kind, 50).make(line, True)) for kind in "VTF")
    assert torch.equal(v.pairs, t.pairs)
    assert torch.equal(v.pairs, f.pairs)
    assert len(v) > 5
