"""Options small enough to train in a second."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.depth.config import Arm, Config
from experiments.depth.settle import settle
from experiments.depth.task import load, train_run
from experiments.shared.console import Meter
from experiments.shared.runs import Run, make_fabric


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two epochs of two steps on four scenes."""
    return Config(
        runs=tmp_path / "runs",
        name="tiny",
        seeds=(0,),
        model="densedepth",
        encoder="small",
        weights="none",
        width=2,
        size=(32, 64),
        layer="auto",
        epochs=2,
        batch_size=2,
        lr=1e-3,
        train_images=4,
        val_images=2,
        k=1,
        accelerator="cpu",
        threads=1,
    )


@pytest.fixture
def train(config: Config) -> Callable[..., Path]:
    """Train one run of `config`, with changes, and return its folder."""

    def fit(arm: Arm = "tv+topology", seed: int = 0, **changes: Any) -> Path:
        changed = settle(dataclasses.replace(config, **changes))
        data = load(changed, "train"), load(changed, "val")
        run = Run(changed, arm, seed, make_fabric(changed), Meter(1, enabled=False), stop=lambda: False)
        train_run(run, data)
        return run.folder

    return fit
