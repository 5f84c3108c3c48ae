"""A training loop that can be killed: batches, checkpoints, logs. What is trained is the task's business.

A run lives in a folder of its own: ``metrics.csv`` (one row per validation), TensorBoard events, ``checkpoint.pt``
and, once it is finished, ``summary.json``. All files are replaced atomically. A checkpoint holds the model, optimizer,
schedule, gradient scaler, sampler and random states, so that a run that was killed ends with the same numbers, bit for
bit on the same processor with the same number of threads.
"""

from __future__ import annotations

import io
import math
import pickle
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.tensorboard import SummaryWriter

from experiments.shared.console import Interrupted, Meter, UserError, log
from experiments.shared.files import Row, write_atomically, write_csv


class Task(Protocol):
    """The methods of an experiment that the loop calls."""

    def step(self, indices: Tensor, *, epoch: int, probe: bool) -> dict[str, Tensor]:
        """Numbers for one batch of training examples; "loss" among them is what is minimized, the others are logged.

        One whose name ends in "_seconds" is a part of the step's time, and logged as a share of it, in per cent, too.
        `epoch`, from 0, is for augmentation that differs between epochs but not between runs. `probe` is true once
        per epoch, for numbers that are worth knowing but not worth computing at every step.
        """

    def evaluate(self) -> Row:
        """Scores on the validation set."""


def epoch_batches(examples: int, batch_size: int, *, seed: int, epoch: int) -> list[Tensor]:
    """The batches of an epoch: a permutation that depends on nothing but `seed` and `epoch`.

    An incomplete last batch is left out, as its statistics would be noisy (of one image there may be none at all);
    the next epoch draws another permutation.
    """
    generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
    order = torch.randperm(examples, generator=generator)
    return list(torch.split(order[: examples // batch_size * batch_size], batch_size))


def steps_per_epoch(examples: int, batch_size: int) -> int:
    if examples < batch_size:
        raise UserError(f"{examples} training images do not fill one batch of {batch_size}: lower --batch-size")
    return examples // batch_size


def halvings(step: int, *, steps: int, epochs: int) -> int:
    """How often the learning rate was halved before `step` (of `steps` per epoch): twelve times in so many `epochs`.

    With 50 that is every 4 epochs, as in the paper.

    >>> [halvings(10 * epoch, steps=10, epochs=50) for epoch in (0, 3, 4, 49)]
    [0, 0, 1, 12]
    >>> [halvings(10 * epoch, steps=10, epochs=25) for epoch in (0, 1, 2, 24)]
    [0, 0, 1, 12]
    """
    return step * 50 // (4 * epochs * steps)


class Trainer:
    """One training run: ``fit()`` brings it to its end from wherever its folder says it stands.

    `model` is the bare network (its state goes into checkpoints), `optimizer` what ``fabric.setup`` returned.
    """

    def __init__(
        self,
        fabric: Fabric,
        folder: Path,
        task: Task,
        *,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: LRScheduler,
        examples: int,
        batch_size: int,
        epochs: int,
        seed: int,
        meter: Meter,
        checkpoint_steps: int = 0,
        val_every: int = 1,
    ) -> None:
        self.fabric, self.folder, self.task, self.meter = fabric, folder, task, meter
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.examples, self.batch_size, self.epochs, self.seed = examples, batch_size, epochs, seed
        self.checkpoint_steps, self.val_every = checkpoint_steps, val_every
        self.steps = steps_per_epoch(examples, batch_size)
        self.epoch = 0
        self.step = 0  # within the epoch
        self.sums: dict[str, list[float]] = {}  # since the last validation: total and number of each logged value
        self.seconds = 0.0  # since then, spent on training alone
        self.history: list[Row] = []
        self._scaler = fabric.strategy.precision  # holds the gradient scaler, where the precision needs one

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def steps_done(self) -> int:
        return self.epoch * self.steps + self.step

    # --- the loop ---------------------------------------------------------------------------------------------

    def fit(self, stop: Callable[[], bool]) -> list[Row]:
        """Train to the end, or until `stop` says so: then save and raise `Interrupted`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        events = None
        if self.fabric.is_global_zero:
            events = SummaryWriter(str(self.folder), purge_step=self.epoch + 1)
        try:
            while self.epoch < self.epochs:
                self._train_epoch(stop)
                self.epoch, self.step = self.epoch + 1, 0
                if self.epoch % self.val_every and self.epoch < self.epochs:
                    continue
                row = self._validate()
                if events is not None:
                    for name in row.keys() - {"epoch", "step"}:
                        events.add_scalar(name, row[name], self.epoch)
                self.save()
        finally:
            if events is not None:
                events.close()
        return self.history

    def _train_epoch(self, stop: Callable[[], bool]) -> None:
        batches = epoch_batches(self.examples, self.batch_size, seed=self.seed, epoch=self.epoch)
        self.model.train()
        while self.step < self.steps:
            began = time.perf_counter()
            mine = batches[self.step][self.fabric.global_rank :: self.fabric.world_size]
            self.optimizer.zero_grad(set_to_none=True)
            values = self.task.step(mine, epoch=self.epoch, probe=self.step == 0)
            self.fabric.backward(values["loss"])
            self.optimizer.step()
            self.schedule.step()
            self.step += 1
            shown = {name: float(value.detach()) for name, value in values.items()}
            for name, value in shown.items():
                total = self.sums.setdefault(name, [0.0, 0.0])
                total[0] += value
                total[1] += 1
            self.seconds += time.perf_counter() - began
            parts = {name: value for name, value in shown.items() if name != "loss"}
            self.meter.advance(1, f"epoch {self.epoch + 1} of {self.epochs}", parts or shown)
            if self._agree(stop()):
                self.save()
                raise Interrupted(
                    f"stopped in {self.folder} after {self.steps_done} steps; the checkpoint is written: "
                    "give the same command with --resume to go on"
                )
            if self.checkpoint_steps and self.step % self.checkpoint_steps == 0:
                self.save()

    def _validate(self) -> Row:
        """Reduce the numbers since the last validation over all processes, evaluate, and write the row."""
        device = self.fabric.device
        names = sorted(self.sums)
        sums = torch.tensor([self.sums[name] for name in names], dtype=torch.float64).to(device, torch.float32)
        if self.fabric.world_size > 1:
            sums = torch.as_tensor(self.fabric.all_reduce(sums, reduce_op="sum"))
        means = {name: float(total / number) for name, (total, number) in zip(names, sums, strict=True)}
        images = self.sums["loss"][1] * self.batch_size
        row: Row = {"epoch": self.epoch, "step": self.steps_done, "lr": float(self.schedule.get_last_lr()[0])}
        row |= {f"train_{name}": value for name, value in means.items()}
        self.model.eval()
        _same_buffers(self.model, self.fabric)
        with torch.inference_mode():
            row |= self.task.evaluate()
        for name in (name for name in names if name.endswith("_seconds")):
            row[f"train_{name.removesuffix('_seconds')}_share"] = 100 * self.sums[name][0] / self.seconds
        row["seconds"] = round(self.seconds, 3)
        row["images_per_second"] = round(images / self.seconds, 2)
        self.history.append(row)
        self.sums, self.seconds = {}, 0.0
        if self.fabric.is_global_zero:
            write_csv(self.folder / "metrics.csv", self.history)
            self.meter.tell(f"epoch {self.epoch} of {self.epochs}")
            if not math.isfinite(row["train_loss"]):
                log.warning("%s: the training loss is %s in epoch %d", self.folder, row["train_loss"], self.epoch)
        return row

    def _agree(self, stop: bool) -> bool:
        """True as soon as one process was told to stop: all of them must leave after the same step."""
        if self.fabric.world_size == 1:
            return stop
        votes = self.fabric.all_reduce(torch.tensor(float(stop), device=self.fabric.device), reduce_op="sum")
        return bool(torch.as_tensor(votes) > 0)

    # --- checkpoints ------------------------------------------------------------------------------------------

    def save(self) -> None:
        randoms = _gather(_random_states(), self.fabric)
        if not self.fabric.is_global_zero:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "sampler": {
                "seed": self.seed,
                "examples": self.examples,
                "batch_size": self.batch_size,
                "epoch": self.epoch,
                "step": self.step,
            },
            "random": randoms,
            "sums": self.sums,
            "seconds": self.seconds,
            "history": self.history,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.checkpoint, buffer.getvalue())

    def load(self) -> None:
        """Go back to where the checkpoint was written. It is checked in full before anything is changed."""
        state = read_checkpoint(self.checkpoint, self.model)
        sampler = state["sampler"]
        for name in ("seed", "examples", "batch_size"):
            if sampler[name] != getattr(self, name):
                raise UserError(
                    f"{self.checkpoint} was written with {name} = {sampler[name]}, now it is {getattr(self, name)}: "
                    "the batches would differ; use the same data and options, or another --name"
                )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self._scaler.load_state_dict(state["scaler"])
        self.epoch, self.step = sampler["epoch"], sampler["step"]
        self.sums, self.seconds, self.history = state["sums"], state["seconds"], state["history"]
        randoms = state["random"]
        _set_random_states(randoms[self.fabric.global_rank % len(randoms)])


def read_checkpoint(path: Path, model: nn.Module) -> dict[str, Any]:
    """The content of a checkpoint that fits `model`; anything else is refused in one sentence."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        saved = {name: tuple(value.shape) for name, value in state["model"].items()}
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} is no checkpoint of these experiments ({reason}): delete its folder") from error
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if saved != wanted:
        names = [name for name in (*wanted, *saved) if saved.get(name) != wanted.get(name)]
        raise UserError(
            f"{path} holds another architecture: {len(set(names))} entries differ, the first is {names[0]} with shape "
            f"{saved.get(names[0], 'none')} there and {wanted.get(names[0], 'none')} here; "
            "give the options it was trained with, or another --name"
        )
    return state


def _random_states() -> dict[str, Any]:
    legacy: Any = np.random.get_state()  # noqa: NPY002
    kind, keys, position, has_gauss, gauss = legacy
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": random.getstate(),
    }


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))


def _gather(states: dict[str, Any], fabric: Fabric) -> list[dict[str, Any]]:
    if fabric.world_size == 1:
        return [states]
    everyone: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(everyone, states)
    return everyone


def _same_buffers(model: nn.Module, fabric: Fabric) -> None:
    """Every process evaluates the network that is saved: the first one's running statistics."""
    if fabric.world_size > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)
