"""Filtrations by a function on the vertices of a graph, a mesh, or any other simplicial complex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from topolayer._checks import came, check_bool, check_integer, dense
from topolayer._filtrations.base import Filtration, with_tensors
from topolayer._filtrations.cells import VertexComplex, as_arrays
from topolayer._filtrations.given_simplices import check_complex
from topolayer._filtrations.simplices import Indices, Simplices, by_sample, offsets_of
from topolayer._tracing import refuse_without_numbers, to_numpy, untraced


@dataclass(frozen=True, eq=False, repr=False)
class LowerStar(Filtration):
    """Lower-star (or upper-star) filtration of any simplicial complex: a function on the vertices of a graph or mesh.

    Args:
        values: tensor `(*batch, vertices)`, floating-point or of small integers: the function.
        simplices: integer tensor (m, d + 1), or a sequence of such with any d: the simplices' vertices, a row for each.
            Maximal ones suffice; every vertex is present, used or not. PyTorch Geometric's `edge_index` and `face` have
            to be transposed, `edge_index.mT`. Without this, one or two edges look like two simplices and are taken for
            them; more columns than rows are refused.
        superlevel: sweep from high values to low ones.
        batch: integer tensor (vertices,), the sample of each vertex, ascending from 0, as in a batch of PyTorch
            Geometric: graphs or meshes of any sizes, each with its own edges. `values` then has the shape (vertices,),
            with one sample after another, and the rows of simplices are indices into it. None: all samples have these
            simplices.
        samples: how many samples `batch` has, for the case that the last ones have no vertices (`Batch.num_graphs` in
            PyTorch Geometric).

    Raises:
        TypeError, ValueError: `values` is no tensor of such numbers or has no vertex; `simplices` is no integer tensor
            of two axes, names a vertex that does not exist, or names one twice in a simplex; or it is a single tensor
            with two rows or more and even more columns, such as (2, E) with E >= 3, which may be edges or two
            simplices: give simplices in a list. With `batch`: `values` has batch axes; `batch` has another length, or
            does not ascend; a simplex has vertices of two samples; `samples` is too small.

    Example:
        >>> import torch, topolayer as tl
        >>> path = torch.tensor([[0, 1], [1, 2]])
        >>> tl.persistence(tl.LowerStar(torch.tensor([0.0, 3.0, 1.0]), path)).deaths
        tensor([3.])
        >>> two_graphs = torch.tensor([[0, 1], [1, 2], [3, 4]])  # a path and an edge
        >>> values, batch = torch.tensor([0.0, 3.0, 1.0, 5.0, 4.0]), torch.tensor([0, 0, 0, 1, 1])
        >>> barcode = tl.persistence(tl.LowerStar(values, two_graphs, batch=batch))
        >>> barcode.sum(barcode.lengths), barcode.essential.births
        (tensor([2., 0.]), tensor([0., 4.]))
    """

    values: Tensor
    simplices: tuple[Tensor, ...] | Sequence[Tensor] | Tensor
    superlevel: bool = field(default=False, kw_only=True)
    batch: Tensor | None = field(default=None, kw_only=True)
    samples: InitVar[int | None] = field(default=None, kw_only=True)

    def __post_init__(self, samples: int | None) -> None:
        _check_not_listed(self.values)
        values = self._take("values", self.values)
        object.__setattr__(self, "values", values)
        check_bool("superlevel", self.superlevel)
        if self.batch is not None:
            _check_flat(values)
            object.__setattr__(self, "_sizes", _sizes(self.batch, len(values), samples))
        elif values.ndim < 1 or values.shape[-1] == 0:
            raise ValueError(
                f"values: expected shape (*batch, vertices) with at least one vertex, got {tuple(values.shape)}; "
                "a single vertex is values.reshape(1), and a graph without vertices is left out"
            )
        elif samples is not None and samples != self.samples:
            raise ValueError(
                f"samples: expected None, as there is no batch, got {samples}; batch says which sample a vertex "
                "belongs to"
            )
        simplices = check_complex(self.simplices, vertices=values.shape[-1])
        object.__setattr__(self, "simplices", simplices)
        if self._sizes is not None:
            _check_within_samples(simplices, self._sizes)

    @property
    def cells(self) -> VertexComplex:
        return VertexComplex(tuple(self.simplices))

    @property
    def top_dimension(self) -> int:
        return self.cells.dimension

    @cached_property
    def _by_sample(self) -> list[tuple[Simplices, Indices]]:
        offsets = offsets_of(self._sizes or ())
        return [by_sample(rows, offsets) for rows in as_arrays(self.simplices)]

    def _alone(self, number: int, values: Tensor) -> Self:
        simplices = tuple(
            torch.from_numpy(rows[offsets[number] : offsets[number + 1]]).to(values.device)
            for rows, offsets in self._by_sample
        )
        return with_tensors(self, values, None, simplices=simplices, batch=None, _sizes=None)


del LowerStar.samples  # the field is only an argument: the property of the base says how many there are


def _check_not_listed(values: object) -> None:
    if isinstance(values, (list, tuple)) and values and all(isinstance(part, Tensor) for part in values):
        raise TypeError(
            f"values: expected a torch.Tensor, got {came(values)}; graphs of different sizes stand in one row, "
            "torch.cat(values), and batch says which graph a vertex belongs to"
        )


def _check_flat(values: Tensor) -> None:
    if values.ndim == 1:
        return
    remedy = "for several functions on the vertices make one filtration each, such as one of values[:, 0]"
    if values.ndim == 2 and values.shape[1] == 1:
        remedy = "values.squeeze(-1) has it"
    raise ValueError(
        f"values: expected shape (vertices,) beside batch, the samples one after another, got {tuple(values.shape)}; "
        f"{remedy}"
    )


@untraced
def _sizes(batch: object, vertices: int, samples: object) -> tuple[int, ...]:
    """How many vertices each sample has."""
    batch = dense("batch", batch)
    if batch.is_floating_point() or batch.is_complex() or batch.dtype == torch.bool:
        raise TypeError(f"batch: expected an integer tensor, got {batch.dtype}; convert it with .long()")
    if tuple(batch.shape) != (vertices,):
        raise ValueError(
            f"batch: expected shape ({vertices},), the sample of each entry of values, got {tuple(batch.shape)}; "
            "torch.arange(samples).repeat_interleave(sizes) makes it from the sizes of the samples"
        )
    refuse_without_numbers(batch)
    numbers = to_numpy(batch.cpu().long())
    (descends,) = (numbers[1:] < numbers[:-1]).nonzero()
    if len(descends) or (numbers[:1] < 0).any():
        place = int(descends[0]) if len(descends) else 0
        got = numbers[place : place + 2].tolist() if len(descends) else int(numbers[0])
        raise ValueError(
            f"batch: expected numbers of samples that ascend from 0, got {got} at index {place}; sort the vertices by "
            "sample, and renumber the vertices in simplices"
        )
    least = int(numbers[-1]) + 1 if vertices else 0
    count = (
        least if samples is None else check_integer("samples", samples, least=0, remedy="None counts those of batch")
    )
    if count < least:
        raise ValueError(
            f"samples: expected at least {least}, as batch has numbers up to {least - 1}, got {count}; None counts them"
        )
    return tuple(np.bincount(numbers, minlength=count).tolist())


@untraced
def _check_within_samples(simplices: Sequence[Tensor], sizes: Sequence[int]) -> None:
    offsets = offsets_of(sizes)
    for rows in as_arrays(simplices):
        sample = np.searchsorted(offsets, rows, side="right") - 1
        apart = (sample != sample[:, :1]).any(axis=1)
        if apart.any():
            row = int(apart.argmax())
            raise ValueError(
                f"simplices: expected vertices of one sample in each, got {rows[row].tolist()} in row {row}, of "
                f"samples {sample[row].tolist()}; vertices are numbered through all samples, so add to those of each "
                "sample the number of vertices before it"
            )
