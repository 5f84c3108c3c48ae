"""Bad inputs of samples that may differ in size, or do not fit into memory, as in `bad_inputs`."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import networkx
import numpy as np
import torch

import topolayer as tl

from .bad_inputs import A_TENSOR, AS_TENSOR, EDGES, GRID, IMAGE, NAN, NONE, Bad, T, V

SMOOTH, smooth = "smooth_gradient", tl.smooth_gradient
from_points, PAIR, PLANE = tl.Rips.from_points, torch.zeros(2, 2), torch.rand(5, 2)
BATCH, PATH = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([[0, 1], [2, 3], [3, 4]])

NEXT = torch.eye(5, dtype=torch.int64).roll(1, 1) + torch.eye(5, dtype=torch.int64).roll(-1, 1)  # a ring's adjacency
GRAPH, PYG = networkx.cycle_graph(5), SimpleNamespace(edge_index=EDGES.mT)
SCAN = SimpleNamespace(shape=(4, 5, 6), dataobj=np.zeros((4, 5, 6)))  # as nibabel's images


def _graphs(values: Any = GRID, simplices: Any = PATH, batch: Any = BATCH, samples: Any = None) -> tl.LowerStar:
    return tl.LowerStar(values, simplices, batch=batch, samples=samples)


SAMPLES = [
    Bad("Rips", lambda: tl.Rips([PAIR, PAIR.double()]), V, "distances[1]", "float32", "float64", "distances[0]"),
    Bad("Rips", lambda: tl.Rips([PAIR, PAIR.to("meta")]), T, "distances[1]", "with data", "meta", "on the CPU"),
    Bad("Rips", lambda: tl.Rips([PAIR, PAIR[None]]), V, "distances[1]", "(n, n)", "(1, 2, 2)", "list(distances[1])"),
    Bad("Rips", lambda: tl.Rips([PAIR[:0, :0]]), V, "distances[0]", "(n, n)", "(0, 0)", "left out"),
    Bad("Rips", lambda: tl.Rips([PAIR, NAN]), V, "distances[1]", "finite", "2 that are NaN", "threshold"),
    Bad("Rips", lambda: from_points([PLANE, PLANE[:, :1]]), V, "points[1]", "R^2", "(5, 1)", "of their own"),
    Bad("Rips", lambda: from_points([PLANE, PLANE[:0]]), V, "points[1]", "(n, d)", "(0, 2)", "leave empty"),
    Bad("Rips", lambda: from_points([PLANE, PLANE.half()]), V, "points[1]", "float32", "float16", "points[0]"),
    Bad("Rips", lambda: from_points(p for p in [PLANE]), T, "points", A_TENSOR, "generator", "make a list of it"),
    Bad("Alpha", lambda: tl.Alpha(iter([PLANE])), T, "points", A_TENSOR, "list_iterator", "make a list of it"),
    Bad(SMOOTH, lambda: smooth(map(abs, [PLANE]), bandwidth=1), T, "points", A_TENSOR, "map", "make a list of it"),
    Bad(SMOOTH, lambda: smooth(PLANE[0], bandwidth=1), V, "points", "(*batch, n, d)", "(2,)", "points[:, None]"),
    Bad(SMOOTH, lambda: smooth(PLANE.int(), bandwidth=1), T, "points", "floating-point", "int32", "points.float()"),
    Bad(SMOOTH, lambda: smooth(NAN, bandwidth=1), V, "points", "finite", "4 that are NaN", "torch.where"),
    Bad(SMOOTH, lambda: smooth(PLANE, bandwidth=0), V, "bandwidth", "> 0", "0", "moves alone"),
    Bad(SMOOTH, lambda: smooth(PLANE, bandwidth=-1), V, "bandwidth", ">= 0", "-1", "moves alone"),
    Bad(SMOOTH, lambda: smooth(PLANE, bandwidth=math.inf), V, "bandwidth", "finite", "inf", "moves alone"),
    Bad(SMOOTH, lambda: smooth(PLANE, bandwidth=GRID), T, "bandwidth", "finite number", "Tensor", "moves alone"),
    Bad(SMOOTH, lambda: smooth([PLANE, PLANE[0]], bandwidth=1), V, "points[1]", "(n, d)", "(2,)", "points[:, None]"),
    Bad("Rips", lambda: from_points([PLANE, NAN]), V, "points[1]", "finite", "4 that are NaN", "torch.where"),
    Bad("Alpha", lambda: tl.Alpha([PLANE, PLANE[:0]]), V, "points[1]", "(n, d)", "(0, 2)", "leave empty"),
    Bad("Alpha", lambda: tl.Alpha([PLANE, PLANE[None]]), V, "points[1]", "(n, d)", "(1, 5, 2)", "list(points[1])"),
    Bad("Alpha", lambda: tl.Alpha([PLANE, IMAGE[0]]), V, "points[1]", "R^2", "(6, 7)", "of their own"),
    Bad("Alpha", lambda: tl.Alpha([PLANE, PLANE.double()]), V, "points[1]", "float32", "float64", "points[0]"),
    Bad("LowerStar", lambda: _graphs(batch=[0]), T, "batch", A_TENSOR, "list", AS_TENSOR),
    Bad("LowerStar", lambda: _graphs(batch=GRID), T, "batch", "integer", "float32", ".long()"),
    Bad("LowerStar", lambda: _graphs(batch=BATCH[:3]), V, "batch", "(5,)", "(3,)", "repeat_interleave"),
    Bad("LowerStar", lambda: _graphs(batch=BATCH.flip(0)), V, "batch", "ascend", "[1, 0] at index 2", "sort"),
    Bad("LowerStar", lambda: _graphs(batch=BATCH - 1), V, "batch", "from 0", "-1", "sort"),
    Bad("LowerStar", lambda: _graphs(GRID.expand(2, 5)), V, "values", "(vertices,)", "(2, 5)", "values[:, 0]"),
    Bad("LowerStar", lambda: _graphs(GRID[:, None]), V, "values", "(vertices,)", "(5, 1)", "squeeze(-1)"),
    Bad("LowerStar", lambda: _graphs(simplices=EDGES), V, "simplices", "one sample", "samples [0, 1]", "before it"),
    Bad("LowerStar", lambda: _graphs([GRID, GRID]), T, "values", A_TENSOR, "list", "torch.cat(values)"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, GRAPH), T, "simplices", "an integer", "Graph", "simplices.edges()"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, PYG), T, "simplices", "an integer", "Namespace", "edge_index.mT"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, [(0, 1)]), T, "simplices", "integer", "tuple", "tensor(simplices)"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, NEXT.float()), T, "simplices", "integer", "float32", "nonzero()"),
    Bad("LowerStar", lambda: tl.LowerStar(GRID, NEXT), V, "simplices", "distinct", "[0, 1, 0, 0, 1]", "nonzero()"),
    Bad("LowerStar", lambda: _graphs(GRID[:0], batch=NONE), V, "simplices", "has none", "got 0", "per vertex"),
    Bad("LowerStar", lambda: _graphs(samples=1), V, "samples", "at least 2", "got 1", "None"),
    Bad("LowerStar", lambda: _graphs(samples=2.0), T, "samples", "an int", "float 2.0", "int(...)"),
    Bad("LowerStar", lambda: _graphs(batch=None, samples=3), V, "samples", "None", "got 3", "batch says"),
    Bad("Capabilities", lambda: tl.Capabilities(ragged=1), T, "ragged", "a bool", "int 1", "bool(...)"),
]  # fmt: skip

SLABS, in_slabs, FILE = "persistence_in_slabs", tl.persistence_in_slabs, np.zeros((4, 5, 6), np.float32)
OTHER_DTYPE = SimpleNamespace(shape=(4, 5), dtype=torch.float32, __getitem__=None)
SAMPLES += [
    Bad(SLABS, lambda: in_slabs(IMAGE), T, "array", "numpy.memmap or a zarr array", "Tensor", "tl.persistence"),
    Bad(SLABS, lambda: in_slabs([[0.0, 1.0]]), T, "array", "numpy.memmap or a zarr array", "list", "tl.persistence"),
    Bad(SLABS, lambda: in_slabs("a.npy"), T, "array", "numpy.memmap or a zarr array", "str 'a.npy'", "mmap_mode"),
    Bad(SLABS, lambda: in_slabs({"x": FILE}), T, "array", "numpy.memmap or a zarr array", "dict", "the arrays in it"),
    Bad(SLABS, lambda: in_slabs(SCAN), T, "array", "numpy.memmap or a zarr array", "Namespace", ".dataobj"),
    Bad(SLABS, lambda: in_slabs(np.ma.array(FILE)), T, "array", "without a mask", "MaskedArray", "filled"),
    Bad(SLABS, lambda: in_slabs(FILE.astype(complex)), T, "array", "floating-point", "complex128", "numpy.abs"),
    Bad(SLABS, lambda: in_slabs(FILE.astype(object)), T, "array", "floating-point", "object", "store it as float64"),
    Bad(SLABS, lambda: in_slabs(FILE.astype(np.int32)), T, "array", "up to 16 bits", "int32", "store it as float64"),
    Bad(SLABS, lambda: in_slabs(OTHER_DTYPE), T, "array", "a dtype of NumPy", "torch.float32", "wrap it"),
    Bad(SLABS, lambda: in_slabs(FILE[None]), V, "array", "one to three axes", "(1, 4, 5, 6)", "one channel"),
    Bad(SLABS, lambda: in_slabs(FILE[:0]), V, "array", "none of them empty", "(0, 5, 6)", "one channel"),
    Bad(SLABS, lambda: in_slabs(FILE, 1), V, "dims", "0, 2, or both", "1", "loops need the whole volume in memory"),
    Bad(SLABS, lambda: in_slabs(FILE, (0, 0)), V, "dims", "0, 2, or both", "(0, 0)", "name each once"),
    Bad(SLABS, lambda: in_slabs(FILE, ()), V, "dims", "0, 2, or both", "()", "0 stands for components"),
    Bad(SLABS, lambda: in_slabs(FILE[0], 2), V, "dims", "0, 1, or both", "2", "leave out the others"),
    Bad(SLABS, lambda: in_slabs(FILE, "0"), T, "dims", "an int", "str '0'", "int(...)"),
    Bad(SLABS, lambda: in_slabs(FILE, construction="F"), V, "construction", '"freudenthal"', "'F'", "corner in common"),
    Bad(SLABS, lambda: in_slabs(FILE, superlevel=1), T, "superlevel", "a bool", "int 1", "bool(...)"),
    Bad(SLABS, lambda: in_slabs(FILE, slab=0), V, "slab", ">= 1", "0", "None chooses one"),
    Bad(SLABS, lambda: in_slabs(FILE, slab=2.0), T, "slab", "a number of planes", "float 2.0", "int(...)"),
    Bad(SLABS, lambda: in_slabs(FILE, slab=2**31), V, "slab", "<= 143165574", "2147483648", "None chooses one"),
    Bad(SLABS, lambda: in_slabs(FILE, progress=True), T, "progress", "a function", "bool True", "print"),
]  # fmt: skip
