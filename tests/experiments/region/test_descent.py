"""Noise removal with both gradients: what is penalized and counted, what the goal is, and the files of a run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

import topolayer as tl
from experiments.region.__main__ import main
from experiments.region.config import Config
from experiments.region.descent import Descent, count, descend, noisy, penalty
from experiments.shared.console import UserError

pytest.importorskip("skimage", reason="the photograph is scikit-image's")
TINY = Config(side=24, k=6, steps=4, rates=(0.1, 0.4), seeds=(0, 1))


def test_extrema_are_counted_in_both_directions() -> None:
    picture = torch.zeros(5, 7)
    picture[1, 1], picture[3, 3], picture[3, 5] = 1, 0.005, -1
    assert count(picture, 0.01) == [1, 1]
    assert count(picture, 0.001) == [2, 1]


@pytest.mark.parametrize("gradient", ["critical", "region"])
def test_penalizes_maxima_and_minima_alike(gradient: str) -> None:
    picture = noisy(torch.full((16, 16), 0.5), TINY, 0).requires_grad_()
    value = penalty(picture, TINY, gradient)
    expected = torch.zeros(())
    for superlevel in (True, False):
        filtration = tl.Freudenthal(picture, superlevel=superlevel)
        if gradient == "critical":
            expected = expected + tl.total_persistence(tl.persistence(filtration), p=2, k=TINY.k)
        else:
            expected = expected + (picture - tl.simplify(filtration, k=TINY.k)).square().sum()
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)
    assert value > 0


def test_the_goal_is_the_first_step_with_few_maxima_and_few_minima() -> None:
    rows = [{"step": i, "maxima": a, "minima": b} for i, (a, b) in enumerate([(9, 9), (3, 9), (9, 3), (5, 5), (2, 2)])]
    goal = Descent(rows, {}).goal(5)
    assert goal is not None
    assert goal["step"] == 3
    assert Descent(rows, {}).goal(1) is None


def test_a_region_is_gone_in_fewer_steps() -> None:
    """On a wide bump of many pixels: a step shrinks it as a whole, or its highest pixel alone."""
    axis = torch.arange(24.0)
    bump = 0.3 * torch.exp(-((axis[:, None] - 6) ** 2 + (axis - 6) ** 2) / 20)
    clean = 0.2 + bump + 2 * bump.flip(0, 1)
    config = Config(noise=1e-6, k=1, steps=8)
    regions, bars = (descend(clean, config, gradient, 0.4, 0, steps=8).goal(1) for gradient in ("region", "critical"))
    assert regions is not None
    assert regions["step"] > 0
    assert bars is None


def test_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    main(Config(**{**vars(TINY), "out": folder}))
    with (folder / "steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(TINY.seeds) * (TINY.steps + 1)
    with (folder / "region.csv").open() as file:
        assert [row["gradient"] for row in csv.DictReader(file)] == ["critical", "region"]
    assert json.loads((folder / "config.json").read_text())["k"] == TINY.k
    assert (folder / "region.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "region.md").read_text().count("\n") == 4
    with pytest.raises(UserError, match="exists"):
        main(Config(**{**vars(TINY), "out": folder}))
