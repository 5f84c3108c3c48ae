"""torch.compile: a function of a barcode is one graph, and its numbers and gradients are those without a compiler."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import topolayer as tl

from ..helpers.problems import DTYPES, OLD_COMPILER

pytestmark = [
    pytest.mark.timeout(240),
    # Torch 2.4 breaks the graph at operators whose result has no fixed shape.
    pytest.mark.skipif(OLD_COMPILER, reason="one graph needs torch 2.13"),
    # Dynamo looks at .grad of tensors that have none and hides the warning, but not where warnings are errors.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    # Inductor imports a module of torch that uses what torch deprecates.
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning"),
]

Function = Callable[[Tensor], Tensor]
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="inductor needs a C++ compiler"
)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64).to(dtype)


def tied(*shape: int) -> Tensor:
    return torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(0)).float()


def value_and_gradient(function: Function, x: Tensor) -> list[Tensor]:
    x = x.detach().clone().requires_grad_()
    value = function(x)
    value.sum().backward()
    return [value.detach(), x.grad]


def assert_same(function: Function, *inputs: Tensor, backend: Any = "aot_eager", fullgraph: bool = True) -> None:
    compiled = torch.compile(function, backend=backend, fullgraph=fullgraph)
    for x in inputs:
        expected = value_and_gradient(function, x)
        torch.testing.assert_close(value_and_gradient(compiled, x), expected, equal_nan=True)


# -- few_maxima


@pytest.mark.parametrize(("k", "p"), [(8, 2), (0, 1), (1, 2), (3, 0.5), (10**9, 2)])
def test_few_maxima(k: int, p: float) -> None:
    """Two batch sizes, two resolutions; many channels and one."""
    shapes = (2, 3, 8, 9), (5, 3, 8, 9), (5, 3, 13, 7), (5, 1, 13, 7)
    assert_same(lambda h: tl.few_maxima(h, k=k, p=p), *(normal(*shape) for shape in shapes))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_few_maxima_dtypes(dtype: torch.dtype) -> None:
    assert_same(lambda h: tl.few_maxima(h, k=2), normal(2, 3, 8, 9, dtype=dtype))


def test_few_maxima_of_volumes_ties_constants_and_empty_batches() -> None:
    inputs = normal(2, 3, 4, 5, 6), tied(3, 1, 9, 9), torch.ones(2, 1, 6, 6), normal(1, 2, 9, 9), normal(0, 2, 9, 9)
    assert_same(lambda h: tl.few_maxima(h, k=3), *inputs)


@pytest.mark.parametrize("gradient", ["critical", "region"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sample_that_is_not_finite_gets_nan(bad: float, gradient: Any) -> None:
    """Contract 9, as without a compiler."""
    h = normal(4, 2, 8, 9)
    h[1, 0, 2, 3] = bad
    h[3] = bad

    def few_maxima(h: Tensor) -> Tensor:
        return tl.few_maxima(h, k=2, gradient=gradient)

    penalty, found = value_and_gradient(torch.compile(few_maxima, backend="aot_eager", fullgraph=True), h)
    assert penalty.isnan().tolist() == [False, True, False, True]
    assert found[[1, 3]].isnan().all()
    fine, fine_gradient = value_and_gradient(few_maxima, h[[0, 2]])
    torch.testing.assert_close(penalty[[0, 2]], fine)
    torch.testing.assert_close(found[[0, 2]], fine_gradient)
    assert fine_gradient.abs().sum() > 0


def test_a_new_size_is_the_same_graph() -> None:
    """Once a size has changed the compiler takes it for a variable: no graph for every shape."""
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    shapes = [(2, 3, 8, 9), (3, 3, 8, 9), (4, 3, 8, 9), (4, 3, 10, 11), (5, 3, 12, 13), (6, 3, 14, 7), (7, 3, 5, 20)]
    assert_same(lambda h: tl.few_maxima(h, k=2), *(normal(*shape) for shape in shapes), backend=backend)
    assert len(graphs) <= 3


def test_without_gradients() -> None:
    h = normal(2, 3, 8, 9)
    compiled = torch.compile(tl.few_maxima, backend="aot_eager", fullgraph=True)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(compiled(h), tl.few_maxima(h))


@needs_compiler
def test_inductor(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
    bad = normal(3, 3, 8, 9)
    bad[1, 0, 2, 3] = math.nan
    quick = {"compile_threads": 1, "cpp.vec_isa_ok": False}  # no worker processes, no probing for vector instructions
    compiled = torch.compile(lambda h: tl.few_maxima(h, k=2), fullgraph=True, options=quick)
    for h in (normal(2, 3, 8, 9), bad, normal(0, 3, 8, 9)):
        expected = value_and_gradient(lambda h: tl.few_maxima(h, k=2), h)
        torch.testing.assert_close(value_and_gradient(compiled, h), expected, equal_nan=True, rtol=1e-4, atol=1e-6)


# -- barcodes of grids, and any function of them


def with_ranks(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x, superlevel=True), (0, 1))
    return barcode.sum(barcode.lengths * (barcode.ranks >= 2) * (barcode.dims == 0))


def selected(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x), (0, 1))
    loops = barcode.select(barcode.lengths > 0.5, dim=1)
    return loops.sum(loops.lengths) + tl.total_persistence(barcode.select(dim=0), p=2, k=2)


def essential_births(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Cubical(x, superlevel=True))
    return barcode.essential.sum(barcode.essential.births**2) - barcode.sum(barcode.deaths)


def top_cells(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Cubical(x, construction="T"), (1, 0))
    return tl.algebraic(barcode, p=2, q=1, k=1, essential="exclude")


def signals(x: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Freudenthal(x, ndim=1)), k=2).mean(-1)


def padded(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x))
    lengths, mask = barcode.padded(barcode.lengths, fill=7)
    return (lengths * mask).square().sum(-1)


def backend_by_name(x: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Freudenthal(x), (0, 1), backend="gudhi"))


def registered_backend(x: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Freudenthal(x), (0, 1), backend=tl.backends()["native"]))


def of_lengths(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x, superlevel=True), (0, 1))
    prominent = barcode.sum(tl.length_weights(barcode, 0.3, softness=0.1) + tl.length_weights(barcode, 0.5))
    return tl.persistent_entropy(barcode, normalized=True) + prominent + tl.longest_lengths(barcode, 3, dim=0).prod(-1)


def at_a_level(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x))
    return tl.betti_numbers(barcode, 0.1) * tl.betti_numbers(barcode, 0.2, softness=0.3)


def masked(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Cubical(x, construction="T", mask=x < 1), (0, 1))
    return tl.total_persistence(barcode, k=1) + barcode.essential.sum(barcode.essential.births**2)


def maxima_of_a_region(x: Tensor) -> Tensor:
    return tl.few_maxima(x[:, None], k=2, region=x[:, None] > -1)


GRIDS = [
    masked,
    maxima_of_a_region,
    of_lengths,
    at_a_level,
    with_ranks,
    selected,
    essential_births,
    top_cells,
    signals,
    padded,
    backend_by_name,
    registered_backend,
]


@pytest.mark.parametrize("function", GRIDS, ids=lambda f: f.__name__)
def test_any_function_of_the_barcode_of_a_grid(function: Function) -> None:
    assert_same(function, normal(2, 8, 9), normal(5, 8, 9), normal(5, 7, 12), tied(3, 9, 9))


def simplified(x: Tensor) -> Tensor:
    return tl.simplify(tl.Freudenthal(x, superlevel=True), k=3).square()


def simplified_by_threshold(x: Tensor) -> Tensor:
    return tl.simplify(tl.Cubical(x, construction="T"), threshold=0.5, backend="torch").square()


def regions(x: Tensor) -> Tensor:
    return tl.few_maxima(x[:, None], k=2, gradient="region")


@pytest.mark.parametrize("function", [simplified, simplified_by_threshold, regions], ids=lambda f: f.__name__)
def test_simplification(function: Function) -> None:
    assert_same(function, normal(2, 8, 9), normal(5, 8, 9), normal(5, 7, 12), tied(3, 9, 9), normal(0, 8, 9))


@pytest.mark.parametrize("function", [with_ranks, simplified], ids=lambda f: f.__name__)
def test_values_that_are_not_finite_are_refused(function: Function) -> None:
    x = normal(2, 8, 9)
    x[1, 2, 3] = math.nan
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True)
    with pytest.raises(ValueError, match=r"^values: .*NaN.*\(1, 2, 3\)"):
        compiled(x)


# -- everything else: between two graphs


class Unregistered:
    name = "native"  # not the one of this name

    def __init__(self) -> None:
        self.calls = 0

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        return None

    def pairs(self, filtration: Any, dims: tuple[int, ...]) -> tl.IndexPairs:
        self.calls += 1
        return tl.backends()["native"].pairs(filtration, dims)


def rips(x: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Rips(torch.cdist(x, x))), k=2)


def rips_of_points(x: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Rips.from_points(x, p=3, threshold=1.5)), k=2)


def thresholds_in_half_precision(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x.bfloat16()))
    prominent = barcode.sum(barcode.lengths * tl.length_weights(barcode, 0.1)) * tl.betti_numbers(barcode, 0.3)
    return prominent + tl.simplify(tl.Freudenthal(x.bfloat16()), threshold=0.3).square().sum()


def alpha(x: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Alpha(x), (0, 1)), k=1)


def star(x: Tensor) -> Tensor:
    path = torch.stack([torch.arange(5), torch.arange(1, 6)], dim=1)
    return tl.total_persistence(tl.persistence(tl.LowerStar(x[:6, 0], path)), k=1)


def weighted_path(x: Tensor) -> Tensor:
    path = torch.stack([torch.arange(5), torch.arange(1, 6)], dim=1)
    values = torch.cat([x[:6, 0], x[:6, 0][path].amax(dim=1) + x[:5, 1].abs()])
    return tl.total_persistence(tl.persistence(tl.Simplicial(values, [torch.arange(6)[:, None], path])), k=1)


def on_a_grid(x: Tensor) -> Tensor:
    """That a grid is finite is looked at between two graphs."""
    barcode, grid = tl.persistence(tl.Freudenthal(x), (0, 1)), torch.linspace(-1, 1, 5, dtype=x.dtype)
    landscape, silhouette = tl.landscape(barcode, grid, k=2, dim=0), tl.silhouette(barcode, grid, dim=1)
    image = tl.persistence_image(barcode, grid, grid, sigma=0.5, dim=0)
    return (landscape.sum(0) * silhouette @ image * tl.betti_numbers(barcode, grid, dim=0)).sum()


def error_and_curve(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x))
    curve = tl.betti_numbers(barcode, torch.linspace(-1, 1, 5, dtype=x.dtype), softness=0.5)
    return curve.sum() * (1 + tl.betti_error(x, x > 0.3)).sum()


def simplified_star(x: Tensor) -> Tensor:
    path = torch.stack([torch.arange(5), torch.arange(1, 6)], dim=1)
    return tl.simplify(tl.LowerStar(x[:6, 0], path), k=2).square()


@pytest.mark.parametrize(
    "function",
    [
        rips,
        rips_of_points,
        thresholds_in_half_precision,
        alpha,
        star,
        weighted_path,
        on_a_grid,
        error_and_curve,
        simplified_star,
    ],
    ids=lambda f: f.__name__,
)
def test_other_filtrations_and_grids_break_the_graph(function: Function) -> None:
    points = normal(8, 2, dtype=torch.float64)
    assert_same(function, points, normal(11, 2, dtype=torch.float64), fullgraph=False)


def test_a_backend_that_is_not_registered_breaks_the_graph() -> None:
    backend = Unregistered()
    assert_same(
        lambda x: tl.total_persistence(tl.persistence(tl.Freudenthal(x), backend=backend)),
        normal(2, 8, 9),
        fullgraph=False,
    )
    assert backend.calls == 2  # with a compiler and without


# -- the operations themselves

PAIRS = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])
GROUP = torch.tensor([0, 0, 0, 1])
LENGTHS, BIRTHS = torch.tensor([2.0, 1.0, 2.0, 3.0]), torch.tensor([4.0, 3.0, 3.5, 9.0])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("index_pairs", (normal(2, 8, 9), None, 2, "F", True, (0,), None)),
        ("index_pairs", (normal(2, 8, 9).double(), normal(8, 9).expand(2, 8, 9) > 0, 2, "V", False, (0, 1), "gudhi")),
        ("index_pairs", (torch.zeros(3, 7), torch.eye(3, 7) > 0, 1, "T", True, (0,), "native")),
        ("simplified", (normal(2, 8, 9), None, 2, "F", True, 3, 0.0, None)),
        ("simplified", (normal(2, 8, 9).mT.double(), None, 1, "V", False, 2**63 - 1, 0.5, "torch")),
        ("places", (LENGTHS, BIRTHS, PAIRS, GROUP, 2, True)),
        ("first_places", (LENGTHS, BIRTHS, PAIRS, GROUP, torch.tensor([1, 1]), True)),
        ("first_places", (LENGTHS, BIRTHS, PAIRS, GROUP, torch.tensor([2, 0]), False)),
    ],
)
def test_opcheck(name: str, arguments: tuple[Any, ...]) -> None:
    torch.library.opcheck(getattr(torch.ops.topolayer, name).default, arguments)
