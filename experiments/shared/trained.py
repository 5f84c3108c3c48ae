"""A run that an earlier command has finished: its options, and its network."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from experiments.shared.console import UserError
from experiments.shared.options import Settings
from experiments.shared.training import read_checkpoint

Model = TypeVar("Model", bound=nn.Module)
IDENTITY = ("experiment", "arm", "seed", "protocol", "ran")  # what config.json says beside the options


@dataclass(frozen=True)
class Trained(Generic[Settings]):
    """A run, and the options that it was trained with; of seeds they have its own. `reported` are its scores."""

    folder: Path
    options: Settings
    arm: str
    seed: int
    threads: int
    reported: dict[str, float]


def noted(folder: Path) -> dict[str, Any]:
    """What a run wrote down of itself."""
    try:
        found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{folder} holds no run: there is no readable config.json in it ({error})") from error
    if "seed" not in found:
        runs = ", ".join(sorted(path.parent.name for path in folder.glob("seed*/config.json")))
        raise UserError(f"{folder} holds several runs: give one of them ({runs or 'none is there yet'})")
    return found


def read(folder: Path, kind: type[Settings]) -> Trained[Settings]:
    """The finished run in `folder`, whose options are of this kind."""
    found = noted(folder)
    known = {field.name for field in dataclasses.fields(kind)}
    strange = sorted(set(found) - known - set(IDENTITY))
    if strange:
        raise UserError(
            f"{folder} was trained by another version, commit {found.get('ran', {}).get('commit', 'unknown')}: there "
            f"is no option {', '.join(strange)} here; take that version"
        )
    summary = folder / "summary.json"
    if not summary.exists():
        raise UserError(f"{folder} holds an unfinished run: give its command again with --resume, and wait for its end")
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in found.items()
        if name in known and name not in IDENTITY
    }
    threads = found.get("ran", {}).get("threads", 0)
    reported = json.loads(summary.read_text())["final"]
    settings = kind(**options, seeds=(found["seed"],))
    return Trained(folder, settings, found["arm"], found["seed"], threads, reported)


def network(run: Trained[Any], model: Model) -> Model:
    """`model` with the weights of a run, ready to predict."""
    model.load_state_dict(read_checkpoint(run.folder / "checkpoint.pt", model)["model"])
    if not all(bool(torch.isfinite(weights).all()) for weights in model.state_dict().values()):
        raise UserError(f"the network of {run.folder} has weights that are not finite: its training diverged")
    return model.eval()
