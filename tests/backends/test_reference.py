"""The reference is right before anything is compared with it: two methods, and closed forms, agree."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from ..helpers import reference
from ..helpers.families import FAMILIES, THIN
from ..helpers.problems import ALPHA, PROBLEMS, Problem


def _random_grids(count: int) -> list[tuple[list[float], tuple[int, ...]]]:
    rng = random.Random(0)
    result = []
    for _ in range(count):
        ndim = rng.choice((1, 2, 2, 3))
        shape = tuple(rng.randint(1, (8, 5, 3)[ndim - 1]) for _ in range(ndim))
        result.append(([float(rng.randint(0, 3)) for _ in range(math.prod(shape))], shape))
    return result


@pytest.mark.parametrize("superlevel", [False, True])
@pytest.mark.parametrize("kind", "FVT")
def test_reduction_and_union_find_agree_on_grids(kind: str, superlevel: bool) -> None:
    make = {"F": reference.freudenthal, "V": reference.cubical_v, "T": reference.cubical_t}[kind]
    for values, shape in _random_grids(60):
        by_reduction = reference.reduce(make(values, shape, superlevel), values)
        by_union_find = reference.components(values, reference.neighbours(shape, kind), superlevel)
        assert by_reduction.restrict([0]) == by_union_find
        # a grid is contractible: one essential bar, at the first pixel of the order
        assert by_reduction.essential == ((0, reference.positions_in_order(values, superlevel)[0]),)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 2.0, math.inf])
def test_reduction_and_union_find_agree_on_rips(threshold: float) -> None:
    rng = random.Random(1)
    for _ in range(40):
        n = rng.randint(1, 7)
        matrix = [[0.0] * n for _ in range(n)]
        for i, j in itertools.combinations(range(n), 2):
            matrix[i][j] = matrix[j][i] = float(rng.randint(0, 4))
        bars = reference.reduce(reference.rips(matrix, threshold, 1), [x for row in matrix for x in row])
        assert bars.restrict([0]) == reference.rips_components(matrix, threshold)


def test_reduction_and_union_find_agree_on_graphs() -> None:
    rng = random.Random(2)
    for _ in range(60):
        n = rng.randint(1, 8)
        values = [float(rng.randint(0, 3)) for _ in range(n)]
        edges = [e for e in itertools.combinations(range(n), 2) if rng.random() < 0.3]
        for superlevel in (False, True):
            bars = reference.reduce(reference.lower_star(values, edges, superlevel), values)
            assert bars.restrict([0]) == reference.components(values, edges, superlevel)
            # Euler: vertices - edges = components - loops
            essential = [dim for dim, _ in bars.essential]
            assert n - len(edges) == essential.count(0) - essential.count(1)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_closed_forms(problem: Problem) -> None:
    bars = problem.compute(problem.values)
    if problem in ALPHA:  # these have their own values
        _, values = reference.cech(problem.values)
    else:
        values = _flatten(problem.values)
        if isinstance(problem.values[0], list) and problem.name.startswith("rips"):
            values = [0.0 if i % (len(problem.values) + 1) == 0 else v for i, v in enumerate(values)]
    finite = [(dim, values[birth], values[death]) for dim, birth, death in bars.finite]
    finite = sorted(bar for bar in finite if abs(bar[1] - bar[2]) > 1e-9 * (problem in ALPHA))
    assert len(finite) == len(problem.finite)
    for bar, expected in zip(finite, sorted(problem.finite), strict=True):
        assert bar == (pytest.approx(expected, rel=1e-9) if problem in ALPHA else expected)
    assert sorted((dim, values[birth]) for dim, birth in bars.essential) == sorted(problem.essential)


def test_names_are_unique() -> None:
    for table in (PROBLEMS, FAMILIES + THIN):
        names = [entry.name for entry in table]
        assert sorted(set(names)) == sorted(names)


def test_dimensions_of_triangulations() -> None:
    """Cells of one cube, by dimension: a Freudenthal square has 5 edges and 2 triangles, a cube 19, 18 and 6."""
    count = lambda cells: [sum(c.dim == d for c in cells) for d in range(4)]  # noqa: E731
    assert count(reference.freudenthal([0.0] * 4, (2, 2))) == [4, 5, 2, 0]
    assert count(reference.freudenthal([0.0] * 8, (2, 2, 2))) == [8, 19, 18, 6]
    assert count(reference.cubical_v([0.0] * 8, (2, 2, 2))) == [8, 12, 6, 1]
    assert count(reference.cubical_t([0.0], (1, 1, 1))) == [8, 12, 6, 1]


def test_degrees() -> None:
    """Contract 14: neighbours of an inner pixel: V 4 and 6, T 8 and 26, Freudenthal 6 and 14."""
    for shape, degrees in (((3, 3), {"V": 4, "T": 8, "F": 6}), ((3, 3, 3), {"V": 6, "T": 26, "F": 14})):
        middle = math.prod(shape) // 2
        for kind, degree in degrees.items():
            assert sum(middle in edge for edge in reference.neighbours(shape, kind)) == degree


def test_smallest_ball() -> None:
    assert reference.smallest_ball([[1.0, 2.0]]) == 0
    assert reference.smallest_ball([[0.0, 0.0], [4.0, 0.0], [2.0, 1.0]]) == pytest.approx(4)  # obtuse
    assert reference.smallest_ball([[0.0, 0.0], [4.0, 0.0], [2.0, 3.0]]) == pytest.approx(169 / 36)  # acute


def _flatten(nested: object) -> list[float]:
    if isinstance(nested, list):
        return [x for part in nested for x in _flatten(part)]
    return [float(nested)]  # type: ignore[arg-type]
