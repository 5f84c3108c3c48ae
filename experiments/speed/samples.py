"""Many small samples: clouds and graphs in one call and one by one, and matrices of distances in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

import topolayer as tl
from experiments.speed.contender import Contender, backward, one_and_two
from experiments.speed.inputs import Graphs

Array = np.ndarray[Any, Any]

LOSS = "sums of squared lengths, dimensions 0 and 1, and their gradient at the points"
BARS = "dimensions 0 and 1: bars with their vertices"


def topolayer_() -> list[Contender]:
    def together(clouds: Tensor) -> Tensor:
        barcode = tl.persistence(tl.Rips.from_points(list(clouds)), (0, 1))
        return barcode.sum(barcode.lengths.square())

    def one_by_one(clouds: Tensor) -> Tensor:
        barcodes = [tl.persistence(tl.Rips.from_points(cloud), (0, 1)) for cloud in clouds]
        return torch.stack([barcode.lengths.square().sum() for barcode in barcodes])

    def of_graphs(graphs: Graphs) -> list[tl.Barcode]:
        return [tl.persistence(tl.LowerStar(graphs.values, graphs.edges, batch=graphs.batch), (0, 1))]

    def of_each_graph(graphs: Graphs, *, backend: str) -> list[tl.Barcode]:
        return [tl.persistence(tl.LowerStar(values, edges), (0, 1), backend=backend) for values, edges in graphs.each]

    def components(barcodes: list[tl.Barcode]) -> int:
        return sum(int((barcode.dims == 0).sum()) for barcode in barcodes)

    def h0(matrices: Tensor) -> tl.Barcode:
        return tl.persistence(tl.Rips(matrices))

    losses, bars = partial(backward, together), f"one call, {BARS}"
    return [
        *(Contender(name, "clouds", losses, float, "Rips", LOSS, threads=count) for name, count in one_and_two()),
        Contender(ONE_BY_ONE, "clouds", partial(backward, one_by_one), float, "Rips", "the same in a loop"),
        *(
            Contender(name, "graphs", of_graphs, components, "LowerStar", bars, threads=count)
            for name, count in one_and_two()
        ),
        *(
            Contender(name, "graphs", partial(of_each_graph, backend=backend), components, "LowerStar", loop)
            for name, backend, loop in (
                (ONE_BY_ONE, "native", "the same in a loop"),
                ("backend gudhi", "gudhi", 'a loop with `backend="gudhi"`, which once computed loops of graphs'),
            )
        ),
        *(
            Contender(name, "matrices", h0, len, "Rips", "dimension 0: deaths with their edges", threads=count)
            for name, count in one_and_two()
        ),
    ]


ONE_BY_ONE = "one by one"


def redzed_() -> list[Contender]:
    redzed = import_module("redzed_tda")

    def squares(cloud: Tensor) -> Tensor:
        matrix = torch.cdist(cloud, cloud, compute_mode="donot_use_mm_for_euclid_dist")
        _, (components, loops) = redzed.rips(matrix.detach().numpy(), maxdim=1, simplex_pairs=True)
        merges, births, deaths = (
            matrix[tuple(_longest_edges(simplices, matrix).T)]
            for simplices in (
                [death for _, death in components if death],
                [birth for birth, death in loops if death],
                [death for _, death in loops if death],
            )
        )
        return merges.square().sum() + (deaths - births).square().sum()

    def losses(clouds: Tensor) -> Tensor:
        return torch.stack([squares(cloud) for cloud in clouds])

    returns = f"a loop over rips(maxdim=1, simplex_pairs=True): {LOSS}"
    return [Contender("redzed", "clouds", partial(backward, losses), float, "Rips", returns)]


def _longest_edges(simplices: list[list[int]], matrix: Tensor) -> Array:
    """(simplices, 2), of edges and triangles alike."""
    if not simplices:
        return np.empty((0, 2), dtype=np.int64)
    vertices = np.array(simplices)
    edges = vertices[:, list(zip(*np.triu_indices(vertices.shape[1], 1), strict=True))]  # (simplices, edges, 2)
    longest = matrix.detach().numpy()[edges[..., 0], edges[..., 1]].argmax(axis=1)
    found: Array = edges[np.arange(len(edges)), longest]
    return found


def gudhi_() -> list[Contender]:
    make_tree: Callable[[], Any] = import_module("gudhi").SimplexTree

    def generators(values: Tensor, edges: Tensor) -> tuple[Array, list[Array]]:
        tree, entries = make_tree(), values.numpy()
        tree.insert_batch(np.arange(len(entries))[None], entries.astype(np.float64))
        tree.insert_batch(edges.mT.numpy(), entries[edges.numpy()].max(axis=1).astype(np.float64))
        tree.compute_persistence(persistence_dim_max=True)
        finite, essential = tree.lower_star_persistence_generators()
        return finite[0] if finite else np.empty((0, 2)), essential

    def call(graphs: Graphs) -> list[Any]:
        return [generators(values, edges) for values, edges in graphs.each]

    def components(found: Iterable[tuple[Array, list[Array]]]) -> int:
        return sum(len(pairs) for pairs, _ in found)

    returns = f"a loop over SimplexTree, {BARS}"
    return [Contender("gudhi", "graphs", call, components, "LowerStar", returns)]


def persist0_() -> list[Contender]:
    h0_persistence = import_module("persist0").h0_persistence

    def call(matrices: Tensor) -> Tensor:
        deaths: Tensor = h0_persistence(matrices)[1]
        return deaths

    returns = "h0_persistence: deaths with their edges"
    return [Contender("persist0", "matrices", call, lambda deaths: int((deaths > 0).sum()), "Rips", returns)]
