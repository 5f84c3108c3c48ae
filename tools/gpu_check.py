"""Checks on one CUDA card what the tests cannot check without one, in a few minutes.

python -m tools.gpu_check

* **Pairs**: the backend `torch` on the card has the bars of the native core, bit for bit and in its order; so has what
  the native core computes for values on the card.
* **Mixed precision**: a regularized network is trained with autocast and GradScaler, and a batch that overflows is
  skipped.
* **Transfers**: which of the backends copies how much between the card and the host, and that `torch` copies nothing.
* **Timings**: a batch's penalty and its gradient by `torch` on the card, and by the native core with its copies. They
  are shown and not judged.

A machine without a card is told so, and nothing is checked. The exit status is 1 if a check fails.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import topolayer as tl

LIMIT = 450.0  # seconds, after which what is left is not begun
SHAPES = ((1,), (17,), (1, 7), (5, 9), (33, 64), (1, 1, 1), (3, 4, 5), (12, 13, 14))
BATCHES = ((64, 1, 96, 128), (16, 1, 384, 512), (256, 1, 32, 32), (4, 1, 64, 64, 64))
FIELDS = ("pairs", "dims", "sample", "births", "deaths")

# --- bars -------------------------------------------------------------------------------------------------------


def inputs(shape: tuple[int, ...], dtype: torch.dtype) -> dict[str, Tensor]:
    """Batches of three: noise, ties, one value, zeros of both signs, neighbouring numbers."""
    generator = torch.Generator().manual_seed(sum(shape))
    noise = torch.rand((3, *shape), generator=generator, dtype=dtype)
    ties = torch.randint(0, 4, (3, *shape), generator=generator).to(dtype)
    return {
        "noise": noise,
        "ties": ties,
        "one value": torch.ones_like(noise),
        "zeros of both signs": torch.where(noise < 0.5, -0.0, 0.0).to(dtype),
        "neighbouring numbers": 1 + ties * torch.finfo(dtype).eps,
    }


def filtrations(values: Tensor, ndim: int) -> dict[str, tl.Filtration]:
    return {
        "Freudenthal": tl.Freudenthal(values, ndim=ndim, superlevel=True),
        "Cubical V": tl.Cubical(values, ndim=ndim),
        "Cubical T": tl.Cubical(values, ndim=ndim, construction="T", superlevel=True),
    }


def differences(got: tl.Barcode, wanted: tl.Barcode, device: torch.device) -> list[str]:
    """Which parts of a barcode are not those of the other one, or lie elsewhere."""
    found = []
    for kind, mine, theirs, fields in (
        ("", got, wanted, FIELDS),
        ("essential ", got.essential, wanted.essential, ("indices", "dims", "sample", "births")),
    ):
        for field in fields:
            values, expected = getattr(mine, field), getattr(theirs, field)
            if values.device.type != device.type:
                found.append(f"{kind}{field} on {values.device}")
            elif not torch.equal(values.cpu(), expected):
                found.append(f"{kind}{field}")
    return found


def check_pairs(device: torch.device) -> Iterator[str]:
    """What is wrong with the bars of grids and distances on the device."""
    for shape in SHAPES:
        ndim, top = len(shape), len(shape) - 1
        for dtype in (torch.float32, torch.float64):
            for name, values in inputs(shape, dtype).items():
                here, there = filtrations(values, ndim), filtrations(values.to(device), ndim)
                for kind in here:
                    for backend, dims in (("torch", sorted({0, top})), ("native", list(range(ndim)))):
                        got = tl.persistence(there[kind], dims, backend=backend)
                        wanted = tl.persistence(here[kind], dims, backend="native")
                        for part in differences(got, wanted, device):
                            yield f"{kind} {shape} {dtype}, {name}, {backend}: {part}"
    points = torch.rand((3, 30, 3), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    distances = torch.cdist(points, points)
    got, wanted = (tl.persistence(tl.Rips(matrices), (0, 1)) for matrices in (distances.to(device), distances))
    for part in differences(got, wanted, device):
        yield f"Rips: {part}"


# --- mixed precision --------------------------------------------------------------------------------------------


def check_training(device: torch.device) -> Iterator[str]:
    """What goes wrong in a training with autocast to float16 and GradScaler."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1)).to(device)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(device.type, init_scale=1024.0)
    images = torch.rand(8, 1, 32, 32).to(device)
    overflowing = images.clone()
    overflowing[0] = 1e5
    seen: list[Tensor] = []

    def penalty(h: Tensor) -> Tensor:
        seen.append(h.detach())
        return tl.few_maxima(h)

    with tl.Regularizer(model, {"1": penalty}) as regularizer:
        for step, batch in enumerate([*[images] * 20, overflowing, images]):
            before, scale = [p.detach().clone() for p in model.parameters()], scaler.get_scale()
            with torch.autocast(device.type, dtype=torch.float16):
                loss = (model(batch).float() - images).square().mean() + 1e-3 * regularizer()
            sgd.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(sgd)
            scaler.update()
            moved = any(not torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))
            value = regularizer.last["1"].cpu()
            if batch is overflowing:
                if moved or not scaler.get_scale() < scale:
                    yield f"step {step}: a batch that overflows was not skipped"
                continue
            if not moved or not all(bool(p.isfinite().all()) for p in model.parameters()):
                yield f"step {step}: the step was not done, or weights are not finite"
            expected = tl.few_maxima(seen[-1].cpu()).mean()
            if seen[-1].dtype is not torch.float16 or value.dtype is not torch.float32:
                yield f"step {step}: an activation in {seen[-1].dtype}, a penalty in {value.dtype}"
            elif not torch.allclose(value, expected, rtol=1e-4):
                yield f"step {step}: the penalty is {value:.6g}, on the CPU {expected:.6g}"


# --- transfers --------------------------------------------------------------------------------------------------


class Transfers(TorchDispatchMode):
    """Counts operations for which the host waits, and the bytes that go from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.bytes = 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        name = str(function)
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if "nonzero" in name or "_local_scalar_dense" in name:
            self.waits += 1
        elif "copy" in name:
            made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
            devices = {tensor.device for tensor in (*given, *made)}
            if len(devices) > 1:
                self.waits += 1
                self.bytes += sum(tensor.nbytes for tensor in made)
        return result


def check_transfers(device: torch.device) -> Iterator[str]:
    """Show how much each backend copies; `torch` must not copy anything."""
    values = torch.rand(BATCHES[0], generator=torch.Generator().manual_seed(0)).to(device)
    for backend in ("torch", "native"):
        with Transfers() as transfers:
            tl.persistence(tl.Freudenthal(values, ndim=2, superlevel=True), backend=backend)
        copied = f"{transfers.bytes / 1e6:.1f} MB copied for {values.nbytes / 1e6:.1f} MB of values"
        print(f"  {backend}: {transfers.waits} waits, {copied}")
        if backend == "torch" and transfers.bytes:
            yield f"the backend torch copies {transfers.bytes} bytes between devices"


# --- timings ----------------------------------------------------------------------------------------------------


def seconds(call: Callable[[], object], device: torch.device, *, most: float = 5.0) -> float:
    """The median over repetitions, up to 20 of them in `most` seconds, after one that is not counted."""
    times: list[float] = []
    call()
    while len(times) < 20 and sum(times) < most:
        _wait(device)
        began = time.perf_counter()
        call()
        _wait(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def show_timings(device: torch.device, batches: tuple[tuple[int, ...], ...] = BATCHES, *, most: float = 5.0) -> None:
    """The penalty of a batch and its gradient."""
    for shape in batches:
        values = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()

        def step(backend: str, values: Tensor = values, ndim: int = len(shape) - 2) -> None:
            values.grad = None
            grid = tl.Freudenthal(values, ndim=ndim, superlevel=True)
            tl.persistence(grid, backend=backend).lengths.square().sum().backward()

        took = {name: 1000 * seconds(lambda name=name: step(name), device, most=most) for name in ("torch", "native")}
        size = " x ".join(map(str, shape))
        ratio = took["native"] / took["torch"]
        print(f"  {size}: torch {took['torch']:.2f} ms, native {took['native']:.2f} ms, {ratio:.2f} times as long")


# --- all of it --------------------------------------------------------------------------------------------------

CHECKS: dict[str, Callable[[torch.device], Iterator[str]]] = {
    "mixed precision": check_training,
    "transfers": check_transfers,
    "pairs": check_pairs,
}


def run(device: torch.device) -> list[str]:
    """All checks; what is wrong, of each check the first ten."""
    began, problems = time.monotonic(), []
    for name, check in CHECKS.items():
        print(name)
        found: list[str] = []
        for problem in check(device):
            found.append(problem)
            if len(found) == 10 or time.monotonic() - began > LIMIT:
                break
        print("\n".join(f"  {problem}" for problem in found) or "  all right")
        problems += found
    if time.monotonic() - began < LIMIT - 60:
        print("timings of the squared lengths in dimension 0 and their gradient")
        show_timings(device)
    return problems


def main() -> int:
    if not torch.cuda.is_available():
        print("no CUDA card is found here, or this build of PyTorch has no CUDA: nothing was checked")
        return 0
    device = torch.device("cuda")
    print(f"{torch.cuda.get_device_name(device)}, PyTorch {torch.__version__}")
    problems = run(device)
    print(f"{len(problems)} problems" if problems else "no problem")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
