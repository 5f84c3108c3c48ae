"""The regularizer under DistributedDataParallel: two processes, half of the batch each, against one with all of it.

This file is also what the two processes run.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed.fsdp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

import topolayer as tl

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed"),
]

WORLD = 2


class Net(nn.Module):
    def __init__(self, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        self.enc = nn.Linear(4, 6)
        self.dec = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
        self.head = nn.Linear(6, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.enc(x).sigmoid()
        return self.head(checkpoint(self.dec, h, use_reentrant=False) if self.recompute else self.dec(h))


def energy(h: Tensor) -> Tensor:
    return h.square().flatten(1).sum(1)


def maxima(h: Tensor) -> Tensor:
    return tl.few_maxima(h.reshape(-1, 1, 2, 3), k=1)


PENALTIES = {"enc": energy, "dec.0": lambda h: energy(h) ** 2, "dec": maxima}


def whole(n: int = 8) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(n))


def part(n: int = 8) -> Tensor:
    return whole(n).chunk(WORLD)[torch.distributed.get_rank()]


def backward(model: nn.Module, regularizer: tl.Regularizer, x: Tensor, scale: float = 1.0) -> None:
    ((model(x).mean() + 0.1 * regularizer()) * scale).backward()


def plain(net: Net) -> nn.Module:
    return DistributedDataParallel(net)


def compiled_outside(net: Net) -> nn.Module:
    return torch.compile(DistributedDataParallel(net), backend="eager")


def compiled_inside(net: Net) -> nn.Module:
    return DistributedDataParallel(torch.compile(net, backend="eager"))


def compiled_and_called(net: Net) -> nn.Module:
    model = compiled_outside(net)
    model(part()).mean().backward()
    model.zero_grad()
    return model


def checkpointed(net: Net) -> nn.Module:
    net.recompute = True
    return DistributedDataParallel(net)


def looking_for_unused_parameters(net: Net) -> nn.Module:
    return DistributedDataParallel(net, find_unused_parameters=True)


WAYS: list[Callable[[Net], nn.Module]] = [
    plain,
    compiled_outside,
    compiled_inside,
    compiled_and_called,
    checkpointed,
    looking_for_unused_parameters,
]


def one_step(wrap: Callable[[Net], nn.Module]) -> float:
    """The largest difference of a gradient to that of one process with the whole batch."""
    torch.manual_seed(0)
    net = Net()
    alone = copy.deepcopy(net)
    with tl.Regularizer(alone, PENALTIES) as regularizer:
        backward(alone, regularizer, whole())
    model = wrap(net)
    with tl.Regularizer(model, PENALTIES) as regularizer:
        backward(model, regularizer, part())
    return difference(net, alone)


def sharded(net: Net) -> nn.Module:
    """FSDP2."""
    mesh = torch.distributed.init_device_mesh("cpu", (WORLD,))
    for module in (net.dec, net):
        torch.distributed.fsdp.fully_shard(module, mesh=mesh)
    return net


class SideBranch(Net):
    """A branch that is penalized and returned, without which it would be unused to DistributedDataParallel."""

    def __init__(self) -> None:
        super().__init__()
        self.side = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.enc(x)
        return self.head(h), self.side(h)


def uneven(wrap: Callable[[Net], nn.Module], sizes: tuple[int, int]) -> float:
    """Batches of two sizes: gradients are averaged over processes, as those of the loss are, not over samples."""
    torch.manual_seed(0)
    net = Net()
    alone = copy.deepcopy(net)
    parts = whole().split(sizes)
    with tl.Regularizer(alone, PENALTIES) as regularizer:
        for x in parts:
            (alone(x).sum() / 8 + 0.1 * regularizer()).div(WORLD).backward()
    model = wrap(net)
    with tl.Regularizer(model, PENALTIES) as regularizer:
        x = parts[torch.distributed.get_rank()]
        (model(x).sum() / 8 + 0.1 * regularizer()).backward()
    return difference(net, alone)


def joined() -> float:
    """The second process has no batch for the last step, under `join` of DistributedDataParallel: the final weights."""
    torch.manual_seed(0)
    net = Net()
    alone = copy.deepcopy(net)
    steps = [whole(8).split((5, 3)), whole(4).split((4,))]
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    with tl.Regularizer(alone, PENALTIES) as regularizer:
        for parts in steps:
            optimizer.zero_grad()
            for x in parts:
                backward(alone, regularizer, x, 1 / WORLD)
            optimizer.step()
    model, rank = DistributedDataParallel(net), torch.distributed.get_rank()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with model.join(), tl.Regularizer(model, PENALTIES) as regularizer:
        for parts in steps[: WORLD - rank]:
            optimizer.zero_grad()
            backward(model, regularizer, parts[rank])
            optimizer.step()
    pairs = zip(net.parameters(), alone.parameters(), strict=True)
    return float(torch.stack([(p.detach() - q.detach()).abs().max() for p, q in pairs]).max())


def side_branch() -> float:
    torch.manual_seed(0)
    net = SideBranch()
    alone = copy.deepcopy(net)
    for model, x in ((alone, whole()), (DistributedDataParallel(net, find_unused_parameters=True), part())):
        with tl.Regularizer(model, {"side": energy}) as regularizer:
            (model(x)[0].mean() + regularizer()).backward()
    return difference(net, alone)


def accumulated() -> float:
    """Two batches for one step of the optimizer, the first without communication, then a skipped step."""
    torch.manual_seed(0)
    net = Net()
    alone = copy.deepcopy(net)
    with tl.Regularizer(alone, PENALTIES) as regularizer:
        backward(alone, regularizer, whole(16))
    model = DistributedDataParallel(net)
    first, second = part(16).chunk(2)
    with tl.Regularizer(model, PENALTIES) as regularizer:
        with model.no_sync():
            backward(model, regularizer, first, 0.5)
        backward(model, regularizer, second, 0.5)
    return difference(net, alone)


def skipped() -> float:
    """The second of two steps is skipped in every process, and its gradient is that of the loss alone."""
    torch.manual_seed(0)
    net = Net()
    alone = copy.deepcopy(net)
    alone(whole()).mean().backward()
    model = DistributedDataParallel(net)
    with tl.Regularizer(model, PENALTIES, every=2) as regularizer:
        backward(model, regularizer, part())
        model.zero_grad()
        backward(model, regularizer, part())
    return difference(net, alone)


def difference(net: nn.Module, alone: nn.Module) -> float:
    pairs = zip(net.parameters(), alone.parameters(), strict=True)
    differences = [(full(p.grad) - q.grad).abs().max() for p, q in pairs if p.grad is not None and q.grad is not None]
    assert len(differences) == 6
    return float(torch.stack(differences).max())


def full(gradient: Tensor) -> Tensor:
    """Put together from the shares of all processes, where it was sharded."""
    return gradient.full_tensor() if hasattr(gradient, "full_tensor") else gradient


SCENARIOS: dict[str, Callable[[], float]] = {
    **{way.__name__: lambda way=way: one_step(way) for way in WAYS},
    "side_branch": side_branch,
    "accumulated": accumulated,
    "skipped": skipped,
    "uneven": lambda: uneven(plain, (5, 3)),
    "one_without_samples": lambda: uneven(plain, (8, 0)),
    "joined": joined,
}
if hasattr(torch.distributed.fsdp, "fully_shard"):  # from torch 2.6 on
    SCENARIOS["sharded"] = lambda: one_step(sharded)
    SCENARIOS["sharded_uneven"] = lambda: uneven(sharded, (5, 3))
    SCENARIOS["sharded_one_without_samples"] = lambda: uneven(sharded, (8, 0))


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", f"file://{folder / 'rendezvous'}", timedelta(seconds=60), world_size=WORLD, rank=rank
    )
    results = {name: run() for name, run in SCENARIOS.items()}
    (folder / f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    folder = tmp_path_factory.mktemp("distributed")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    logs = [folder / f"{rank}.log" for rank in range(WORLD)]
    processes = []
    for rank, log in enumerate(logs):
        with log.open("w") as out:
            command = [sys.executable, __file__, str(rank), str(folder)]
            processes.append(subprocess.Popen(command, stdout=out, stderr=out, env=environment))
    try:
        codes = [process.wait(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert codes == [0] * WORLD, "\n".join(log.read_text() for log in logs)
    results = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(WORLD)]
    return {name: [result[name] for result in results] for name in SCENARIOS}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_averaged_gradient_is_that_of_the_joined_batch(scenario: str, differences: dict[str, list[float]]) -> None:
    assert differences[scenario] == pytest.approx([0, 0], abs=1e-6)


if __name__ == "__main__":
    work(int(sys.argv[1]), Path(sys.argv[2]))
