"""What the tests share: the backends that are installed, and barcodes as multisets of index pairs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch

import topolayer as tl

from .families import Expected, Family
from .reference import positions_in_order


class Cripser(tl.RankBackend):
    """CubicalRipser as a user would add it. It takes 1xN images for points unless they are volumes."""

    name = "cripser"

    def unsupported(self, filtration: Any, dims: tuple[int, ...]) -> str | None:
        return None if isinstance(filtration, tl.Cubical) else "cripser takes cubical filtrations only"

    def diagram(self, filtration: Any, ranks: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
        import cripser

        volume = ranks.reshape((1,) * (3 - ranks.ndim) + ranks.shape)
        return cripser.compute_ph(volume, filtration=filtration.construction, maxdim=max(dims))[:, :3]


def installed() -> dict[str, Any]:
    """Everything to be tested: the backends of the library that can be imported here, and one of a user's."""
    tiny = tl.Rips(torch.zeros(1, 1)), tl.Freudenthal(torch.zeros(1, 1))
    found = {
        name: backend
        for name, backend in tl.backends().items()
        if any(backend.unsupported(filtration, (0,)) is None for filtration in tiny)
    }
    return found | {"cripser": Cripser()}


BACKENDS = installed()
OF_RIPS = [name for name in ("native", "redzed", "ripser", "gudhi") if name in BACKENDS]


def able_dims(backend: Any, family: Family) -> tuple[int, ...]:
    """The dimensions that a backend says it can compute for a family."""
    filtration = family.make(family.random(), family.signs[0])
    return tuple(dim for dim in family.dims if backend.unsupported(filtration, (dim,)) is None)


@functools.cache
def pairings(families: tuple[Family, ...]) -> list[Any]:
    """Parameters (backend name, family, dims) for all that backends say they can do."""
    result = []
    for family in families:
        for name, backend in BACKENDS.items():
            dims = able_dims(backend, family)
            if dims:
                result.append(pytest.param(name, family, dims, id=f"{name}-{family.name}"))
    return result


def persistence(filtration: Any, dims: int | tuple[int, ...], backend: str | None) -> Any:
    """`tl.persistence` with a backend by its name, the user's among them."""
    chosen = BACKENDS[backend] if backend in BACKENDS and backend not in tl.backends() else backend
    return tl.persistence(filtration, dims, backend=chosen)


def found(barcode: Any) -> Expected:
    """Bars and essential bars as sorted lists of indices."""
    rows = torch.cat([barcode.sample[:, None], barcode.dims[:, None], barcode.pairs], 1)
    e = barcode.essential
    points = torch.stack([e.sample, e.dims, e.indices], 1)
    return Expected(sorted(map(tuple, rows.tolist())), sorted(map(tuple, points.tolist())))


def value_bars(barcode: Any) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Bars and essential bars of one sample as sorted lists of (dimension, birth, death) and (dimension, birth)."""
    finite = zip(barcode.dims.tolist(), barcode.births.tolist(), barcode.deaths.tolist(), strict=True)
    essential = zip(barcode.essential.dims.tolist(), barcode.essential.births.tolist(), strict=True)
    return sorted(finite), sorted(essential)


def assert_consistent(barcode: Any, filtration: Any) -> None:
    """What holds of every barcode: shapes, dtypes, devices, and values that are those at the indices."""
    values, n = filtration.values, len(barcode)
    flat = values.detach().flatten()
    for tensor in (barcode.births, barcode.deaths, barcode.lengths):
        assert tensor.shape == (n,)
        assert tensor.dtype == values.dtype
        assert tensor.device == values.device
    for tensor in (barcode.dims, barcode.sample, barcode.ranks):
        assert tensor.shape == (n,)
        assert tensor.device == values.device
        assert not tensor.dtype.is_floating_point
    assert barcode.pairs.shape == (n, 2)
    assert barcode.pairs.dtype == torch.int64
    assert torch.equal(barcode.births.detach(), flat[barcode.pairs[:, 0]])
    assert torch.equal(barcode.deaths.detach(), flat[barcode.pairs[:, 1]])
    assert torch.equal(barcode.lengths.detach(), (barcode.births - barcode.deaths).abs().detach())
    assert tuple(barcode.batch_shape) == tuple(filtration.batch_shape)
    essential = barcode.essential
    m = len(essential)
    assert essential.births.shape == essential.indices.shape == essential.dims.shape == essential.sample.shape == (m,)
    assert torch.equal(essential.births.detach(), flat[essential.indices])


def places(family: Family, values: torch.Tensor, superlevel: bool = False) -> dict[int, int]:
    """The place of every index in the total order of its own sample, Contract 2; keyed by flat index."""
    result = {}
    size = int(np.prod(family.shape))
    for number, sample in enumerate(values.detach().double().reshape(-1, size).tolist()):
        if family.kind == "rips":
            n = family.shape[0]
            entries = [(0.0, 0, i * n + i) for i in range(n)]
            entries += [(sample[i * n + j], 1, i * n + j) for i in range(n) for j in range(i + 1, n)]
            ordered = [position for _, _, position in sorted(entries)]
        else:
            ordered = positions_in_order(sample, superlevel)
        result.update({number * size + position: place for place, position in enumerate(ordered)})
    return result
