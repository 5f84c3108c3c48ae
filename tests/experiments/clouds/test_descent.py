"""Descent of clouds: the gradients that are compared, what the goal is, and the files of a run."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from experiments.clouds.__main__ import main
from experiments.clouds.config import Config
from experiments.clouds.descent import Descent, descend, summarize
from experiments.clouds.gradients import Gradient, averaged, bars, interpolated, present
from experiments.clouds.problems import PROBLEMS, Problem
from experiments.shared.console import UserError

TINY = Config(points=20, rates=(0.01, 0.03), bandwidths=(0.2,), steps=3, seeds=(0, 1))
CIRCLE = PROBLEMS[0]


def start(problem: Problem, seed: int = 0) -> torch.Tensor:
    return problem.start(30, torch.Generator().manual_seed(seed)).requires_grad_()


def slope(problem: Problem, gradient: Gradient) -> torch.Tensor:
    points = start(problem)
    loss = problem.loss(bars(points, problem.dims, gradient, 0.2))
    (found,) = torch.autograd.grad(loss, points)
    return found


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_bars_are_the_same_and_gradients_reach_further(problem: Problem) -> None:
    losses = [problem.loss(bars(start(problem), problem.dims, gradient, 0.2)).item() for gradient in present()]
    assert losses == pytest.approx(losses[:1] * len(losses), rel=1e-9)
    assert losses[0] > problem.goal
    plain = slope(problem, "plain")
    assert plain.isfinite().all()
    for gradient in present()[1:]:
        found = slope(problem, gradient)
        assert found.isfinite().all()
        assert (found != 0).sum() >= (plain != 0).sum()


def test_what_the_extensions_are() -> None:
    points = start(CIRCLE).detach()
    at, pulls = torch.tensor([3, 8, 20]), torch.rand(3, 2, dtype=torch.float64)
    kernel = torch.exp((torch.cdist(points, points[at]) / 0.1) ** 2 / -2)
    torch.testing.assert_close(interpolated(kernel, at, pulls)[at], pulls, rtol=0, atol=1e-4)
    mean = averaged(kernel, at, pulls)
    assert (mean >= pulls.amin(0) - 1e-12).all()
    assert (mean <= pulls.amax(0) + 1e-12).all()
    near = torch.cdist(points, points[at]).argmin(1)
    narrow = averaged(torch.exp((torch.cdist(points, points[at]) / 0.01) ** 2 / -2), at, pulls)
    torch.testing.assert_close(narrow[at], pulls[near[at]])


def test_radii_of_the_bars() -> None:
    """Two points 2 apart meet when their discs have the radius 1."""
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 9.0]], dtype=torch.float64)
    births, deaths = bars(points, (0,), "plain", 0.0)[0]
    assert births.tolist() == [0, 0]
    assert deaths.tolist() == pytest.approx([1, 4.5])


def test_the_goal_and_the_summary() -> None:
    runs = [Descent([3.0, 1.0, 2.0, 0.5], [0.0, 1.0, 2.0, 3.0]), Descent([3.0, 2.0, 2.0, 2.0], [0.0, 1.0, 2.0, 3.0])]
    assert [run.goal(1.0) for run in runs] == [1, None]
    found = summarize(runs, 1.0)
    assert (found["reached"], found["steps"], found["seconds"], found["loss"]) == ("1 of 2", 1, 1.0, 1.25)


def test_a_smoothed_descent_is_ahead() -> None:
    """Of a circle from noise, with both bests of the grid on another cloud."""
    config = Config(points=40, steps=40)
    plain, smooth = (descend(CIRCLE, config, gradient, 0.01, 0.1, 3).losses for gradient in ("plain", "smooth"))
    assert min(smooth) < min(plain) < plain[0]
    assert smooth[0] == plain[0]


def test_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    main(Config(**{**vars(TINY), "out": folder}))
    with (folder / "steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(PROBLEMS) * len(present()) * len(TINY.seeds) * (TINY.steps + 1)
    with (folder / "clouds.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(PROBLEMS) * len(present())
    assert json.loads((folder / "config.json").read_text())["points"] == 20
    assert (folder / "clouds.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "clouds.md").read_text().count("\n") == 2 + len(PROBLEMS) * len(present())
    with pytest.raises(UserError, match="exists"):
        main(Config(**{**vars(TINY), "out": folder}))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"points": 3}, "--points"), ({"rates": ()}, "--rates"), ({"bandwidths": (0.0,)}, "--bandwidths")],
)
def test_what_cannot_work_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(Config(**options))  # type: ignore[arg-type]
