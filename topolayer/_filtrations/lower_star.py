"""Filtrations by a function on the vertices of a graph, a mesh, or any other simplicial complex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from topolayer._checks import check_bool, check_complex
from topolayer._filtrations.base import Filtration
from topolayer._filtrations.cells import VertexComplex


@dataclass(frozen=True, eq=False, repr=False)
class LowerStar(Filtration):
    """Lower-star (or upper-star) filtration of any simplicial complex: a function on the vertices of a graph or mesh.

    Args:
        values: floating-point tensor `(*batch, vertices)`, the function.
        simplices: integer tensor (m, d + 1), or a sequence of such with any d: the simplices' vertices, a row for each.
            Maximal ones suffice; every vertex is present, used or not. PyTorch Geometric's `edge_index` and `face` are
            transposed, `edge_index.mT`. Where they are not, one or two edges look like two simplices, and are taken for
            such; more columns than rows are refused.
        superlevel: sweep from high values to low ones.

    Raises:
        TypeError, ValueError: `values` is no floating-point tensor or has no vertex; `simplices` is no
            integer tensor of two axes, names a vertex that is not there, or one twice in a simplex; or it is a
            single tensor with two rows or more and even more columns, such as (2, E) with E >= 3, which may be edges or
            two simplices: give these in a list.

    Example:
        >>> import torch, topolayer as tl
        >>> path = torch.tensor([[0, 1], [1, 2]])
        >>> tl.persistence(tl.LowerStar(torch.tensor([0.0, 3.0, 1.0]), path)).deaths
        tensor([3.])
    """

    values: Tensor
    simplices: tuple[Tensor, ...] | Sequence[Tensor] | Tensor
    superlevel: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", self._take("values", self.values))
        check_bool("superlevel", self.superlevel)
        if self.values.ndim < 1 or self.values.shape[-1] == 0:
            raise ValueError(
                f"values: expected shape (*batch, vertices) with at least one vertex, got {tuple(self.values.shape)}; "
                "a single vertex is values.reshape(1), and a graph without vertices is left out"
            )
        simplices = check_complex(self.simplices, vertices=self.values.shape[-1])
        object.__setattr__(self, "simplices", simplices)

    @property
    def cells(self) -> VertexComplex:
        return VertexComplex(tuple(self.simplices))

    @property
    def top_dimension(self) -> int:
        return self.cells.dimension
