"""Tracers and barcodes: jit.trace is refused, a graph computes the bars of its input anew; the profiler's names."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

import topolayer as tl
from topolayer import losses
from topolayer import nn as layers

from ..helpers.problems import OLD_COMPILER

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.torch.jit.* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    # torch.func.linearize makes its graph in two steps, of which the first is incomplete.
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
]

Function = Callable[[Tensor], Tensor]
PATH = torch.stack([torch.arange(6), torch.arange(1, 7)], dim=1)


def values(seed: int, *shape: int) -> Tensor:
    return torch.randn(*(shape or (2, 7, 8)), generator=torch.Generator().manual_seed(seed))


def total(x: Tensor) -> Tensor:
    return tl.total_persistence(tl.persistence(tl.Freudenthal(x, superlevel=True)), k=2)


def lengths_of_loops(x: Tensor) -> Tensor:
    return tl.persistence(tl.Cubical(x), dims=1).lengths.sum()


def entropy(x: Tensor) -> Tensor:
    return tl.persistent_entropy(tl.persistence(tl.Freudenthal(x)))


def simplified(x: Tensor) -> Tensor:
    return tl.simplify(tl.Freudenthal(x, superlevel=True), k=2)


def maxima(x: Tensor) -> Tensor:
    return tl.few_maxima(x[:, None], k=2)


def regions(x: Tensor) -> Tensor:
    return tl.few_maxima(x[:, None], k=2, gradient="region")


def rips(x: Tensor) -> Tensor:
    return tl.persistence(tl.Rips((x[0, :, None] - x[0]).square().sum(-1))).lengths.sum()


def points(x: Tensor) -> Tensor:
    return tl.persistence(tl.Rips.from_points(x[0, :, :2])).lengths.sum()


def representations(x: Tensor) -> Tensor:
    return losses.rtd_lite(x[:, :, :3], x)


def alpha(x: Tensor) -> Tensor:
    return tl.persistence(tl.Alpha(x[0, :, :2])).lengths.sum()


def graph(x: Tensor) -> Tensor:
    return tl.persistence(tl.LowerStar(x[:, :, 0], PATH)).lengths.sum()


def simplified_graph(x: Tensor) -> Tensor:
    return tl.simplify(tl.LowerStar(x[:, :, 0], PATH), k=1)


def errors(x: Tensor) -> Tensor:
    return tl.betti_error(x.sigmoid(), x > 0)


def masked(x: Tensor) -> Tensor:
    barcode = tl.persistence(tl.Freudenthal(x, mask=x < 1), (0, 1))
    return barcode.lengths.sum() + barcode.essential.births.sum()


def maxima_of_a_region(x: Tensor) -> Tensor:
    return tl.few_maxima(x[:, None], k=2, region=x[:, None] > -1)


GRIDS = [masked, maxima_of_a_region, total, lengths_of_loops, entropy, simplified, maxima, regions]
OTHERS = [rips, points, representations, alpha, graph, simplified_graph, errors]


class Model(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def exported(function: Function) -> Function:
    program = torch.export.export(Model(function), (values(0),), strict=False)
    found: Function = program.module()
    return found


def exported_for_any_size(function: Function) -> Function:
    auto = torch.export.Dim.AUTO
    shapes = ({0: auto, 1: auto, 2: auto},)
    found: Function = torch.export.export(Model(function), (values(0),), dynamic_shapes=shapes, strict=False).module()
    return found


# Its make_fx writes down `detach` as an alias: the graph would have the gradient of another function.
LOSES_DETACH = torch.__version__ >= "2.15"


def symbolic_fx(function: Function) -> Function:
    found: Function = make_fx(function, tracing_mode="symbolic")(values(0))
    return found


def value_and_gradient(function: Function, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    value = function(x)
    value.sum().backward()
    return [value.detach(), x.grad]


@pytest.mark.parametrize("function", [*GRIDS, *OTHERS], ids=lambda f: f.__name__)
def test_jit_trace_is_refused_with_the_remedy(function: Function) -> None:
    with pytest.raises(ValueError, match=r"^torch.jit.trace: the bars of the example .* torch.export.export"):
        torch.jit.trace(function, values(0), check_trace=False)


@pytest.mark.skipif(OLD_COMPILER, reason="one graph needs torch 2.13")
@pytest.mark.parametrize("trace", [exported, exported_for_any_size, symbolic_fx], ids=lambda f: f.__name__)
@pytest.mark.parametrize("function", GRIDS, ids=lambda f: f.__name__)
def test_a_graph_computes_the_bars_of_its_input(function: Function, trace: Callable[[Function], Function]) -> None:
    if function is regions and trace is symbolic_fx and LOSES_DETACH:
        with pytest.raises(ValueError, match=r'^make_fx: .*detach.*gradient="region".*torch.export.export'):
            trace(function)
        return
    traced = trace(function)
    others = [values(1), values(0).round()]
    others += [values(2, 3, 7, 8), values(3, 2, 9, 11)] if trace is exported_for_any_size else []
    for x in others:
        torch.testing.assert_close(value_and_gradient(traced, x), value_and_gradient(function, x))


@pytest.mark.parametrize("function", [total, simplified, maxima], ids=lambda f: f.__name__)
def test_make_fx_with_the_sizes_of_its_example_is_right_or_fails(function: Function) -> None:
    traced = make_fx(function)(values(0))
    torch.testing.assert_close(traced(values(0) * 2), function(values(0) * 2))
    try:
        value = traced(values(1))
    except RuntimeError:
        return  # another number of bars
    torch.testing.assert_close(value, function(values(1)))


@pytest.mark.parametrize("function", [total, simplified, maxima], ids=lambda f: f.__name__)
def test_linearize(function: Function) -> None:
    direction = values(1)
    value, along = torch.func.linearize(function, values(0))
    torch.testing.assert_close((value, along(direction)), torch.func.jvp(function, (values(0),), (direction,)))


@pytest.mark.parametrize("function", [lambda f: tl.persistence(f), lambda f: tl.simplify(f, k=1)])
def test_what_no_graph_can_hold_is_refused_in_one(function: Callable[[tl.LowerStar], object]) -> None:
    filtration = tl.LowerStar(values(0)[:, :, 0], PATH)

    def traced(x: Tensor) -> Tensor:
        function(filtration)
        return x

    with pytest.raises(ValueError, match=r"^torch.export, make_fx: a graph holds only"):
        make_fx(traced)(values(1))


# -- the profiler


@pytest.mark.parametrize(
    ("name", "function"),
    [("persistence", total), ("persistence", rips), ("simplify", simplified), ("simplify", regions)],
)
def test_the_profiler_shows_the_core_by_its_name(name: str, function: Function) -> None:
    x = values(0).requires_grad_()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        function(x)
    events = {event.key: event for event in profile.key_averages()}
    assert events[f"topolayer::{name}"].count == 1


def test_the_simplices_of_an_example_are_not_traced() -> None:
    with pytest.raises(ValueError, match=r"^torch\.jit\.trace: "):
        torch.jit.trace(lambda cloud: tl.Alpha(cloud).values, values(0, 6, 2), check_trace=False)


GRID = torch.linspace(-1, 1, 5)
PERSLAY, LARGEST_TENTS = layers.PersLay(layers.Tent(GRID)), layers.PersLay(layers.Tent(GRID), pooling=2)
OF_NUMBERS: dict[str, Callable[[Tensor, tl.Barcode], Tensor]] = {
    "wasserstein_matching_loss": lambda x, _: tl.wasserstein_matching_loss(x.sigmoid(), MASK),
    "betti_error": lambda x, _: tl.betti_error(x.sigmoid(), MASK),
    "betti_matching_loss": lambda x, _: tl.betti_matching_loss(x.sigmoid(), MASK),
    "betti_matching_error": lambda x, _: tl.betti_matching_error(x.sigmoid(), MASK),
    "wasserstein": lambda _, bars: tl.wasserstein(bars, bars),
    "bottleneck": lambda _, bars: tl.bottleneck(bars, bars),
    "sliced_wasserstein": lambda _, bars: tl.sliced_wasserstein(bars, bars),
    "landscape": lambda _, bars: tl.landscape(bars, GRID, k=2),
    "silhouette": lambda _, bars: tl.silhouette(bars, GRID),
    "betti_numbers": lambda _, bars: tl.betti_numbers(bars, GRID),
    "persistence_image": lambda _, bars: tl.persistence_image(bars, GRID, GRID, sigma=0.1),
    "Rips": lambda x, _: tl.persistence(tl.Rips(x[0, :, None, 0] - x[0, None, :, 0])).deaths,
    "Rips.from_points": lambda x, _: tl.persistence(tl.Rips.from_points(x)).deaths,
    "LowerStar": lambda x, _: tl.persistence(tl.LowerStar(x[:, :, 0], PATH)).deaths,
    "Alpha": lambda x, _: tl.persistence(tl.Alpha(x[0])).deaths,
    "Simplicial": lambda x, _: tl.Simplicial(x[0, 0], [torch.arange(8)[:, None]]).values,
    "LowerStar with batch": lambda x, _: tl.LowerStar(x[0, :, 0], PATH, batch=PATH.new_zeros(7)).values,
    "smooth_gradient": lambda x, _: tl.smooth_gradient(x, bandwidth=0.1),
    "extended_persistence": lambda x, _: tl.extended_persistence(tl.LowerStar(x[:, :, 0], PATH)).deaths,
    "induced_matching": lambda x, _: tl.induced_matching(*[tl.Cubical(x, mask=m) for m in (MASK, x > 0)]).pairs,
    "representatives": lambda x, bars: tl.representatives(tl.Freudenthal(x), bars, bars.dims == 0)[0],
    "wasserstein_matching": lambda _, bars: tl.wasserstein_matching(bars, bars)[0],
    "rtd_lite": lambda x, _: losses.rtd_lite(x, x),
    "SignatureLoss": lambda x, _: losses.SignatureLoss()(x, x),
    "PersLay": lambda _, bars: PERSLAY(bars),
    "PersLay with pooling": lambda _, bars: LARGEST_TENTS(bars),
}
IN_A_GRAPH: dict[str, Callable[[tl.Barcode], Tensor]] = {
    "betti_numbers of a number": lambda bars: tl.betti_numbers(bars, 0.5),
    "length_weights": lambda bars: bars.sum(tl.length_weights(bars, 0.2)),
    "longest_lengths": lambda bars: tl.longest_lengths(bars, 3),
    "ranks": lambda bars: bars.sum(bars.ranks),
    "select": lambda bars: tl.total_persistence(bars.select(bars.ranks < 3)),
}
MASK = values(0) > 0


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_what_looks_at_numbers_is_refused_in_a_graph(name: str) -> None:
    """torch.export shows our words, with what to do."""

    def function(x: Tensor) -> Tensor:
        return OF_NUMBERS[name](x, tl.persistence(tl.Freudenthal(x)))

    with pytest.raises(ValueError, match=r"^torch\.export, make_fx: .*Freudenthal.*outside of the graph.*custom_op"):
        exported(function)


@pytest.mark.skipif(OLD_COMPILER, reason="cannot export what has as many entries as there are bars")
@pytest.mark.parametrize("name", IN_A_GRAPH)
def test_functions_of_a_barcode_in_a_graph(name: str) -> None:
    def function(x: Tensor) -> Tensor:
        return IN_A_GRAPH[name](tl.persistence(tl.Freudenthal(x)))

    graph = exported(function)
    for seed in (0, 1):
        torch.testing.assert_close(graph(values(seed)), function(values(seed)))
