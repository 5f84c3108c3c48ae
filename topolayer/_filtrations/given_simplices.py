"""The simplices that a caller gives: what complexes refuse."""

from __future__ import annotations

import torch
from torch import Tensor

from topolayer._checks import came, dense
from topolayer._tracing import refuse_without_numbers

_OF_ADJACENCY = "the edges of an adjacency matrix are simplices.triu(1).nonzero()"


def check_complex(simplices: object, *, vertices: int) -> tuple[Tensor, ...]:
    """The simplices as one tensor or several, each (m, d + 1)."""
    given = [simplices] if isinstance(simplices, Tensor) else simplices
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            "simplices: expected an integer tensor of shape (m, d + 1), or a tuple or list of such, got "
            f"{came(given)}; {_remedy_of_graph(given)}"
        )
    if not given:
        raise ValueError(
            "simplices: expected at least one tensor of shape (m, d + 1), got none; vertices without simplices are "
            "torch.empty(0, 1, dtype=torch.int64)"
        )
    every = tuple(_rows(rows) for rows in given)
    shapes = [tuple(rows.shape) for rows in every]
    # In a list, each transposed tensor has its own number of rows: 2 for edges, 3 for triangles.
    distinct = isinstance(simplices, Tensor) or 1 < len(shapes) == len({rows for rows, _ in shapes})
    if distinct and all(1 < rows < columns for rows, columns in shapes):
        true = "simplices[:1] and simplices[1:]" if len(shapes) > 1 else "[simplices]"
        raise ValueError(
            "simplices: expected shape (m, d + 1), a row for each simplex, got "
            f"{' and '.join(map(str, shapes))}, the shape of an edge_index of PyTorch Geometric, or of its triangles; "
            f"transpose it with simplices.mT, or give simplices with this many vertices in a list, {true}"
        )
    for rows in every:
        refuse_without_numbers(rows)
        _check_vertices(rows, vertices=vertices)
    return every


def _remedy_of_graph(graph: object) -> str:
    if hasattr(graph, "edge_index"):
        return "a graph of PyTorch Geometric has its edges in simplices.edge_index.mT"
    if hasattr(graph, "edges"):
        return (
            "the edges of a networkx graph whose vertices are numbered from 0, as by "
            "networkx.convert_node_labels_to_integers, are torch.tensor(list(simplices.edges()))"
        )
    return "convert it with torch.as_tensor"


def check_filtered_complex(simplices: object) -> tuple[Tensor, ...]:
    """One tensor of simplices for each dimension, vertices first, each of distinct vertices."""
    listed = "[torch.arange(n)[:, None], edges, triangles]"
    if not isinstance(simplices, (list, tuple)):
        raise TypeError(
            "simplices: expected a list with a tensor (m, d + 1) for each dimension d, got "
            f"{came(simplices)}; vertices come first, as in {listed}"
        )
    every = tuple(map(_rows, simplices))
    for dimension, rows in enumerate(every):
        if rows.shape[1] != dimension + 1:
            raise ValueError(
                f"simplices: expected shape (m, {dimension + 1}) at place {dimension} of the list, got "
                f"{tuple(rows.shape)}; there is one tensor for each dimension, vertices first, as in {listed}"
            )
        refuse_without_numbers(rows)
        _check_distinct(rows)
    if not every or len(every[0]) == 0:
        got = "none" if every else "an empty list"
        raise ValueError(f"simplices: expected at least one vertex, got {got}; vertices come first, as in {listed}")
    return every


def _rows(simplices: object) -> Tensor:
    """A tensor of integers with a row for each simplex."""
    if not isinstance(simplices, Tensor):
        listed = isinstance(simplices, (list, tuple))
        remedy = (
            "a list of edges becomes one by torch.tensor(simplices)" if listed else "convert it with torch.as_tensor"
        )
        raise TypeError(f"simplices: expected integer tensors of shape (m, d + 1), got {came(simplices)}; {remedy}")
    rows = dense("simplices", simplices)
    if rows.is_floating_point() or rows.is_complex() or rows.dtype == torch.bool:
        square = rows.ndim == 2 and len(rows) == rows.shape[1] > 2
        raise TypeError(
            f"simplices: expected an integer tensor, got {rows.dtype}; "
            f"{_OF_ADJACENCY if square else 'convert it with .long()'}"
        )
    if rows.ndim != 2 or rows.shape[1] == 0:
        remedy = "one simplex alone is simplices[None]" if rows.ndim == 1 and len(rows) else "a row is a simplex"
        if rows.numel() == 0:
            remedy = "none at all are torch.empty(0, 2, dtype=torch.int64), as an empty edge_index is by simplices.mT"
        raise ValueError(f"simplices: expected shape (m, d + 1), got {tuple(rows.shape)}; {remedy}")
    return rows


def _check_vertices(simplices: Tensor, *, vertices: int) -> None:
    simplices = simplices.long()  # a small integer type could not be compared with the number of vertices
    missing = (simplices < 0) | (simplices >= vertices)
    if bool(missing.any()):
        row, column = missing.nonzero()[0].tolist()
        raise ValueError(
            f"simplices: expected vertices {f'from 0 to {vertices - 1}' if vertices else 'of values, which has none'}, "
            f"got {int(simplices[row, column])} in row {row}; values has one entry per vertex on its last axis"
            + ("; those of shape (vertices, 1) are squeezed with values.squeeze(-1)" if vertices == 1 else "")
        )
    _check_distinct(simplices)


def _check_distinct(simplices: Tensor) -> None:
    ordered = simplices.sort(dim=1).values
    repeated = (ordered[:, 1:] == ordered[:, :-1]).any(dim=1)
    if bool(repeated.any()):
        row = int(repeated.nonzero()[0])
        remedy = "drop the repetition, or the row"
        if 1 < len(simplices) < simplices.shape[1]:
            remedy += "; an edge_index, with a column for each edge, is transposed with simplices.mT"
        elif len(simplices) == simplices.shape[1] and int(simplices.max()) == 1:
            remedy = _OF_ADJACENCY
        raise ValueError(
            f"simplices: expected distinct vertices in each simplex, got {_shortened(simplices[row])} in row {row}; "
            f"{remedy}"
        )


def _shortened(row: Tensor) -> str:
    if len(row) <= 8:
        return str(row.tolist())
    return f"[{', '.join(map(str, row[:6].tolist()))}, ... {len(row)} in all]"
