"""Options of the segmentation that are small enough to train in a second, and how they are trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning_fabric", reason="needs the extra `experiments`")

from experiments.segmentation.config import Arm, Config
from experiments.segmentation.task import load, train_run
from experiments.shared.console import Meter
from experiments.shared.runs import Run, make_fabric


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on many threads only wait for one another; and the random state is given back."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two epochs of two steps on four scenes."""
    return Config(
        runs=tmp_path / "runs",
        name="tiny",
        seeds=(0,),
        epochs=2,
        batch_size=2,
        size=64,
        width=2,
        layer="dec2",
        train_images=4,
        val_images=3,
        threads=1,
    )


@pytest.fixture
def train(config: Config) -> Callable[..., Path]:
    """Train one run of `config`, with changes, and return its folder."""

    def fit(arm: Arm = "topology", seed: int = 0, **changes: Any) -> Path:
        changed = dataclasses.replace(config, **changes)
        data = load(changed, "train"), load(changed, "val")
        run = Run(changed, arm, seed, make_fabric(changed), Meter(1, enabled=False), stop=lambda: False)
        train_run(run, data)
        return run.folder

    return fit
