"""One table of problems with known barcodes, in closed form.

A `Problem` says how to make the filtration from a tensor of its values, so that a test is a loop over the table.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import topolayer as tl

from . import reference
from .reference import Bars

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
WIDE = (torch.float32, torch.float64)
OLD_COMPILER = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13)  # 2.4 fails; what came between is not tested
INF = math.inf
COMPLEXES = {"F": reference.freudenthal, "V": reference.cubical_v, "T": reference.cubical_t}

# ---------------------------------------------------------------------------------------------------------------
# Problems with known barcodes


@dataclass(frozen=True)
class Problem:
    name: str
    make: Callable[[Tensor], Any]
    compute: Callable[[Any], Bars] | None  # the reference, on nested lists of values
    values: Any  # nested lists
    finite: tuple[tuple[int, float, float], ...]  # dimension, birth, death
    essential: tuple[tuple[int, float], ...]  # dimension, birth
    dims: tuple[int, ...]
    dtypes: tuple[torch.dtype, ...] = DTYPES
    tolerance: float = 0.0  # relative; 0 where the numbers are exact in every dtype
    hairs: bool = False  # whether rounding may make bars of about no length

    def filtration(self, dtype: torch.dtype = torch.float64) -> Any:
        return self.make(torch.tensor(self.values, dtype=dtype))


def grid_of(kind: str, **options: Any) -> Callable[[Tensor], Any]:
    """F, V or T as a function of a tensor without batch axes."""

    def make(values: Tensor) -> Any:
        if kind == "F":
            return tl.Freudenthal(values, ndim=values.ndim, **options)
        return tl.Cubical(values, ndim=values.ndim, construction=kind, **options)

    return make


def _flatten(values: Any) -> list[float]:
    return torch.tensor(values, dtype=torch.float64).flatten().tolist()


def _grid_bars(kind: str, superlevel: bool) -> Callable[[Any], Bars]:
    def compute(values: Any) -> Bars:
        flat, shape = _flatten(values), torch.tensor(values).shape
        return reference.reduce(COMPLEXES[kind](flat, shape, superlevel), flat)

    return compute


def _grid(
    name: str, kinds: str, values: Any, finite: Sequence[tuple[int, float, float]], essential: float, **rest: Any
) -> list[Problem]:
    """The same grid with each of `kinds`, where they agree; and negated and turned round, where dtypes allow it."""
    ndim = torch.tensor(values).ndim
    problems = []
    for kind in kinds:
        for superlevel in (False, True):
            sign = -1 if superlevel else 1
            problems.append(
                Problem(
                    f"{name}-{kind}{'-superlevel' if superlevel else ''}",
                    grid_of(kind, superlevel=superlevel),
                    _grid_bars(kind, superlevel),
                    (sign * torch.tensor(values, dtype=torch.float64)).tolist(),
                    tuple((dim, sign * birth, sign * death) for dim, birth, death in finite),
                    ((0, sign * essential),),
                    tuple(range(ndim)),
                    **rest,
                )
            )
    return problems


def _nested(shape: Sequence[int], value: Callable[..., float]) -> Any:
    """The nested list of `value(*point)` over a grid."""

    def build(prefix: tuple[int, ...]) -> Any:
        if len(prefix) == len(shape):
            return float(value(*prefix))
        return [build((*prefix, i)) for i in range(shape[len(prefix)])]

    return build(())


_SPIRAL = """
1111111
0000001
1111101
1000101
1011101
1000001
1111111
"""
_SPIRAL_ROWS = [[float(c) for c in row] for row in _SPIRAL.split()]


def _cut_spiral() -> list[list[float]]:
    """The arm of the spiral is 0 (it is filtered from below), the rest 4, and one pixel of the arm 2."""
    rows = [[4.0 * (1 - c) for c in row] for row in _SPIRAL_ROWS]
    rows[0][3] = 2.0
    return rows


_DIAMOND = [[1.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 0.0, 1.0]]
_CHECKERS = _nested((4, 4), lambda i, j: (i + j) % 2)
_HILLS = [0.0, 2.0, 1.0, 3.0, 0.0]  # two valleys of depth 1 and 3
_HILLS_BARS = [(0, 1, 2), (0, 0, 3)]
_TINY32, _TINY64 = 2.0**-149, 2.0**-1074

GRIDS: list[Problem] = [
    *_grid("point-1d", "FVT", [5.0], [], 5),
    *_grid("point-2d", "FVT", [[5.0]], [], 5),
    *_grid("point-3d", "FVT", [[[5.0]]], [], 5),
    *_grid("constant-1d", "FVT", [2.0] * 6, [], 2),
    *_grid("constant-2d", "FVT", [[2.0] * 4] * 3, [], 2),
    *_grid("constant-3d", "FVT", [[[2.0] * 4] * 3] * 2, [], 2),
    *_grid("two-valleys", "FVT", [[0, 0, 0, 0, 0], [0, -3, 0, -2, 0], [0, 0, 0, 0, 0]], [(0, -2, 0)], -3),
    *_grid("ramp", "FVT", _nested((3, 4), lambda i, j: 4 * i + j), [], 0),
    *_grid("ramp-3d", "FVT", _nested((2, 3, 4), lambda i, j, k: 12 * i + 4 * j + k), [], 0),
    # where diagonals matter: the zeros of a checkerboard are apart in V, one piece with two holes in T, and
    # three diagonals in Freudenthal
    *_grid("checkers", "V", _CHECKERS, [(0, 0, 1)] * 7, 0),
    *_grid("checkers", "T", _CHECKERS, [(1, 0, 1)] * 2, 0),
    *_grid("checkers", "F", _CHECKERS, [(0, 0, 1)] * 2, 0),
    *_grid("main-diagonal", "V", [[0, 1], [1, 0]], [(0, 0, 1)], 0),
    *_grid("main-diagonal", "FT", [[0, 1], [1, 0]], [], 0),
    *_grid("other-diagonal", "FV", [[1, 0], [0, 1]], [(0, 0, 1)], 0),
    *_grid("other-diagonal", "T", [[1, 0], [0, 1]], [], 0),
    # an annulus whose four sides touch at corners only
    *_grid("diamond", "V", _DIAMOND, [(0, 0, 1)] * 3 + [(1, 1, 2)], 0),
    *_grid("diamond", "T", _DIAMOND, [(1, 0, 2)], 0),
    *_grid("diamond", "F", _DIAMOND, [(0, 0, 1), (1, 1, 2)], 0),
    *_grid("ring", "FVT", [[0, 0, 0], [0, 1, 0], [0, 0, 0]], [(1, 0, 1)], 0),
    *_grid("two-rings", "FVT", [[0, 0, 0, 0, 0], [0, 1, 0, 3, 0], [0, 0, 0, 0, 0]], [(1, 0, 1), (1, 0, 3)], 0),
    *_grid(
        "ring-in-disc", "FVT", [[5] * 5, [5, 0, 0, 0, 5], [5, 0, 1, 0, 5], [5, 0, 0, 0, 5], [5] * 5], [(1, 0, 1)], 0
    ),
    *_grid("spiral", "FVT", [[1 - c for c in row] for row in _SPIRAL_ROWS], [], 0),
    *_grid("cut-spiral", "FVT", _cut_spiral(), [(0, 0, 2)], 0),
    *_grid("hills", "FVT", _HILLS, _HILLS_BARS, 0),
    *_grid("hills-1xn", "FVT", [_HILLS], _HILLS_BARS, 0),
    *_grid("hills-nx1", "FVT", [[x] for x in _HILLS], _HILLS_BARS, 0),
    *_grid("hills-1x1xn", "FVT", [[_HILLS]], _HILLS_BARS, 0),
    *_grid("hills-1xnx1", "FVT", [[[x] for x in _HILLS]], _HILLS_BARS, 0),
    *_grid("hills-nx1x1", "FVT", [[[x]] for x in _HILLS], _HILLS_BARS, 0),
    *_grid("ring-1x3x3", "FVT", [[[0, 0, 0], [0, 1, 0], [0, 0, 0]]], [(1, 0, 1)], 0),
    *_grid("ring-3x1x3", "FVT", [[[0, 0, 0]], [[0, 1, 0]], [[0, 0, 0]]], [(1, 0, 1)], 0),
    *_grid("void", "FVT", _nested((3, 3, 3), lambda *p: p == (1, 1, 1)), [(2, 0, 1)], 0),
    *_grid("tunnel", "FVT", _nested((3, 3, 3), lambda i, j, k: (j, k) == (1, 1)), [(1, 0, 1)], 0),
    *_grid(
        "two-voids",
        "FVT",
        _nested((3, 3, 5), lambda *p: 3 * (p == (1, 1, 1)) + (p == (1, 1, 3))),
        [(2, 0, 3), (2, 0, 1)],
        0,
    ),
    # numbers at the edge
    *_grid("both-zeros", "FVT", [[0.0, -0.0, 0.0], [-0.0, 0.0, -0.0]], [], 0),
    *_grid("zeros-apart", "FVT", [-0.0, 1.0, 0.0, 1.0, -0.0], [(0, 0, 1)] * 2, 0),
    *_grid("negative", "FVT", [-4.0, -1.0, -3.0, -2.0, -8.0], [(0, -3, -2), (0, -4, -1)], -8),
    *_grid("denormal-32", "FVT", [0.0, _TINY32, 0.0], [(0, 0, _TINY32)], 0, dtypes=WIDE),
    *_grid(
        "denormals-32",
        "FVT",
        [2 * _TINY32, 3 * _TINY32, _TINY32],
        [(0, 2 * _TINY32, 3 * _TINY32)],
        _TINY32,
        dtypes=WIDE,
    ),
    *_grid("denormal-64", "FVT", [0.0, _TINY64, 0.0], [(0, 0, _TINY64)], 0, dtypes=(torch.float64,)),
    *_grid("denormal-16", "FVT", [0.0, 2.0**-24, 0.0], [(0, 0, 2.0**-24)], 0),
    *_grid("huge-16", "FVT", [-65504.0, 0.0, -32768.0], [(0, -32768, 0)], -65504, dtypes=(torch.float16, *WIDE)),
    *_grid("huge-32", "FVT", [-1e38, 1e38, -2e38], [(0, -1e38, 1e38)], -2e38, dtypes=WIDE),
    *_grid("huge-64", "FVT", [-1e300, 1e300, -2e300], [(0, -1e300, 1e300)], -2e300, dtypes=(torch.float64,)),
    *_grid("hair-64", "FVT", [1.0, 1.0 + 2.0**-52, 1.0], [(0, 1, 1 + 2.0**-52)], 1, dtypes=(torch.float64,)),
    *_grid("hair-32", "FVT", [1.0, 1.0 + 2.0**-23, 1.0], [(0, 1, 1 + 2.0**-23)], 1, dtypes=WIDE),
]


def star_tensor(simplices: Sequence[Sequence[int]]) -> list[Tensor]:
    """Simplices of mixed dimensions as one integer tensor for each."""
    sizes = sorted({len(s) for s in simplices})
    return [torch.tensor([list(s) for s in simplices if len(s) == size]) for size in sizes]


def _star(
    name: str,
    simplices: Sequence[Sequence[int]],
    values: Sequence[float],
    finite: Sequence[tuple[int, float, float]],
    essential: Sequence[tuple[int, float]],
    superlevel: bool = False,
) -> Problem:
    tensors = star_tensor(simplices)
    return Problem(
        name,
        lambda vertex: tl.LowerStar(vertex, tensors if len(tensors) > 1 else tensors[0], superlevel=superlevel),
        lambda vertex: reference.reduce(reference.lower_star(vertex, simplices, superlevel), vertex),
        [float(v) for v in values],
        tuple(finite),
        tuple(essential),
        tuple(range(max(map(len, simplices)))),
    )


CYCLE = [[0, 1], [1, 2], [2, 3], [3, 0]]
OCTAHEDRON = [[a, b, c] for a in (0, 1) for b in (2, 3) for c in (4, 5)]
# the six-vertex projective plane: H1 = H2 = Z/2 over Z/2, both 0 over any other prime
PROJECTIVE_PLANE = [
    [0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5], [0, 5, 1],
    [1, 2, 4], [2, 3, 5], [3, 4, 1], [4, 5, 2], [5, 1, 3],
]  # fmt: skip
# the seven-vertex torus
TORUS = [[i, (i + 1) % 7, (i + 3) % 7] for i in range(7)] + [[i, (i + 2) % 7, (i + 3) % 7] for i in range(7)]

STARS: list[Problem] = [
    _star("cycle", CYCLE, [0, 1, 2, 3], [], [(0, 0), (1, 3)]),
    _star("cycle-superlevel", CYCLE, [0, 1, 2, 3], [], [(0, 3), (1, 0)], superlevel=True),
    _star("path", [[0, 1], [1, 2]], [0, 2, 1], [(0, 1, 2)], [(0, 0)]),
    _star("path-superlevel", [[0, 1], [1, 2]], [2, 0, 1], [(0, 1, 0)], [(0, 2)], superlevel=True),
    _star("triangle", [[0, 1, 2]], [0, 1, 2], [], [(0, 0)]),
    _star("two-edges-apart", [[0, 1], [2, 3]], [0, 1, 2, 3], [], [(0, 0), (0, 2)]),
    _star("unused-vertices", [[1, 3]], [5, 1, 4, 2, 0], [], [(0, 0), (0, 1), (0, 4), (0, 5)]),
    _star("only-vertices", [[0], [2]], [3, 1, 2], [], [(0, 1), (0, 2), (0, 3)]),
    _star("theta", [[0, 1], [0, 2], [0, 3], [4, 1], [4, 2], [4, 3]], [0, 1, 2, 3, 4], [], [(0, 0), (1, 4), (1, 4)]),
    _star("filled-later", [[a, b, 4] for a, b in CYCLE], [0, 1, 2, 3, 5], [(1, 3, 5)], [(0, 0)]),
    _star("octahedron", OCTAHEDRON, [0, 5, 1, 2, 3, 4], [], [(0, 0), (2, 5)]),
    _star("poles-last", OCTAHEDRON, [4, 5, 0, 1, 2, 3], [(0, 1, 2), (1, 3, 4)], [(0, 0), (2, 5)]),
    _star("projective-plane", PROJECTIVE_PLANE, [0] * 6, [], [(0, 0), (1, 0), (2, 0)]),
    _star("torus", TORUS, [0] * 7, [], [(0, 0), (1, 0), (1, 0), (2, 0)]),
    _star("triangle-and-edge", [[2, 3], [0, 1, 2]], [0, 2, 3, 1], [(0, 1, 3)], [(0, 0)]),
    _star("repeated-simplices", [[0, 1], [1, 0], [1, 2], [0, 1]], [0, 2, 1], [(0, 1, 2)], [(0, 0)]),
]


def _listed(
    name: str,
    simplices: Sequence[Sequence[int]],
    values: Sequence[float],
    finite: Sequence[tuple[int, float, float]],
    essential: Sequence[tuple[int, float]],
) -> Problem:
    """A value for each of the simplices, which come by dimension."""

    def compute(entries: Any) -> Bars:
        return reference.reduce(reference.alpha(simplices, entries), entries)

    def make(entries: Tensor) -> Any:
        return tl.Simplicial(entries, star_tensor(simplices))

    dims = tuple(range(max(map(len, simplices))))
    return Problem(name, make, compute, [float(v) for v in values], tuple(finite), tuple(essential), dims)


_FOUR = [[0], [1], [2], [3]]
_DISC = [*_FOUR, *CYCLE, [0, 2], [0, 1, 2], [2, 3, 0]]
LISTED: list[Problem] = [
    _listed("listed-point", [[7]], [2], [], [(0, 2)]),
    _listed("listed-points", _FOUR, [1, 0, 1, 3], [], [(0, 0), (0, 1), (0, 1), (0, 3)]),
    _listed(
        "listed-weights", [*_FOUR, *CYCLE], [0] * 4 + [4, 1, 3, 2], [(0, 0, d) for d in (1, 2, 3)], [(0, 0), (1, 4)]
    ),
    _listed("listed-constant", _DISC, [5] * 11, [], [(0, 5)]),
    _listed("listed-disc", _DISC, [0] * 4 + [1, 1, 1, 2, 3, 4, 6], [*[(0, 0, 1)] * 3, (1, 2, 6), (1, 3, 4)], [(0, 0)]),
]


def circle_matrix(n: int) -> list[list[float]]:
    """Distances of n points spread evenly on the unit circle, equal where they are equal."""
    return [[2 * math.sin(math.pi * min((i - j) % n, (j - i) % n) / n) for j in range(n)] for i in range(n)]


def cross_polytope(d: int) -> list[list[float]]:
    """Points 2i and 2i + 1 are at distance 2, any others at 1."""
    return [[0.0 if i == j else 2.0 if i // 2 == j // 2 else 1.0 for j in range(2 * d)] for i in range(2 * d)]


_ROOT2 = math.sqrt(2)
SQUARE = [[0, 1, 1, _ROOT2], [1, 0, _ROOT2, 1], [1, _ROOT2, 0, 1], [_ROOT2, 1, 1, 0]]
_CHORD = circle_matrix(12)[0]


def _rips(
    name: str,
    matrix: Sequence[Sequence[float]],
    finite: Sequence[tuple[int, float, float]],
    essential: Sequence[tuple[int, float]],
    dims: tuple[int, ...],
    dtypes: tuple[torch.dtype, ...] = DTYPES,
    threshold: float = INF,
) -> Problem:
    def compute(rows: Any) -> Bars:
        return reference.reduce(reference.rips(rows, threshold, dims[-1] + 1), _flatten(rows)).restrict(dims)

    rows = [[float(d) for d in row] for row in matrix]
    make = functools.partial(tl.Rips, threshold=threshold)
    return Problem(name, make, compute, rows, tuple(finite), tuple(essential), dims, dtypes)


RIPS: list[Problem] = [
    _rips("rips-point", [[0]], [], [(0, 0)], (0, 1, 2)),
    _rips("rips-two-points", [[0, 3], [3, 0]], [(0, 0, 3)], [(0, 0)], (0, 1)),
    _rips("rips-equilateral", [[0, 1, 1], [1, 0, 1], [1, 1, 0]], [(0, 0, 1)] * 2, [(0, 0)], (0, 1)),
    _rips("rips-square", SQUARE, [(0, 0, 1)] * 3 + [(1, 1, _ROOT2)], [(0, 0)], (0, 1, 2)),
    _rips("rips-square-at-1", SQUARE, [(0, 0, 1)] * 3, [(0, 0), (1, 1)], (0, 1), threshold=1.0),
    _rips("rips-square-below-1", SQUARE, [], [(0, 0)] * 4, (0, 1), threshold=0.5),
    _rips("rips-square-at-0", SQUARE, [], [(0, 0)] * 4, (0, 1), threshold=0.0),
    _rips("rips-circle", circle_matrix(12), [(0, 0, _CHORD[1])] * 11 + [(1, _CHORD[1], _CHORD[4])], [(0, 0)], (0, 1)),
    _rips("rips-coincident", [[0, 0, 2], [0, 0, 2], [2, 2, 0]], [(0, 0, 2)], [(0, 0)], (0, 1)),
    _rips("rips-all-coincident", [[0] * 4] * 4, [], [(0, 0)], (0, 1, 2)),
    _rips("rips-all-coincident-at-0", [[0] * 4] * 4, [], [(0, 0)], (0, 1, 2), threshold=0.0),
    _rips("rips-octahedron", cross_polytope(3), [(0, 0, 1)] * 5 + [(2, 1, 2)], [(0, 0)], (0, 1, 2)),
    _rips("rips-cross-polytope-4", cross_polytope(4), [(0, 0, 1)] * 7 + [(3, 1, 2)], [(0, 0)], (0, 1, 2, 3)),
    _rips("rips-huge-64", [[0, 1e300], [1e300, 0]], [(0, 0, 1e300)], [(0, 0)], (0,), (torch.float64,)),
    _rips("rips-huge-32", [[0, 1e38], [1e38, 0]], [(0, 0, 1e38)], [(0, 0)], (0,), WIDE),
    _rips("rips-denormal", [[0, _TINY32], [_TINY32, 0]], [(0, 0, _TINY32)], [(0, 0)], (0,), WIDE),
]

_TETRAHEDRON = [[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]  # edges of length 2 sqrt 2, squared radius 3
_CIRCLE = [[math.cos(2 * math.pi * i / 12), math.sin(2 * math.pi * i / 12)] for i in range(12)]
_ARC = math.sin(math.pi / 12) ** 2


def _cech(points: Any) -> Bars:
    """The alpha complex has the bars of the Čech complex, whose indices are into other values."""
    cells, values = reference.cech(points)
    return reference.reduce(cells, values).restrict(range(max(len(points[0]), 1)))


def _alpha(
    name: str,
    points: Sequence[Sequence[float]],
    finite: Sequence[tuple[int, float, float]],
    dtypes: tuple[torch.dtype, ...] = DTYPES,
    tolerance: float = 1e-6,
    hairs: bool = False,
) -> Problem:
    rows, dims = [[float(x) for x in point] for point in points], tuple(range(len(points[0])))
    return Problem(name, tl.Alpha, _cech, rows, tuple(finite), ((0, 0),), dims, dtypes, tolerance, hairs)


def lattice(*shape: int) -> list[list[float]]:
    return [[float(x) for x in point] for point in itertools.product(*map(range, shape))]


ALPHA: list[Problem] = [
    _alpha("alpha-point-1d", [[2]], []),
    _alpha("alpha-two-points-1d", [[5], [1]], [(0, 0, 4)]),
    _alpha("alpha-line", [[3], [0], [1]], [(0, 0, 0.25), (0, 0, 1)]),
    _alpha("alpha-triangle", [[0, 0], [4, 0], [2, 3]], [(0, 0, 3.25)] * 2 + [(1, 4, 169 / 36)]),
    _alpha("alpha-right-angle", [[0, 0], [4, 0], [0, 2]], [(0, 0, 1), (0, 0, 4)]),
    _alpha("alpha-obtuse", [[0, 0], [4, 0], [2, 1]], [(0, 0, 1.25)] * 2),
    # lattices: as many points on one sphere as can be, and no bar between cells of one value
    _alpha("alpha-square", lattice(2, 2), [(0, 0, 0.25)] * 3 + [(1, 0.25, 0.5)]),
    _alpha("alpha-3x3", lattice(3, 3), [(0, 0, 0.25)] * 8 + [(1, 0.25, 0.5)] * 4),
    _alpha("alpha-4x5", lattice(4, 5), [(0, 0, 0.25)] * 19 + [(1, 0.25, 0.5)] * 12),
    _alpha("alpha-cube", lattice(2, 2, 2), [(0, 0, 0.25)] * 7 + [(1, 0.25, 0.5)] * 5 + [(2, 0.5, 0.75)]),
    _alpha("alpha-3x2x2", lattice(3, 2, 2), [(0, 0, 0.25)] * 11 + [(1, 0.25, 0.5)] * 9 + [(2, 0.5, 0.75)] * 2),
    _alpha("alpha-circle", _CIRCLE, [(0, 0, _ARC)] * 11 + [(1, _ARC, 1)], WIDE, 1e-5, True),
    _alpha(
        "alpha-tetrahedron", _TETRAHEDRON, [(0, 0, 2)] * 3 + [(1, 2, 8 / 3)] * 3 + [(2, 8 / 3, 3)], WIDE, 1e-5, True
    ),
]

PROBLEMS = GRIDS + STARS + LISTED + RIPS + ALPHA
