"""Contract 9 for the filtrations: the argument by its name, what was expected, what came, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import topolayer as tl

from ..helpers.comparing import BACKENDS, OF_RIPS, persistence
from ..helpers.problems import CYCLE, SQUARE

pytestmark = pytest.mark.native
EDGES = torch.tensor(CYCLE)
GRIDS: dict[str, Callable[..., Any]] = {
    "Freudenthal": tl.Freudenthal,
    "Cubical": tl.Cubical,
    "Cubical T": lambda values, **options: tl.Cubical(values, construction="T", **options),
}
# every filtration as a function of its floating-point argument, the argument's name, and something that it takes
FLOATING: dict[str, tuple[Callable[[Any], Any], str, torch.Tensor]] = {
    "Freudenthal": (tl.Freudenthal, "values", torch.rand(3, 4)),
    "Cubical": (tl.Cubical, "values", torch.rand(3, 4)),
    "Cubical T": (GRIDS["Cubical T"], "values", torch.rand(3, 4)),
    "LowerStar": (lambda values: tl.LowerStar(values, EDGES), "values", torch.rand(4)),
    "Rips": (tl.Rips, "distances", torch.tensor(SQUARE)),
    "Alpha": (tl.Alpha, "points", torch.tensor([[0.0, 0], [1, 0], [0, 1]])),
}


def _all(make: Callable[[Any], Any], argument: Any) -> None:
    """Up to where a non-finite number may be noticed."""
    tl.persistence(make(argument))


@pytest.mark.parametrize("which", FLOATING)
def test_no_tensor(which: str) -> None:
    make, name, good = FLOATING[which]
    for wrong in (good.tolist(), good.numpy(), None, 3.0, "values", [[]], np.float32(1)):
        with pytest.raises(TypeError, match=rf"^{name}\b.*torch\.Tensor.*{type(wrong).__name__}.*torch\.as_tensor"):
            make(wrong)


@pytest.mark.parametrize("which", FLOATING)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint32, torch.complex64], ids=str)
def test_wide_integer_or_complex_dtype(which: str, dtype: torch.dtype) -> None:
    make, name, good = FLOATING[which]
    remedy = r"real|abs" if dtype.is_complex else r"float\(\)"
    with pytest.raises(TypeError, match=rf"^{name}\b.*floating-point.*{dtype}.*({remedy})"):
        make(torch.ones_like(good).to(dtype))


@pytest.mark.parametrize("which", FLOATING)
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_other_floating_dtypes_are_refused_too(which: str, dtype: torch.dtype) -> None:
    """The contract knows four; others are not computed in some precision of their own, silently."""
    make, name, good = FLOATING[which]
    with pytest.raises(TypeError, match=rf"^{name}\b.*{dtype}"):
        make(good.to(dtype))


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("which", GRIDS)
def test_too_few_axes(which: str, ndim: int) -> None:
    for shape in [(3,) * n for n in range(ndim)]:
        with pytest.raises(ValueError, match=rf"^values\b.*{ndim}.*\({str(list(shape))[1:-1]}") as raised:
            GRIDS[which](torch.ones(shape), ndim=ndim)
        assert "ndim" in str(raised.value)  # the remedy


def test_too_few_axes_elsewhere() -> None:
    with pytest.raises(ValueError, match=r"^values\b"):
        tl.LowerStar(torch.tensor(1.0), EDGES)
    for shape in ((), (4,)):
        with pytest.raises(ValueError, match=r"^distances\b.*n, n"):
            tl.Rips(torch.zeros(shape))


@pytest.mark.parametrize("which", GRIDS)
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0), (2, 3, 0), (0, 3, 0)], ids=str)
def test_an_empty_grid(which: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^values\b.*(empty|at least one)"):
        GRIDS[which](torch.ones(shape))


@pytest.mark.parametrize("which", GRIDS)
def test_ndim(which: str) -> None:
    for ndim in (0, 4, -1):
        with pytest.raises(ValueError, match=r"^ndim\b.*1, 2 or 3"):
            GRIDS[which](torch.ones(2, 2, 2, 2, 2), ndim=ndim)
    for ndim in (2.0, "2", None, True, (1, 2)):
        with pytest.raises((TypeError, ValueError), match=r"^ndim\b"):
            GRIDS[which](torch.ones(2, 2, 2), ndim=ndim)


@pytest.mark.parametrize("construction", ["v", "t", "W", "", None, 2, True])
def test_construction(construction: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r'^construction\b.*"?V"?.*"?T"?'):
        tl.Cubical(torch.ones(2, 2), construction=construction)


@pytest.mark.parametrize("superlevel", [None, "no", 2, torch.tensor([True, False])], ids=str)
def test_superlevel(superlevel: Any) -> None:
    """Nothing is reinterpreted: superlevel="no" would be true."""
    for make in (tl.Freudenthal, tl.Cubical, lambda v, **o: tl.LowerStar(v, EDGES, **o)):
        with pytest.raises(TypeError, match=r"^superlevel\b.*bool"):
            make(torch.ones(4, 4), superlevel=superlevel)


def test_keyword_only() -> None:
    for call in (
        lambda: tl.Freudenthal(torch.ones(2, 2), 2),
        lambda: tl.Cubical(torch.ones(2, 2), 2),
        lambda: tl.LowerStar(torch.ones(4), EDGES, True),
        lambda: tl.Rips(torch.zeros(2, 2), 1.0),
        lambda: tl.Freudenthal(torch.ones(2, 2), sublevel=True),
        lambda: tl.Freudenthal(),
    ):
        with pytest.raises(TypeError):
            call()


def test_the_class_that_all_have_in_common() -> None:
    with pytest.raises(TypeError, match=r"^Filtration: expected one of its kinds, got .*; make a Freudenthal"):
        tl.Filtration()


# -- NaN and infinities


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("backend", [*BACKENDS, None])
def test_numbers_that_are_not_finite(backend: str | None, dtype: torch.dtype, bad: float) -> None:
    """With their count and the first position, in any sample and at any place, for every backend."""
    for which in ("Freudenthal", "Cubical", "Cubical T", "LowerStar"):
        make, name, _ = FLOATING[which]
        values = torch.rand(2, 5, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
        if backend in BACKENDS and BACKENDS[backend].unsupported(make(values), (0,)) is not None:
            continue
        for places in ([(1, 2, 3)], [(0, 0, 0)], [(1, 4, 3)], [(0, 3, 1), (1, 0, 0), (1, 2, 2)]):
            broken = values.clone()
            for place in places:
                broken[place] = bad
            first = ", ".join(map(str, places[0]))
            with pytest.raises(ValueError, match=rf"^{name}\b.*\b{len(places)}\b.*\({first}\)"):
                persistence(make(broken), 0, backend)


def test_numbers_that_are_not_finite_on_the_graph() -> None:
    """No warning of torch about a number that requires grad."""
    for call in (tl.wasserstein_matching_loss, tl.betti_error):
        with pytest.raises(ValueError, match=r"^prediction\b.*\(nan\)"):
            call(torch.full((2, 2), math.nan, requires_grad=True), torch.ones(2, 2))


def test_the_remedy_for_numbers_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match=r"torch\.where"):
        tl.persistence(tl.Freudenthal(torch.full((2, 2), math.nan)))
    with pytest.raises(ValueError, match=r"^distances\b.*threshold"):  # there infinity may mean a missing edge
        tl.Rips(torch.tensor([[0.0, math.inf], [math.inf, 0.0]]))


@pytest.mark.parametrize("shape", [(2, 2), (1, 7), (2, 9), (2, 5, 5), (5, 5, 1)], ids=str)
def test_not_finite_in_the_top_dimension(shape: tuple[int, ...]) -> None:
    """Thin grids have no bars there, and are looked at all the same."""
    values = torch.zeros(shape)
    values.flatten()[-1] = math.nan
    for make in (tl.Freudenthal, tl.Cubical):
        with pytest.raises(ValueError, match=r"^values\b.*NaN"):
            tl.persistence(make(values, ndim=len(shape)), len(shape) - 1)


def test_tensors_changed_after_the_check_do_not_crash() -> None:
    """What was valid when the filtration was made need not be so any more."""
    edges = torch.tensor([[0, 1], [1, 2]])
    graph = tl.LowerStar(torch.rand(3), edges)
    edges[0, 1] = 10**6
    with pytest.raises(ValueError, match="vertex"):
        tl.persistence(graph)
    rips = tl.Rips(1 - torch.eye(4))
    rips.values.fill_(math.nan)
    with pytest.raises(ValueError, match="NaN"):
        tl.persistence(rips)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32], ids=str)
def test_small_integers_name_vertices_of_a_large_complex(dtype: torch.dtype) -> None:
    """Compared in their own type, 300 vertices would be 44."""
    values = torch.arange(300.0)
    barcode = tl.persistence(tl.LowerStar(values, torch.tensor([[50, 51]], dtype=dtype)))
    assert len(barcode.essential) == 299


def test_a_proxy_of_torch_fx() -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return tl.few_maxima(x)

    with pytest.raises(TypeError, match=r"^h: expected a torch\.Tensor, got Proxy; .*torch\.fx\.wrap"):
        torch.fx.symbolic_trace(Model())


def test_tensors_without_dense_data() -> None:
    for wrong in (torch.eye(3).to_sparse(), torch.empty(3, 3, device="meta")):
        with pytest.raises(TypeError, match=r"^values\b.*dense"):
            tl.Freudenthal(wrong)


def test_a_threshold_of_any_number() -> None:
    distances = 1 - torch.eye(3)
    for threshold, finite in ((Fraction(1, 2), 0), (np.float32(1.0), 2), (1, 2), (10**400, 2), (1e300, 2)):
        for backend in ("native", "gudhi"):
            assert len(tl.persistence(tl.Rips(distances, threshold=threshold), backend=backend)) == finite


def test_every_number_not_finite() -> None:
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=r"^values\b.*\b12\b.*\(0, 0\)"):
            tl.persistence(tl.Cubical(torch.full((3, 4), bad)))


@pytest.mark.parametrize("dims", [0, 1, (0, 1)], ids=str)
def test_an_infinite_pixel_makes_no_finite_bar_essential(dims: Any) -> None:
    image = torch.rand(5, 5, generator=torch.Generator().manual_seed(0))
    image[2, 2] = -math.inf
    for superlevel in (False, True):
        with pytest.raises(ValueError, match="values"):
            tl.persistence(tl.Cubical(image, superlevel=superlevel), dims)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_distances_and_points_that_are_not_finite(bad: float) -> None:
    for batch in ((), (3,)):
        matrix = torch.tensor(SQUARE).expand(*batch, 4, 4).clone()
        matrix[..., 1, 3] = matrix[..., 3, 1] = bad
        for backend in OF_RIPS:
            with pytest.raises(ValueError, match=r"^distances\b.*(NaN|infinit)"):
                tl.persistence(tl.Rips(matrix), backend=backend)
    one_side = torch.tensor(SQUARE)
    one_side[3, 1] = bad
    with pytest.raises(ValueError, match=r"^distances\b"):
        _all(tl.Rips, one_side)
    for dtype in (torch.float16, torch.float64):
        points = torch.tensor([[0.0, 0], [1, 0], [0, 1]], dtype=dtype)
        points[1, 1] = bad
        with pytest.raises(ValueError, match=r"^points\b.*\b1\b.*\(1, 1\)"):
            _all(tl.Alpha, points)


def test_nan_in_the_matrix_is_reported_with_its_count_and_place() -> None:
    matrix = torch.tensor(SQUARE)
    matrix[0, 2] = matrix[2, 0] = math.nan
    matrix.diagonal().fill_(math.nan)  # these are others
    with pytest.raises(ValueError, match=r"^distances\b.*\b2\b.*\(0, 2\)"):
        _all(tl.Rips, matrix)


# -- LowerStar


def test_simplices() -> None:
    values = torch.rand(2, 4)
    given = {"as_tensor": (EDGES.numpy(), None, 3, "01", [EDGES, None]), r"tensor\(simplices\)$": (CYCLE, [CYCLE])}
    for remedy, wrong in ((remedy, wrong) for remedy, every in given.items() for wrong in every):
        with pytest.raises(TypeError, match=rf"^simplices\b.*tensor.*torch\.{remedy}"):
            tl.LowerStar(values, wrong)
    for dtype in (torch.float32, torch.bool, torch.complex64):
        for wrong in (EDGES.to(dtype), [EDGES, EDGES.to(dtype)]):
            with pytest.raises(TypeError, match=rf"^simplices\b.*integer.*{dtype}"):
                tl.LowerStar(values, wrong)
    for shape in ((), (4,), (2, 2, 2), (3, 0)):
        with pytest.raises(ValueError, match=r"^simplices\b.*\(m, d \+ 1\)"):
            tl.LowerStar(values, torch.zeros(shape, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^simplices\b"):
        tl.LowerStar(values, [])


@pytest.mark.parametrize("vertex", [4, 100, -1])
def test_a_missing_vertex(vertex: int) -> None:
    """Its number, where it is named, and which there are."""
    edges = EDGES.clone()
    edges[2, 1] = vertex
    for simplices in (edges, [torch.tensor([[0, 1, 2]]), edges]):
        with pytest.raises(ValueError, match=rf"^simplices\b.*0 to 3.*{vertex}.*\b2\b"):
            tl.LowerStar(torch.rand(2, 4), simplices)


def test_a_vertex_that_is_named_twice() -> None:
    for simplex in ([1, 1], [2, 0, 2]):
        with pytest.raises(ValueError, match=r"^simplices\b.*(distinct|twice|repeat)"):
            tl.LowerStar(torch.rand(4), torch.tensor([simplex]))


def test_a_long_row_is_not_printed_whole() -> None:
    row = torch.arange(1000).remainder(999)[None]
    with pytest.raises(ValueError, match=r"got \[0, 1, 2, 3, 4, 5, \.\.\. 1000 in all\] in row 0; drop"):
        tl.LowerStar(torch.rand(1000), row)


@pytest.mark.parametrize("rows", [3, 4])
def test_triangles_in_columns(rows: int) -> None:
    """PyTorch Geometric's face, alone or beside its edge_index, whether or not a row repeats a vertex."""
    values, columns = torch.rand(40), torch.arange(30)
    faces = torch.stack([columns + row for row in range(rows)])
    for wrong in (faces, faces % 4, [faces[:2], faces], (faces, faces[:2])):
        with pytest.raises(ValueError, match=r"^simplices\b.*\(\d, 30\).*simplices\.mT.*in a list, "):
            tl.LowerStar(values, wrong)
    with pytest.raises(ValueError, match=r"^simplices\b.*distinct.*simplices\.mT"):
        tl.LowerStar(values, [faces % 4])
    assert tl.LowerStar(values, [faces[:2].mT, faces.mT]).top_dimension == rows - 1
    for right in ([faces], [faces[:1], faces[1:]]):  # the ways out that are said
        assert tl.LowerStar(values, right).top_dimension == 29


@pytest.mark.parametrize("shape", [(2, 0), (3, 0), (0,)], ids=str)
def test_no_simplices_in_columns(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^simplices\b.*got .*; .*torch\.empty\(0, 2, dtype=torch\.int64\)"):
        tl.LowerStar(torch.rand(3), torch.empty(shape, dtype=torch.int64))
    assert len(tl.persistence(tl.LowerStar(torch.rand(3), torch.empty(0, 2, dtype=torch.int64))).essential) == 3


@pytest.mark.parametrize("shape", [(), (0,), (2, 0)], ids=str)
def test_no_vertices(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^values\b.*at least one vertex, got .*; .*values\.reshape\(1\).*left out"):
        tl.LowerStar(torch.ones(shape), EDGES)


@pytest.mark.parametrize("edges", [3, 4, 30])
def test_edges_in_columns(edges: int) -> None:
    """PyTorch Geometric's edge_index would be two large simplices."""
    edge_index = torch.stack([torch.arange(edges), torch.arange(edges) + 1])
    values = torch.rand(edges + 1)
    for wrong in (edge_index, edge_index.int(), edge_index % 2):
        with pytest.raises(ValueError, match=rf"^simplices\b.*\(2, {edges}\).*transpose.*simplices\.mT.*list"):
            tl.LowerStar(values, wrong)
    assert len(tl.persistence(tl.LowerStar(values, edge_index.mT)).essential) == 1
    both = tl.LowerStar(values, [edge_index])
    assert both.top_dimension == edges - 1
    with pytest.raises(ValueError, match=r"^simplices\b.*distinct.*simplices\.mT"):
        tl.LowerStar(values, [edge_index % 2])


def test_two_rows_that_are_simplices() -> None:
    two_edges = tl.LowerStar(torch.rand(4), torch.tensor([[0, 1], [2, 3]]))
    assert len(tl.persistence(two_edges).essential) == 2
    two_triangles = tl.LowerStar(torch.rand(4), [torch.tensor([[0, 1, 2], [1, 2, 3]])])
    assert two_triangles.top_dimension == 2


# -- Rips


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (5, 4, 3), (1, 2), (4, 0)], ids=str)
def test_a_matrix_that_is_not_square(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^distances\b.*(square|\(\*batch, n, n\))"):
        tl.Rips(torch.zeros(shape))


def test_negative_distances() -> None:
    matrix = torch.tensor(SQUARE)
    matrix[1, 2] = matrix[2, 1] = -0.5
    with pytest.raises(ValueError, match=r"^distances\b.*>= 0.*-0\.5.*\(1, 2\)"):
        tl.Rips(matrix)
    assert len(tl.persistence(tl.Rips(-0.0 * torch.ones(3, 3)))) == 0


def test_threshold() -> None:
    matrix = torch.tensor(SQUARE)
    for threshold in (-1.0, -math.inf, math.nan):
        with pytest.raises(ValueError, match=r"^threshold\b.*>= 0"):
            tl.Rips(matrix, threshold=threshold)
    for threshold in ("1", None, [1.0], True, 1j):
        with pytest.raises(TypeError, match=r"^threshold\b.*number"):
            tl.Rips(matrix, threshold=threshold)
    for threshold in (1, 1.0, np.float64(1)):
        assert len(tl.persistence(tl.Rips(matrix, threshold=threshold))) == 3


def test_points_instead_of_distances() -> None:
    """The most likely mistake: it is said what is wanted, and how to get it."""
    with pytest.raises(ValueError, match=r"^distances\b.*Rips\.from_points\(points\)"):
        tl.Rips(torch.rand(10, 2))


# -- empty batches are no error


@pytest.mark.parametrize("which", ["Freudenthal", "Cubical", "LowerStar", "Rips"])
def test_an_empty_batch_is_no_error(which: str) -> None:
    make = FLOATING[which][0]
    barcode = tl.persistence(make(torch.rand(0, 4, 4)))
    assert len(barcode) == 0
    assert barcode.sum(barcode.lengths).shape == ((0, 4) if which == "LowerStar" else (0,))
