"""Scores without a threshold: against exact ones, against the runs' own at 0.5, and what the command writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.segmentation import thresholds
from experiments.segmentation.layers import load_run
from experiments.segmentation.metrics import ThresholdCurve
from experiments.segmentation.task import load
from experiments.shared.console import UserError


def test_by_hand() -> None:
    curve = ThresholdCurve()
    # From the highest probability down: right, wrong, right, wrong, and ten more that are wrong.
    curve.update(torch.tensor([0.9, 0.7, 0.4, 0.2]), torch.tensor([1, 0, 1, 0]))
    curve.update(torch.zeros(10), torch.zeros(10))
    found = curve.compute()
    assert found["average_precision"] == pytest.approx(100 * (1 / 2 * 1 + 1 / 2 * 2 / 3))
    assert found["found"] == pytest.approx(100 * 2 / 14)  # at 0.5 one right, one wrong
    # Both people and one false: between 0.2 and 0.4. Person 2 of 3, background 11 of 12.
    assert found["best_miou"] == pytest.approx(100 * (2 / 3 + 11 / 12) / 2)
    assert curve.thresholds[curve.miou().argmax()] == pytest.approx(0.205)


def test_average_precision_is_the_exact_one() -> None:
    from torchmetrics.functional.classification import binary_average_precision

    places = torch.randint(0, 201, (5000,), generator=torch.Generator().manual_seed(0))
    probabilities = ThresholdCurve.thresholds[places]
    masks = (torch.rand(5000, generator=torch.Generator().manual_seed(1)) < probabilities**3).int()
    curve = ThresholdCurve()
    for part in range(0, 5000, 1000):
        curve.update(probabilities[part : part + 1000], masks[part : part + 1000])
    exact = float(binary_average_precision(probabilities, masks))
    assert curve.compute()["average_precision"] == pytest.approx(100 * exact, abs=0.01)


def test_command(train: Callable[..., Path]) -> None:
    folders = [train(arm, seed=seed, noise=0.2) for seed in (0, 1) for arm in ("none", "topology")]
    folder = folders[0].parent
    thresholds.write(folder, None, 1)
    none, topology = read_rows(folder / "thresholds.csv")
    assert none["arm"] == "none" and topology["pairs"] == "2"
    names = [f"{score}{where}" for where in ("", "_noise") for score in ("average_precision", "best_miou", "found")]
    for row in (none, topology):
        assert all(0 <= float(row[name]) <= 100 for name in names)
    assert float(topology["best_miou_difference"]) == pytest.approx(
        float(topology["best_miou"]) - float(none["best_miou"]), abs=1e-9
    )
    lines = (folder / "thresholds.md").read_text().splitlines()
    assert sum(line.startswith("| best mIoU") for line in lines) == 2
    assert (folder / "thresholds.png").stat().st_size > 10_000


def test_at_one_half_it_is_what_the_run_says(train: Callable[..., Path]) -> None:
    folder = train("none", noise=0.2, epochs=3, lr=0.5)
    config, model = load_run(folder, None)
    final = json.loads((folder / "summary.json").read_text())["final"]
    val = load(config, "val")
    for images, score in ((val, "miou"), (val.noisy(0.2), "miou_noise")):
        curve = thresholds.curve(model, images)
        assert float(curve.miou()[100]) == pytest.approx(final[score], abs=1e-3)


def test_a_missing_network_is_named_before_any_work(train: Callable[..., Path]) -> None:
    folders = [train("none", seed=seed) for seed in (0, 1)]
    (folders[1] / "checkpoint.pt").unlink()
    with pytest.raises(UserError, match=r"in [^,]*seed1-none: train again"):
        thresholds.write(folders[0].parent, None, 1)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        thresholds.write(tmp_path, None, 0)
    run = tmp_path / "seed0-none"
    run.mkdir()
    (run / "summary.json").write_text('{"experiment": "depth", "arm": "none", "seed": 0, "final": {}}')
    (run / "metrics.csv").write_text("epoch,delta1\n1,0.5\n")
    with pytest.raises(UserError, match="another experiment"):
        thresholds.write(tmp_path, None, 0)


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open() as lines:
        return list(csv.DictReader(lines))
