"""A folder of runs, one per seed and arm, that can be resumed and added to.

An experiment brings its options (a subclass of `Options`), its arms, and a function that trains one `Run`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from experiments.shared import protocol, report
from experiments.shared.console import Meter, UserError, log, stop_requests
from experiments.shared.files import IMAGES, Row, environment, write_atomically, write_csv, write_json
from experiments.shared.lock import held
from experiments.shared.options import Options, Settings, check_folders, common, processes, run_folder
from experiments.shared.training import Task, Trainer, read_checkpoint, steps_per_epoch

Model = TypeVar("Model", bound=nn.Module)
Pair = TypeVar("Pair")


@contextmanager
def prepared(options: Options) -> Iterator[Fabric]:
    """The device to train on. Meanwhile the folder, in which nothing forbids these options, belongs to this command."""
    if options.accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError("--accelerator cuda: PyTorch finds no GPU here; leave the option out to train on the CPU")
    if options.threads:
        torch.set_num_threads(options.threads)
    with held(options.folder):
        if options.protocol:
            protocol.committed(options.protocol)
        check_folders(options)
        yield make_fabric(options)


def make_fabric(options: Options) -> Fabric:
    """One device, or those of the processes that torchrun started."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=options.accelerator,
        devices=local,
        num_nodes=processes() // local,
        strategy="ddp" if processes() > 1 else "auto",
        precision=options.precision,
    )
    fabric.launch()
    return fabric


# --- runs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run(Generic[Settings]):
    """One arm trained from one seed, by a command whose device, progress bar and stop requests all its runs share."""

    options: Settings
    arm: Any
    seed: int
    fabric: Fabric
    meter: Meter
    stop: Callable[[], bool]

    @property
    def folder(self) -> Path:
        return run_folder(self.options, self.seed, self.arm)

    def finish(
        self,
        task: Task,
        *,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: LRScheduler,
        examples: int,
        closing: Callable[[], Row] = dict,
        of_each: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        """Bring the run from its initial weights or its checkpoint to its ``summary.json``.

        `examples` is the number of training images. `closing` gives further scores of the trained network, which are
        not worth computing after every epoch, and `of_each` numbers of each validation image.
        """
        options, fabric, folder = self.options, self.fabric, self.folder
        trainer = Trainer(
            fabric,
            folder,
            task,
            model=model,
            optimizer=optimizer,
            schedule=schedule,
            examples=examples,
            batch_size=options.batch_size,
            epochs=options.epochs,
            seed=self.seed,
            meter=self.meter,
            checkpoint_steps=options.checkpoint_steps,
            val_every=options.val_every,
        )
        identity = {"experiment": options.experiment.name, "arm": self.arm, "seed": self.seed}
        if trainer.checkpoint.exists():
            trainer.load()
            self.meter.skip(trainer.steps_done)
            log.info("%s: going on after %d of %d epochs", folder, trainer.epoch, options.epochs)
            _warn_of_other_bits(folder / "config.json")
        elif fabric.is_global_zero:
            ran = environment() | {"device": str(fabric.device)}
            write_json(folder / "config.json", identity | common(options) | {"ran": ran})
        history = trainer.fit(self.stop)
        model.eval()
        with torch.inference_mode():
            final = history[-1] | closing()
            each = of_each() if fabric.is_global_zero else []
        if fabric.is_global_zero:
            write_csv(folder / IMAGES, each)
            seconds = sum(row["seconds"] for row in history)
            images = sum(row["seconds"] * row["images_per_second"] for row in history)
            speed = {"training_seconds": round(seconds, 1), "images_per_second": round(images / seconds, 2)}
            write_json(folder / "summary.json", identity | {"final": final} | speed)


def run_experiment(options: Settings, task: ModuleType, pictures: ModuleType) -> None:
    """Train what is not finished, and write the pictures and the report of all runs; `task` and `pictures` are modules.

    `task` has `pairs(options)`: training and validation images, for each fold; `describe(options, pair)`,
    `examples(options, images)`: how many an epoch has, `train_run(run, pair)` and `architecture(options)`; `pictures`
    has `showcase(folder, models, images, options)`.
    """
    with prepared(options) as fabric:
        with fabric.rank_zero_first(local=True):  # what is downloaded or cached by one is there for the others
            pairs = task.pairs(options)
        task.describe(options, pairs[0])
        examples = task.examples(options, pairs[0][0])
        train_all(options, fabric, examples, lambda run: task.train_run(run, of_seed(pairs, run.seed)))
        if fabric.is_global_zero:
            seed = shown_seed(options)
            if seed is None:
                log.warning("no run in %s has its weights (checkpoint.pt): no network is shown", options.folder)
            else:
                models = trained_models(options, seed, lambda: task.architecture(options))
                pictures.showcase(options.folder, models, of_seed(pairs, seed)[1], options)
            report.write(options.folder, options.experiment)


def of_seed(pairs: list[Pair], seed: int) -> Pair:
    """The images that this seed trains on and validates: each seed has the next fold."""
    return pairs[seed % len(pairs)]


def train_all(options: Settings, fabric: Fabric, examples: int, train_one: Callable[[Run[Settings]], None]) -> None:
    """Call `train_one` for every run that is not finished; `examples` is the number of training images."""
    steps = options.epochs * steps_per_epoch(examples, options.batch_size)
    every = [(seed, arm) for seed in dict.fromkeys(options.seeds) for arm in dict.fromkeys(options.arms)]
    todo = [run for run in every if not (run_folder(options, *run) / "summary.json").exists()]
    fabric.barrier()
    if fabric.is_global_zero:
        note(options)
    if not todo:
        log.info(
            "nothing was trained: all %d runs in %s were finished before; to train them again delete the folder, or "
            "give another --name",
            len(every), options.folder,
        )  # fmt: skip
    elif len(todo) < len(every):
        log.info("%d of %d runs were finished before and stay as they are", len(every) - len(todo), len(every))
    with stop_requests() as stop, Meter(len(todo) * steps, enabled=fabric.is_global_zero) as meter:
        for number, (seed, arm) in enumerate(every, 1):
            if (seed, arm) in todo:
                meter.run = f"run {number} of {len(every)}, seed {seed}, {arm}"
                train_one(Run(options, arm, seed, fabric, meter, stop))


def note(options: Options) -> None:
    """Write down what all runs in the folder have in common, and the protocol that they follow."""
    noted = common(options)
    if options.protocol:
        noted["protocol_commit"] = protocol.committed(options.protocol)
        write_atomically(options.folder / protocol.NAME, options.protocol.read_bytes())
    write_json(options.folder / "config.json", noted)


def _warn_of_other_bits(noted: Path) -> None:
    """Say so where a resumed run cannot end with the very numbers that it would have had in one go."""
    before = json.loads(noted.read_text())["ran"] if noted.exists() else {}
    now = environment()
    for key in ("threads", "processes", "gpu"):
        if before.get(key, now[key]) != now[key]:
            log.warning(
                "%s was begun with %s = %s, now it is %s: last bits may differ",
                noted.parent,
                key,
                before[key],
                now[key],
            )


def trained_models(options: Options, seed: int, build: Callable[[], Model]) -> dict[str, Model]:
    """The networks of a seed whose weights are there, by arm; `build` makes a network for their weights."""
    models: dict[str, Model] = {}
    for arm in [run.arm for run in report.finished_runs(options.folder) if run.seed == seed]:
        path = weights(options, seed, arm)
        if path.exists():
            models[arm] = build()
            models[arm].load_state_dict(read_checkpoint(path, models[arm])["model"])
    return models


def shown_seed(options: Options) -> int | None:
    """The first seed of a finished run whose weights are there: they may be deleted, as only pictures need them."""
    runs = report.finished_runs(options.folder)
    return min((run.seed for run in runs if weights(options, run.seed, run.arm).exists()), default=None)


def weights(options: Options, seed: int, arm: str) -> Path:
    return run_folder(options, seed, arm) / "checkpoint.pt"
