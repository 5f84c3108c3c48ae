"""Contract 11: `Alpha` of degenerate clouds; `make verify` on a few, and it finds what is wrong."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

import topolayer as tl
from topolayer._filtrations import delaunay, radii
from topolayer._filtrations.insertion import by_insertion
from topolayer._filtrations.predicates import Cloud, center, in_sphere, orientation, signs

from ..commands import degenerate_clouds
from ..commands.degenerate_clouds import FAMILIES, Config, Disagreement, draw, verify


def edges(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(d, k, m), as the predicates take them."""
    return np.moveaxis(points[rows][:, 1:] - points[rows][:, :1], 0, -1).swapaxes(0, 1)


def test_some_of_each_family() -> None:
    assert verify(Config(clouds=3 * len(FAMILIES), seed=1)) == 3 * len(FAMILIES)


def test_draws_every_kind() -> None:
    drawn = [draw(0, number) for number in range(2 * len(FAMILIES))]
    assert len({family for family, _ in drawn}) == len(FAMILIES) >= 10
    assert {points.dtype for _, points in drawn} == {torch.float32, torch.float64}
    assert {points.shape[1] for _, points in drawn} == {2, 3, 4}


def _not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Qhull says, right or not."""
    monkeypatch.setattr(delaunay, "_is_delaunay", lambda *_: True)


def _without_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every simplex at its own sphere, whatever is inside of it."""
    monkeypatch.setattr(radii, "_intervals", lambda triangulation, first: np.arange(first[-1]))


def _decided_by_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    def signs_by_doubles(polynomial: Any, cloud: Cloud, rows: np.ndarray) -> np.ndarray:
        return np.sign(polynomial(edges(cloud.doubles, rows))[0]).astype(np.int8).T

    monkeypatch.setattr(radii, "signs", signs_by_doubles)


MISTAKES = [_not_moved, _without_intervals, _decided_by_doubles]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__.strip("_"))
def test_finds_a_mistake(mistake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake(monkeypatch)
    with pytest.raises(Disagreement) as raised:
        verify(Config(clouds=2 * len(FAMILIES)))
    again = re.search(r"again: python -m tests.commands.degenerate_clouds --seed 0 --only (\d+)$", str(raised.value))
    assert again
    with pytest.raises(Disagreement) as same:
        verify(Config(only=int(again[1])))
    assert str(same.value) == str(raised.value)


def test_bars_that_are_far_too_long_are_found() -> None:
    """The check of the ball does not depend on the exact complex."""
    points = torch.rand(9, 2, generator=torch.Generator().manual_seed(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(radii, "_without_rounding", lambda values: values * 100)
        with pytest.raises(Disagreement, match="beyond a ball"):
            degenerate_clouds.check("random", points, again="")


@pytest.mark.parametrize("number", range(len(FAMILIES)), ids=[family.__name__.strip("_") for family in FAMILIES])
def test_it_is_a_filtration(number: int) -> None:
    """No face is later than its coface, all values are finite, and the gradient is."""
    _, points = draw(2, number)
    filtration = tl.Alpha(points.requires_grad_())
    values = filtration.values.tolist()
    simplices = [tuple(simplex) for part in filtration.simplices for simplex in part.tolist()]
    value = dict(zip(simplices, values, strict=True))
    assert len(value) == len(values)
    for simplex, mine in value.items():
        for i in range(len(simplex) if len(simplex) > 1 else 0):
            assert value[simplex[:i] + simplex[i + 1 :]] <= mine
    assert torch.isfinite(filtration.values).all()
    filtration.values.sum().backward()
    assert torch.isfinite(points.grad).all()


@pytest.mark.parametrize("number", range(len(FAMILIES)), ids=[family.__name__.strip("_") for family in FAMILIES])
def test_native_pairs_are_those_of_the_reduction(number: int) -> None:
    """Ties are many here. Dimensions together, and alone."""
    filtration = tl.Alpha(draw(3, number)[1])
    top = filtration.top_dimension
    for dims in ((0,), (top,), (0, top)):
        one, other = (tl.persistence(filtration, dims, backend=backend) for backend in ("native", "gudhi"))
        assert torch.equal(one.pairs, other.pairs)
        assert torch.equal(one.dims, other.dims)
        assert torch.equal(one.essential.indices, other.essential.indices)


def test_generic_clouds_are_not_moved() -> None:
    """Values are then functions of the points without a detour, of clusters as narrow as doubles allow, too."""
    generator = torch.Generator().manual_seed(0)
    for scale in (1, 1e-9):
        points = torch.rand(60, 3, dtype=torch.float64, generator=generator) * scale
        points[0] = 1
        points[1] = torch.tensor([1.0, 0, 0])
        assert delaunay.delaunay(points.numpy()).move == 0
    narrow = tl.persistence(tl.Alpha(points), (0, 1, 2))
    alone = tl.persistence(tl.Alpha(points[2:] * 2.0**30), (0, 1, 2))
    loops, expected = (bars.select(dim=2).lengths.max() for bars in (narrow, alone))
    assert loops.item() * 4.0**30 == pytest.approx(expected.item(), rel=1e-6)


def test_what_is_moved_depends_on_positions_only() -> None:
    points = torch.from_numpy(np.indices((4, 4)).reshape(2, -1).T.astype(np.float64) @ [[0.6, 0.8], [-0.8, 0.6]])
    one, other = (tl.Alpha(points) for _ in range(2))
    assert torch.equal(one.values, other.values)
    assert all(map(torch.equal, one.simplices, other.simplices))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_insertion_gives_what_qhull_gives(d: int) -> None:
    for seed in range(3):
        cloud = Cloud(np.random.default_rng(seed).random((30, d)))
        expected = delaunay._by_qhull(cloud)
        cells = by_insertion(cloud)
        assert cells is not None and expected is not None
        assert sorted(map(tuple, cells)) == sorted(map(tuple, expected))


def test_insertion_gives_up_on_spheres() -> None:
    assert by_insertion(Cloud(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]))) is None


@pytest.mark.parametrize("d", [2, 3, 4])
def test_signs_are_exact(d: int) -> None:
    """With small integers doubles are exact, too; far from the origin and near to a plane they are not."""
    rng = np.random.default_rng(0)
    for polynomial, count in ((orientation, d + 1), (in_sphere, d + 2), (center, d + 1), (center, 3)):
        points = rng.integers(-2, 3, (60 * count, d)).astype(np.float64)
        rows = np.arange(len(points)).reshape(-1, count)
        expected = np.sign(polynomial(edges(points, rows))[0]).T
        assert (expected == 0).any() and (expected > 0).any() and (expected < 0).any()
        assert np.array_equal(signs(polynomial, Cloud(points), rows), expected)
        assert np.array_equal(signs(polynomial, Cloud(points * 2.0**-400), rows), expected)
        flat = points.copy()
        flat[:, 0] *= 2.0**-45
        scaled = np.frompyfunc(int, 1, 1)(points)
        scaled[:, 1:] *= 2**45
        assert np.array_equal(signs(polynomial, Cloud(flat), rows), np.sign(polynomial(edges(scaled, rows))[0]).T)
