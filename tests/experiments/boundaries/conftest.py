"""Options small enough to train in seconds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.boundaries.config import Arm, Config, settle
from experiments.boundaries.task import load, train_run
from experiments.shared.console import Meter
from experiments.shared.runs import Run, make_fabric


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two epochs of two steps on two networks."""
    return Config(
        runs=tmp_path / "runs",
        name="tiny",
        arms=("none", "betti"),
        seeds=(0,),
        size=96,
        patch=64,
        patches=2,
        epochs=2,
        batch_size=2,
        width=1,
        train_images=2,
        val_images=3,
        accelerator="cpu",
        threads=1,
    )


@pytest.fixture
def train(config: Config) -> Callable[..., Path]:
    """Train one run of `config`, with changes, and return its folder."""

    def fit(arm: Arm = "betti", seed: int = 0, **changes: Any) -> Path:
        changed = settle(dataclasses.replace(config, **changes))
        data = load(changed, "train"), load(changed, "val")
        run = Run(changed, arm, seed, make_fabric(changed), Meter(1, enabled=False), stop=lambda: False)
        train_run(run, data)
        return run.folder

    return fit
