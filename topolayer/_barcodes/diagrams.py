"""Births and deaths of a user, as the values and indices that elsewhere come from a filtration and a backend."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from topolayer._checks import alike, check_bool, check_integer, floating, joined
from topolayer._per_sample import lexsort
from topolayer._tracing import refuse_jit_trace, refuse_without_numbers, untraced


class Diagrams(NamedTuple):
    """Diagrams, one after another, with their bars in canonical order."""

    values: Tensor  # birth, death, birth, death, ...
    indices: tuple[Tensor, ...]  # into the values, dims and samples of finite bars, then of essential ones
    batch_shape: tuple[int, ...]
    input_dtype: torch.dtype


@untraced
def read_diagrams(diagram: Tensor | Sequence[Tensor], *, dim: int, superlevel: bool) -> Diagrams:
    """One diagram, or a list of them, if a filtration of this direction can have such bars."""
    dim = check_integer("dim", dim, least=0, most=2**31 - 1, remedy="0 is for components, 1 for loops")
    check_bool("superlevel", superlevel)
    refuse_jit_trace()
    several = isinstance(diagram, (list, tuple))
    given: list[Any] = list(diagram) if several else [diagram]
    tables = alike("diagram", given) if several else [floating("diagram", diagram)]
    names = [f"diagram[{i}]" for i in range(len(tables))] if several else ["diagram"]
    for name, table in zip(names, tables, strict=True):
        _check_shape(name, table)
    ends, sizes = joined(tables).view(-1, 2), list(map(len, tables))
    with torch.no_grad():
        refuse_without_numbers(ends)
        _check_bars(ends, superlevel, names, sizes)
        births, deaths = (-ends if superlevel else ends).add(0.0).unbind(1)  # 0.0 for -0.0, which sorts tell apart
        samples = torch.arange(len(sizes), device=ends.device)
        sample = samples.repeat_interleave(torch.tensor(sizes, dtype=torch.int64, device=ends.device))
        never = deaths.isinf()
        finite, essential = ((births != deaths) & ~never).nonzero()[:, 0], never.nonzero()[:, 0]
        # Sorts are stable, so equal values keep the order of their positions.
        finite, essential = (
            at.index_select(0, lexsort([sample.index_select(0, at).int(), ends.index_select(0, at)]))
            for at, ends in ((finite, deaths), (essential, births))
        )
    return Diagrams(
        values=ends.flatten(),
        indices=(
            *(torch.stack([2 * finite, 2 * finite + 1], dim=1), torch.full_like(finite, dim), sample[finite]),
            *(2 * essential, torch.full_like(essential, dim), sample[essential]),
        ),
        batch_shape=(len(sizes),) if several else (),
        input_dtype=given[0].dtype if given else torch.float32,
    )


def _check_shape(name: str, table: Tensor) -> None:
    if table.ndim != 2 or table.shape[1] != 2:
        remedy = "torch.stack([births, deaths], dim=1) has it"
        if table.numel() == 0:
            remedy = "no bars are torch.empty(0, 2)"
        elif table.ndim == 3 and table.shape[2] == 2:
            remedy = f"a batch is a list of diagrams, list({name})"
        elif table.ndim == 2 and table.shape[1] == 3:
            remedy = f"leave out the column of dimensions and choose one of them, such as {name}[{name}[:, 2] == 1, :2]"
        raise ValueError(f"{name}: expected shape (bars, 2), births and deaths, got {tuple(table.shape)}; {remedy}")


def _check_bars(ends: Tensor, superlevel: bool, names: list[str], sizes: list[int]) -> None:
    births, deaths = ends.unbind(1)
    kind, infinity, sign = ("superlevel", "-inf", "<=") if superlevel else ("sublevel", "inf", ">=")
    refused = (
        (ends.isnan().any(dim=1), "no NaN", "leave such rows out, {0}[~{0}.isnan().any(dim=1)]"),
        (
            births.isinf(),
            "finite births",
            "a bar that is there from the start is born at the first value of the filtration",
        ),
        (
            births < deaths if superlevel else deaths < births,
            f"deaths {sign} births in {kind} sets, and {infinity} for bars that never die",
            f"superlevel={not superlevel} is for bars of the other direction, and {{0}}.flip(1) exchanges the columns",
        ),
    )
    for bad, expected, remedy in refused:
        if bool(bad.any()):
            row = int(bad.nonzero()[0, 0])
            starts = list(accumulate(sizes, initial=0))
            number = next(i for i, end in enumerate(starts[1:]) if row < end)
            raise ValueError(
                f"{names[number]}: expected {expected}, got {ends[row].tolist()} in row {row - starts[number]}; "
                f"{remedy.format(names[number])}"
            )
