"""Bad inputs to every public name: what is called, the error, and the four parts of its message."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import topolayer as tl
from topolayer.losses import BettiMatchingLoss, BettiNumberLoss, WassersteinMatchingLoss
from topolayer.metrics import BettiError, BettiMatchingError


class Bad(NamedTuple):
    name: str  # in the `__all__` of `tl`, `losses`, `metrics` or `nn`
    call: Callable[[], object]
    error: type[Exception]
    argument: str  # with which the message begins
    expected: str
    came: str
    remedy: str


IMAGE = torch.rand(2, 6, 7, generator=torch.Generator().manual_seed(0))
EDGES = torch.tensor([[0, 1], [1, 2]])
TRIANGLES = torch.tensor([[0, 1, 2], [1, 2, 3], [2, 3, 4], [0, 2, 4]])
GRID = torch.linspace(0, 1, 5)
BARS = tl.persistence(tl.Freudenthal(IMAGE), (0, 1))
H0 = BARS.select(dim=0)
UPPER = tl.persistence(tl.Freudenthal(IMAGE, superlevel=True))
CLOUD = tl.persistence(tl.Alpha(torch.tensor([[0.0, 0], [1, 0], [0, 1]])))
NONE, ZERO = torch.empty(0, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)
NO_BARS = tl.BarIndices(NONE, NONE, NONE)
PATH = [torch.arange(3)[:, None], EDGES]
MESH, EXTENDED = tl.LowerStar(GRID, TRIANGLES), "extended_persistence"
POINTS = tl.Rips(torch.zeros(2, 2))
NAN = torch.full((2, 2), math.nan)
EMPTY, ON_GRAPH = torch.zeros(3, 1), torch.zeros(3, 1, requires_grad=True)
INSIDE, NOTHING = IMAGE[0] > 0, IMAGE[0] > 1
MODEL = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3))


class Wrong(tl.RankBackend):
    """A backend whose library returns something else than rows of ranks."""

    name = "wrong"

    def __init__(self, diagram: Any) -> None:
        self.returned = diagram

    def unsupported(self, filtration: tl.Filtration, dims: tuple[int, ...]) -> None:
        return None

    def diagram(self, filtration: tl.Filtration, ranks: Any, dims: tuple[int, ...]) -> Any:
        return self.returned


class Nameless(Wrong):
    name = ""

    def __init__(self) -> None:
        super().__init__([])


def _by(backend: Any) -> tl.Barcode:
    return tl.persistence(tl.Freudenthal(IMAGE), backend=backend)


Torch = tl.backends()["torch"]
T, V = TypeError, ValueError
A_TENSOR, AS_TENSOR, MAKE_ONE = "a torch.Tensor", "torch.as_tensor", "make one with persistence"

FILTRATIONS = [
    Bad("Freudenthal", lambda: tl.Freudenthal([[1.0, 2.0]]), T, "values", A_TENSOR, "list", AS_TENSOR),
    Bad("Freudenthal", lambda: tl.Freudenthal([IMAGE, IMAGE[0]]), T, "values", A_TENSOR, "list", "torch.stack"),
    Bad("Freudenthal", lambda: tl.Freudenthal(IMAGE.int()), T, "values", "floating-point", "torch.int32", ".float()"),
    Bad("Freudenthal", lambda: tl.Freudenthal(IMAGE[0, 0]), V, "values", "at least 2 axes", "(7,)", "ndim says"),
    Bad("Freudenthal", lambda: tl.Freudenthal(IMAGE, ndim=4), V, "ndim", "1, 2 or 3", "4", "batch"),
    Bad("Freudenthal", lambda: tl.Freudenthal(IMAGE, ndim=2.0), T, "ndim", "1, 2 or 3", "float 2.0", "int(...)"),
    Bad("Cubical", lambda: tl.Cubical(IMAGE, construction="F"), V, "construction", '"V"', "'F'", "a corner"),
    Bad("Cubical", lambda: tl.Cubical(IMAGE, superlevel=1), T, "superlevel", "a bool", "int 1", "bool(...)"),
    Bad("Cubical", lambda: tl.Cubical(IMAGE[:, :0]), V, "values", "at least one entry", "(2, 0, 7)", "ndim says"),
    Bad("Cubical", lambda: tl.Cubical(IMAGE.to("meta")), T, "values", "data", "a meta tensor", "CPU"),
    Bad("Freudenthal", lambda: tl.Freudenthal(IMAGE, mask=IMAGE), T, "mask", "a bool tensor", "float32", "mask > 0"),
    Bad("Freudenthal", lambda: tl.Freudenthal(IMAGE, mask=IMAGE[:, 0] > 0), V, "mask", "(6, 7)", "(2, 7)", "broadcast"),
    Bad("Cubical", lambda: tl.Cubical(IMAGE, mask=INSIDE[None, None]), V, "mask", "(6, 7)", "(1, 1, 6", "squeeze(0)"),
    Bad("Cubical", lambda: tl.Cubical(IMAGE, mask=[True]), T, "mask", A_TENSOR, "list", AS_TENSOR),
    Bad("Cubical", lambda: tl.Cubical(IMAGE, mask=INSIDE.to("meta")), V, "mask", "on cpu", "meta", ".to('cpu')"),
    Bad("persistence", lambda: tl.persistence(tl.Cubical(IMAGE, mask=NOTHING)), V, "mask", "pixel", "none", "~mask"),
    Bad("simplify", lambda: tl.simplify(tl.Cubical(IMAGE, mask=INSIDE), k=1), V, "filtration", "a mask", "...", "fill"),
    Bad("LowerStar", lambda: tl.LowerStar([1.0], EDGES), T, "values", A_TENSOR, "list", AS_TENSOR),
    Bad("LowerStar", lambda: tl.LowerStar(GRID[:2], EDGES), V, "simplices", "vertices from 0 to 1", "2", "values"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, EDGES.float()), T, "simplices", "integer", "float32", ".long()"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, EDGES.expand(2, 2, 2)), V, "simplices", "(m, d", "(2, 2, 2)", "a row"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, EDGES.new_empty(2, 0)), V, "simplices", "(m, d", "(2, 0)", "empty(0"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, EDGES.to_sparse()), T, "simplices", "dense", "sparse", "to_dense"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, TRIANGLES.mT), V, "simplices", "a row for", "(3, 4)", "simplices.mT"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID[:0], EDGES), V, "values", "one vertex", "(0,)", "left out"),
    Bad("Simplicial", lambda: tl.Simplicial([0.0], PATH), T, "values", A_TENSOR, "list", AS_TENSOR),
    Bad("Simplicial", lambda: tl.Simplicial(GRID, EDGES), T, "simplices", "a list", "Tensor", "vertices come first"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID, PATH[::-1]), V, "simplices", "(m, 1)", "(2, 2)", "vertices first"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID, [EDGES[:0, :1]]), V, "simplices", "one vertex", "none", "come first"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID, [PATH[0].float()]), T, "simplices", "integer", "float32", ".long()"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID[:4], PATH), V, "values", "(*batch, 5)", "(4,)", "torch.cat"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID.flip(0), PATH), V, "values", ">= those", "0.25 for [0, 1]", "both"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID / 0, PATH), V, "values", "finite", "5 that are", "torch.where"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID, [PATH[0], EDGES + 1]), V, "simplices", "all faces", "[2, 3]", "[3]"),
    Bad("Simplicial", lambda: tl.Simplicial(GRID, [PATH[0], EDGES * 0]), V, "simplices", "distinct", "[0, 0]", "drop"),
    Bad(
        "Simplicial", lambda: tl.Simplicial(GRID, [PATH[0], EDGES[[0, 0]].flip(1)]), V,
        "simplices", "each simplex once", "[1, 0] in rows 0 and 1 of those of dimension 1", "leave one out",
    ),
    Bad("Rips", lambda: tl.Rips(np.zeros((2, 2))), T, "distances", A_TENSOR, "ndarray", AS_TENSOR),
    Bad("Rips", lambda: tl.Rips(IMAGE[0]), V, "distances", "(*batch, n, n)", "(6, 7)", "points"),
    Bad("Rips", lambda: tl.Rips(NAN), V, "distances", "finite", "nan", "threshold"),
    Bad("Alpha", lambda: tl.Alpha([[0.0, 1.0]]), T, "points[0]", A_TENSOR, "list", AS_TENSOR),
    Bad("Alpha", lambda: tl.Alpha(IMAGE), V, "points", "(n, d)", "(2, 6, 7)", "list(points)"),
    Bad("Alpha", lambda: tl.Alpha(torch.ones(3, 2).cumsum(0)), V, "points", "general position", "R^2", "fewer coord"),
    Bad("Alpha", lambda: tl.Alpha(NAN), V, "points", "finite", "4 that are NaN", "torch.where"),
    Bad("persistence", lambda: tl.persistence(IMAGE), T, "filtration", "Freudenthal", "Tensor", "wrap"),
    Bad("persistence", lambda: tl.persistence(tl.Freudenthal(IMAGE), 2), V, "dims", "from 0 to 1", "2", "leave out"),
    Bad("persistence", lambda: tl.persistence(tl.Freudenthal(IMAGE), (0, 0)), V, "dims", "different", "(0, 0)", "once"),
    Bad("persistence", lambda: tl.persistence(tl.Freudenthal(IMAGE), {0}), T, "dims", "a tuple", "set", "sorted(dims)"),
    Bad("persistence", lambda: tl.persistence(tl.Cubical(NAN)), V, "values", "finite", "4 that", "torch.where"),
    Bad("persistence", lambda: _by("nativ"), V, "backend", "known are", "'nativ'", "did you mean 'native'"),
    Bad("register_backend", lambda: tl.register_backend(3), T, "backend", "an object", "int", "topolayer.Backend"),
    Bad("register_backend", lambda: tl.register_backend(Torch), V, "backend", "the name", "'torch'", "choose"),
    Bad("RankBackend", lambda: _by(Wrong([[0, 1]])), V, "wrong", "(m, 3)", "(1, 2)", "a row is"),
    Bad("RankBackend", lambda: _by(Wrong("bars")), T, "wrong", "a diagram", "str 'bars'", "a row is"),
    Bad("RankBackend", lambda: _by(Wrong([[0, 0.5, 1]])), V, "wrong", "whole ranks", "[0.0, 0.5, 1.0]", "the ranks"),
    Bad(
        "BarIndices", lambda: tl.BarIndices(ZERO.float(), ZERO, ZERO), T,
        "BarIndices.indices", "an int64 tensor", "float32", ".long()",
    ),
    Bad(
        "BarIndices", lambda: tl.BarIndices(ZERO[:, None], ZERO, ZERO), V,
        "BarIndices.indices", "(bars, 2)", "(1, 1)", "its columns",
    ),
    Bad(
        "BarIndices", lambda: tl.BarIndices(ZERO, NONE, ZERO), V,
        "BarIndices.dims", "shape (1,)", "(0,)", "one for each bar",
    ),
    Bad(
        "IndexPairs", lambda: tl.IndexPairs(ZERO, NO_BARS), T, "IndexPairs.finite", "BarIndices", "Tensor", "put"
    ),
    Bad(
        "IndexPairs", lambda: tl.IndexPairs(NO_BARS, NO_BARS), V,
        "IndexPairs.finite", "(bars, 2)", "(0,)", "that die",
    ),
    Bad("Capabilities", lambda: tl.Capabilities(devices="cuda"), T, "devices", "a tuple", "str 'cuda'", "a tuple"),
    Bad("BarIndices", lambda: tl.BarIndices([1], 2, 3), T, "BarIndices.indices", A_TENSOR, "list", AS_TENSOR),
    Bad("Cubical", lambda: tl.Cubical(IMAGE, construction=np.array("T")), V, "construction", '"V"', "array", "a side"),
    Bad("Rips", lambda: tl.Rips([np.zeros((2, 2))]), T, "distances[0]", A_TENSOR, "ndarray", AS_TENSOR),
    Bad("register_backend", lambda: tl.register_backend(Nameless()), T, "backend", "not empty", "Nameless", "protocol"),
    Bad("persistence", lambda: tl.persistence(tl.Cubical(IMAGE), None), T, "dims", "an int", "NoneType", "0 stands"),
    Bad("persistence", lambda: tl.persistence(tl.Cubical(IMAGE), GRID), T, "dims", "an int", "float 0.0", "int(...)"),
    Bad("Freudenthal", lambda: tl.Freudenthal(IMAGE, superlevel="no"), T, "superlevel", "a bool", "str 'no'", "choose"),
    Bad("Capabilities", lambda: tl.Capabilities(devices={"cpu"}), T, "devices", "a tuple", "set", "a tuple"),
    Bad("Capabilities", lambda: tl.Capabilities(simplifies=1), T, "simplifies", "a bool", "int 1", "bool(...)"),
    Bad("simplify", lambda: tl.simplify(IMAGE, k=1), T, "filtration", "Freudenthal", "Tensor", "wrap"),
    Bad("simplify", lambda: tl.simplify(tl.Cubical(IMAGE)), T, "k", "exactly one", "neither", "how many"),
    Bad("simplify", lambda: tl.simplify(tl.Cubical(IMAGE), k=2.0), T, "k", "an int", "float 2.0", "int(...)"),
    Bad("simplify", lambda: tl.simplify(tl.Cubical(IMAGE), k=0), V, "k", ">= 1", "0", "k=1"),
    Bad("simplify", lambda: tl.simplify(tl.Cubical(IMAGE), threshold=-1), V, "threshold", ">= 0", "-1", "0 keeps"),
]  # fmt: skip

BARCODES = [
    Bad("Barcode", lambda: BARS.select(BARS.lengths), T, "mask", "a bool tensor", "float32", "lengths > 0.1"),
    Bad("Barcode", lambda: BARS.select(dim=2), V, "dim", "(0, 1)", "2", "dims=..."),
    Bad("Barcode", lambda: BARS.select(sample="0"), T, "sample", "an int", "str '0'", "int(...)"),
    Bad("Barcode", lambda: BARS.select(sample=2), V, "sample", ">= 0 and < 2", "2", "batch shape is (2,)"),
    Bad("Barcode", lambda: BARS.sum([1.0]), T, "terms", A_TENSOR, "list", "barcode.lengths"),
    Bad("Barcode", lambda: BARS.padded(BARS.lengths, fill="a"), T, "fill", "a number", "str 'a'", "math.nan"),
    Bad("Barcode", lambda: BARS.sum(BARS.lengths.to_sparse()), T, "terms", "dense", "sparse", "to_dense"),
    Bad("Barcode", lambda: BARS.padded(GRID), V, "terms", "one entry per bar", "(5,)", "barcode.lengths"),
    Bad("Barcode", lambda: BARS.to(torch.float64), T, "device", "'cuda:0'", "dtype", "before the filtration"),
    Bad("Barcode", lambda: tl.Barcode.cat([]), V, "barcodes", "at least one", "none", "empty"),
    Bad("Barcode", lambda: tl.Barcode.cat([CLOUD]), V, "barcodes", "a batch axis", "single samples", "Barcode.stack"),
    Bad("Barcode", lambda: tl.Barcode.stack([H0, UPPER]), V, "barcodes", "superlevel False", "True", "alike"),
    Bad("EssentialBars", lambda: BARS.essential.sum(None), T, "terms", A_TENSOR, "NoneType", "barcode.lengths"),
    Bad("EssentialBars", lambda: BARS.essential.sum(GRID), V, "terms", "(2,)", "(5,)", "barcode.lengths"),
    Bad("EssentialBars", lambda: CLOUD.essential.coordinates, V, "coordinates", "bars of a grid", "others", "flat"),
    Bad("algebraic", lambda: tl.algebraic(IMAGE, p=1), T, "barcode", "a Barcode", "Tensor", MAKE_ONE),
    Bad("algebraic", lambda: tl.algebraic(BARS, p=-1), V, "p", ">= 0", "-1", "p=1"),
    Bad("algebraic", lambda: tl.algebraic(BARS, p=1, q=math.inf), V, "q", "finite", "inf", "q=0"),
    Bad("algebraic", lambda: tl.algebraic(BARS, p=1, essential="no"), V, "essential", '"count"', "'no'", "spares"),
    Bad("total_persistence", lambda: tl.total_persistence(BARS, p="2"), T, "p", "a finite number", "str '2'", "float("),
    Bad("total_persistence", lambda: tl.total_persistence(BARS, k=-1), V, "k", ">= 0", "-1", "k=0 spares none"),
    Bad("persistent_entropy", lambda: tl.persistent_entropy([BARS]), T, "barcode", "a Barcode", "list", MAKE_ONE),
    Bad("persistent_entropy", lambda: tl.persistent_entropy(H0, normalized=1), T, "normalized", "bool", "int", "bool"),
    Bad("length_weights", lambda: tl.length_weights(BARS, -0.5), V, "epsilon", ">= 0", "-0.5", "longer than 0"),
    Bad("length_weights", lambda: tl.length_weights(BARS, 1, softness=math.nan), V, "softness", "finite", "nan", "0"),
    Bad("longest_lengths", lambda: tl.longest_lengths(BARS, 3), V, "dim", "(0, 1)", "None", "pass dim=..."),
    Bad("longest_lengths", lambda: tl.longest_lengths(H0, True), T, "k", "an int", "bool True", "int(...)"),
    Bad("landscape", lambda: tl.landscape(H0, 100, k=2), T, "grid", "(n,)", "int 100", "linspace(first, last, 100)"),
    Bad("landscape", lambda: tl.landscape(H0, GRID, k=-1), V, "k", ">= 0", "-1", "k functions"),
    Bad("landscape", lambda: tl.landscape(H0, GRID[None], k=1), V, "grid", "(n,)", "(1, 5)", "flatten"),
    Bad("silhouette", lambda: tl.silhouette(H0, GRID, p=None), T, "p", "a finite number", "NoneType", "p=0 weighs"),
    Bad("silhouette", lambda: tl.silhouette(H0, GRID.int()), T, "grid", "floating-point", "int32", ".float()"),
    Bad("algebraic", lambda: tl.algebraic(BARS, p=1, essential=GRID), V, "essential", '"count"', "tensor", "spares"),
    Bad("betti_numbers", lambda: tl.betti_numbers(H0, "a"), T, "levels", "a number or", "str 'a'", AS_TENSOR),
    Bad("betti_numbers", lambda: tl.betti_numbers(H0, GRID.to_sparse()), T, "levels", "dense", "sparse", "to_dense"),
    Bad("betti_numbers", lambda: tl.betti_numbers(H0, math.inf), V, "levels", "finite", "inf", "leave it out"),
    Bad("betti_numbers", lambda: tl.betti_numbers(H0, GRID / 0), V, "levels", "finite", "5 that are", "torch.where"),
    Bad("persistence_image", lambda: tl.persistence_image(H0, 9, GRID, sigma=1), T, "births", "(n,)", "int 9", "space"),
    Bad("persistence_image", lambda: tl.persistence_image(H0, GRID, GRID, sigma=0), V, "sigma", "> 0", "0", "distance"),
    Bad(
        "persistence_image", lambda: tl.persistence_image(H0, GRID, GRID, sigma=1, weight=GRID), V,
        "weight", "one entry per bar", "(5,)", "barcode.lengths",
    ),
    Bad("wasserstein", lambda: tl.wasserstein(H0, IMAGE), T, "second", "a Barcode", "Tensor", MAKE_ONE),
    Bad("wasserstein", lambda: tl.wasserstein(H0, H0, order=math.inf), V, "order", "finite", "inf", "bottleneck"),
    Bad("wasserstein", lambda: tl.wasserstein(H0, H0, order=GRID), T, "order", "a number", "Tensor", "order=1"),
    Bad("wasserstein", lambda: tl.wasserstein(H0, H0, norm=0.5), V, "norm", ">= 1", "0.5", "norm=2"),
    Bad("bottleneck", lambda: tl.bottleneck(H0, UPPER), V, "second", "sublevel", "of superlevel", "superlevel=True"),
    Bad("bottleneck", lambda: tl.bottleneck(CLOUD, H0), V, "second", "batch shape ()", "(2,)", "swap"),
    Bad(
        "sliced_wasserstein", lambda: tl.sliced_wasserstein(H0, H0, directions=10**400), V,
        "directions", "<= 2147483647", "about 2**", "50",
    ),
    Bad("sliced_wasserstein", lambda: tl.sliced_wasserstein(3, H0), T, "first", "a Barcode", "int", MAKE_ONE),
    Bad("sliced_wasserstein", lambda: tl.sliced_wasserstein(H0, H0, directions=0), V, "directions", ">= 1", "0", "50"),
]  # fmt: skip

from_diagram, ROWS, INF = tl.Barcode.from_diagram, torch.tensor([[0.0, 1.0], [2.0, 4.0]]), math.inf
SHAPE, BEFORE, DOWN = "(bars, 2)", "deaths >= births in sublevel", "deaths <= births in superlevel"
BARCODES += [
    Bad("wasserstein", lambda: tl.wasserstein(H0, H0, essential=0), V, "essential", '"exclude"', "0", "finite bars"),
    Bad("bottleneck", lambda: tl.bottleneck(H0, H0, essential="no"), V, "essential", '"count"', "'no'", "finite bars"),
    Bad("wasserstein_matching", lambda: tl.wasserstein_matching(H0, 3), T, "second", "a Barcode", "int", MAKE_ONE),
    Bad("wasserstein_matching", lambda: tl.wasserstein_matching(H0, H0, norm=0), V, "norm", ">= 1", "0", "norm=2"),
    Bad("Barcode", lambda: from_diagram([[0.0, 1.0]]), T, "diagram[0]", A_TENSOR, "list", AS_TENSOR),
    Bad("Barcode", lambda: from_diagram(ROWS.numpy()), T, "diagram", A_TENSOR, "ndarray", AS_TENSOR),
    Bad("Barcode", lambda: from_diagram(ROWS.long()), T, "diagram", "floating-point", "int64", "diagram.float()"),
    Bad("Barcode", lambda: from_diagram(ROWS[None]), V, "diagram", SHAPE, "(1, 2, 2)", "list(diagram)"),
    Bad("Barcode", lambda: from_diagram([ROWS, ROWS[0]]), V, "diagram[1]", SHAPE, "(2,)", "torch.stack"),
    Bad("Barcode", lambda: from_diagram(ROWS[:, [0, 1, 0]]), V, "diagram", SHAPE, "(2, 3)", "column of dimensions"),
    Bad("Barcode", lambda: from_diagram(ROWS[0, :0]), V, "diagram", SHAPE, "(0,)", "torch.empty(0, 2)"),
    Bad("Barcode", lambda: from_diagram([ROWS[:0], ROWS * NAN]), V, "diagram[1]", "no NaN", "row 0", "leave such"),
    Bad("Barcode", lambda: from_diagram(ROWS + INF), V, "diagram", "finite births", "[inf, inf] in row 0", "first"),
    Bad("Barcode", lambda: from_diagram(ROWS - INF), V, "diagram", "finite births", "[-inf, -inf]", "from the start"),
    Bad("Barcode", lambda: from_diagram([ROWS, -ROWS]), V, "diagram[1]", BEFORE, "[-0.0, -1.0] in row 0", "superlevel"),
    Bad("Barcode", lambda: from_diagram(ROWS, superlevel=True), V, "diagram", DOWN, "[0.0, 1.0]", "superlevel=False"),
    Bad("Barcode", lambda: from_diagram(torch.tensor([[0, -INF]])), V, "diagram", "inf for", "-inf]", "superlevel"),
    Bad("Barcode", lambda: from_diagram([ROWS, ROWS.double()]), V, "diagram[1]", "float32", "float64", "diagram[0]"),
    Bad("Barcode", lambda: from_diagram([ROWS, ROWS.to("meta")]), T, "diagram[1]", "with data", "meta", "on the CPU"),
    Bad("Barcode", lambda: from_diagram(ROWS, dim=-1), V, "dim", "an int >= 0", "-1", "components"),
    Bad("Barcode", lambda: from_diagram(ROWS, superlevel=1), T, "superlevel", "a bool", "int 1", "bool(...)"),
    Bad("Barcode", lambda: from_diagram(ROWS).coordinates, V, "coordinates", "bars of a grid", "others", "flat"),
    Bad("simplify", lambda: tl.simplify(from_diagram(ROWS), k=1), T, "filtration", "Freudenthal", "Barcode", "wrap"),
]  # fmt: skip

INDUCED, CUBES = "induced_matching", tl.Cubical(torch.zeros(2, 2, 2), ndim=3)
PIXELS, SQUARES = tl.Freudenthal(IMAGE), tl.Cubical(IMAGE)
MATCHINGS = [
    Bad(INDUCED, lambda: tl.induced_matching(IMAGE, PIXELS), T, "first", "Freudenthal", "Tensor", "wrap"),
    Bad(INDUCED, lambda: tl.induced_matching(PIXELS, BARS), T, "second", "LowerStar", "Barcode", "wrap"),
    Bad(INDUCED, lambda: tl.induced_matching(POINTS, POINTS), V, "first", "Cubical", "Rips", "wasserstein_matching"),
    Bad(INDUCED, lambda: tl.induced_matching(PIXELS, SQUARES), V, "second", "Freudenthal", "Cubical", "same way"),
    Bad(INDUCED, lambda: tl.induced_matching(MESH, MESH, 1), V, "dims", "0, as LowerStar", "(1,)", "grids are in"),
    Bad(INDUCED, lambda: tl.induced_matching(PIXELS, PIXELS, 2), V, "dims", "0 to 1", "2", "ndim=3"),
    Bad(
        INDUCED, lambda: tl.induced_matching(PIXELS, tl.Freudenthal(IMAGE, superlevel=True)), V,
        "second", "values alone", "superlevel=True", "in the same way",
    ),
    Bad(
        INDUCED, lambda: tl.induced_matching(PIXELS, tl.Freudenthal(IMAGE[:1])), V,
        "second", "(2, 6, 7)", "(1, 6, 7)", "expand the values",
    ),
    Bad(
        INDUCED, lambda: tl.induced_matching(PIXELS, tl.Freudenthal(IMAGE, mask=INSIDE)), V,
        "second", "values alone", "another mask", "give both the same one",
    ),
    Bad(
        INDUCED, lambda: tl.induced_matching(PIXELS, PIXELS, comparison="both"), V,
        "comparison", '"intersection"', "'both'", "authors",
    ),
    Bad(
        INDUCED, lambda: tl.induced_matching(PIXELS, PIXELS, backend="torch"), V,
        "backend", "cannot match", "it computes pairs only", "Those that can: 'native'",
    ),
]  # fmt: skip

LOSS, SCORE = "betti_matching_loss", "betti_matching_error"
HU = "wasserstein_matching_loss"
RATIO = "gradient_ratio"
HARD, IGNORED = (IMAGE > 0.5).long(), torch.tensor([[0, 1, 255]])
HU_MODULE, PRIOR, FOUR = "WassersteinMatchingLoss", "BettiNumberLoss", IMAGE[:, None]
LABELS = (3 * IMAGE).long()
PLACES, PLACES_MODULE = "BettiMatchingError", "BettiMatchingLoss"
LAYERS = [
    Bad(LOSS, lambda: tl.betti_matching_loss(5 * IMAGE, HARD), V, "prediction", "0 to 1", "from", "torch.sigmoid"),
    Bad(LOSS, lambda: tl.betti_matching_loss(IMAGE, 2 * HARD), V, "target", "0 in the", "0 to 2", "target == c"),
    Bad(LOSS, lambda: tl.betti_matching_loss(IMAGE, HARD, min_length=-1), V, "min_length", ">= 0", "-1", "0 lets"),
    Bad(LOSS, lambda: tl.betti_matching_loss(IMAGE, HARD, comparison=1), V, "comparison", "union", "got 1", "authors"),
    Bad(SCORE, lambda: tl.betti_matching_error(NAN, NAN), V, "prediction", "finite", "4 that are", "torch.where"),
    Bad(SCORE, lambda: tl.betti_matching_error(IMAGE, IMAGE), V, "target", "0 and 1", "got 0.", "target >= 0.5"),
    Bad(PLACES_MODULE, lambda: BettiMatchingLoss(min_length=-1), V, "min_length", ">= 0", "-1", "0 lets all"),
    Bad(PLACES_MODULE, lambda: BettiMatchingLoss(comparison="sum"), V, "comparison", "union", "'sum'", "the authors"),
    Bad(PLACES_MODULE, lambda: BettiMatchingLoss()(5 * FOUR, FOUR), V, "input", "0 to 1", "from", "sigmoid=True"),
    Bad(PLACES, lambda: BettiMatchingError(patch=0), V, "patch", ">= 1", "(0,)", "whole images"),
    Bad(PLACES, lambda: BettiMatchingError().update(FOUR, 2 * FOUR), V, "target", "0 in the", "from", "sigmoid"),
    Bad(HU_MODULE, lambda: WassersteinMatchingLoss(weight=-1), V, "weight", ">= 0", "-1", "for each class"),
    Bad(HU_MODULE, lambda: WassersteinMatchingLoss()(5 * FOUR, FOUR), V, "input", "0 to 1", "from", "sigmoid=True"),
    Bad("BettiError", lambda: BettiError(patches=3), V, "patches", "the size", "patch=None", "give patch"),
    Bad("BettiError", lambda: BettiError().update(LABELS, LABELS), T, "preds", "floating", "int64", "num_classes"),
    Bad("BettiError", lambda: BettiError(num_classes=2).update(LABELS, LABELS), V, "preds", "0 to 1", "2", "=2 says"),
    Bad(HU_MODULE, lambda: WassersteinMatchingLoss()(LABELS, LABELS), T, "input", "floating", "int64", "the logits or"),
    Bad("BettiError", lambda: BettiError().update(FOUR, 2 * FOUR), V, "target", "0 in the", "from", "sigmoid"),
    Bad(PRIOR, lambda: BettiNumberLoss(-1), V, "components", ">= 0", "-1", "another"),
    Bad(PRIOR, lambda: BettiNumberLoss()(IMAGE), V, "input", "(B, C, H, W)", "(2, 6, 7)", "unsqueeze(1)"),
    Bad(PRIOR, lambda: BettiNumberLoss(cavities=1)(FOUR), V, "cavities", "0 for", "got 1", "(B, C, D, H, W)"),
    Bad(HU, lambda: tl.wasserstein_matching_loss(IMAGE, 2 * HARD - 1), V, "mask", "0 in the", "-1 and 1", "mask > 0"),
    Bad(HU, lambda: tl.wasserstein_matching_loss(IMAGE, HARD - 101), V, "mask", "0 in the", "-101", "mask != -101"),
    Bad("betti_error", lambda: tl.betti_error(GRID[None, :3], IGNORED), V, "mask", "0 in", "255 besides", "mask == 1"),
    Bad("betti_error", lambda: tl.betti_error(HARD, HARD), T, "prediction", "floating-point", "int64", "probabilities"),
    Bad("betti_error", lambda: tl.betti_error(IMAGE, HARD[:1] > 0), V, "mask", "(2, 6, 7)", "(1, 6, 7)", "[c"),
    Bad(HU, lambda: tl.wasserstein_matching_loss([0.5], IMAGE), T, "prediction", A_TENSOR, "list", AS_TENSOR),
    Bad(HU, lambda: tl.wasserstein_matching_loss(EMPTY, ON_GRAPH), V, "mask", "the truth", "requires grad", "exchange"),
    Bad("betti_error", lambda: tl.betti_error(EMPTY, ON_GRAPH), V, "mask", "the truth", "requires grad", "exchange"),
    Bad("betti_numbers", lambda: tl.betti_numbers(UPPER, [0.5]), T, "levels", "a tensor (n,)", "list", AS_TENSOR),
    Bad("LowerStar", lambda: tl.LowerStar(EMPTY, EDGES), V, "simplices", "from 0 to 0", "got 1", "values.squeeze(-1)"),
    Bad("persistence", lambda: tl.persistence(tl.Cubical(IMAGE), 2), V, "dims", "from 0 to 1", "got 2", "ndim=3"),
    Bad(HU, lambda: tl.wasserstein_matching_loss(NAN, NAN), V, "prediction", "finite", "4 that are", "torch.where"),
    Bad("betti_error", lambda: tl.betti_error(IMAGE.int(), IMAGE), T, "prediction", "floating", "int32", ".float()"),
    Bad("betti_error", lambda: tl.betti_error(IMAGE, [1]), T, "mask", A_TENSOR, "list", AS_TENSOR),
    Bad("channel_norm", lambda: tl.channel_norm([IMAGE]), T, "h", A_TENSOR, "list", "torch.stack"),
    Bad("channel_norm", lambda: tl.channel_norm(IMAGE.long()), T, "h", "floating-point", "int64", ".float()"),
    Bad(EXTENDED, lambda: tl.extended_persistence(IMAGE), T, "filtration", "a graph", "Tensor", "tl.LowerStar"),
    Bad(EXTENDED, lambda: tl.extended_persistence(POINTS), V, "filtration", "a graph", "Rips", "use persistence"),
    Bad(EXTENDED, lambda: tl.extended_persistence(MESH), V, "filtration", "a graph", "of 3 vertices", "the edges"),
    Bad("few_extrema", lambda: tl.few_extrema(IMAGE), T, "filtration", "a filtration", "Tensor", "tl.Freudenthal"),
    Bad("few_extrema", lambda: tl.few_extrema(tl.Cubical(IMAGE), k=-1), V, "k", ">= 0", "-1", "k=0"),
    Bad("few_extrema", lambda: tl.few_extrema(POINTS, gradient="region"), T, "filtration", "Cubical", "Rips", "wrap"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE), V, "h", "(B, C, H, W)", "(2, 6, 7)", "h[None]"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], k=8.0), T, "k", "an int", "float 8.0", "int(...)"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], p=-1), V, "p", ">= 0", "-1", "p=2"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], gradient="a"), V, "gradient", '"region"', "'a'", "equation"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], scale="max"), V, "scale", '"rms"', "'max'", "None"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], scale=2.0), V, "scale", '"rms"', "2.0", "None"),
    Bad(RATIO, lambda: tl.gradient_ratio(1.0, IMAGE.sum(), IMAGE), T, "penalty", A_TENSOR, "float", AS_TENSOR),
    Bad(RATIO, lambda: tl.gradient_ratio(IMAGE, IMAGE.sum(), IMAGE), V, "penalty", "one number", "(2, 6, 7)", "mean"),
    Bad(RATIO, lambda: tl.gradient_ratio(IMAGE.sum(), IMAGE.sum(), IMAGE), V, "penalty", "from h", "not", "detach()"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], region=IMAGE), T, "region", "bool", "float32", "region > 0"),
    Bad(
        "few_maxima", lambda: tl.few_maxima(IMAGE[None], gradient="region", region=INSIDE), V,
        "gradient", '"critical"', '"region"', "leave out",
    ),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], region=NOTHING), V, "region", "one pixel", "none", "~region"),
    Bad(HU, lambda: tl.wasserstein_matching_loss(IMAGE, IMAGE, region=IMAGE), T, "region", "bool", "float", "> 0"),
    Bad(HU, lambda: tl.wasserstein_matching_loss(IMAGE, IMAGE, region=NOTHING), V, "region", "pixel", "none", "~reg"),
    Bad("betti_error", lambda: tl.betti_error(IMAGE, IMAGE, region=GRID > 0), V, "region", "(6, 7)", "(5,)", "axes"),
    Bad("tokens_to_grid", lambda: tl.tokens_to_grid([1.0]), T, "h", A_TENSOR, "list", AS_TENSOR),
    Bad("tokens_to_grid", lambda: tl.tokens_to_grid(IMAGE, grid=(2, 2)), V, "grid", "6 tokens", "2 x 2", "grid=(H, W)"),
    Bad("few_maxima", lambda: tl.few_maxima(IMAGE[None], gradient=GRID), V, "gradient", '"region"', "tensor", "(1)"),
    Bad("tokens_to_grid", lambda: tl.tokens_to_grid(IMAGE, grid="23"), T, "grid", "ints", "str '23'", "int(...)"),
    Bad("probe", lambda: tl.probe(MODEL, [IMAGE], prominence=10**400), V, "prominence", "< 1", "inf", "percentage"),
    Bad("Regularizer", lambda: tl.Regularizer(MODEL, {"a": tl.few_maxima}), V, "penalties", "layer", "'a'", "nearest"),
    Bad("Regularizer", lambda: tl.Regularizer(MODEL, [tl.few_maxima]), T, "penalties", "a dict", "list", "such as"),
    Bad("Regularizer", lambda: tl.Regularizer(MODEL, {"0": IMAGE}), T, "penalties", "function", "(2, 6, 7)", "itself"),
    Bad("probe", lambda: tl.probe(MODEL, IMAGE), T, "batches", "several batches", "Tensor", "[batches]"),
    Bad("probe", lambda: tl.probe(MODEL, [IMAGE[:, None]], IMAGE), T, "masks", "several batches", "Tensor", "[masks]"),
]  # fmt: skip

# Protocols, results, and a look at the registry.
WITHOUT_INPUT = {"Backend", "ExtendedBarcode", "Filtration", "InducedMatching", "LayerTable", "backends"}
