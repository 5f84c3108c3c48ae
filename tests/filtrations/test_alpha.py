"""Contract 11: Alpha."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

import topolayer as tl
from topolayer._filtrations.delaunay import check_size, delaunay, maximal_per_point, most_maximal

from ..helpers import reference
from ..helpers.comparing import found
from ..helpers.problems import WIDE, lattice


def _cloud(n: int, d: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def _simplices(filtration: tl.Alpha) -> list[list[int]]:
    return [simplex for part in filtration.simplices for simplex in part.tolist()]


def _bars(barcode: tl.Barcode, shorter_than: float = 1e-9) -> list[tuple[int, float, float]]:
    rows = zip(barcode.dims.tolist(), barcode.births.tolist(), barcode.deaths.tolist(), strict=True)
    return sorted(row for row in rows if row[2] - row[1] > shorter_than)


def _assert_cech(points: torch.Tensor) -> None:
    """All bars in all dimensions are those of the Čech complex."""
    cells, values = reference.cech(points.tolist())
    dims = range(points.shape[1])
    bars = reference.reduce(cells, values).restrict(dims).finite
    expected = sorted((dim, values[b], values[d]) for dim, b, d in bars if values[d] - values[b] > 1e-9)
    barcode = tl.persistence(tl.Alpha(points), tuple(dims))
    got = _bars(barcode)
    assert len(got) == len(expected)
    for dim in dims:  # births and deaths apart: rounding may reorder bars
        for column in (1, 2):
            mine, theirs = (sorted(bar[column] for bar in bars if bar[0] == dim) for bars in (got, expected))
            assert mine == pytest.approx(theirs, rel=1e-7)
    for power in (1, 2):
        theirs = sum((d - b) ** power for _, b, d in expected)
        assert tl.total_persistence(barcode, p=power).item() == pytest.approx(theirs, rel=1e-6)
    assert barcode.essential.dims.tolist() == [0]


@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 1), (6, 1), (3, 2), (4, 2), (9, 2), (4, 3), (5, 3), (8, 3)])
def test_bars_are_those_of_the_cech_complex(n: int, d: int) -> None:
    """The nerve theorem: the same bars from balls around all subsets of points, without any triangulation."""
    for seed in range(4):
        _assert_cech(_cloud(n, d, seed))


@pytest.mark.parametrize("d", [2, 3])
def test_bars_of_random_lattice_points(d: int) -> None:
    """The same with many points on one sphere or one circle."""
    generator = torch.Generator().manual_seed(0)
    tried = 0
    while tried < 40:
        points = torch.randint(0, 4, (8, d), generator=generator).double().unique(dim=0)
        if torch.linalg.matrix_rank(points[1:] - points[0]) == d:
            tried += 1
            _assert_cech(points)


def test_bars_where_qhull_makes_a_simplex_without_volume() -> None:
    """0, 3, 4 and 5 lie on one circle, whose sphere holds 2: neither they nor their triangles are Gabriel."""
    points = [[3.0, 1, 3], [1, 3, 1], [2, 1, 3], [2, 0, 1], [1, 2, 2], [3, 0, 2], [0, 0, 2]]
    _assert_cech(torch.tensor(points, dtype=torch.float64))


@pytest.mark.parametrize(("n", "d"), [(1, 1), (7, 1), (12, 2), (9, 3), (7, 4)])
def test_pairs_are_those_of_the_reduction(n: int, d: int) -> None:
    """Given the simplices and their values, every simplicial backend gives the reference's pairs."""
    for seed, dtype in itertools.product(range(3), WIDE):
        filtration = tl.Alpha(_cloud(n, d, seed, dtype))
        values = filtration.values.tolist()
        expected = reference.reduce(reference.alpha(_simplices(filtration), values), values)
        dims = tuple(range(max(d, 1)))
        for backend in tl.backends().values():
            able = tuple(dim for dim in dims if backend.unsupported(filtration, (dim,)) is None)
            if able:
                got = found(tl.persistence(filtration, able, backend=backend))
                assert [bar[1:] for bar in got.finite] == list(expected.restrict(able).finite)
                assert [point[1:] for point in got.essential] == list(expected.restrict(able).essential)


@pytest.mark.parametrize(("n", "d"), [(1, 1), (6, 1), (10, 2), (9, 3)])
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_the_filtration_is_a_filtration(n: int, d: int, dtype: torch.dtype) -> None:
    """Values by dimension; every face is there once, and never enters after its coface."""
    for seed in range(5):
        filtration = tl.Alpha(_cloud(n, d, seed, dtype))
        assert filtration.values.dtype == dtype
        simplices = [tuple(s) for s in _simplices(filtration)]
        assert [len(s) for s in simplices] == sorted(len(s) for s in simplices)
        assert len({tuple(sorted(s)) for s in simplices}) == len(simplices) == filtration.values.numel()
        value = dict(zip((tuple(sorted(s)) for s in simplices), filtration.values.tolist(), strict=True))
        for simplex, mine in value.items():
            for facet in itertools.combinations(simplex, len(simplex) - 1):
                if facet:
                    assert value[facet] <= mine
        assert all(value[(v,)] == 0 for v in range(n))


@pytest.mark.parametrize("shape", [(3, 3), (5, 4), (2, 2, 2), (3, 3, 3), (4, 2, 3)], ids=str)
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_lattices(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Cospherical points, where Qhull makes simplices without volume: values 0, 1/4, 1/2, 3/4 and nothing else."""
    points = torch.tensor(lattice(*shape), dtype=dtype)
    filtration = tl.Alpha(points.requires_grad_())
    levels = torch.tensor([0, 0.25, 0.5, 0.75], dtype=dtype)
    assert ((filtration.values[:, None] - levels).abs().amin(1) < 1e-6).all()
    d = len(shape)
    barcode = tl.persistence(filtration, tuple(range(d)))
    cubes = [math.prod(c) for c in zip(*[(n, n - 1) for n in shape], strict=True)]  # vertices, top cubes
    got = _bars(barcode, 1e-6)
    assert sum(bar[0] == 0 for bar in got) == cubes[0] - 1
    assert sum(bar[0] == d - 1 for bar in got) == cubes[1]
    for dim, birth, death in got:
        assert (birth, death) == pytest.approx((dim / 4, (dim + 1) / 4), abs=1e-6)
    barcode.sum(barcode.lengths).backward()
    assert torch.isfinite(points.grad).all()


@pytest.mark.parametrize("shape", [(3, 3), (5, 4), (2, 2, 2), (3, 3, 3), (4, 2, 3)], ids=str)
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_lattices_have_no_bars_of_rounding_errors(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Contract 5: cells of one value leave no bar between them. With p = 0 each would count as much as a real one."""
    barcode = tl.persistence(tl.Alpha(torch.tensor(lattice(*shape), dtype=dtype)), tuple(range(len(shape))))
    assert barcode.lengths.min() > 0.1


def test_values_are_squared_radii() -> None:
    filtration = tl.Alpha(torch.tensor([[0.0, 0.0], [6.0, 0.0], [0.0, 8.0]]) + 1)
    named = {tuple(sorted(s)): v for s, v in zip(_simplices(filtration), filtration.values.tolist(), strict=True)}
    assert named == {
        (0,): 0, (1,): 0, (2,): 0, (0, 1): 9, (0, 2): 16, (1, 2): pytest.approx(25), (0, 1, 2): pytest.approx(25),
    }  # fmt: skip


def test_a_face_that_is_not_gabriel_gathers_a_coface() -> None:
    """The long side of an obtuse triangle enters with the triangle: the same value and the same gradient."""
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 1.0]], dtype=torch.float64, requires_grad=True)
    filtration = tl.Alpha(points)
    place = {tuple(sorted(s)): i for i, s in enumerate(_simplices(filtration))}
    edge, triangle = filtration.values[place[0, 1]], filtration.values[place[0, 1, 2]]
    assert edge.item() == triangle.item() == pytest.approx(6.25)
    (a,) = torch.autograd.grad(edge, points, retain_graph=True)
    (b,) = torch.autograd.grad(triangle, points)
    assert torch.equal(a, b)
    assert a.abs().sum() > 0


def test_of_several_cofaces_the_smallest_value_is_gathered() -> None:
    """Two obtuse triangles on one long side, which is inside both circumcircles."""
    points = torch.tensor([[0.0, 0.0], [8.0, 0.0], [4.0, 1.0], [4.0, -2.0]], dtype=torch.float64)
    filtration = tl.Alpha(points)
    value = {tuple(sorted(s)): v for s, v in zip(_simplices(filtration), filtration.values.tolist(), strict=True)}
    if (0, 1) in value:
        assert value[0, 1] == min(value[0, 1, 2], value[0, 1, 3])
    else:  # Delaunay takes the short diagonal
        assert value[2, 3] == pytest.approx(1.5**2)
    wide = tl.Alpha(torch.tensor([[0.0, 0, 0], [2, 0, 0], [1, 0.3, 0], [1, 0, 5.0], [1, -4, 0]], dtype=torch.float64))
    value = {tuple(sorted(s)): v for s, v in zip(_simplices(wide), wide.values.tolist(), strict=True)}
    cofaces = [v for s, v in value.items() if len(s) == 3 and {0, 1} < set(s)]
    assert (0, 1) in value
    assert value[0, 1] == min(cofaces) > 1


@pytest.mark.parametrize(("n", "d"), [(2, 1), (6, 1), (3, 2), (9, 2), (4, 3), (8, 3)])
def test_gradcheck(n: int, d: int) -> None:
    for seed in range(3):
        points = _cloud(n, d, seed).requires_grad_()

        def diagram(x: torch.Tensor, d: int = d) -> tuple[torch.Tensor, ...]:
            barcode = tl.persistence(tl.Alpha(x), tuple(range(max(d, 1))))
            return barcode.births, barcode.deaths

        assert gradcheck(lambda x: tl.Alpha(x).values, (points,))
        assert gradcheck(diagram, (points,))


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_few_points(d: int) -> None:
    """Up to d + 1 points in general position: one simplex with all its faces."""
    for n in range(1, d + 2):
        filtration = tl.Alpha(_cloud(n, d))
        assert len(_simplices(filtration)) == (2**n - 1 if d > 1 else 2 * n - 1)
        barcode = tl.persistence(filtration, tuple(range(max(d, 1))))
        assert (barcode.dims == 0).sum() == n - 1
        assert barcode.essential.indices.tolist() == [0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, *WIDE], ids=str)
def test_precision(dtype: torch.dtype) -> None:
    """Delaunay in float64 whatever the dtype; values as accurate as it allows."""
    points = _cloud(60, 2, dtype=dtype)
    a = tl.persistence(tl.Alpha(points), (0, 1))
    b = tl.persistence(tl.Alpha(points.double()), (0, 1))
    assert a.births.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for p in (1, 2):
        x, y = tl.total_persistence(a, p=p).double(), tl.total_persistence(b, p=p)
        assert torch.allclose(x, y, rtol=1e-4)


@pytest.mark.parametrize("shift", [1e3, 1e5])
def test_far_from_the_origin(shift: float) -> None:
    points = _cloud(20, 2)
    a, b = (tl.persistence(tl.Alpha(x), (0, 1)) for x in (points, points + shift))
    for p in (1, 2):
        assert torch.allclose(tl.total_persistence(a, p=p), tl.total_persistence(b, p=p), rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-50, 1e-3, 1e3, 1e50])
def test_scale(scale: float) -> None:
    """Squared radii go with the square."""
    points = _cloud(15, 2)
    a, b = (tl.persistence(tl.Alpha(x), (0, 1)) for x in (points, points * scale))
    assert len(a) == len(b)
    assert torch.allclose(a.deaths * scale**2, b.deaths, rtol=1e-9, atol=0)


def test_rigid_motions_and_permutations_change_no_values() -> None:
    points = _cloud(25, 2)
    angle = torch.tensor(0.7, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    expected = _bars(tl.persistence(tl.Alpha(points), (0, 1)))
    for moved in (points @ turn.T, points.flip(0), points.flip(1), points + 3, -points):
        got = _bars(tl.persistence(tl.Alpha(moved), (0, 1)))
        assert len(got) == len(expected)
        for bar, wanted in zip(got, expected, strict=True):
            assert bar == pytest.approx(wanted, rel=1e-7)


def test_the_triangulation_is_made_once() -> None:
    """It belongs to the filtration: asking twice gives the same simplices and pairs."""
    filtration = tl.Alpha(_cloud(20, 2))
    a, b = (tl.persistence(filtration, (0, 1)) for _ in range(2))
    assert torch.equal(a.pairs, b.pairs)


def test_a_circle_has_one_long_loop() -> None:
    angle = torch.arange(40, dtype=torch.float64) * (2 * math.pi / 40)
    noise = 1e-3 * _cloud(40, 2)
    barcode = tl.persistence(tl.Alpha(torch.stack([angle.cos(), angle.sin()], 1) + noise), 1)
    longest = barcode.lengths.argmax()
    assert barcode.deaths[longest].item() == pytest.approx(1, abs=1e-2)
    assert barcode.births[longest].item() == pytest.approx(math.sin(math.pi / 40) ** 2, rel=0.1)
    assert barcode.ranks[longest] == 0  # there is no essential loop
    assert (barcode.lengths.sort(descending=True).values[1:] < 1e-2).all()


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_equal_points_are_one_vertex(d: int, dtype: torch.dtype) -> None:
    """The first of them: the values, the bars and the gradient are those without the others."""
    points = _cloud(8, d, dtype=dtype).requires_grad_()
    once = tl.Alpha(points)
    twice = tl.Alpha(torch.cat([points, points[[5, 0, 0]]]))
    assert torch.equal(once.values, twice.values)
    assert all(map(torch.equal, once.simplices, twice.simplices))
    before = tl.Alpha(torch.cat([points[[5]].detach(), points]))
    assert before.simplices[0].flatten().tolist() == [0, 1, 2, 3, 4, 5, 7, 8]
    a, b = (tl.persistence(filtration, tuple(range(d))) for filtration in (once, before))
    assert torch.equal(a.lengths.sort().values, b.lengths.sort().values)
    (gradient,) = torch.autograd.grad(before.values.sum(), points)
    assert bool((gradient[5] == 0).all())


def test_all_points_are_equal() -> None:
    """Both zeros are one number."""
    barcode = tl.persistence(tl.Alpha(torch.tensor([[0.0, 0.0], [-0.0, 0.0], [0.0, -0.0]])))
    assert len(barcode) == 0
    assert barcode.essential.indices.tolist() == [0]


# -- errors


@pytest.mark.parametrize(
    "points",
    [
        [[0.0, 0], [1, 1], [2, 2], [5, 5]],
        [[0.0, 1], [3, 1], [2, 1]],
        [[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [2, 3, 0]],
        [[0.0, 0, 0], [1, 1, 1], [2, 2, 2]],
    ],
    ids=str,
)
def test_points_in_a_hyperplane_are_refused(points: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"^points\b.*hyperplane"):
        tl.Alpha(torch.tensor(points))


@pytest.mark.parametrize("shape", [(), (4,), (2, 4, 3)], ids=str)
def test_one_cloud_only(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^points\b.*\(n, d\)"):
        tl.Alpha(torch.rand(shape))


@pytest.mark.parametrize("shape", [(0, 2), (4, 0), (0, 0)], ids=str)
def test_no_points(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^points\b"):
        tl.Alpha(torch.rand(shape))


def test_dimensions() -> None:
    """Up to d - 1, the top dimension of a subset of R^d; 0 for d = 1."""
    for d in (1, 2, 3):
        filtration = tl.Alpha(_cloud(d + 2, d))
        tl.persistence(filtration, max(d - 1, 0))
        with pytest.raises(ValueError, match="dims"):
            tl.persistence(filtration, max(d, 1))


def test_two_points_much_closer_than_the_others() -> None:
    """Squared radii span more than float32 does."""
    points = torch.tensor([[0.0], [1e-30], [1.0]], dtype=torch.float64)
    barcode = tl.persistence(tl.Alpha(points))
    assert barcode.deaths.min().item() == pytest.approx(2.5e-61, rel=1e-9)


@pytest.mark.parametrize(
    ("count", "dimension"),
    [(12_000, 5), (1000, 6), (70, 7), (100, 8), (32, 8), (22, 10), (1000, 20), (30, 100), (10**6, 9)],
)
def test_too_many_points_for_their_dimension(count: int, dimension: int) -> None:
    """They may have more than 2**24 simplices, and would not end."""
    with pytest.raises(
        ValueError, match=rf"^points\b.*in {dimension} dim.*got {count}, .*Rips\.from_points.*projection"
    ):
        tl.Alpha(torch.zeros(1, 1).expand(count, dimension))


@pytest.mark.parametrize(("count", "dimension"), [(12, 8), (14, 12), (12, 100)])
def test_few_points_of_many_dimensions(count: int, dimension: int) -> None:
    """Components are those of the distances, at a quarter of the square, but where a point lies between two others."""
    points = torch.rand(count, dimension, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alpha = tl.persistence(tl.Alpha(points)).deaths
    torch.testing.assert_close(4 * alpha, tl.persistence(tl.Rips.from_points(points)).deaths ** 2)


@pytest.mark.parametrize("dimension", [2, 3, 6])
def test_the_bound_on_maximal_simplices(dimension: int) -> None:
    """Points on the moment curve reach it, random ones stay below."""
    for count in (dimension + 1, dimension + 2, 3 * dimension):
        points = torch.rand(count, dimension, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert 0 < len(delaunay(points.numpy()).lattice.simplices[-1]) <= most_maximal(count, dimension)
    assert most_maximal(100, 2) == 2 * 100 - 4  # an upper hull and a lower one have so many triangles in all
    assert most_maximal(6, 3) == 9


def test_as_many_points_as_are_taken() -> None:
    for count, dimension in ((10**6, 4), (10_000, 5), (800, 6), (60, 7), (31, 8), (21, 10)):
        check_size(count, dimension)


def test_the_mean_number_of_maximal_simplices() -> None:
    """Two triangles for each point in the plane; in space 24 pi^2 / 35 of them."""
    assert maximal_per_point(2) == pytest.approx(2)
    assert maximal_per_point(3) == pytest.approx(24 * math.pi**2 / 35)
    points = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = len(delaunay(points.numpy()).lattice.simplices[-1]) / len(points)
    assert 0.85 * maximal_per_point(3) < found < maximal_per_point(3)  # there are fewer at the boundary
