"""`make verify` of induced matchings on a few pairs; and its reference, by ranks of maps between homology groups."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch

from ..commands import many_matchings
from ..commands.many_matchings import Config, Disagreement, verify
from ..helpers.matchings import compared, image_pairs, induced_matching
from ..helpers.problems import COMPLEXES
from ..helpers.reference import Cell, lower_star

pytestmark = pytest.mark.native


def test_a_few_rounds() -> None:
    pairs, matched = verify(Config(pairs=200))
    assert pairs == 200
    assert matched > 300


def test_draws_every_kind() -> None:
    drawn = [many_matchings.draw(0, number) for number in range(150)]
    assert {(d.kind, d.superlevel, d.union, d.values.dtype, d.mask is None) for d in drawn if d.kind == "V"} == set(
        itertools.product("V", (False, True), (False, True), (torch.float32, torch.float64), (False, True))
    )
    assert {d.kind for d in drawn} == set(many_matchings.KINDS)
    assert {len(d.shape) for d in drawn if d.kind != "graph"} == {1, 2, 3}


@pytest.mark.parametrize("what", ["pairs", "first"])
def test_finds_what_is_wrong(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = many_matchings.Round.matching

    def wrong(*args: Any) -> Any:
        found = right(*args)
        if what == "pairs":
            object.__setattr__(found, "pairs", found.pairs[:, 1:])
        else:
            object.__setattr__(found, "first", found.second)
        return found

    monkeypatch.setattr(many_matchings.Round, "matching", wrong)
    with pytest.raises(Disagreement, match="many_matchings --seed 0 --only"):
        verify(Config(pairs=100))


# -- the reference


def _rank(columns: list[int]) -> int:
    """Over Z/2, of columns of bits."""
    lowest: dict[int, int] = {}
    for column in columns:
        while column and column.bit_length() in lowest:
            column ^= lowest[column.bit_length()]
        if column:
            lowest[column.bit_length()] = column
    return len(lowest)


def _cycles(columns: list[tuple[int, int]]) -> list[int]:
    """A basis of the sums of cells, bits, whose boundaries, the other bits, add up to zero."""
    lowest: dict[int, tuple[int, int]] = {}
    cycles = []
    for cell, boundary in columns:
        while boundary and boundary.bit_length() in lowest:
            other, its_boundary = lowest[boundary.bit_length()]
            cell, boundary = cell ^ other, boundary ^ its_boundary
        if boundary:
            lowest[boundary.bit_length()] = cell, boundary
        else:
            cycles.append(cell)
    return cycles


def _rank_of_map(small: list[Cell], large: list[Cell], dim: int) -> int:
    """Of the homology of one complex in that of a larger one: cycles in the one, less those that bound in the other."""
    bit = {cell.name: 1 << number for number, cell in enumerate(large)}

    def boundary(cell: Cell) -> int:
        return sum(bit[face] for face in cell.faces)

    cycles = _cycles([(bit[cell.name], boundary(cell)) for cell in small if cell.dim == dim])
    boundaries = [boundary(cell) for cell in large if cell.dim == dim + 1]
    return _rank(cycles + boundaries) - _rank(boundaries)


@pytest.mark.parametrize("union", [True, False])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [("F", (5, 5)), ("V", (4, 5)), ("T", (4, 5)), ("F", (3, 3, 3)), ("V", (3, 3, 3)), ("T", (2, 3, 3))],
)
def test_ranks_of_images(kind: str, shape: tuple[int, ...], union: bool) -> None:
    """The rank of the map from {f <= s} to {c <= t} is the number of bars of the image from before s to after t."""
    draw = random.Random(f"{kind} {shape} {union}")
    size = len(torch.zeros(shape).flatten())
    seen = 0
    for _ in range(8):
        first = [float(draw.randrange(5)) for _ in range(size)]
        second = [draw.choice((value, value, float(draw.randrange(5)))) for value in first]
        both = compared(first, second, union, superlevel=False)
        values = (first, both) if union else (both, first)
        cells = tuple(COMPLEXES[kind](each, shape, False) for each in values)
        index = tuple({cell.name: cell.index for cell in order} for order in cells)
        dims = {cell.name: cell.dim for cell in cells[0]}
        pairs = image_pairs(*cells)
        paired = {name for pair in pairs for name in pair}
        for s, t, dim in itertools.product(range(5), range(5), range(len(shape))):
            if s > t:
                continue
            entered = [
                [cell for cell in order if each[cell.index] <= level]
                for order, each, level in zip(cells, values, (s, t), strict=True)
            ]
            born, dead = (
                [each[where[pair[end]]] for pair in pairs if dims[pair[0]] == dim]
                for end, (each, where) in enumerate(zip(values, index, strict=True))
            )
            bars = [birth for birth, death in zip(born, dead, strict=True) if birth <= s and t < death]
            never = dim == 0 and any(cell.name not in paired for cell in entered[0] if cell.dim == 0)
            assert _rank_of_map(*entered, dim) == len(bars) + never
            seen += len(bars)
    assert seen > 3


def test_a_function_is_matched_with_itself_by_the_reference() -> None:
    draw = random.Random(0)
    for kind in "FVT":
        values = [float(draw.randrange(6)) for _ in range(60)]
        pairs = induced_matching(lambda v, kind=kind: COMPLEXES[kind](v, (3, 4, 5), False), values, values)
        assert len({dim for (dim, _, _), _ in pairs}) >= 2
        assert all(one == other for one, other in pairs)


def test_the_order_of_the_cells_of_one_pixel_matters() -> None:
    """Four leaves of a star meet at its center. By the order of its edges the first two are matched, and only those."""
    edges = ((0, 4), (1, 4), (2, 4), (3, 4))
    first, second = [0.0, 1.0, 9.0, 2.0, 8.0], [2.0, 9.0, 1.0, 3.0, 8.0]
    by_name = induced_matching(lambda v: lower_star(v, edges), first, second)
    other_way = induced_matching(
        lambda v: sorted(lower_star(v, edges), key=lambda c: (v[c.index], c.index, c.dim, [-x for x in c.name])),
        first,
        second,
    )
    assert by_name != other_way
