"""Training runs: paired arms, resumed runs, held-out images, folds, the report, and finished runs scored again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import evaluate
from experiments.boundaries import task
from experiments.boundaries.__main__ import main
from experiments.boundaries.config import DEMO, Config, settle
from experiments.boundaries.curves import networks
from experiments.shared.console import Meter, UserError
from experiments.shared.files import read_csv

TIMES = {"seconds", "images_per_second", "train_term_seconds", "train_term_share"}


def numbers(folder: Path) -> list[dict[str, float]]:
    """What must be the same bit for bit: all columns but the times."""
    return [{name: row[name] for name in row.keys() - TIMES} for row in read_csv(folder / "metrics.csv")]


@pytest.fixture
def membranes(tmp_path: Path) -> Path:
    """Eight sections of 96 x 80 pixels."""
    drawn = networks(8, 96, seed=0)
    for part in ("image", "label"):
        (tmp_path / "membranes" / part).mkdir(parents=True)
    for name, image, mask in zip(range(8), drawn.images.numpy(), drawn.masks.numpy(), strict=True):
        Image.fromarray(image[:, :80]).save(tmp_path / "membranes" / "image" / f"{name}.png")
        label = np.where(mask[:, :80], 0, 255).astype(np.uint8)
        Image.fromarray(label).save(tmp_path / "membranes" / "label" / f"{name}.png")
    return tmp_path / "membranes"


def test_the_loss_is_the_error_and_the_weighted_term(train: Callable[..., Path]) -> None:
    for row in read_csv(train("betti", betti_lambda=0.1) / "metrics.csv"):
        assert row["train_loss"] == pytest.approx(row["train_error"] + 0.1 * row["train_term"])
        assert row["train_term"] > 0 and row["train_gradient_ratio"] > 0
        assert 0 < row["train_term_share"] < 100
        assert row["train_term_share"] == pytest.approx(200 * row["train_term_seconds"] / row["seconds"], rel=0.05)
    first, second = read_csv(train("betti", name="rising", warm_up=1) / "metrics.csv")
    assert first["train_loss"] == first["train_error"] and first["train_gradient_ratio"] == 0 < first["train_term"]
    assert second["train_loss"] > second["train_error"]
    (row, _) = read_csv(train("none") / "metrics.csv")
    assert row["train_loss"] == row["train_error"] and row["train_term_share"] == 0 and "train_term" not in row


def test_all_arms_start_from_the_same_weights_and_see_the_same_patches(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[torch.Tensor]] = []
    overlap = task.overlap

    def watch(prediction: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            seen[-1].append(masks)
        return overlap(prediction, masks)

    class Watched(task.Boundaries):
        def __init__(self, config: Config, fabric: object, model: torch.nn.Module, *rest: object, seed: int) -> None:
            super().__init__(config, fabric, model, *rest, seed=seed)  # type: ignore[arg-type]
            seen.append([value.clone() for value in model.state_dict().values()])
            model.register_forward_pre_hook(lambda module, inputs: seen[-1].extend(inputs))

    monkeypatch.setattr(task, "overlap", watch)
    monkeypatch.setattr(task, "Boundaries", Watched)
    for arm in ("none", "wasserstein", "betti"):
        train(arm)
    none, *others = seen
    for other in others:
        assert len(other) == len(none)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(none, other, strict=True))


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_run_ends_with_the_same_numbers(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    whole = train(name="whole")
    advance, calls = Meter.advance, []

    def kill(self: Meter, *arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == after + 1:
            raise KeyboardInterrupt
        advance(self, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Meter, "advance", kill)
        train(name="cut", checkpoint_steps=1)
    assert numbers(train(name="cut", resume=True)) == numbers(whole)


def test_a_command_trains_all_arms_and_reports(config: Config) -> None:
    main(config)
    table = (config.folder / "results.md").read_text()
    for title in ("Betti matching error |", "adapted Rand error, 4-connected |", "time of the term (% of a step) |"):
        assert title in table
    assert "Δ betti [95 % CI]" in table and "peckle" not in table
    for name in ("examples.png", "convergence.png"):
        assert (config.folder / name).stat().st_size > 10_000
    rows = (config.folder / "results.csv").read_text().splitlines()
    assert len(rows) == 3 and "train_gradient_ratio" in rows[0]
    with pytest.raises(UserError, match="choose another --name"):
        main(dataclasses.replace(config, patch=128, size=128))


def test_sections_are_cross_validated_in_blocks(config: Config, membranes: Path) -> None:
    config = dataclasses.replace(config, data="membranes", root=membranes, size=Config.size, train_images=0)
    held: list[str] = []
    for seed in range(4, 8):  # the fifth seed begins again with the first block
        settled = settle(dataclasses.replace(config, seeds=(seed,)))
        train, val = task.load(settled, "train"), task.load(settled, "val")
        assert len(train) == 6 and not set(train.names) & set(val.names)
        held += val.names
    assert held == [str(number) for number in range(8)]


def test_each_seed_of_a_command_validates_its_own_block(config: Config, membranes: Path) -> None:
    changes = {"data": "membranes", "root": membranes, "size": Config.size, "seeds": (1, 2), "arms": ("none",)}
    config = dataclasses.replace(config, **changes, train_images=0, val_images=0)
    main(config)
    for seed, names in ((1, "23"), (2, "45")):
        rows = (config.folder / f"seed{seed}-none" / "images.csv").read_text().splitlines()[1:]
        assert [row.split(",")[0] for row in rows] == list(names)


def test_weights_are_chosen_on_training_images(config: Config, membranes: Path) -> None:
    config = dataclasses.replace(config, data="membranes", root=membranes, size=Config.size, train_images=0)
    config = settle(dataclasses.replace(config, seeds=(1,), held_out=0.3))
    assert task.load(config, "train").names == ("0", "1", "4", "5")
    assert task.load(config, "val").names == ("6", "7")
    with pytest.raises(UserError, match=r"--held-out 0\.01: of 6 training images that is none or all"):
        task.load(dataclasses.replace(config, held_out=0.01), "val")
    with pytest.raises(UserError, match="--patch 128 does not fit into images of 96 x 80"):
        task.load(dataclasses.replace(config, patch=128), "train")


def test_images_of_any_size_are_predicted_whole() -> None:
    model = task.architecture(dataclasses.replace(DEMO, width=1)).eval()
    images = torch.rand(1, 1, 70, 130)
    with torch.no_grad():
        found = task.predicted(model, images)
        whole = task.predicted(model, torch.nn.functional.pad(images, (0, 62, 0, 58), mode="replicate"))
    assert found.shape == images.shape and torch.equal(found, whole[..., :70, :130])


def test_a_runs_own_images_give_the_scores_that_it_reported(train: Callable[..., Path]) -> None:
    run = train("betti")
    evaluate.main(evaluate.Options(run))
    found = json.loads((run / "evaluation" / "scores.json").read_text())
    reported = json.loads((run / "summary.json").read_text())["final"]
    assert found["scores"] == {name: reported[name] for name in found["scores"]} == found["reported"]
    assert {"dice", "matching_error_v", "rand_error", "val_loss"} <= found["scores"].keys()
    assert (run / "evaluation" / "images.csv").read_text() == (run / "images.csv").read_text()
    assert len((run / "images.csv").read_text().splitlines()) == 4
    with pytest.raises(UserError, match="--cache X: boundaries keeps its images in memory"):
        evaluate.main(evaluate.Options(run, cache=Path("X")))


def test_membranes_are_scored_by_a_network_of_curves(
    train: Callable[..., Path], membranes: Path, tmp_path: Path
) -> None:
    run = train("none")
    evaluate.main(evaluate.Options(run, data="membranes", root=membranes, out=tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert not found["reported"] and 0 <= found["scores"]["dice"] <= 100
    assert "on 2 images of membranes, val" in (tmp_path / "out" / "scores.md").read_text()
