"""Sweeps: what is varied, compared and held out, and that interruptions and bad options cost nothing."""

from __future__ import annotations

import csv
import dataclasses
from typing import Any

import pytest

from experiments.segmentation import sweep, task
from experiments.segmentation.config import Config
from experiments.shared.console import Interrupted, UserError
from experiments.shared.files import read_csv
from experiments.shared.images import ImageSet
from experiments.shared.runs import Run


def test_lambda_is_chosen_without_looking_at_validation_images(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    load = task._load

    def of_training(config: Config, split: str) -> ImageSet:
        assert split == "train", "these are reported on"
        return load(config, split)

    monkeypatch.setattr(task, "_load", of_training)
    tried = swept(config, train_images=5, epochs=1, lambdas=(1e-6, 1e-3))
    sweep.main(tried)
    none, *rows = table(tried)
    assert none["arm"] == "none" and [row["lambda"] for row in rows] == ["1e-06", "0.001"]
    weak, strong = (float(row["gradient_ratio_first"]) for row in rows)
    assert weak > 0 and strong == pytest.approx(1000 * weak, rel=0.01)


def test_a_sweep_varies_one_thing_at_a_time_and_trains_nothing_twice(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = swept(config, lambdas=(1e-5, 1e-4), gradients=("critical", "region"), topology_lambda=1e-4)
    more = dataclasses.replace(tried, ks=(2, 8), layers=("dec1",), tv_lambdas=(1e-8, 1e-7), arms=("topology", "tv"))
    begun: list[str] = []
    train_run = task.train_run

    def interrupted(run: Run[Config], data: tuple[ImageSet, ImageSet]) -> None:
        if len(begun) == 4:
            raise Interrupted("after four runs")
        begun.append(f"{run.options.folder.name} {run.seed}")
        train_run(run, data)

    monkeypatch.setattr(task, "train_run", interrupted)
    with pytest.raises(Interrupted):
        sweep.main(tried)
    first, begun = begun, begun[:0]
    sweep.main(tried)
    assert len(begun) == 1 and not set(begun) & set(first)
    begun = [""] * 5  # past the interruption
    sweep.main(more)
    around = {
        *((weight, gradient, "dec2", "8") for weight in ("1e-05", "0.0001") for gradient in ("critical", "region")),
        ("0.0001", "critical", "dec2", "2"),
        ("0.0001", "critical", "dec1", "8"),
    }
    rows = table(more)
    found = [(r["lambda"], r["gradient"], r["layer"], r["k"]) for r in rows if r["arm"] == "topology"]
    assert len(found) == len(around) and set(found) == around
    assert [row["lambda"] for row in rows if row["arm"] == "tv"] == ["1e-08", "1e-07"]
    assert len(set(begun[5:])) == len(begun[5:]) == len(rows) - 5
    assert (more.folder / "sweep.md").read_text().count("\n| ") == 1 + len(rows)
    assert (more.folder / "sweep.png").stat().st_size > 10_000
    with pytest.raises(UserError, match=r"held_out 0\.2 there, 0\.5 here"):
        sweep.main(dataclasses.replace(more, held_out=0.5))


def test_held_out_images_are_not_trained_on(config: Config) -> None:
    tried = swept(config, train_images=10)
    fitted, held = (set(task.load(tried, part).names) for part in ("train", "val"))
    assert (len(fitted), len(held)) == (8, 2) and not fitted & held
    every = dataclasses.replace(tried, held_out=0)
    assert (len(task.load(every, "train")), len(task.load(every, "val"))) == (10, tried.val_images)


def test_the_table_of_a_sweep_is_of_its_seeds_and_last_validations(config: Config) -> None:
    tried = swept(config, name="a/b", lambdas=(1e-3,), layer="auto", layers=("auto",), seeds=(0, 1, 2), last_epochs=2)
    tried = dataclasses.replace(tried, epochs=2, train_images=4, held_out=0, topology_lambda=1e-3)
    sweep.main(tried)
    fewer = dataclasses.replace(tried, seeds=(0, 2))
    sweep.main(fewer)
    none, topology = table(fewer)

    def mean(row: dict[str, str], seed: int) -> float:
        metrics = read_csv(fewer.folder / row["setting"] / f"seed{seed}-{row['arm']}" / "metrics.csv")
        return sum(epoch["miou"] for epoch in metrics) / 2

    difference = sum(mean(topology, seed) - mean(none, seed) for seed in (0, 2)) / 2
    assert float(topology["miou_difference"]) == pytest.approx(difference) and topology["pairs"] == "2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, "--seeds: expected at least one"),
        ({"held_out": 1.0}, "--held-out must be"),
        ({"train_images": 2, "held_out": 0.2}, "--held-out 0.2: of 2 training images that is none or all"),
        ({"ks": (-1,)}, "--k must be a number from 0"),
        ({"layers": ("dec9",)}, "no such layer"),
    ],
)
def test_sweeps_that_cannot_work_are_refused(config: Config, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sweep.main(swept(config, **changes))


def swept(config: Config, **changes: Any) -> sweep.Sweep:
    options = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    changes = {"arms": ("none", "topology"), "epochs": 1, "train_images": 5, "resume": True, "held_out": 0.2} | changes
    return sweep.Sweep(**(options | changes))


def table(tried: sweep.Sweep) -> list[dict[str, str]]:
    with (tried.folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))
