"""The backend `torch`: the bars of the native core, exactly; how often the host waits; on which device it computes."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Self

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import topolayer as tl

from ..helpers.comparing import OF_RIPS
from ..helpers.families import GRAPH, Family, grid_family, rips_family

TORCH = tl.backends()["torch"]
SHAPES = ((1,), (2,), (9,), (1, 1), (1, 8), (8, 1), (2, 2), (3, 3), (5, 9), (17, 4), (1, 1, 1), (1, 1, 7), (4, 1, 5),
          (2, 2, 2), (3, 3, 3), (4, 5, 6))  # fmt: skip
GRIDS = [grid_family(kind, *shape) for kind in "FVT" for shape in SHAPES]


def _dims(family: Family) -> list[Any]:
    top = len(family.shape) - 1
    return [0, top, (top, 0)] if top else [0]


def _assert_as_native(family: Family, values: torch.Tensor) -> None:
    """Every field, so the order of bars as well."""
    for superlevel in (False, True):
        filtration = family.make(values, superlevel)
        for dims in _dims(family):
            got, expected = (tl.persistence(filtration, dims, backend=name) for name in ("torch", "native"))
            for name in ("pairs", "dims", "sample", "births", "deaths"):
                assert torch.equal(getattr(got, name), getattr(expected, name)), (name, dims, superlevel)
            for name in ("indices", "dims", "sample", "births"):
                assert torch.equal(getattr(got.essential, name), getattr(expected.essential, name)), (dims, superlevel)


# -- the bars


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", GRIDS, ids=lambda family: family.name)
def test_all_that_native_gives_in_its_order(family: Family, dtype: torch.dtype) -> None:
    for levels in (0, 1, 6, None):
        _assert_as_native(family, family.random((2, 2), dtype, levels=levels))
    for batch in ((), (0,)):
        _assert_as_native(family, family.random(batch, dtype, levels=2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", [f for f in GRIDS if min(f.shape) > 2], ids=lambda family: family.name)
def test_numbers_at_the_edge(family: Family, dtype: torch.dtype) -> None:
    """Zeros of both signs, denormals, huge numbers, and neighbours in the floating-point numbers."""
    generator = torch.Generator().manual_seed(0)
    whole = family.random((3,), dtype) - 2
    signs = torch.where(torch.rand(whole.shape, generator=generator) < 0.5, -1.0, 1.0).to(dtype)
    limits = torch.finfo(dtype)
    for values in (
        whole.clamp(0, 1) * signs,
        whole * limits.smallest_normal * limits.eps,
        whole * (limits.max / 2),
        1 + whole * limits.eps,
    ):
        _assert_as_native(family, values)


def _along(path: Sequence[tuple[int, int]], heights: torch.Tensor, side: int) -> torch.Tensor:
    """An image of a ridge, below which all is equal."""
    image = torch.full((side, side), float(heights.min()) - 1)
    rows, columns = torch.tensor(path).T
    image[rows, columns] = heights
    return image


def _serpentine(side: int) -> list[tuple[int, int]]:
    path = []
    for row in range(0, side, 2):
        columns = range(side) if row % 4 == 0 else range(side - 1, -1, -1)
        path += [(row, column) for column in columns]
        path += [(row + 1, path[-1][1])] if row + 2 < side else []
    return path


def _ripples(n: int) -> torch.Tensor:
    """n maxima, each lower than the one before, and passes between them, each higher than the one before."""
    line = torch.arange(2 * n - 1).float()
    return torch.where(line % 2 == 0, 3 * n - line, line)


def _nested(n: int) -> torch.Tensor:
    """n maxima, of which pairs unite first, then pairs of pairs, and so on; n is a power of two."""
    passes = torch.tensor([-float(i & -i) for i in range(1, n)])
    line = torch.empty(2 * n - 1)
    line[1::2] = passes
    line[::2] = torch.randperm(n, generator=torch.Generator().manual_seed(0)).float()
    return line


def _images() -> list[Any]:
    row, column = torch.meshgrid(torch.arange(33), torch.arange(46), indexing="ij")
    path = _serpentine(31)
    length = torch.arange(len(path)).float()
    waves = torch.nn.functional.pad(_ripples(len(path) // 2 + 1), (0, 1))[: len(path)]
    distance = ((row - 16.0) ** 2 + (column - 23.0) ** 2).sqrt()
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, 40, 50, generator=generator)
    images = {
        "ramp": (46 * row + column).float(),
        "ramp the other way": (row - column).float(),
        "checkerboard": ((row + column) % 2).float(),
        "stripes": (row % 2).float(),
        "stairs": (row // 3 + column // 4).float(),
        "one long way up": _along(path, length, 31),
        "one long way, in ripples": _along(path, waves, 31),
        "one long way, in growing ripples": _along(path, waves.flip(0), 31),
        "one long way of plateaus": _along(path, (length // 5) % 7, 31),
        "circular ripples": torch.cos(distance) * torch.exp(-distance / 20),
        "smooth": torch.nn.functional.avg_pool2d(noise, 7, stride=1, padding=3)[0, 0],
        "nested": _nested(512).reshape(1, -1),
    }
    return [pytest.param(image, id=name) for name, image in images.items()]


@pytest.mark.parametrize("kind", "FVT")
@pytest.mark.parametrize("image", _images())
def test_long_ways_and_patterns(image: torch.Tensor, kind: str) -> None:
    _assert_as_native(grid_family(kind, *image.shape), image)
    _assert_as_native(grid_family(kind, *image.shape), torch.stack([image, image.flip(0), -image]))


@pytest.mark.parametrize("kind", "FVT")
@pytest.mark.parametrize("shape", [(2, 97, 130), (3, 11, 12, 13)])
def test_larger_batches(shape: tuple[int, ...], kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    family = grid_family(kind, *shape[1:])
    _assert_as_native(family, torch.rand(shape, generator=generator))
    _assert_as_native(family, torch.randint(0, 9, shape, generator=generator).float())


def test_strides_do_not_matter() -> None:
    values = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    family = grid_family("F", 5, 7)
    for strange in (
        values.transpose(0, 2).contiguous().transpose(0, 2),
        values.mT.contiguous().mT,
        values.repeat(2, 2, 2)[::2, ::2, ::2],
        values[:1].expand(3, 5, 7),
        torch.complex(values, values).conj().imag,  # lazily negated
    ):
        _assert_as_native(family, strange)


# -- waiting for the device

_COPIES = ("cpu", "cuda", "to", "numpy", "tolist", "item", "tensor", "as_tensor", "from_numpy")
_WAITING = (
    "nonzero", "_local_scalar_dense", "is_nonzero", "equal", "masked_select", "_unique", "unique_dim",
    "unique_consecutive", "_unique2", "bincount", "repeat_interleave",
)  # fmt: skip


class _Waits:
    """Notes everything for which the host of an accelerator waits: sizes that depend on data, copies to and fro."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        waits = self

        class Calls(TorchFunctionMode):
            def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                if getattr(function, "__name__", "") in _COPIES:
                    waits.noted.append(function.__name__)
                return function(*args, **(kwargs or {}))

        class Operations(TorchDispatchMode):
            def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                name = function.overloadpacket.__name__
                indices = args[1] if name.startswith(("index", "_index_put")) and name != "index_select" else ()
                masks = isinstance(indices, list | tuple) and any(
                    i is not None and i.dtype == torch.bool for i in indices
                )
                if name in _WAITING or masks:
                    waits.noted.append(name)
                return function(*args, **(kwargs or {}))

        self._modes = (Calls(), Operations())

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        for mode in self._modes:
            self._stack.enter_context(mode)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.tolist(),
        lambda x: x[0].item(),
        lambda x: bool(x.any()),
        lambda x: int(x.sum()),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x + 1),
        lambda x: torch.tensor([1, 2]),
        lambda x: x.repeat_interleave(x.long()),
        lambda x: x.to(torch.float64),
        lambda x: x.masked_select(x > 0),
        lambda x: x.clone().index_put_((x > 0,), x.new_zeros(())),
    ],
)
def test_what_waits_is_noticed(waiting: Callable[[torch.Tensor], Any]) -> None:
    x = torch.tensor([0.0, 1.0, 2.0])
    with _Waits() as waits:
        waiting(x)
    assert waits.noted


def _waits(filtration: Any, dims: int | tuple[int, ...] = 0) -> int:
    with _Waits() as waits:
        TORCH.pairs(filtration.detach(), dims if isinstance(dims, tuple) else (dims,))
    assert set(waits.noted) <= {"nonzero"}
    return len(waits.noted)


def test_waits_are_one_per_dimension_one_per_round_and_one() -> None:
    """Rounds that are known: none for one maximum, one for a chain of them, log2 for nested ones."""
    one, chain, nested = torch.linspace(0, 1, 64), _ripples(500), _nested(256)
    for line, rounds in ((one, 0), (chain, 1), (chain.flip(0), 1), (nested, 8)):
        for ndim in (1, 2):
            values = line.reshape((1,) * (ndim - 1) + (-1,))
            assert _waits(tl.Freudenthal(values, ndim=ndim, superlevel=True)) == 1 + rounds + 1
            assert _waits(tl.Cubical(-values, ndim=ndim)) == 1 + rounds + 1


@pytest.mark.parametrize("kind", "FVT")
def test_waits_do_not_depend_on_the_batch_nor_add_up_over_dimensions(kind: str) -> None:
    family = grid_family(kind, 24, 31)
    image = family.random(levels=None)
    for superlevel in (False, True):
        alone = [_waits(family.make(image, superlevel), dim) for dim in (0, 1)]
        batch = image.expand(7, 24, 31)
        assert [_waits(family.make(batch, superlevel), dim) for dim in (0, 1)] == alone
        assert _waits(family.make(batch, superlevel), (0, 1)) == max(alone) + 1


@pytest.mark.parametrize("k", [1, 3, 10**9])
def test_to_simplify_waits_once_less(k: int) -> None:
    """It need not know how many bars there are."""
    for values in (torch.linspace(0, 1, 64)[None], _ripples(500)[None], _nested(256)[None], torch.zeros(3, 5, 5)):
        filtration = tl.Freudenthal(values, superlevel=True)
        with _Waits() as waits:
            TORCH.simplified(filtration, k, 0.0)  # type: ignore[attr-defined]
        assert waits.noted == ["nonzero"] * (_waits(filtration) - 1)


@pytest.mark.parametrize("kind", "FVT")
@pytest.mark.parametrize("shape", [(300,), (40, 50), (12, 13, 14)])
def test_rounds_are_logarithmic(kind: str, shape: tuple[int, ...]) -> None:
    """At most log2 of the number of extrema; without ties all but one of these have a bar."""
    family = grid_family(kind, *shape)
    generator = torch.Generator().manual_seed(0)
    n = torch.Size(shape).numel()
    for values in (torch.randperm(n, generator=generator), torch.arange(n) * 7919 % 10007):
        filtration = family.make(values.reshape(shape).double(), True)
        extrema = 1 + len(tl.persistence(filtration, backend="native"))
        rounds = _waits(filtration) - 2
        assert 1 <= rounds <= extrema.bit_length() - 1


@pytest.mark.parametrize("kind", "FVT")
@pytest.mark.parametrize("centers", [((20, 22), (37, 45)), ((7, 7, 8), (13, 12, 13))])
def test_the_border_between_two_basins_is_not_looked_at_again(centers: tuple[tuple[int, ...], ...], kind: str) -> None:
    """Two minima and one pass: few events, though the border is 100 pixels long, or has an area of 800."""
    length, ndim = (70, 2) if len(centers[0]) == 2 else (22, 3)
    points = torch.cartesian_prod(*[torch.arange(length).double()] * ndim).reshape(*[length] * ndim, ndim)
    tilt = torch.arange(ndim) / 20  # so that no two distances are equal
    bowls = [((points - torch.tensor(center) - tilt) ** 2 * (1 + tilt)).sum(-1) for center in centers]
    filtration = grid_family(kind, *bowls[0].shape).make(torch.minimum(*bowls), False)
    assert len(tl.persistence(filtration)) == 1
    events, _ = importlib.import_module("topolayer._backends.torch")._events(filtration, 0, valid=torch.tensor(True))
    assert 3 <= len(events.key) <= 30


# -- devices


@pytest.mark.parametrize("family", [f for f in GRIDS if min(f.shape) > 2], ids=lambda family: family.name)
def test_everything_is_computed_on_the_device_of_the_values(family: Family) -> None:
    """Whatever does not say where it is made would land on the default device, and not meet the values again."""
    filtration = family.make(family.random((2,)), False)
    expected = TORCH.pairs(filtration, tuple({0, len(family.shape) - 1}))
    simplified = TORCH.simplified(filtration, 2, 0.5)  # type: ignore[attr-defined]
    with torch.device("meta"):
        got = TORCH.pairs(filtration, tuple({0, len(family.shape) - 1}))
        assert torch.equal(TORCH.simplified(filtration, 2, 0.5), simplified)  # type: ignore[attr-defined]
    for some, others in ((got.finite, expected.finite), (got.essential, expected.essential)):
        for name in ("indices", "dims", "samples"):
            assert getattr(some, name).device == filtration.values.device
            assert torch.equal(getattr(some, name), getattr(others, name))


def _elsewhere(filtration: Any) -> Any:
    """The filtration on a device that is always there, though it holds no data."""
    moved = copy.copy(filtration)
    object.__setattr__(moved, "values", filtration.values.to("meta"))
    return moved


def test_it_comes_first_for_tensors_on_an_accelerator() -> None:
    """It does so where it can: other filtrations, and the middle dimension of volumes, are copied to the CPU."""
    choose = importlib.import_module("topolayer._backends").choose_backend
    volume = grid_family("V", 3, 4, 5)
    for family, dims, here, there in (
        (grid_family("F", 9), (0,), "native", "torch"),
        (grid_family("T", 4, 5), (0, 1), "native", "torch"),
        (volume, (0, 2), "native", "torch"),
        (volume, (1,), "native", "native"),
        (volume, (0, 1, 2), "native", "native"),
        (GRAPH, (0, 1), "native", "native"),
        (rips_family(4), (0,), "native", "native"),
        (rips_family(4), (1,), "native", "native"),
        (rips_family(4), (2,), OF_RIPS[1], OF_RIPS[1]),
    ):
        filtration = family.make(family.random(), False)
        assert choose(None, filtration, dims).name == here
        assert choose(None, _elsewhere(filtration), dims).name == there
        assert choose("gudhi", _elsewhere(filtration), dims).name == "gudhi"


def test_deterministic_algorithms_are_enough() -> None:
    values = torch.randint(0, 9, (3, 20, 21), generator=torch.Generator().manual_seed(0)).float()
    torch.use_deterministic_algorithms(True)
    try:
        _assert_as_native(grid_family("F", 20, 21), values)
    finally:
        torch.use_deterministic_algorithms(False)


# -- refusals


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dims", [0, 1, (0, 1)])
def test_what_is_not_finite_is_found_in_passing(dims: Any, bad: float) -> None:
    """Contract 9, without another wait in good weather: in any sample and at any place, alone or not."""
    for shape in ((3, 4, 5), (3, 1, 1), (1, 2, 9)):
        for place in ((0, 0, 0), (-1, -1, -1)):
            values = torch.zeros(shape)
            values[place] = bad
            for filtration in (tl.Freudenthal(values), tl.Cubical(values, construction="T", superlevel=True)):
                with pytest.raises(ValueError, match=r"values\b.*got 1 that are NaN or infinite"):
                    tl.persistence(filtration, dims, backend="torch")
    with pytest.raises(ValueError, match="got 20"):
        tl.persistence(tl.Freudenthal(torch.full((4, 5), bad)), dims, backend="torch")


def test_batches_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit that this machine can reach."""
    monkeypatch.setattr(importlib.import_module("topolayer._backends.torch"), "_MOST_CANDIDATES", 3 * 5 * 6 * 9)
    assert len(tl.persistence(tl.Freudenthal(torch.zeros(3, 3, 4)), backend="torch")) == 0
    with pytest.raises(ValueError, match=r"torch.*batches of at most 90 pixels.*got 120.*native"):
        tl.persistence(tl.Freudenthal(torch.zeros(4, 3, 4)), backend="torch")
