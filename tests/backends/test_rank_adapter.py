"""The rank adapter: what a library is given, and what is made of what it gives back."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

import topolayer as tl

from ..helpers import reference
from ..helpers.comparing import OF_RIPS, Cripser, found
from ..helpers.families import FAMILIES, Family, grid_family, rips_family


class Recorder(tl.RankBackend):
    """Keeps what it is given, and finds nothing."""

    name = "recorder"

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        return None

    def diagram(self, filtration: Any, ranks: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
        assert dims == (0,)
        self.seen.append(ranks.copy())
        return np.empty((0, 3))


def _ranks(filtration: Any) -> list[np.ndarray]:
    recorder = Recorder()
    assert len(tl.persistence(filtration, backend=recorder)) == 0
    for ranks in recorder.seen:
        assert isinstance(ranks, np.ndarray)
        assert ranks.dtype == np.float64
    return recorder.seen


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.kind in ("F", "T", "star")], ids=lambda family: family.name
)
def test_ranks_of_vertices(family: Family) -> None:
    """One sample after another, shaped like it: a permutation by (value, position), or by (-value, position)."""
    values = family.random((2, 2))
    for superlevel in (False, True):
        seen = _ranks(family.make(values, superlevel))
        assert len(seen) == 4
        for ranks, sample in zip(seen, values.flatten(0, 1), strict=True):
            assert ranks.shape == family.shape
            assert ranks.flatten().tolist() == reference.ranks(sample.flatten().tolist(), superlevel)


def test_ranks_of_zeros_of_both_signs() -> None:
    (ranks,) = _ranks(tl.Freudenthal(torch.tensor([0.0, -0.0, 1.0, -0.0]), ndim=1))
    assert ranks.tolist() == [0, 1, 3, 2]


@pytest.mark.parametrize("threshold", [0.0, 1.0, 2.0, float("inf")])
def test_ranks_of_rips(threshold: float) -> None:
    """Vertices first, even where edges have length 0; edges by (length, position); inf beyond the threshold."""
    family = rips_family(5, threshold)
    values = family.random((3,), levels=3)
    for ranks, sample in zip(_ranks(tl.Rips(values, threshold=threshold)), values, strict=True):
        assert ranks.shape == (5, 5)
        assert np.array_equal(ranks, ranks.T)
        assert ranks.diagonal().tolist() == [0, 1, 2, 3, 4]
        edges = list(itertools.combinations(range(5), 2))
        inside = sorted((float(sample[e]), e) for e in edges if sample[e] <= threshold)
        assert [ranks[e] for _, e in inside] == list(range(5, 5 + len(inside)))
        assert all(ranks[e] == np.inf for e in edges if sample[e] > threshold)


def test_ranks_of_alpha() -> None:
    """Cells are sorted by (value, dimension, position)."""
    filtration = tl.Alpha(torch.tensor([[0.0, 0], [4, 0], [2, 1]], dtype=torch.float64))
    (ranks,) = _ranks(filtration)
    dims = [len(s) - 1 for part in filtration.simplices for s in part.tolist()]
    keys = [(v, d, i) for i, (v, d) in enumerate(zip(filtration.values.tolist(), dims, strict=True))]
    assert ranks.tolist() == [sorted(keys).index(key) for key in keys]


def test_the_adapter_sees_no_batch_axes_and_an_empty_batch_not_at_all() -> None:
    assert _ranks(tl.Freudenthal(torch.zeros(0, 4, 5))) == []


def test_the_adapter_leaves_out_dimensions_not_asked_for() -> None:
    class TooMuch(Cripser):
        def diagram(self, filtration: Any, ranks: np.ndarray, dims: tuple[int, ...]) -> Any:
            return super().diagram(filtration, ranks, (0, 1)).tolist()  # array-like

    family = grid_family("T", 5, 6)
    values = family.random((2,))
    for dim in (0, 1):
        barcode = tl.persistence(family.make(values, False), dim, backend=TooMuch())
        assert found(barcode) == family.expected(values, False, (dim,))


def test_the_adapter_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract"):
        tl.RankBackend()

    class Half(tl.RankBackend):
        name = "half"

    with pytest.raises(TypeError, match=r"diagram|unsupported"):
        Half()


class Reference(tl.RankBackend):
    """All filtrations by the tests' own reduction, on ranks: what one writes for a library that takes any complex."""

    name = "reference"

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        return None

    def diagram(self, filtration: Any, ranks: np.ndarray, dims: tuple[int, ...]) -> list[tuple[float, float, float]]:
        flat = ranks.flatten().tolist()
        if isinstance(filtration, tl.Alpha | tl.LowerStar):
            simplices = filtration.simplices
            rows = [row for part in ([simplices] if torch.is_tensor(simplices) else simplices) for row in part.tolist()]
        match filtration:
            case tl.Alpha():
                cells = reference.alpha(rows, flat)
            case tl.LowerStar():
                cells = reference.lower_star(flat, rows)
            case tl.Rips():
                cells = reference.rips(ranks.tolist(), max(r for r in flat if r < np.inf), max(dims) + 1)
            case tl.Freudenthal():
                cells = reference.freudenthal(flat, ranks.shape)
            case tl.Cubical(construction="V"):
                cells = reference.cubical_v(flat, ranks.shape)
            case tl.Cubical():
                cells = reference.cubical_t(flat, ranks.shape)
        bars = reference.reduce(cells, flat)
        finite = [(dim, flat[birth], flat[death]) for dim, birth, death in bars.finite]
        return finite + [(dim, flat[birth], np.inf) for dim, birth in bars.essential]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_library_that_takes_any_complex(family: Family) -> None:
    """Ties and superlevel filtrations are the adapter's business, so this is right for all of them."""
    for superlevel in family.signs:
        values = family.random((2,))
        barcode = tl.persistence(family.make(values, superlevel), family.dims, backend=Reference())
        assert found(barcode) == family.expected(values, superlevel)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_alpha_by_any_simplicial_backend(d: int) -> None:
    """Contract 11."""
    points = torch.rand(9, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    dims = tuple(range(d))
    a, b = (tl.persistence(tl.Alpha(points), dims, backend=backend) for backend in (Reference(), "gudhi"))
    assert found(a) == found(b)
    assert len(a) >= 8


# -- nonsense

WRONG_DIAGRAMS: dict[str, Any] = {
    "nothing": None,
    "text": "diagram",
    "two columns": [[0.0, 1.0]],
    "four columns": [[0.0, 1.0, 2.0, 3.0]],
    "flat": [0.0, 2.0, 3.0],
    "a rank too large": [[0.0, 1.0, 5.0]],
    "a huge rank for infinity": [[0.0, 1.0, 1.797e308]],
    "a negative rank": [[0.0, -1.0, 2.0]],
    "no whole number": [[0.0, 0.5, 2.0]],
    "NaN": [[0.0, 1.0, np.nan]],
    "birth NaN": [[0.0, np.nan, 1.0]],
    "birth infinite": [[0.0, np.inf, np.inf]],
    "death minus infinity": [[0.0, 1.0, -np.inf]],
    "death before birth": [[0.0, 3.0, 1.0]],
    "dimension NaN": [[np.nan, 1.0, 2.0]],
}


@pytest.mark.parametrize("diagram", WRONG_DIAGRAMS.values(), ids=WRONG_DIAGRAMS.keys())
def test_a_diagram_of_nonsense_is_named(diagram: Any) -> None:
    """What a library gives back is ranks, or an error with the backend's name, no wrong barcode."""

    class Wrong(Cripser):
        name = "wrong"

        def diagram(self, filtration: Any, ranks: np.ndarray, dims: tuple[int, ...]) -> Any:
            return diagram

    with pytest.raises((TypeError, ValueError), match="wrong"):
        tl.persistence(tl.Cubical(torch.tensor([[0.0, 2, 1, 3, 0.5]])), backend=Wrong())


@pytest.mark.parametrize("name", OF_RIPS[1:-1])
def test_more_ranks_than_float32_holds_are_refused(name: str) -> None:
    """Exact below 2^24 ranks, refused beyond, with the name of one that can."""
    backend = tl.backends()[name]
    below, beyond = (tl.Rips(torch.zeros(n, n)) for n in (5000, 5800))
    assert backend.unsupported(below, (0,)) is None
    assert "float32" in backend.unsupported(beyond, (0,))
    with pytest.raises(ValueError, match=rf"{name}.*float32.*native"):
        tl.persistence(beyond, backend=name)
