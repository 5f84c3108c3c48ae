"""Contract 13 and Conduct: no state outside the returned objects, and nothing global is touched."""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import topolayer as tl

from ..helpers.comparing import OF_RIPS, found, pairings, persistence
from ..helpers.families import FAMILIES, MASKED, Family

pytestmark = pytest.mark.native
FORK = "fork" in multiprocessing.get_all_start_methods()
needs_fork = pytest.mark.skipif(not FORK, reason="this system does not fork")
may_fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 and later warn


def _images(count: int, side: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _loss(x: torch.Tensor) -> torch.Tensor:
    return tl.total_persistence(tl.persistence(tl.Freudenthal(x, superlevel=True)), p=2, k=2).sum()


def _gradient(x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    _loss(x).backward()
    return x.grad


@pytest.mark.parametrize(("backend", "family", "dims"), pairings((*FAMILIES, *MASKED)))
def test_two_forwards_before_one_backward(backend: str, family: Family, dims: tuple[int, ...]) -> None:
    inputs = [family.random((12,), seed=seed, levels=9).requires_grad_() for seed in range(3)]

    def loss(x: torch.Tensor) -> torch.Tensor:
        barcode = persistence(family.make(x, family.signs[-1]), dims, backend)
        return tl.total_persistence(barcode, p=2).sum()

    separate = [torch.autograd.grad(loss(x), x)[0] for x in inputs]
    losses = [loss(x) for x in inputs]  # all forwards ...
    sum(losses).backward()  # ... and then one backward
    for x, expected in zip(inputs, separate, strict=True):
        assert torch.equal(x.grad, expected)
        assert expected.abs().sum() > 0


def test_two_forwards_on_one_input_and_one_filtration() -> None:
    x = _images(2)[0].requires_grad_()
    filtration = tl.Cubical(x)
    barcodes = [tl.persistence(filtration, 0), tl.persistence(filtration, 1), tl.persistence(tl.Cubical(x), (0, 1))]
    a = sum(b.sum(b.lengths**2) for b in barcodes[:2])
    (grad_a,) = torch.autograd.grad(a, x)
    (grad_b,) = torch.autograd.grad(barcodes[2].sum(barcodes[2].lengths ** 2), x)
    assert torch.allclose(grad_a, grad_b, rtol=1e-14)


def test_retain_graph() -> None:
    x = _images(2).requires_grad_()
    loss = _loss(x)
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    assert torch.equal(x.grad, 2 * once)


def test_a_later_forward_does_not_change_an_earlier_barcode() -> None:
    first = tl.persistence(tl.Freudenthal(_images(2)))
    before = copy.deepcopy((first.pairs, first.births, first.ranks))
    for seed in range(5):
        tl.persistence(tl.Freudenthal(_images(3, seed=seed)))
    for a, b in zip((first.pairs, first.births, first.ranks), before, strict=True):
        assert torch.equal(a, b)


def test_changing_the_input_in_place_afterwards() -> None:
    """Either the numbers stay, or autograd says that it was changed; no silently wrong gradient."""
    x = _images(1).clone()
    expected = _gradient(x)
    leaf = x.requires_grad_()
    y = leaf * 1
    loss = _loss(y)
    with torch.no_grad():
        y.zero_()
    try:
        loss.backward()
    except RuntimeError as error:
        assert "inplace" in str(error) or "in-place" in str(error)
    else:
        assert torch.equal(leaf.grad, expected)


@pytest.mark.parametrize("backend", ["native", "torch", "gudhi"])
def test_threads(backend: str, threads: None) -> None:
    """Forwards and backwards in many threads at once give what they give one after another."""
    torch.set_num_threads(2)
    inputs = [_images(1 + i % 4, side=8 + i, seed=i) for i in range(24)]

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        x = x.clone().requires_grad_()
        barcode = tl.persistence(tl.Freudenthal(x, superlevel=True), backend=backend)
        (tl.total_persistence(barcode, p=2, k=1) + tl.few_maxima(x[:, None], k=2)).sum().backward()
        return [barcode.pairs, barcode.ranks, x.grad]

    serial = [run(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(run, inputs * 3))
    for results, expected in zip(parallel, serial * 3, strict=True):
        assert all(map(torch.equal, results, expected))


class _Diagrams(Dataset):
    """Persistence in the worker, as for a network that reads diagrams."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, i: int) -> torch.Tensor:
        x = _images(3, seed=i)
        return torch.cat([_gradient(x).flatten(), _loss(x)[None], tl.few_maxima(x[:, None], k=1)])


def _use_two_threads(worker: int) -> None:
    """A DataLoader allows its workers one thread."""
    torch.set_num_threads(2)


@may_fork
@pytest.mark.timeout(100)
@pytest.mark.parametrize("start", [pytest.param("fork", marks=needs_fork), "spawn"])
def test_dataloader_workers(start: str, threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the parent has computed with several threads, its own and torch's."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where a spawned worker finds this file
    torch.set_num_threads(4)
    _ = torch.rand(400, 400) @ torch.rand(400, 400)
    _ = torch.rand(1_000_000).sort()
    expected = torch.stack([_Diagrams()[i] for i in range(8)])
    loader = DataLoader(
        _Diagrams(),
        batch_size=4,
        num_workers=2,
        multiprocessing_context=start,
        timeout=80,
        worker_init_fn=_use_two_threads,
    )
    assert torch.equal(torch.cat(list(loader)), expected)


def _checksum(images: torch.Tensor) -> list[float]:
    barcode = tl.persistence(tl.Freudenthal(images), backend="native")
    pairs = int((barcode.pairs.flatten() * torch.arange(2 * len(barcode))).sum())
    return [pairs, int((barcode.ranks * torch.arange(len(barcode))).sum()), *tl.few_maxima(images[:, None]).tolist()]


def _child(queue: multiprocessing.SimpleQueue) -> None:
    assert torch.get_num_threads() == 4
    queue.put(_checksum(_images(16)))


@needs_fork
@may_fork
@pytest.mark.timeout(60)
def test_a_forked_process_may_use_threads(threads: None) -> None:
    """The core's threads are made anew: a fork after they were used does not hang."""
    torch.set_num_threads(4)
    expected = _checksum(_images(16))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=_child, args=(queue,), daemon=True)
    process.start()
    process.join(15)
    try:
        assert process.exitcode == 0
        assert queue.get() == expected
    finally:
        process.kill()
        process.join()


# -- Conduct


def _use_everything() -> None:
    image = _images(2).requires_grad_()
    for backend in ("native", "torch", "gudhi", None):
        tl.persistence(tl.Freudenthal(image, superlevel=True), backend=backend)
    barcode = tl.persistence(tl.Cubical(image, construction="T"), (0, 1))
    barcode.padded(barcode.lengths)
    _ = barcode.coordinates
    tl.algebraic(barcode, p=2, q=1, k=1).sum().backward()
    points = torch.rand(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for backend in OF_RIPS:
        tl.persistence(tl.Rips(torch.cdist(points, points)), 0, backend=backend)
    tl.persistence(tl.Alpha(points), (0, 1))
    tl.persistence(tl.LowerStar(points[:, 0], torch.tensor([[0, 1], [1, 2]])), (0, 1))
    tl.few_maxima(torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).half())
    model = torch.nn.Sequential(torch.nn.Identity())
    with tl.Regularizer(model, {"0": tl.few_maxima}) as regularizer:
        model(torch.ones(1, 2, 5, 5, requires_grad=True))
        regularizer()


def test_nothing_global_is_touched() -> None:
    """Random states, threads, default dtype, and the modes of autograd."""
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())  # noqa: NPY002
    settings = (
        torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(), np.geterr(),
    )  # fmt: skip
    _use_everything()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]
    assert settings == (
        torch.get_num_threads(), torch.get_num_interop_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(), np.geterr(),
    )  # fmt: skip


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Not from Python, and not from a library below it."""
    _use_everything()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("default", [torch.float64, torch.float16])
def test_the_default_dtype_does_not_matter(default: torch.dtype) -> None:
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(default)
        for dtype in (torch.float16, torch.float32, torch.float64):
            raised = torch.float64 if dtype == torch.float64 else torch.float32
            x = torch.tensor([[0.0, 2, 1, 3, 0]], dtype=dtype)
            barcode = tl.persistence(tl.Freudenthal(x))
            assert barcode.births.dtype == tl.total_persistence(barcode, p=2, k=0).dtype == raised
            assert tl.algebraic(barcode, p=1, q=1).item() == 1 * 1.5 + 3 * 1.5
            assert tl.few_maxima(x[None, None], k=1).dtype == raised
            assert tl.few_maxima(x[None, None] * torch.nan).dtype == raised
            distances = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=dtype)
            assert tl.persistence(tl.Rips(distances)).deaths.dtype == raised
            points = torch.tensor([[0.0, 0], [1, 0], [0, 1]], dtype=dtype)
            assert tl.Alpha(points).values.dtype == raised
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_inputs_are_left_alone(family: Family) -> None:
    values = family.random((2,))
    before = values.clone()
    filtration = family.make(values, family.signs[-1])
    tl.persistence(filtration, family.dims)
    assert torch.equal(values, before)
    assert torch.equal(filtration.values, before)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_filtrations_are_frozen(family: Family) -> None:
    filtration = family.make(family.random(), False)
    assert dataclasses.is_dataclass(filtration)
    with pytest.raises(dataclasses.FrozenInstanceError):
        filtration.superlevel = True
    with pytest.raises(dataclasses.FrozenInstanceError):
        filtration.values = family.random()
    assert filtration != family.make(family.random(), False)  # eq=False: tensors are not compared
    assert hash(filtration) == hash(filtration)


def test_results_are_deterministic() -> None:
    family = FAMILIES[1]
    values = family.random((3,))
    runs = [found(tl.persistence(family.make(values, True), 0)) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
