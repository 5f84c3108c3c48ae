"""Every problem of the table, with every backend that takes it, in every dtype that holds its numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ..helpers.comparing import BACKENDS, assert_consistent, persistence, value_bars
from ..helpers.problems import PROBLEMS, Problem

pytestmark = pytest.mark.native


def _cases() -> list[Any]:
    cases = []
    for problem in PROBLEMS:
        for name, backend in BACKENDS.items():
            try:
                filtration = problem.filtration(problem.dtypes[-1])
                dims = tuple(dim for dim in problem.dims if backend.unsupported(filtration, (dim,)) is None)
            except Exception:  # then the test itself shall fail
                dims = problem.dims
            if dims:
                cases.append(pytest.param(problem, name, dims, id=f"{problem.name}-{name}"))
    return cases


@pytest.mark.parametrize(("problem", "backend", "dims"), _cases())
def test_known_barcode(problem: Problem, backend: str, dims: tuple[int, ...]) -> None:
    for dtype in problem.dtypes:
        filtration = problem.filtration(dtype)
        barcode = persistence(filtration, dims, backend)
        assert_consistent(barcode, filtration)
        finite, essential = value_bars(barcode)
        # values that are entries of the input are rounded with it; others are computed from it
        exact = dtype if not problem.tolerance else torch.float64
        expected = sorted((d, _in(b, exact), _in(e, exact)) for d, b, e in problem.finite if d in dims)
        if problem.hairs:  # rounding may leave them where two values are equal
            finite = [bar for bar in finite if abs(bar[1] - bar[2]) > problem.tolerance * bar[2]]
        assert len(finite) == len(expected)
        for bar, wanted in zip(finite, expected, strict=True):
            assert bar == (pytest.approx(wanted, rel=problem.tolerance) if problem.tolerance else wanted)
        assert essential == sorted((d, _in(b, dtype)) for d, b in problem.essential if d in dims)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_the_default_backend_takes_every_problem(problem: Problem) -> None:
    filtration = problem.filtration(problem.dtypes[-1])
    everything = persistence(filtration, problem.dims, None)
    for dim in problem.dims:
        one = persistence(filtration, dim, None)
        finite, essential = value_bars(one)
        assert finite == [bar for bar in value_bars(everything)[0] if bar[0] == dim]
        assert essential == [bar for bar in value_bars(everything)[1] if bar[0] == dim]


def _in(number: float, dtype: torch.dtype) -> float:
    """A number as it is after rounding to a dtype."""
    return float(torch.tensor(number, dtype=torch.float64).to(dtype))
