"""What all experiments that train do alike: a folder of runs, one per seed and arm, that can be resumed and added to.

An experiment brings its options (a subclass of `Options`), its arms, and a function that trains one `Run`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from experiments import report
from experiments.console import Meter, UserError, log, stop_requests
from experiments.files import Row, environment, write_json
from experiments.training import Task, Trainer, read_checkpoint, steps_per_epoch

Model = TypeVar("Model", bound=nn.Module)
Settings = TypeVar("Settings", bound="Options")

# What may differ between two commands that fill the same folder: which runs, where, and how they are computed.
FREE = (
    "arms",
    "seeds",
    "root",
    "cache",
    "name",
    "runs",
    "resume",
    "accelerator",
    "threads",
    "checkpoint_steps",
    "demo",
)


@dataclass(frozen=True)
class Options:
    """What every experiment that trains is told."""

    free: ClassVar[tuple[str, ...]] = FREE

    arms: tuple[Any, ...] = ("none",)
    """which regularizers to compare"""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """one run per arm and seed; a seed determines initial weights and batches in all arms"""
    name: str = ""
    """name of the results' folder below --runs; empty: that of the experiment and its data"""
    runs: Path = Path("runs")
    """where results go"""
    resume: bool = False
    """go on with unfinished runs; without it an unfinished run is refused (finished runs are kept as they are)"""

    epochs: int = 1
    """how often every training image is seen"""
    batch_size: int = 16
    """images per step, over all processes"""
    train_images: int = 0
    """number of training images (0: all there are; 400 scenes)"""
    val_images: int = 0
    """number of validation images (0: all there are; 100 scenes)"""
    val_every: int = 1
    """validate (and write a checkpoint) after every so many epochs and after the last one"""
    last_epochs: int = 1
    """the reported scores are means over so many validations at the end"""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """where to train"""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """of the network's arithmetic; the penalties are always computed in float32"""
    threads: int = 0
    """threads per process (0: PyTorch's choice); another number gives other last bits"""
    checkpoint_steps: int = 0
    """also write a checkpoint every so many steps, beside those at the end of each epoch"""
    demo: bool = False
    """a small preset on the embedded scenes: all arms, two seeds, some minutes on two cores"""

    @property
    def default_name(self) -> str:
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        return self.runs / (self.name or self.default_name)


def shared(options: Options) -> dict[str, Any]:
    """The options that all runs in a folder have in common, ready for JSON."""
    common = {key: value for key, value in dataclasses.asdict(options).items() if key not in options.free}
    return dict(json.loads(json.dumps(common, default=str)))


def run_folder(options: Options, seed: int, arm: str) -> Path:
    return options.folder / f"seed{seed}-{arm}"


def processes() -> int:
    """How many processes torchrun started, together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


# --- before anything is computed --------------------------------------------------------------------------------


def check(options: Options, *, from_one: Sequence[str] = (), from_zero: Sequence[str] = ()) -> None:
    """Refuse what cannot work: also numbers below 1 in the options of `from_one`, below 0 in those of `from_zero`."""
    if options.accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError("--accelerator cuda: PyTorch finds no GPU here; leave the option out to train on the CPU")
    if options.batch_size % processes():
        raise UserError(f"--batch-size {options.batch_size} cannot be shared evenly by {processes()} processes")
    for option in ("epochs", "batch_size", "val_every", "last_epochs", *from_one):
        if getattr(options, option) < 1:
            raise UserError(f"--{option.replace('_', '-')} must be at least 1, got {getattr(options, option)}")
    for option in from_zero:
        if not 0 <= getattr(options, option) < math.inf:
            raise UserError(f"--{option.replace('_', '-')} must be a number from 0, got {getattr(options, option)}")


def check_folders(options: Options) -> None:
    """Refuse to mix options in one folder, and to touch unfinished runs unasked."""
    noted = options.folder / "config.json"
    if noted.exists():
        now = shared(options)
        before = shared(type(options)()) | json.loads(noted.read_text())  # an option it does not know had its default
        differ = [f"{key} {before[key]} there, {now[key]} here" for key in now if before[key] != now[key]]
        if differ:
            raise UserError(
                f"{options.folder} holds runs with other options ({'; '.join(differ)}): choose another --name"
            )
    for seed in options.seeds:
        for arm in options.arms:
            folder = run_folder(options, seed, arm)
            if folder.exists() and not (folder / "summary.json").exists() and not options.resume:
                raise UserError(f"{folder} holds an unfinished run: give --resume to go on with it, or another --name")


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
    ) -> None:
        """Bring the run from its initial weights or its checkpoint to its ``summary.json``.

        `examples` is the number of training images. `closing` gives further scores of the trained network, which are
        not worth computing after every epoch.
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
        identity = {"arm": self.arm, "seed": self.seed}
        if trainer.checkpoint.exists():
            trainer.load()
            self.meter.advance(trainer.steps_done)
            log.info("%s: going on after %d of %d epochs", folder, trainer.epoch, options.epochs)
            _warn_of_other_bits(folder / "config.json")
        elif fabric.is_global_zero:
            ran = environment() | {"device": str(fabric.device)}
            write_json(folder / "config.json", identity | shared(options) | {"ran": ran})
        history = trainer.fit(self.stop)
        model.eval()
        with torch.inference_mode():
            final = history[-1] | closing()
        if fabric.is_global_zero:
            seconds = sum(row["seconds"] for row in history)
            images = sum(row["seconds"] * row["images_per_second"] for row in history)
            speed = {"training_seconds": round(seconds, 1), "images_per_second": round(images / seconds, 2)}
            write_json(folder / "summary.json", identity | {"final": final} | speed)


def train_all(options: Settings, fabric: Fabric, examples: int, train_one: Callable[[Run[Settings]], None]) -> None:
    """Call `train_one` for every run that is not finished; `examples` is the number of training images."""
    if fabric.is_global_zero:
        write_json(options.folder / "config.json", shared(options))
    todo = [
        (seed, arm)
        for seed in options.seeds
        for arm in options.arms
        if not (run_folder(options, seed, arm) / "summary.json").exists()
    ]
    fabric.barrier()
    steps = options.epochs * steps_per_epoch(examples, options.batch_size)
    with stop_requests() as stop, Meter(len(todo) * steps, enabled=fabric.is_global_zero) as meter:
        for seed, arm in todo:
            train_one(Run(options, arm, seed, fabric, meter, stop))


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


def trained_models(options: Options, build: Callable[[int], Model]) -> dict[str, Model]:
    """The finished networks of the first seed, by arm; `build` makes the network of a seed."""
    finished = report.finished_runs(options.folder)
    seed = min(run.seed for run in finished)
    models: dict[str, Model] = {}
    for arm in [run.arm for run in finished if run.seed == seed]:
        models[arm] = build(seed)
        state = read_checkpoint(run_folder(options, seed, arm) / "checkpoint.pt", models[arm])
        models[arm].load_state_dict(state["model"])
    return models
