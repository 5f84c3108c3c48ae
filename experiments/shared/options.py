"""The options of experiments that train, and which of them are refused.

No module that holds options imports torch at its top, so that ``--help`` and a mistyped option are answered at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from experiments.shared import protocol
from experiments.shared.console import UserError
from experiments.shared.experiment import Experiment

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
    "protocol",  # where it lies; what it says is compared
)
EncoderName = Literal[
    "", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2",
    "resnet50", "resnet34", "resnet18", "densenet161", "densenet121", "small",
]  # fmt: skip
KEPT = ("checkpoint.pt", "summary.json")  # what a run leaves behind that is worth keeping


@dataclass(frozen=True)
class Options:
    """The options of every experiment that trains."""

    experiment: ClassVar[Experiment]
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
    """precision of the network's arithmetic; the penalties are always computed in float32"""
    threads: int = 0
    """threads per process (0: PyTorch's choice); another number gives other last bits"""
    checkpoint_steps: int = 0
    """also write a checkpoint every so many steps, beside those at the end of each epoch"""
    demo: bool = False
    """a small preset on the embedded scenes: all arms, two seeds, some minutes on two cores"""
    protocol: Path | None = None
    """file with what is asked and how it will be answered: arms, seeds and options are those it names"""

    @property
    def default_name(self) -> str:
        """The name of the results' folder where none is given."""
        raise NotImplementedError

    @property
    def folder(self) -> Path:
        return self.runs / (self.name or self.default_name)


Settings = TypeVar("Settings", bound=Options)


def common(options: Options) -> dict[str, Any]:
    """The experiment, the options that all runs in a folder have in common, and the protocol, ready for JSON."""
    bound = {key: value for key, value in dataclasses.asdict(options).items() if key not in options.free}
    bound["protocol"] = protocol.digest(options.protocol) if options.protocol else ""
    return {"experiment": options.experiment.name, **json.loads(json.dumps(bound, default=str))}


def run_folder(options: Options, seed: int, arm: str) -> Path:
    return options.folder / f"seed{seed}-{arm}"


def processes() -> int:
    """How many processes torchrun started, together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check(options: Options, *, from_one: Sequence[str] = (), from_zero: Sequence[str] = ()) -> None:
    """Refuse what cannot work: also numbers below 1 in the options of `from_one`, below 0 in those of `from_zero`."""
    for option in ("arms", "seeds"):
        if not getattr(options, option):
            raise UserError(f"--{option}: expected at least one, got none; leave the option out for its default")
    for option in ("epochs", "batch_size", "val_every", "last_epochs", *from_one):
        if getattr(options, option) < 1:
            raise UserError(f"{_spelled(option)} must be at least 1, got {getattr(options, option)}")
    for option in ("train_images", "val_images", "threads", "checkpoint_steps", *from_zero):
        if not 0 <= getattr(options, option) < math.inf:
            raise UserError(f"{_spelled(option)} must be a number from 0, got {getattr(options, option)}")
    if options.batch_size % processes():
        raise UserError(f"--batch-size {options.batch_size} cannot be shared evenly by {processes()} processes")


def check_data(options: Any, readers: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse options about data that are not read: `readers` says which --data reads which of them."""
    for option, data in readers.items():
        if options.data not in data and getattr(options, option) != getattr(type(options), option):
            raise UserError(
                f"{_spelled(option)} {getattr(options, option)} would be ignored: --data {options.data} does not read "
                f"it; leave it out, or give --data {' or '.join(data)}"
            )
    if options.data in readers["root"] and options.root is None:
        raise UserError(f"--data {options.data} needs --root DIR, the folder of the data set")


def check_folders(options: Options) -> None:
    """Refuse to mix options in one folder, and to touch unfinished runs unasked.

    A command that failed before its first checkpoint has left nothing that needs protection.
    """
    noted = options.folder / "config.json"
    if noted.exists() and any(any(options.folder.rglob(name)) for name in KEPT):
        now = common(options)
        before = common(type(options)()) | json.loads(noted.read_text())  # an option it does not know had its default
        if before["protocol"] != now["protocol"]:
            raise UserError(
                f"{options.folder} holds runs under {_under(before)}, which is not {_under(now)}: a protocol stays as "
                "it was at the first run; take it back to that, or choose another --name"
            )
        differ = [f"{key} {before[key]} there, {now[key]} here" for key in now if before[key] != now[key]]
        if differ:
            raise UserError(
                f"{options.folder} holds runs with other options ({'; '.join(differ)}): choose another --name"
            )
    for seed in options.seeds:
        for arm in options.arms:
            folder = run_folder(options, seed, arm)
            unfinished = (folder / "checkpoint.pt").exists() and not (folder / "summary.json").exists()
            if unfinished and not options.resume:
                raise UserError(f"{folder} holds an unfinished run: give --resume to go on with it, or another --name")


def _under(noted: Mapping[str, Any]) -> str:
    return f"the protocol {noted['protocol'][:12]}" if noted["protocol"] else "no protocol"


def parse(kind: type[Settings], demo: Settings, description: str | None) -> Settings:
    """The options of the command line, where those of the demo or of a protocol are the defaults."""
    import tyro

    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--protocol", type=Path)
    early.add_argument("--demo", action="store_true")
    given, _ = early.parse_known_args()
    default = demo if given.demo else kind()
    if given.protocol is None:
        return tyro.cli(kind, default=default, description=description)
    found = protocol.read(given.protocol)
    known = {field.name for field in dataclasses.fields(kind)}
    named = {name: value for name, value in found.options.items() if name in known}
    default = dataclasses.replace(
        default, protocol=given.protocol, arms=found.arms, seeds=tuple(range(found.seeds)), **named
    )
    options = tyro.cli(kind, default=default, description=description)
    protocol.check(found, options)
    return options


def _spelled(option: str) -> str:
    return f"--{option.replace('_', '-')}"
