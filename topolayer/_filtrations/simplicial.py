"""Filtrations of simplicial complexes by a value for each simplex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from topolayer import _core
from topolayer._checks import check_bool, check_finite
from topolayer._filtrations.base import Filtration
from topolayer._filtrations.cells import SimplexComplex, as_arrays
from topolayer._filtrations.given_simplices import check_filtered_complex
from topolayer._filtrations.simplices import Indices
from topolayer._tracing import refuse_jit_trace, refuse_without_numbers, untraced


@dataclass(frozen=True, eq=False, repr=False)
class Simplicial(Filtration):
    """Filtration of a simplicial complex by a value for each simplex: weighted edges, or a filtration made elsewhere.

    Args:
        values: tensor `(*batch, simplices)`, floating-point or of small integers: one for each simplex in the order of
            `simplices`, all vertices, then all edges, and so on. No simplex may enter before its faces.
        simplices: a list with an integer tensor (m, d + 1) for each dimension d, vertices first: the names of the
            simplices' vertices, a row for each. All faces of a simplex are among them, and each simplex occurs once.
            PyTorch Geometric's `edge_index` has to be transposed, `edge_index.mT`, and has each edge of an undirected
            graph twice.
        superlevel: sweep from high values to low ones.

    Raises:
        TypeError, ValueError: `values` is no tensor of such numbers, has another number of entries than there are
            simplices, or is not finite; `simplices` is no list of integer tensors, one for each dimension, or has a
            simplex twice or without a face; a simplex enters before one of its faces.

    Example:
        >>> import torch, topolayer as tl
        >>> vertices, edges = torch.arange(3)[:, None], torch.tensor([[0, 1], [1, 2], [0, 2]])
        >>> weights = torch.tensor([0.2, 0.5, 0.9])
        >>> graph = tl.Simplicial(torch.cat([torch.zeros(3), weights]), [vertices, edges])
        >>> barcode = tl.persistence(graph, dims=(0, 1))
        >>> barcode.deaths, barcode.essential.births
        (tensor([0.2000, 0.5000]), tensor([0.0000, 0.9000]))
    """

    values: Tensor
    simplices: tuple[Tensor, ...] | Sequence[Tensor]
    superlevel: bool = field(default=False, kw_only=True)
    _facets: list[Indices] = field(init=False)

    def __post_init__(self) -> None:
        values = self._take("values", self.values)
        refuse_without_numbers(values)
        refuse_jit_trace()
        check_bool("superlevel", self.superlevel)
        simplices = check_filtered_complex(self.simplices)
        count = sum(map(len, simplices))
        if values.ndim < 1 or values.shape[-1] != count:
            raise ValueError(
                f"values: expected shape (*batch, {count}), one for each simplex, got {tuple(values.shape)}; the "
                "values of the vertices come first, then those of the edges, and so on, as torch.cat puts them together"
            )
        facets = _facets(simplices)
        check_finite("values", values)
        _check_monotone(values.detach(), simplices, facets, self.superlevel)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "simplices", simplices)
        object.__setattr__(self, "_facets", facets)

    @property
    def cells(self) -> SimplexComplex:
        return SimplexComplex(tuple(self.simplices), self._facets)

    @property
    def top_dimension(self) -> int:
        return len(self.simplices) - 1


@untraced
def _facets(simplices: tuple[Tensor, ...]) -> list[Indices]:
    """Where the facets of edges, triangles, ... are among the simplices of one dimension less, in a row for each."""
    given = as_arrays(simplices)
    names = np.unique(given[0])
    facets: list[Indices] = []
    below = given[0][:0]
    for dimension, named in enumerate(given):
        rows = np.searchsorted(names, named).clip(max=len(names) - 1)
        unknown = (names[rows] != named).nonzero()
        if len(unknown[0]):
            row, column = unknown[0][0], unknown[1][0]
            _refuse_without(named[row, [column]], named[row], row, dimension)
        first = _core.places(rows, rows, len(names))
        (again,) = (first != np.arange(len(rows))).nonzero()
        if len(again):
            row = again[0]
            raise ValueError(
                f"simplices: expected each simplex once, got {named[row].tolist()} in rows {first[row]} and {row} of "
                f"those of dimension {dimension}; leave one out, and its value"
            )
        if dimension > 0:
            width = dimension + 1
            others = [[column for column in range(width) if column != left_out] for left_out in range(width)]
            found = _core.places(rows[:, others].reshape(-1, dimension), below, len(names)).reshape(-1, width)
            missing = (found < 0).nonzero()
            if len(missing[0]):
                row, left_out = missing[0][0], missing[1][0]
                _refuse_without(np.delete(named[row], left_out), named[row], row, dimension)
            facets.append(found)
        below = rows
    return facets


def _refuse_without(face: Indices, simplex: Indices, row: int, dimension: int) -> NoReturn:
    raise ValueError(
        f"simplices: expected all faces of every simplex, got {simplex.tolist()} in row {row} of those of dimension "
        f"{dimension} without {face.tolist()}; add it, with a value, to those of dimension {len(face) - 1}"
    )


@untraced
def _check_monotone(values: Tensor, simplices: Sequence[Tensor], facets: list[Indices], superlevel: bool) -> None:
    """Refuses values with which a simplex enters before a face of it."""
    first_of_faces, first = 0, len(simplices[0])
    for dimension, places in enumerate(facets, 1):
        own = values[..., first : first + len(places)]
        for place in torch.from_numpy(places).to(values.device).unbind(1):
            of_face = values[..., first_of_faces + place]
            early = own > of_face if superlevel else own < of_face
            if bool(early.any()):
                *sample, row = early.nonzero()[0].tolist()
                face = simplices[dimension - 1][place[row]].tolist()
                numbers = float(own[(*sample, row)]), float(of_face[(*sample, row)])
                where = f" in sample {tuple(sample)}" if sample else ""
                order, extreme = ("<=", "minimum") if superlevel else (">=", "maximum")
                raise ValueError(
                    f"values: expected the value of a simplex {order} those of its faces, got {numbers[0]:g} for "
                    f"{simplices[dimension][row].tolist()} and {numbers[1]:g} for its face {face}{where}; give it the "
                    f"torch.{extreme} of both, or the other superlevel"
                )
        first_of_faces, first = first, first + len(places)
