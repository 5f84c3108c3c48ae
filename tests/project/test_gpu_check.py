"""The checks for a CUDA card: on the CPU in its place they pass, and notice what is wrong; without one they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import topolayer as tl
from tools import gpu_check

CPU = torch.device("cpu")


def test_it_ends_where_there_is_no_card() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a card here")
    command = [sys.executable, "-m", "tools.gpu_check"]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("no CUDA card is found here") and not ended.stderr


def test_the_cpu_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(gpu_check, "SHAPES", ((1,), (5, 9), (3, 4, 5)))
    monkeypatch.setattr(gpu_check, "show_timings", lambda device: None)
    assert gpu_check.run(CPU) == []
    shown = capsys.readouterr().out
    assert shown.count("all right") == len(gpu_check.CHECKS) and "native: " in shown


def test_other_bars_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = tl.persistence

    def wrong(filtration: Any, dims: Any = 0, *, backend: Any = None) -> tl.Barcode:
        if backend == "torch":
            filtration = tl.Freudenthal(filtration.values.flip(-1), ndim=2, superlevel=filtration.superlevel)
        return right(filtration, dims, backend=backend)

    monkeypatch.setattr(gpu_check, "SHAPES", ((5, 9),))
    monkeypatch.setattr(tl, "persistence", wrong)
    found = list(gpu_check.check_pairs(CPU))
    assert found and all(", torch: " in problem for problem in found)


def test_results_elsewhere_are_noticed() -> None:
    barcode = tl.persistence(tl.Freudenthal(torch.rand(5, 5), ndim=2))
    assert gpu_check.differences(barcode, barcode, CPU) == []
    assert len(gpu_check.differences(barcode, barcode, torch.device("meta"))) == 9


def test_a_batch_that_is_not_skipped_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Heedless(torch.amp.GradScaler):
        def step(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
            optimizer.step()

        def update(self, new_scale: Any = None) -> None:
            pass

    monkeypatch.setattr(torch.amp, "GradScaler", Heedless)
    assert "step 20: a batch that overflows was not skipped" in list(gpu_check.check_training(CPU))


def test_transfers_and_waits_are_counted() -> None:
    x = torch.rand(4, 4)
    with gpu_check.Transfers() as transfers:
        x.to("meta")
    assert transfers.bytes == x.nbytes and transfers.waits == 1
    with gpu_check.Transfers() as transfers:
        x.nonzero()
        float(x.sum())
        x.to(torch.float64)
    assert transfers.bytes == 0 and transfers.waits == 2


def test_timings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    gpu_check.show_timings(CPU, ((2, 1, 8, 8), (1, 1, 4, 4, 4)), most=0.01)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("  2 x 1 x 8 x 8: torch ")
